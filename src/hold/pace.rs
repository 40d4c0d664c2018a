//! Who lets go what: so that none of the places where rows are held runs ahead of the others.
//!
//! A time is applied when all of its rows have come, from every table and worker. Were one holder to let go what comes after
//! a large transaction that another one is still letting go, all of that would wait in memory at the owners of its keys.

use crate::time::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The times that the holders of a run are at.
pub(crate) struct Pace {
    /// Of each holder, the time that it is in the middle of.
    at: Box<[AtomicU64]>,
    next: AtomicUsize,
}

/// One holder's place in it.
pub(super) struct Turn {
    pace: Arc<Pace>,
    holder: usize,
}

impl Pace {
    /// For so many holders.
    pub(crate) fn new(holders: usize) -> Arc<Pace> {
        let at = (0..holders).map(|_| AtomicU64::new(Time::MAX)).collect();
        Arc::new(Pace { at, next: AtomicUsize::new(0) })
    }

    pub(super) fn turn(self: &Arc<Pace>) -> Turn {
        Turn { pace: Arc::clone(self), holder: self.next.fetch_add(1, Relaxed) }
    }
}

impl Turn {
    /// Says which time this holder is in the middle of.
    pub(super) fn is_at(&self, time: Option<Time>) {
        if let Some(at) = self.pace.at.get(self.holder) {
            at.store(time.unwrap_or(Time::MAX), Relaxed);
        }
    }

    /// Whether another holder is in the middle of an earlier time. The one at the earliest never waits for any.
    pub(super) fn is_ahead_at(&self, time: Time) -> bool {
        self.pace.at.iter().any(|at| at.load(Relaxed) < time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_at_the_earliest_time_goes_on() {
        let pace = Pace::new(3);
        let [one, two, three] = [pace.turn(), pace.turn(), pace.turn()];
        one.is_at(Some(7));
        two.is_at(Some(8));
        assert!(!one.is_ahead_at(7) && two.is_ahead_at(8) && three.is_ahead_at(9));
        assert!(!three.is_ahead_at(7));
        one.is_at(None);
        assert!(!two.is_ahead_at(8));
    }
}
