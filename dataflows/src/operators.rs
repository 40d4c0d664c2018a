//! Small keyed operators for views, where plain differential ones would do more than is asked for.
//!
//! ```text
//!   (key, row) ±1 ──by key──> held until the time is complete ──> all rows of a (time, key) at once ──> state of the key
//!                                                                                             └──> differences out
//! ```
//!
//! | operator | in differential dataflow | what it saves |
//! |---|---|---|
//! | [`attach`] | `join`, one side with at most one row a key | both arrangements: a key's state is one place in a table |
//! | [`fold`] | `reduce` | a change reads the key's state, not all of its rows |
//!
//! Both mean the same as their differential form at every time; `tests` holds them to it. They ask for what the rows of a
//! view are: times are totally ordered, and a row stands at most once.

mod attach;
mod fold;
mod hash;
mod keyed;
#[cfg(test)]
mod tests;

pub use attach::attach;
pub use fold::{Group, fold};

use differential_dataflow::ExchangeData;
use std::hash::Hash;

/// What rows can be gathered by.
pub trait Key: ExchangeData + Hash + Eq {}

impl<K: ExchangeData + Hash + Eq> Key for K {}
