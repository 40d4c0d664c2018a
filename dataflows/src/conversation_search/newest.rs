//! The items of a conversation, and the newest of each type.
//!
//! Few items are one short list; many are ordered sets, so that a conversation of a million items costs little more for a
//! change than one of thirty.

use super::ItemType;
use crate::value::Uuid;
use std::collections::BTreeSet;
use std::ops::Range;

/// An item's place among the items of its conversation: by time, then by uid.
pub(super) type Place = (i64, Uuid);

/// From so many items on they are sets.
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
#[derive(Default)]
pub(super) struct ByType([BTreeSet<Place>; 3]);

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
                let set = |stretch: Range<usize>| few.places.get(stretch).into_iter().flatten().copied().collect();
                let mut many = Box::new(ByType(few.stretches().map(set)));
                of(kind, many.0.each_mut()).insert(place);
                *self = Newest::Many(many);
            }
            Newest::Few(few) => few.remove(kind, &place),
            Newest::Many(many) if diff > 0 => {
                of(kind, many.0.each_mut()).insert(place);
            }
            Newest::Many(many) => {
                of(kind, many.0.each_mut()).remove(&place);
                let counts = many.0.each_ref().map(BTreeSet::len);
                if counts.iter().sum::<usize>() <= MANY / 2 {
                    let places = many.0.iter().flatten().copied().collect();
                    *self = Newest::Few(Few { places, counts: counts.map(|count| count as u8) });
                }
            }
        }
    }

    /// The newest message, review invite and review.
    pub(super) fn of_each_type(&self) -> [Option<Place>; 3] {
        match self {
            Newest::Few(few) => few.stretches().map(|stretch| few.places.get(stretch)?.last().copied()),
            Newest::Many(many) => many.0.each_ref().map(|places| places.last().copied()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Newest::Few(few) if few.places.is_empty())
    }
}
