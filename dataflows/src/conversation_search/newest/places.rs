//! Many places, of items of one type, of which mostly new ones come.
//!
//! ```text
//!   ordered set: older ─────── half of a full list, at once ──────┐
//!                                                                 │
//!   list:                                         latest, latest, newest <── an item that was just made
//! ```
//!
//! A place that comes is mostly greater than all that are there. It is put at the end of a short list, where a set would be
//! gone down from its root, each step of which waits for memory in a conversation of many items.

use super::Place;
use std::collections::BTreeSet;

/// So many places the list has at most.
const LATEST: usize = 32;

/// The places.
#[derive(Default)]
pub(super) struct Places {
    older: BTreeSet<Place>,
    /// In order, each greater than all that are older; there is one if there is any place.
    latest: Vec<Place>,
}

impl Places {
    pub(super) fn insert(&mut self, place: Place) {
        let Places { older, latest } = self;
        if latest.len() == LATEST {
            older.extend(latest.drain(..LATEST / 2));
        }
        if latest.last().is_none_or(|newest| *newest < place) {
            latest.push(place);
        } else if older.is_empty() || latest.first().is_some_and(|first| *first <= place) {
            if let Err(at) = latest.binary_search(&place) {
                latest.insert(at, place);
            }
        } else {
            older.insert(place);
        }
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let Places { older, latest } = self;
        if latest.first().is_none_or(|first| place < first) {
            older.remove(place);
            return;
        }
        if let Ok(at) = latest.binary_search(place) {
            latest.remove(at);
        }
        if latest.is_empty() {
            latest.extend((0..LATEST / 2).map_while(|_| older.pop_last()));
            latest.reverse();
        }
    }

    pub(super) fn newest(&self) -> Option<Place> {
        self.latest.last().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.older.len() + self.latest.len()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.older.iter().chain(&self.latest)
    }
}

impl FromIterator<Place> for Places {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Places {
        let mut all = Places::default();
        places.into_iter().for_each(|place| all.insert(place));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Uuid;
    use proptest::prelude::*;

    /// What happens to the places: moments grow, and what else comes or goes is so many moments ago.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        New,
        Put(i64),
        Remove(i64),
        RemoveNewest(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            10 => Just(Step::New),
            3 => (0..100i64).prop_map(Step::Put),
            3 => (0..100i64).prop_map(Step::Remove),
            1 => (1..60usize).prop_map(Step::RemoveNewest),
        ]
    }

    fn place(moment: i64) -> Place {
        (moment / 2, Uuid([(moment % 2) as u8; 16]))
    }

    proptest! {
        #[test]
        fn places_are_an_ordered_set(steps in proptest::collection::vec(step(), 0..300)) {
            let (mut places, mut set, mut moment) = (Places::default(), BTreeSet::new(), 0);
            for step in steps {
                match step {
                    Step::New => {
                        moment += 1;
                        places.insert(place(moment));
                        set.insert(place(moment));
                    }
                    Step::Put(ago) => {
                        places.insert(place(moment - ago));
                        set.insert(place(moment - ago));
                    }
                    Step::Remove(ago) => {
                        let gone = place(moment - ago);
                        places.remove(&gone);
                        set.remove(&gone);
                    }
                    Step::RemoveNewest(many) => {
                        for _ in 0..many {
                            let newest = places.newest();
                            prop_assert_eq!(newest, set.pop_last());
                            newest.iter().for_each(|newest| places.remove(newest));
                        }
                    }
                }
                prop_assert!(places.iter().eq(&set));
                prop_assert_eq!((places.len(), places.newest()), (set.len(), set.last().copied()));
                prop_assert!(places.latest.len() <= LATEST && places.latest.is_empty() == set.is_empty());
            }
        }
    }
}
