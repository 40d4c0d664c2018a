//! Many rows, each with the one row that it points to.

use super::Key;
use super::keyed::{Logic, keyed};
use crate::Time;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Joins `many`, rows by the key they point to, with `one`, in which each key stands at most once: `(key, member, value)`.
/// Equal to `many.join(one)`.
///
/// # Contract
/// At every time a member stands at most once under its key.
pub fn attach<'scope, K: Key, M: ExchangeData, V: ExchangeData>(
    name: &str,
    many: VecCollection<'scope, Time, (K, M)>,
    one: VecCollection<'scope, Time, (K, V)>,
) -> VecCollection<'scope, Time, (K, M, V)> {
    let many = many.map(|(key, member)| (key, Side::Many(member)));
    let one = one.map(|(key, value)| (key, Side::One(value)));
    keyed(format!("Attach: {name}"), [many.inner, one.inner], Attach).as_collection()
}

/// A row of either side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Side<M, V> {
    One(V),
    Many(M),
}

struct Attach;

/// What is kept of a key.
struct Attached<M, V> {
    one: Option<V>,
    many: Members<M>,
}

impl<M, V> Default for Attached<M, V> {
    fn default() -> Self {
        Attached { one: None, many: Members::Few(Vec::new()) }
    }
}

/// From so many on, members are kept in order.
const MANY: usize = 32;

enum Members<M> {
    Few(Vec<M>),
    Many(BTreeSet<M>),
}

impl<M: Ord> Members<M> {
    fn insert(&mut self, member: M) {
        match self {
            Members::Few(few) if few.len() < MANY => few.push(member),
            Members::Few(few) => *self = Members::Many(few.drain(..).chain([member]).collect()),
            Members::Many(many) => {
                many.insert(member);
            }
        }
    }

    fn remove(&mut self, member: &M) {
        match self {
            Members::Few(few) => {
                let at = few.iter().position(|other| other == member);
                debug_assert!(at.is_some(), "a member that goes has come");
                if let Some(at) = at {
                    few.swap_remove(at);
                }
            }
            Members::Many(many) => {
                many.remove(member);
                if many.len() <= MANY / 2 {
                    *self = Members::Few(std::mem::take(many).into_iter().collect());
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Members::Few(few) => few.is_empty(),
            Members::Many(many) => many.is_empty(),
        }
    }

    fn for_each(&self, mut each: impl FnMut(&M)) {
        match self {
            Members::Few(few) => few.iter().for_each(&mut each),
            Members::Many(many) => many.iter().for_each(&mut each),
        }
    }
}

impl<K: Key, M: ExchangeData, V: ExchangeData> Logic<K, Side<M, V>> for Attach {
    type State = Attached<M, V>;
    type Out = (K, M, V);

    fn change(
        &mut self,
        key: &K,
        state: &mut Attached<M, V>,
        changes: impl Iterator<Item = (Side<M, V>, isize)>,
        out: &mut impl FnMut((K, M, V), isize),
    ) {
        let Attached { one, many } = state;
        for (side, diff) in changes {
            match side {
                Side::Many(member) if diff > 0 => {
                    if let Some(value) = one {
                        out((key.clone(), member.clone(), value.clone()), diff);
                    }
                    many.insert(member);
                }
                Side::Many(member) => {
                    many.remove(&member);
                    if let Some(value) = one {
                        out((key.clone(), member, value.clone()), diff);
                    }
                }
                Side::One(value) => {
                    many.for_each(|member| out((key.clone(), member.clone(), value.clone()), diff));
                    *one = (diff > 0).then_some(value);
                }
            }
        }
    }

    fn is_idle(state: &Attached<M, V>) -> bool {
        state.one.is_none() && state.many.is_empty()
    }
}
