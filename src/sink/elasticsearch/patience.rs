//! How long to wait before something is tried again: a random share of a pause that doubles ("full jitter"), so that those who
//! failed together do not come again together.

use super::options::ElasticsearchOptions;
use std::time::Duration;

/// The pauses of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    /// How often it was tried again, those times apart at which the server was merely busy.
    failures: u32,
    pauses: u32,
}

impl Backoff {
    pub(super) fn new(options: &ElasticsearchOptions) -> Backoff {
        Backoff {
            first: Duration::from_millis(options.retry_backoff_ms),
            longest: Duration::from_millis(options.retry_backoff_max_ms),
            failures: 0,
            pauses: 0,
        }
    }

    /// Takes note of a failure, and says how often there was one.
    pub(super) fn failed(&mut self, busy: bool) -> u32 {
        self.failures += u32::from(!busy);
        self.failures
    }

    /// The most that the next pause may take.
    fn most(&self) -> Duration {
        self.first.saturating_mul(1_u32.checked_shl(self.pauses).unwrap_or(u32::MAX)).min(self.longest)
    }

    /// The next pause.
    pub(super) fn pause(&mut self) -> Duration {
        let most = self.most();
        self.pauses = self.pauses.saturating_add(1);
        most.mul_f64(fastrand::f64())
    }

    /// Something went well.
    pub(super) fn reset(&mut self) {
        (self.failures, self.pauses) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let options = ElasticsearchOptions {
            retry_backoff_ms: 100,
            retry_backoff_max_ms: 1_000,
            ..ElasticsearchOptions::new("http://localhost", "a")
        };
        let mut backoff = Backoff::new(&options);
        for most in [100, 200, 400, 800, 1_000, 1_000] {
            assert_eq!(backoff.most(), Duration::from_millis(most));
            assert!(backoff.pause() <= Duration::from_millis(most));
        }
        (0..100).for_each(|_| assert!(backoff.pause() <= Duration::from_secs(1)));
        assert_eq!((backoff.failed(true), backoff.failed(false)), (0, 1));
        backoff.reset();
        assert_eq!(backoff.most(), Duration::from_millis(100));
    }
}
