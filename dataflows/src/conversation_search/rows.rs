//! The rows the view reads and the document it makes.

use crate::document::{Document, DocumentId, Schema, ToDocument};
use crate::row::{Extra, Row};
use crate::value::{BadValue, Uuid, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A row of `users`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    /// The columns asked for.
    pub extra: Extra,
}

/// A row of `conversations`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conversation {
    /// The user it is of; the user need not exist.
    pub user_uid: Uuid,
    /// Whether `closed_at` is set.
    pub closed: bool,
    /// The columns asked for.
    pub extra: Extra,
}

/// A row of `conversation_items`. Most of all that is kept is these: they lie packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(Rust, packed)]
pub struct Item {
    /// The conversation it is of; the conversation need not exist.
    pub conversation_uid: Uuid,
    /// Its `type`.
    pub kind: ItemType,
    /// `created_at` in microseconds since 1970 UTC.
    pub created_at: i64,
}

/// The `type` of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ItemType {
    /// `message`.
    Message,
    /// `review_invite`.
    ReviewInvite,
    /// `review`.
    Review,
}

impl ItemType {
    /// All of them, in order.
    pub const ALL: [ItemType; 3] = [ItemType::Message, ItemType::ReviewInvite, ItemType::Review];
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Neither an invite nor a review was sent.
    NeedsReviewInvite,
    /// An invite waits for its review.
    NeedsReview,
    /// The newest review waits for an answer.
    NeedsReviewResponse,
    /// The newest review was answered.
    Finished,
}

/// A document of the view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConversationDocument {
    /// The conversation, and the document's id.
    pub conversation_uid: Uuid,
    /// Its user.
    pub user_uid: Uuid,
    /// Where it stands.
    pub step: Step,
    /// The columns asked for, of the user and then of the conversation.
    pub extra: Extra,
}

impl Step {
    /// The step, of the places of the newest message, review invite and review.
    pub fn of<P: Ord>(message: Option<P>, invite: Option<P>, review: Option<P>) -> Step {
        match (message, invite, review) {
            (_, None, None) => Step::NeedsReviewInvite,
            (_, _, None) => Step::NeedsReview,
            (_, Some(invite), Some(review)) if invite > review => Step::NeedsReview,
            (Some(message), _, Some(review)) if message > review => Step::Finished,
            _ => Step::NeedsReviewResponse,
        }
    }

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Step::NeedsReviewInvite => "needs_review_invite",
            Step::NeedsReview => "needs_review",
            Step::NeedsReviewResponse => "needs_review_response",
            Step::Finished => "finished",
        }
    }
}

fn read_uid(values: &mut [Value]) -> Result<Uuid, BadValue> {
    match values {
        [uid] => uid.take_uuid("uid"),
        _ => Err(BadValue::new("uid", "the key is one column")),
    }
}

impl Row for User {
    type Key = Uuid;

    fn read_key(values: &mut [Value]) -> Result<Uuid, BadValue> {
        read_uid(values)
    }

    fn read(values: &mut [Value]) -> Result<User, BadValue> {
        Ok(User { extra: Extra::take(values) })
    }

    fn is_whole(&self) -> bool {
        self.extra.is_whole()
    }

    fn fill(&mut self, stored: &User) {
        self.extra.fill(&stored.extra);
    }

    fn heap_bytes(&self) -> usize {
        self.extra.heap_bytes()
    }
}

impl Row for Conversation {
    type Key = Uuid;

    fn read_key(values: &mut [Value]) -> Result<Uuid, BadValue> {
        read_uid(values)
    }

    fn read(values: &mut [Value]) -> Result<Conversation, BadValue> {
        let [user_uid, closed_at, extra @ ..] = values else {
            return Err(BadValue::new("user_uid", "missing"));
        };
        Ok(Conversation {
            user_uid: user_uid.take_uuid("user_uid")?,
            closed: closed_at.take_bool("closed_at")?,
            extra: Extra::take(extra),
        })
    }

    fn is_whole(&self) -> bool {
        self.extra.is_whole()
    }

    fn fill(&mut self, stored: &Conversation) {
        self.extra.fill(&stored.extra);
    }

    fn heap_bytes(&self) -> usize {
        self.extra.heap_bytes()
    }
}

impl Row for Item {
    type Key = Uuid;

    fn read_key(values: &mut [Value]) -> Result<Uuid, BadValue> {
        read_uid(values)
    }

    fn read(values: &mut [Value]) -> Result<Item, BadValue> {
        let [conversation_uid, kind, created_at] = values else {
            return Err(BadValue::new("conversation_uid", "missing"));
        };
        let kind = match &*kind.take_text("type")? {
            "message" => ItemType::Message,
            "review_invite" => ItemType::ReviewInvite,
            "review" => ItemType::Review,
            other => return Err(BadValue::new("type", format!("`{other}` is not message, review_invite or review"))),
        };
        Ok(Item {
            conversation_uid: conversation_uid.take_uuid("conversation_uid")?,
            kind,
            created_at: created_at.take_timestamp("created_at")?,
        })
    }
}

impl ToDocument for ConversationDocument {
    type Id = Uuid;

    fn id(&self) -> Uuid {
        self.conversation_uid
    }

    fn document_id(id: &Uuid) -> DocumentId {
        DocumentId(id.encode(&mut [0; 36]).into())
    }

    fn document(&self, schema: &Arc<Schema>) -> Document {
        let step = Value::Text(self.step.name().into());
        let own = [Value::Uuid(self.user_uid), Value::Uuid(self.conversation_uid), step];
        Document { schema: Arc::clone(schema), values: own.into_iter().chain(self.extra.0.iter().cloned()).collect() }
    }
}
