//! The rows of a table, of what its keys' rows become.

use super::Key;
use super::keyed::{Logic, keyed};
use crate::Time;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use timely::dataflow::Stream;
use timely::dataflow::operators::vec::Map;

/// What the row of a key becomes at a time; `None` if it goes.
pub type KeyChange<K, R> = ((K, Option<R>), Time);

/// Keeps each key's row and gives the differences: `(key, row)`. Equal to `arrange_from_upsert`: of several changes of a
/// key in one time the greatest holds, and none goes without an old row.
pub fn upsert<'scope, K: Key, R: ExchangeData>(
    name: &str,
    changes: Stream<'scope, Time, Vec<KeyChange<K, R>>>,
) -> VecCollection<'scope, Time, (K, R)> {
    let changes = changes.map(|(change, time)| (change, time, 1));
    keyed(format!("Upsert: {name}"), [changes], Upsert).as_collection()
}

struct Upsert;

impl<K: Key, R: ExchangeData> Logic<K, Option<R>> for Upsert {
    type State = Option<R>;
    type Out = (K, R);

    fn change(
        &mut self,
        key: &K,
        row: &mut Option<R>,
        changes: impl Iterator<Item = (Option<R>, isize)>,
        out: &mut impl FnMut((K, R), isize),
    ) {
        let after = changes.map(|(after, _)| after).max().flatten();
        if *row == after {
            return;
        }
        if let Some(before) = row.take() {
            out((key.clone(), before), -1);
        }
        if let Some(after) = &after {
            out((key.clone(), after.clone()), 1);
        }
        *row = after;
    }

    fn is_idle(row: &Option<R>) -> bool {
        row.is_none()
    }
}
