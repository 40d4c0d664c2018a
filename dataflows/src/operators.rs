//! Small keyed operators for views, where plain differential ones would do more than is asked for.
//!
//! ```text
//!   (key, row) ±1 ──by key──> held until the time is complete ──> all rows of a (time, key) at once ──> state of the key
//!                                                                                             └──> differences out
//! ```
//!
//! | operator | in differential dataflow | what it saves |
//! |---|---|---|
//! | [`upsert`] | `arrange_from_upsert` | the trace: a key's row is one place in a table |
//! | [`attach`] | `join`, one side with at most one row a key | both arrangements: a key's state is one place in a table |
//! | [`fold`] | `reduce` | a change reads the key's state, not all of its rows |
//!
//! All mean the same as their differential form at every time; `tests` holds them to it. They ask for what the rows of a
//! view are: times are totally ordered, and a row stands at most once.
//!
//! What they are made of is public for operators that need more than these: [`Staged`] rows that wait, [`ByPlace`] their
//! order, [`States`] of keys, and how what they need is asked for [`Ahead`].

mod attach;
mod chunks;
mod fold;
mod hash;
mod keyed;
mod prefetch;
mod staged;
mod states;
#[cfg(test)]
mod tests;
mod upsert;

pub use attach::attach;
pub use fold::{Group, fold};
pub use hash::{KeyHasher, Keys, place, route};
pub use prefetch::{Ahead, prefetch};
pub use staged::{ByPlace, Staged, Timed, clear};
pub use states::States;
pub use upsert::{KeyChange, upsert};

use differential_dataflow::ExchangeData;
use std::hash::Hash;

/// What rows can be gathered by.
pub trait Key: ExchangeData + Hash + Eq {}

impl<K: ExchangeData + Hash + Eq> Key for K {}
