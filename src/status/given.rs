//! How far the sink has been given documents, and those who wait for it.

use crate::sink::Ack;
use crate::time::Time;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// What the sink was given.
#[derive(Default)]
pub(crate) struct Given {
    frontiers: Mutex<Frontiers>,
    moved: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Frontiers {
    /// Everything below is in the sink.
    accepted: Time,
    /// Everything below is in it for good.
    durable: Time,
    ended: bool,
}

impl Given {
    fn change(&self, change: impl FnOnce(&mut Frontiers)) {
        change(&mut self.frontiers.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }

    /// The sink has everything below `upper`.
    pub(crate) fn accepted(&self, upper: Time, ack: Ack) {
        self.change(|frontiers| frontiers.accepted = upper);
        self.acknowledged(ack);
    }

    /// What the sink has is as safe as `ack` says.
    pub(crate) fn acknowledged(&self, ack: Ack) {
        match ack {
            Ack::Accepted => {}
            Ack::Durable => self.change(|frontiers| frontiers.durable = frontiers.accepted),
            Ack::DurableBelow(upper) => {
                self.change(|frontiers| frontiers.durable = frontiers.durable.max(upper.min(frontiers.accepted)));
            }
        }
    }

    /// Nothing more is given.
    pub(crate) fn end(&self) {
        self.change(|frontiers| frontiers.ended = true);
    }

    /// Waits until the sink has everything up to and with `time`, as safe as `ack`: false when the deadline came first, an
    /// error that says how far it came when it never will.
    pub(crate) fn wait(&self, time: Time, ack: Ack, deadline: Option<Instant>) -> Result<bool, Time> {
        let mut frontiers = self.frontiers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let frontier = if ack == Ack::Durable { frontiers.durable } else { frontiers.accepted };
            if frontier > time {
                return Ok(true);
            }
            if frontiers.ended {
                return Err(frontier);
            }
            frontiers = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.moved.wait(frontiers).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return Ok(false),
                Some(left) => self.moved.wait_timeout(frontiers, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}
