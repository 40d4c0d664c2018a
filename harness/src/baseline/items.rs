//! The items of one conversation: a small vector, or an ordered set once they are many; and the step they make.

use std::collections::BTreeSet;

use deltaic::dataflows::{ItemType, Step};

use super::{Item, Uid};

/// So many are looked through one by one.
const FEW: usize = 32;

/// An item where its conversation keeps it: by its type, newest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    kind: ItemType,
    at: (i64, Uid),
}

impl Entry {
    pub(super) fn of(uid: Uid, item: &Item) -> Entry {
        Entry { kind: item.kind, at: (item.created_at, uid) }
    }
}

pub(super) enum Items {
    Few(Vec<Entry>),
    Many(BTreeSet<Entry>),
}

impl Default for Items {
    fn default() -> Items {
        Items::Few(Vec::new())
    }
}

impl Items {
    pub(super) fn insert(&mut self, entry: Entry) {
        match self {
            Items::Few(entries) if entries.len() < FEW => entries.push(entry),
            Items::Few(entries) => *self = Items::Many(entries.drain(..).chain([entry]).collect()),
            Items::Many(entries) => {
                entries.insert(entry);
            }
        }
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        match self {
            Items::Few(entries) => {
                if let Some(at) = entries.iter().position(|other| other == entry) {
                    entries.swap_remove(at);
                }
            }
            Items::Many(entries) => {
                entries.remove(entry);
                // Half of what made it a set, so that one item more or less does not turn it back and forth.
                if entries.len() < FEW / 2 {
                    *self = Items::Few(entries.iter().copied().collect());
                }
            }
        }
    }

    /// The step; `None` without items.
    pub(super) fn step(&self) -> Option<Step> {
        let [message, invite, review] = match self {
            Items::Few(entries) => {
                let mut newest = [None; 3];
                for entry in entries {
                    if let Some(newest) = newest.get_mut(entry.kind as usize) {
                        *newest = Some(entry.at).max(*newest);
                    }
                }
                newest
            }
            Items::Many(entries) => ItemType::ALL.map(|kind| {
                let least = Entry { kind, at: (i64::MIN, Uid::MIN) };
                let greatest = Entry { kind, at: (i64::MAX, Uid::MAX) };
                entries.range(least..=greatest).next_back().map(|entry| entry.at)
            }),
        };
        message.or(invite).or(review)?;
        Some(Step::of(message, invite, review))
    }
}
