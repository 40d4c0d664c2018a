//! All rows of a key in one state, and what the state shows.

use super::Key;
use super::keyed::{Logic, keyed};
use crate::Time;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use std::marker::PhantomData;

/// The state of one key.
///
/// # Contract
/// What it shows depends on the rows that stand, not on the order in which they came. Rows that go are taken before rows
/// that come, so a row that is replaced is gone when its successor arrives.
pub trait Group: Default + 'static {
    /// A row.
    type Row: ExchangeData;
    /// What the state shows.
    type View: ExchangeData;

    /// A row comes (1) or goes (-1).
    fn update(&mut self, row: Self::Row, diff: isize);

    /// What it shows now, if anything.
    fn view(&self) -> Option<Self::View>;

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool;

    /// Asks for what a change will read and the group only points to, by [`prefetch`](super::prefetch()). It may do nothing, which is
    /// slower where groups are many.
    fn prefetch(&self) {}
}

/// Keeps a [`Group`] of each key's rows, of all collections in `rows` together, and gives what it shows: `(key, view)`. Equal
/// to a `reduce` over them, concatenated, whose function puts the rows into a group and shows it.
pub fn fold<'scope, K: Key, G: Group, const N: usize>(
    name: &str,
    rows: [VecCollection<'scope, Time, (K, G::Row)>; N],
) -> VecCollection<'scope, Time, (K, G::View)> {
    keyed(format!("Fold: {name}"), rows.map(|rows| rows.inner), Fold::<G>(PhantomData)).as_collection()
}

struct Fold<G>(PhantomData<G>);

impl<K: Key, G: Group> Logic<K, G::Row> for Fold<G> {
    type State = G;
    type Out = (K, G::View);

    fn change(
        &mut self,
        key: &K,
        group: &mut G,
        changes: impl Iterator<Item = (G::Row, isize)>,
        out: &mut impl FnMut((K, G::View), isize),
    ) {
        let before = group.view();
        changes.for_each(|(row, diff)| group.update(row, diff));
        let after = group.view();
        if before == after {
            return;
        }
        if let Some(before) = before {
            out((key.clone(), before), -1);
        }
        if let Some(after) = after {
            out((key.clone(), after), 1);
        }
    }

    fn is_idle(group: &G) -> bool {
        group.is_empty()
    }

    fn prefetch(group: &G) {
        group.prefetch();
    }
}
