//! From changes to rows: the old row out, the new row in, at the time of their transaction.
//!
//! ```text
//!            ┌───────────────────────────────────────────────┐
//!            │ scope (time, round)                           │
//!   changes ─┼─> by key ──> Upsert: fold each key's changes ─┼─> rows: (key, old) -1, (key, new) +1
//!            │      ┌───────> of one time, in rank order     │
//!            │      └── forwarded rows, next round ──┘       │
//!            └───────────────────────────────────────────────┘
//! ```
//!
//! Each worker keeps the rows of the keys it owns. A time is folded as a whole once the frontier has passed it, so its
//! result does not depend on the order in which its changes arrived.
//!
//! # Key changes
//! A changed key comes as a delete of the old key and a create of the new one, whose omitted values are those of the *old*
//! key's row: another row, perhaps of another worker. The delete forwards the row it removes to the owner of the new key,
//! through a loop whose round counts the hops of a chain A to B to C inside one transaction. A create that needs a row
//! waits for it and holds back the later times of its worker; nothing else ever waits. What a create depends on has a
//! smaller rank than itself, so waiting is never circular, not even in a swap. When the loop's frontier has left the time,
//! no row can come any more: the values stay unknown and are reported.
//!
//! Of most tables no record leaves a value out: their operator stands outside any loop.

mod compact;
mod fold;
mod operator;
mod owned;
#[cfg(test)]
mod tests;

pub(crate) use operator::{UpsertMonitor, upsert};
