//! Adaptive spinning: whether a thread that waits looks again and again for a while, or sleeps at once.
//!
//! To be woken takes longer than most transactions do, and to spin takes a processor. So a thread spins before it sleeps as long
//! as what it waits for comes within that time; where it mostly does not, the thread sleeps at once, and tries it again now and
//! then.

use std::time::{Duration, Instant};

/// For so long a thread spins.
const SPIN: Duration = Duration::from_micros(50);
/// After so many waits in which nothing came in that time it does not pay.
const VAIN: u32 = 4;
/// After so many waits without it, it is tried again.
const AGAIN: u32 = 16;

/// How one thread waits for one thing.
#[derive(Default)]
pub(crate) struct Spin {
    /// A wait has begun, and what is waited for has not come.
    waits: bool,
    /// Until when the thread spins in this wait, if it does.
    until: Option<Instant>,
    /// Spins one after the other in which nothing came, up to [`VAIN`].
    vain: u32,
    /// Waits without spinning since the last with.
    without: u32,
}

impl Spin {
    /// Nothing is there: whether to look again rather than sleep.
    pub(crate) fn goes_on(&mut self, now: Instant) -> bool {
        if !self.waits {
            self.waits = true;
            self.until = self.pays().then(|| now + SPIN);
        }
        let Some(until) = self.until else { return false };
        if now < until {
            return true;
        }
        self.until = None;
        self.vain = VAIN.min(self.vain + 1);
        false
    }

    /// What was waited for is there.
    pub(crate) fn came(&mut self) {
        self.waits = false;
        if self.until.take().is_some() {
            self.vain = 0;
        }
    }

    fn pays(&mut self) -> bool {
        if self.vain < VAIN {
            return true;
        }
        self.without = (self.without + 1) % AGAIN;
        self.without == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for something that comes after `time`, and says whether the thread was still spinning then.
    fn wait(spin: &mut Spin, now: &mut Instant, time: Duration) -> bool {
        let comes = *now + time;
        let mut spins = spin.goes_on(*now);
        while spins && *now < comes {
            *now += Duration::from_micros(10);
            spins = spin.goes_on(*now);
        }
        assert!(!(spins && *now < comes), "it sleeps in the end");
        *now = comes.max(*now);
        // Whoever sleeps may be woken by something else.
        assert!(spins || !spin.goes_on(*now));
        spin.came();
        spins
    }

    #[test]
    fn a_thread_spins_where_that_pays() {
        let (mut spin, mut now) = (Spin::default(), Instant::now());
        let (short, long) = (Duration::from_micros(20), Duration::from_millis(1));
        assert!((0..100).all(|_| wait(&mut spin, &mut now, short)));
        // One that comes late changes nothing.
        assert!(!wait(&mut spin, &mut now, long));
        assert!((0..100).all(|_| wait(&mut spin, &mut now, short)));
        // Many do: then it sleeps at once, but for a trial now and then, and one that succeeds is enough.
        assert!((0..VAIN).all(|_| !wait(&mut spin, &mut now, long)));
        let slept = (0..100).take_while(|_| !wait(&mut spin, &mut now, short)).count();
        assert_eq!(slept, AGAIN as usize - 1);
        assert!((0..100).all(|_| wait(&mut spin, &mut now, short)));
        // A trial in vain changes nothing.
        assert!((0..VAIN + AGAIN).all(|_| !wait(&mut spin, &mut now, long)));
        assert!(!wait(&mut spin, &mut now, short));
    }
}
