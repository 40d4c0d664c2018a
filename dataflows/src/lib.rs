//! Views as dataflow: typed rows of source tables in, documents out, as differences.
//!
//! This crate is the bottom of the workspace. It does no I/O, reads no clock, starts no thread and cannot fail: whatever
//! can go wrong with input has gone wrong before a row gets here. It knows neither Debezium nor any search server.
//!
//! ```text
//!   rows of each table                                   documents
//!   (data, time, diff)  ──>  View::build (one file)  ──>  (data, time, diff)
//! ```
//!
//! Read [`Value`] and [`Row`] first (what comes in), then [`Document`] (what goes out), then [`View`] and the shipped
//! [`ConversationSearch`].

mod column_value;
mod conversation_search;
mod document;
pub mod operators;
mod row;
mod value;
mod view;

/// The library of [`View::build`]; its version is the engine's.
pub use differential_dataflow::{self, VecCollection};

pub use column_value::{ColumnValue, Fields};
pub use conversation_search::{
    Conversation, ConversationDocument, ConversationSearch, Item, ItemType, OptionError, PlainConversationSearch, Step,
    User, ZeroItems,
};
pub use document::{Document, DocumentId, Field, Schema, ToDocument};
pub use row::{Extra, Row, Table};
pub use value::{BadValue, Column, Kind, Uuid, Value};
pub use view::{Collections, RowSet, RowVisitor, Rows, TableVisitor, View};

/// The one order of everything: the END LSN of a source transaction, below 2^63 (8 bits of epoch, 55 bits of LSN).
///
/// Small values are used while the first rows load and are never shown; see the engine's `time` module.
pub type Time = u64;
