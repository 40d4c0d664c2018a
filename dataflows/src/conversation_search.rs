//! `conversation_search`: every open conversation of an existing user, with the step it is at.
//!
//! ```sql
//! WITH newest AS (
//!   SELECT conversation_uid, type, max((created_at, uid)) AS at FROM conversation_items GROUP BY 1, 2),
//! step AS (
//!   SELECT conversation_uid, max(at) FILTER (WHERE type = 'message') m,
//!          max(at) FILTER (WHERE type = 'review_invite') i, max(at) FILTER (WHERE type = 'review') r
//!   FROM newest GROUP BY 1)
//! SELECT c.user_uid, c.uid AS conversation_uid,
//!   CASE WHEN i IS NULL AND r IS NULL THEN 'needs_review_invite' WHEN r IS NULL OR i > r THEN 'needs_review'
//!        WHEN m > r THEN 'finished' ELSE 'needs_review_response' END AS step
//! FROM conversations c JOIN users u ON u.uid = c.user_uid JOIN step s ON s.conversation_uid = c.uid
//! WHERE c.closed_at IS NULL
//! ```
//!
//! ```text
//!  conversation_items ──> newest per (conversation, type) ──> step ──┐
//!  conversations ──> open ──> by user ──┐                            ├──> by conversation ──> document
//!  users ───────────────────────────────┴──> with user's columns ────┘
//! ```
//!
//! This is the view in plain differential dataflow: the reference that faster forms must equal.

mod options;
mod rows;
#[cfg(test)]
mod tests;

pub use options::{OptionError, ZeroItems};
pub use rows::{Conversation, ConversationDocument, Item, ItemType, Step, User};

use crate::Time;
use crate::document::{Field, Schema};
use crate::row::{Extra, Table};
use crate::value::{Column, Kind, Uuid};
use crate::view::{Collections, Rows, View};
use differential_dataflow::VecCollection;
use std::hash::{DefaultHasher, Hasher};

/// Rounds of the tournament that finds the newest item, and how many bits of bucket each round removes.
///
/// A single `reduce` reads every item of a conversation for each change of one. In a tournament a change is seen by one
/// bucket of each round, and a bucket has at most 2^6 winners of the round before: a conversation of 10^6 items costs
/// four short reductions a change. That holds only while items spread over the buckets, whatever their uids have in
/// common: see [`bucket`].
const ROUNDS: u32 = 4;
const BITS_PER_ROUND: u32 = 6;

/// The view and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationSearch {
    zero_items: ZeroItems,
    /// Columns of `users`, then of `conversations`, that documents carry besides.
    user_columns: Vec<String>,
    conversation_columns: Vec<String>,
}

/// An item's place among the items of its conversation: by time, then by uid.
type Place = (i64, Uuid);

impl View for ConversationSearch {
    type Tables = (User, Conversation, Item);
    type Output = ConversationDocument;

    fn name(&self) -> &str {
        "conversation_search"
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        let users = self.user_columns.iter().map(|name| format!("users.{name}"));
        let conversations = self.conversation_columns.iter().map(|name| format!("conversations.{name}"));
        let include = users.chain(conversations).collect::<Vec<_>>().join(", ");
        vec![("zero_items", self.zero_items.to_string()), ("include", include)]
    }

    fn tables(&self) -> Vec<Table> {
        let uid = || vec![Column::required("uid", Kind::Uuid)];
        let extra =
            |names: &[String]| names.iter().map(|name| Column::nullable(name.clone(), Kind::Any)).collect::<Vec<_>>();
        let mut conversation =
            vec![Column::required("user_uid", Kind::Uuid), Column::nullable("closed_at", Kind::Present)];
        conversation.extend(extra(&self.conversation_columns));
        let item = vec![
            Column::required("conversation_uid", Kind::Uuid),
            Column::required("type", Kind::Text),
            Column::required("created_at", Kind::Timestamp),
        ];
        vec![
            Table {
                name: "public.users".to_owned(),
                key: uid(),
                columns: extra(&self.user_columns),
                may_omit: !self.user_columns.is_empty(),
            },
            Table {
                name: "public.conversations".to_owned(),
                key: uid(),
                columns: conversation,
                may_omit: !self.conversation_columns.is_empty(),
            },
            Table { name: "public.conversation_items".to_owned(), key: uid(), columns: item, may_omit: false },
        ]
    }

    fn schema(&self) -> Schema {
        let mut fields = vec![
            Field { name: "user_uid".into(), kind: Kind::Uuid },
            Field { name: "conversation_uid".into(), kind: Kind::Uuid },
            Field { name: "step".into(), kind: Kind::Text },
        ];
        let extra = self.user_columns.iter().chain(&self.conversation_columns);
        fields.extend(extra.map(|name| Field { name: name.clone().into(), kind: Kind::Any }));
        Schema { fields }
    }

    fn build<'scope>(&self, tables: Collections<'scope, Self>) -> VecCollection<'scope, Time, ConversationDocument> {
        let (users, conversations, items) = tables;
        let mut newest = newest_by_type(items);
        if self.zero_items == ZeroItems::NeedsReviewInvite {
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
fn bucket(uid: &Uuid) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&uid.0);
    // The last bits of the hash are as good as any.
    hasher.finish() as u32
}

fn both(user: &Extra, conversation: &Extra) -> Extra {
    Extra(user.0.iter().chain(&conversation.0).cloned().collect())
}
