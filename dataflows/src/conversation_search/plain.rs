//! The view in plain differential dataflow: what the faster form must equal, and an example of a view that uses nothing
//! else.
//!
//! ```text
//!  conversation_items ──> newest per (conversation, type) ──> step ──┐
//!  conversations ──> open ──> by user ──┐                            ├──> by conversation ──> document
//!  users ───────────────────────────────┴──> with user's columns ────┘
//! ```

use super::newest::Place;
use super::{Conversation, ConversationDocument, ConversationSearch, Item, ItemType, Step, User, ZeroItems, both};
use crate::Time;
use crate::document::Schema;
use crate::row::Table;
use crate::value::Uuid;
use crate::view::{Collections, Rows, View};
use differential_dataflow::VecCollection;
use std::hash::{DefaultHasher, Hasher};

/// Rounds of the tournament that finds the newest item, and how many bits of bucket each round removes.
///
/// A single `reduce` reads every item of a conversation for each change of one. In a tournament a change is seen by one
/// bucket of each round, and a bucket has at most 2^6 winners of the round before: a conversation of 10^6 items costs
/// four short reductions a change. That holds only while items spread over the buckets, whatever their uids have in
/// common: see [`bucket`].
pub(super) const ROUNDS: u32 = 4;
pub(super) const BITS_PER_ROUND: u32 = 6;

/// [`ConversationSearch`], built of differential operators only. It is the same view to an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainConversationSearch(pub ConversationSearch);

impl View for PlainConversationSearch {
    type Tables = (User, Conversation, Item);
    type Output = ConversationDocument;

    fn name(&self) -> &str {
        self.0.name()
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        self.0.options()
    }

    fn tables(&self) -> Vec<Table> {
        self.0.tables()
    }

    fn schema(&self) -> Schema {
        self.0.schema()
    }

    fn build<'scope>(&self, tables: Collections<'scope, Self>) -> VecCollection<'scope, Time, ConversationDocument> {
        let (users, conversations, items) = tables;
        let mut newest = newest_by_type(items);
        if self.0.zero_items == ZeroItems::NeedsReviewInvite {
            newest = newest.concat(conversations.clone().map(|(uid, _)| (uid, None)));
        }
        let step = newest.reduce_named("Reduce: step by conversation", |_, newest, steps| {
            let place = |kind: ItemType| {
                newest.iter().filter_map(|(n, _)| n.filter(|(t, _)| *t == kind)).map(|(_, at)| at).max()
            };
            let [m, i, r] = [ItemType::Message, ItemType::ReviewInvite, ItemType::Review].map(place);
            steps.push((Step::of(m, i, r), 1));
        });

        conversations
            .filter(|(_, conversation)| !conversation.closed)
            .map(|(uid, conversation)| (conversation.user_uid, (uid, conversation.extra)))
            .join_map(users, |user_uid, (uid, conversation), user| (*uid, (*user_uid, both(&user.extra, conversation))))
            .join_map(step, |uid, (user_uid, extra), step| ConversationDocument {
                conversation_uid: *uid,
                user_uid: *user_uid,
                step: *step,
                extra: extra.clone(),
            })
    }
}

/// The newest item of each type of each conversation, as `(conversation, Some((type, place)))`.
fn newest_by_type<'scope>(items: Rows<'scope, Item>) -> VecCollection<'scope, Time, (Uuid, Option<(ItemType, Place)>)> {
    let mut newest =
        items.map(|(uid, item)| ((item.conversation_uid, bucket(&uid)), (item.kind, (item.created_at, uid))));
    for round in (0..ROUNDS).rev() {
        let buckets = (1u32 << (BITS_PER_ROUND * round)) - 1;
        newest = newest
            .map(move |((conversation, bucket), place)| ((conversation, bucket & buckets), place))
            .reduce_named("Reduce: newest item by conversation and type", |_, places, newest| {
                // Sorted by type, then place: the newest of a type is the last of its run.
                let mut places = places.iter().map(|(place, _)| **place).peekable();
                while let Some(place) = places.next() {
                    if places.peek().is_none_or(|next| next.0 != place.0) {
                        newest.push((place, 1));
                    }
                }
            });
    }
    newest.map(|((conversation, _), place)| (conversation, Some(place)))
}

/// The bucket of an item in the first round; later rounds take its last bits. A hash of the whole uid: some uuids are
/// counted up, some begin with the time, some end with a node's number, so that no bits of theirs spread by themselves.
/// Every worker must come to the same bucket, so the hash has no random key.
pub(super) fn bucket(uid: &Uuid) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&uid.0);
    // The last bits of the hash are as good as any.
    hasher.finish() as u32
}
