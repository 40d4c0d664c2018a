//! Positions in Postgres's log, and the times made of them.
//!
//! A [`Time`] is the END LSN of a committed transaction under an epoch: `epoch << 55 | lsn`, below 2^63 because search
//! servers keep signed versions. A new Postgres cluster restarts its LSNs and gets a new epoch.

use serde::{Deserialize, Serialize};
use std::fmt;

pub use dataflows::Time;

/// Times below this one are internal: while a snapshot loads, state is built in pieces at times 1, 2, 3 and so on, and
/// nothing is published at them. Postgres's first LSN is 2^24, the end of the first, never written, segment.
pub(crate) const HYDRATION_END: Time = 1 << 24;

const LSN_BITS: u32 = 55;

/// A position in Postgres's write-ahead log, in bytes. Zero stands for "before anything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The time of the transaction that ends here, in `epoch`.
    pub fn time(self, epoch: Epoch) -> Time {
        u64::from(epoch.0) << LSN_BITS | self.0
    }

    /// The LSN of a time.
    pub fn of_time(time: Time) -> Lsn {
        Lsn(time & ((1 << LSN_BITS) - 1))
    }

    /// Whether the position fits a time at all.
    pub fn fits(self) -> bool {
        self.0 < 1 << LSN_BITS
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which life of the source cluster an LSN is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u8);

impl Epoch {
    /// The epoch of a time.
    pub fn of_time(time: Time) -> Epoch {
        Epoch((time >> LSN_BITS) as u8)
    }
}
