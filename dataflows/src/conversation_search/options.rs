//! The view's options: what they may be, and what is said when they are not.

use super::ConversationSearch;
use std::fmt;
use std::str::FromStr;

/// What becomes of an open conversation that has no item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroItems {
    /// It has no document.
    #[default]
    Absent,
    /// It is at `needs_review_invite`.
    NeedsReviewInvite,
}

/// An option of the view that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionError {
    /// `zero_items` is neither `absent` nor `needs_review_invite`.
    ZeroItems(String),
    /// An included column is not of the form `users.COLUMN` or `conversations.COLUMN`.
    Include(String),
    /// Two columns would give the document's field the same name.
    FieldTwice(String),
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionError::ZeroItems(value) => {
                write!(f, "zero_items is `{value}`; it is `absent` or `needs_review_invite`")
            }
            OptionError::Include(column) => {
                write!(f, "cannot include `{column}`: name a column as `users.COLUMN` or `conversations.COLUMN`")
            }
            OptionError::FieldTwice(field) => write!(f, "two columns would make the document's field `{field}`"),
        }
    }
}

impl std::error::Error for OptionError {}

impl fmt::Display for ZeroItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ZeroItems::Absent => "absent",
            ZeroItems::NeedsReviewInvite => "needs_review_invite",
        })
    }
}

impl FromStr for ZeroItems {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<ZeroItems, OptionError> {
        match text {
            "absent" => Ok(ZeroItems::Absent),
            "needs_review_invite" => Ok(ZeroItems::NeedsReviewInvite),
            other => Err(OptionError::ZeroItems(other.to_owned())),
        }
    }
}

impl ConversationSearch {
    /// Sets what becomes of an open conversation without items.
    pub fn zero_items(mut self, zero_items: ZeroItems) -> ConversationSearch {
        self.zero_items = zero_items;
        self
    }

    /// Has documents carry a column, given as `users.COLUMN` or `conversations.COLUMN`, in a field of the column's name.
    pub fn include(mut self, column: &str) -> Result<ConversationSearch, OptionError> {
        let (table, name) = column.split_once('.').ok_or_else(|| OptionError::Include(column.to_owned()))?;
        let taken = ["user_uid", "conversation_uid", "step"].contains(&name)
            || self.user_columns.iter().chain(&self.conversation_columns).any(|taken| taken == name);
        if taken {
            return Err(OptionError::FieldTwice(name.to_owned()));
        }
        match table {
            _ if name.is_empty() => return Err(OptionError::Include(column.to_owned())),
            "users" => self.user_columns.push(name.to_owned()),
            "conversations" => self.conversation_columns.push(name.to_owned()),
            _ => return Err(OptionError::Include(column.to_owned())),
        }
        Ok(self)
    }
}
