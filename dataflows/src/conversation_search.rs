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
//!  users ────────────────────────────────────────> Attach: conversations to their user ──┐ open, with its user
//!  conversations ──> open ──> by user ───────────>                                       v
//!  conversation_items ──────────────────────────────────────────────────────> Fold: conversations ──> document
//! ```
//!
//! `plain` is the same in plain differential dataflow: the reference that this form must equal, and the better example for
//! a view of one's own.

mod newest;
mod options;
mod plain;
mod rows;
#[cfg(test)]
mod tests;

pub use options::{OptionError, ZeroItems};
pub use plain::PlainConversationSearch;
pub use rows::{Conversation, ConversationDocument, Item, ItemType, Step, User};

use crate::Time;
use crate::document::{Field, Schema};
use crate::operators::{Group, attach, fold};
use crate::row::{Extra, Table};
use crate::value::{Column, Kind, Uuid};
use crate::view::{Collections, View};
use differential_dataflow::VecCollection;
use newest::Newest;
use serde::{Deserialize, Serialize};

/// The view and its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationSearch {
    zero_items: ZeroItems,
    /// Columns of `users`, then of `conversations`, that documents carry besides.
    user_columns: Vec<String>,
    conversation_columns: Vec<String>,
}

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
        let open = conversations
            .flat_map(|(uid, Conversation { user_uid, closed, extra })| (!closed).then_some((user_uid, (uid, extra))));
        let open = attach("conversations to their user", open, users).map(|(user_uid, (uid, extra), user)| {
            let extra = both(&user.extra, &extra);
            (uid, Part::Open { user_uid, extra })
        });
        let items = items.map(|(uid, Item { conversation_uid, kind, created_at })| {
            (conversation_uid, Part::Item { kind, created_at, uid })
        });
        let parts = [open, items];
        let shown = match self.zero_items {
            ZeroItems::Absent => fold::<Uuid, Parts<false>, _>("conversations", parts),
            ZeroItems::NeedsReviewInvite => fold::<Uuid, Parts<true>, _>("conversations", parts),
        };
        shown.map(|(conversation_uid, (user_uid, step, extra))| ConversationDocument {
            conversation_uid,
            user_uid,
            step,
            extra,
        })
    }
}

/// What a conversation's document is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Part {
    /// It is open, and its user exists.
    Open { user_uid: Uuid, extra: Extra },
    /// One of its items.
    Item { kind: ItemType, created_at: i64, uid: Uuid },
}

/// A conversation; without items it is shown if `ZERO_ITEMS`.
#[derive(Default)]
struct Parts<const ZERO_ITEMS: bool> {
    open: Option<(Uuid, Extra)>,
    newest: Newest,
}

impl<const ZERO_ITEMS: bool> Group for Parts<ZERO_ITEMS> {
    type Row = Part;
    type View = (Uuid, Step, Extra);

    fn update(&mut self, part: Part, diff: isize) {
        match part {
            Part::Open { user_uid, extra } => self.open = (diff > 0).then_some((user_uid, extra)),
            Part::Item { kind, created_at, uid } => self.newest.update(kind, (created_at, uid), diff),
        }
    }

    fn view(&self) -> Option<(Uuid, Step, Extra)> {
        let (user_uid, extra) = self.open.as_ref()?;
        if self.newest.is_empty() && !ZERO_ITEMS {
            return None;
        }
        let [m, i, r] = self.newest.of_each_type();
        Some((*user_uid, Step::of(m, i, r), extra.clone()))
    }

    fn is_empty(&self) -> bool {
        self.open.is_none() && self.newest.is_empty()
    }

    fn prefetch(&self) {
        self.newest.prefetch();
    }
}

fn both(user: &Extra, conversation: &Extra) -> Extra {
    Extra(user.0.iter().chain(&conversation.0).cloned().collect())
}
