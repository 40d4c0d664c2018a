//! The items of a conversation, and the newest of each type.
//!
//! Few items are one short list, which is looked through; many are sorted sets, so that a conversation of a million items
//! costs little more for a change than one of thirty.

use super::ItemType;
use crate::value::Uuid;
use std::collections::BTreeSet;

/// An item's place among the items of its conversation: by time, then by uid.
pub(super) type Place = (i64, Uuid);

/// From so many items on they are sorted.
const MANY: usize = 32;

/// The places of a conversation's items.
pub(super) enum Newest {
    Few(Vec<(ItemType, Place)>),
    Many(Box<ByType>),
}

/// Messages, review invites and reviews.
#[derive(Default)]
pub(super) struct ByType([BTreeSet<Place>; 3]);

impl ByType {
    fn of(&mut self, kind: ItemType) -> &mut BTreeSet<Place> {
        let [messages, invites, reviews] = &mut self.0;
        match kind {
            ItemType::Message => messages,
            ItemType::ReviewInvite => invites,
            ItemType::Review => reviews,
        }
    }
}

impl Default for Newest {
    fn default() -> Self {
        Newest::Few(Vec::new())
    }
}

impl Newest {
    /// An item comes (1) or goes (-1).
    pub(super) fn update(&mut self, kind: ItemType, place: Place, diff: isize) {
        match self {
            Newest::Few(few) if diff > 0 && few.len() < MANY => few.push((kind, place)),
            Newest::Few(few) if diff > 0 => {
                let mut many: Box<ByType> = Box::default();
                for (kind, place) in few.drain(..).chain([(kind, place)]) {
                    many.of(kind).insert(place);
                }
                *self = Newest::Many(many);
            }
            Newest::Few(few) => {
                if let Some(at) = few.iter().position(|item| *item == (kind, place)) {
                    few.swap_remove(at);
                }
            }
            Newest::Many(many) if diff > 0 => {
                many.of(kind).insert(place);
            }
            Newest::Many(many) => {
                many.of(kind).remove(&place);
                if many.0.iter().map(BTreeSet::len).sum::<usize>() <= MANY / 2 {
                    let of = |kind| std::mem::take(many.of(kind)).into_iter().map(move |place| (kind, place));
                    *self = Newest::Few(ItemType::ALL.into_iter().flat_map(of).collect());
                }
            }
        }
    }

    /// The newest message, review invite and review.
    pub(super) fn of_each_type(&self) -> [Option<Place>; 3] {
        match self {
            Newest::Few(few) => {
                let [mut message, mut invite, mut review] = [None; 3];
                for (kind, place) in few {
                    let newest = match kind {
                        ItemType::Message => &mut message,
                        ItemType::ReviewInvite => &mut invite,
                        ItemType::Review => &mut review,
                    };
                    *newest = (*newest).max(Some(*place));
                }
                [message, invite, review]
            }
            Newest::Many(many) => many.0.each_ref().map(|places| places.last().copied()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Newest::Few(few) if few.is_empty())
    }
}
