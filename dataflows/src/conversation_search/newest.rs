//! The items of a conversation, and the newest of each type.
//!
//! Few items are one short list; of many, the older are in ordered sets, so that a conversation of a million items costs little
//! more for a change than one of thirty.

mod places;

use super::ItemType;
use crate::operators::prefetch;
use crate::value::Uuid;
use places::Places;
use std::ops::Range;

/// An item's place among the items of its conversation: by time, then by uid.
pub(super) type Place = (i64, Uuid);

/// More items than this are kept by type.
const MANY: usize = 32;

/// The places of a conversation's items.
pub(super) enum Newest {
    Few(Few),
    Many(Box<ByType>),
}

/// The places in order, those of each type in one stretch: an item takes no more than its place.
#[derive(Default)]
pub(super) struct Few {
    places: Vec<Place>,
    /// How many there are of each type.
    counts: [u8; 3],
}

/// Messages, review invites and reviews.
pub(super) struct ByType {
    places: [Places; 3],
    /// The newest of each: looked at before and after every change, and in the same piece of memory.
    newest: [Option<Place>; 3],
}

impl ByType {
    fn new(places: [Places; 3]) -> ByType {
        let newest = places.each_ref().map(Places::newest);
        ByType { places, newest }
    }

    fn insert(&mut self, kind: ItemType, place: Place) {
        of(kind, self.places.each_mut()).insert(place);
        let newest = of(kind, self.newest.each_mut());
        *newest = (*newest).max(Some(place));
    }

    fn remove(&mut self, kind: ItemType, place: &Place) {
        let places = of(kind, self.places.each_mut());
        places.remove(place);
        let newest = of(kind, self.newest.each_mut());
        if newest.as_ref() == Some(place) {
            *newest = places.newest();
        }
    }

    fn len(&self) -> usize {
        self.places.iter().map(Places::len).sum()
    }
}

impl Few {
    fn stretches(&self) -> [Range<usize>; 3] {
        let [messages, invites, reviews] = self.counts.map(usize::from);
        [0..messages, messages..messages + invites, messages + invites..messages + invites + reviews]
    }

    /// Where `place` stands, or would stand, in the list.
    fn search(&self, kind: ItemType, place: &Place) -> Result<usize, usize> {
        let stretch = of(kind, self.stretches());
        let start = stretch.start;
        let found = self.places.get(stretch).unwrap_or_default().binary_search(place);
        found.map(|at| start + at).map_err(|at| start + at)
    }

    fn insert(&mut self, kind: ItemType, place: Place) {
        if let Err(at) = self.search(kind, &place) {
            if self.places.len() == self.places.capacity() {
                // Most conversations stay small: doubling would leave a third of the list empty.
                self.places.reserve_exact(2.max(self.places.len() / 2));
            }
            self.places.insert(at, place);
            *of(kind, self.counts.each_mut()) += 1;
        }
    }

    fn remove(&mut self, kind: ItemType, place: &Place) {
        if let Ok(at) = self.search(kind, place) {
            self.places.remove(at);
            *of(kind, self.counts.each_mut()) -= 1;
        }
    }
}

/// What is kept of `kind`.
fn of<T>(kind: ItemType, [messages, invites, reviews]: [T; 3]) -> T {
    match kind {
        ItemType::Message => messages,
        ItemType::ReviewInvite => invites,
        ItemType::Review => reviews,
    }
}

impl Default for Newest {
    fn default() -> Self {
        Newest::Few(Few::default())
    }
}

impl Newest {
    /// An item comes (1) or goes (-1).
    pub(super) fn update(&mut self, kind: ItemType, place: Place, diff: isize) {
        match self {
            Newest::Few(few) if diff > 0 && few.places.len() < MANY => few.insert(kind, place),
            Newest::Few(few) if diff > 0 => {
                let of_type = |stretch: Range<usize>| few.places.get(stretch).into_iter().flatten().copied().collect();
                let mut many = Box::new(ByType::new(few.stretches().map(of_type)));
                many.insert(kind, place);
                *self = Newest::Many(many);
            }
            Newest::Few(few) => few.remove(kind, &place),
            Newest::Many(many) if diff > 0 => many.insert(kind, place),
            Newest::Many(many) => {
                many.remove(kind, &place);
                if many.len() <= MANY / 2 {
                    let counts = many.places.each_ref().map(|places| places.len() as u8);
                    let places = many.places.iter().flat_map(Places::iter).copied().collect();
                    *self = Newest::Few(Few { places, counts });
                }
            }
        }
    }

    /// The newest message, review invite and review.
    pub(super) fn of_each_type(&self) -> [Option<Place>; 3] {
        match self {
            Newest::Few(few) => few.stretches().map(|stretch| few.places.get(stretch)?.last().copied()),
            Newest::Many(many) => many.newest,
        }
    }

    /// Asks for what a change reads first.
    pub(super) fn prefetch(&self) {
        match self {
            Newest::Few(few) => prefetch(few.places.as_slice()),
            Newest::Many(many) => prefetch(&**many),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Newest::Few(few) if few.places.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        /// An item comes if it is not there, and goes if it is: few become many and few again.
        #[test]
        fn the_newest_of_each_type_is_the_greatest_place(
            items in proptest::collection::vec((0..3usize, 0..30i64, 0..6u8), 0..400),
            going in any::<bool>(),
        ) {
            let (mut newest, mut all) = (Newest::default(), HashSet::new());
            let steps = items.iter().chain(going.then_some(&items).into_iter().flatten());
            for &(kind, created_at, uid) in steps {
                let (kind, place) = (ItemType::ALL[kind], (created_at, Uuid([uid; 16])));
                let diff = if all.insert((kind, place)) { 1 } else { -1 };
                if diff < 0 {
                    all.remove(&(kind, place));
                }
                newest.update(kind, place, diff);
                let greatest = |kind| all.iter().filter(|(other, _)| *other == kind).map(|(_, place)| *place).max();
                prop_assert_eq!(newest.of_each_type(), ItemType::ALL.map(greatest));
                prop_assert_eq!(newest.is_empty(), all.is_empty());
            }
        }
    }
}
