//! The clients that an input reads with, each with threads of its own: a run ends when they are gone.
//!
//! Several threads share a client, and whichever lets go of it last closes it. Were the process to exit meanwhile, the libraries
//! that the client still uses (for TLS, say) would be taken down under it.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
#[cfg(feature = "kafka")]
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// How long they are waited for. One whose broker does not answer may take much longer to be closed, and nothing is lost with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What each client holds as long as it is there.
#[cfg(feature = "kafka")]
#[derive(Clone)]
pub(crate) struct Alive {
    _nothing_is_sent: Sender<Infallible>,
}

/// Waits, when it is dropped, until all clients are gone, or for five seconds.
#[must_use]
pub(crate) struct Clients {
    alive: Receiver<Infallible>,
}

/// For clients that do not exist yet. As long as the second is held there may be more of them: it is dropped first.
#[cfg(feature = "kafka")]
pub(crate) fn clients() -> (Clients, Alive) {
    let (sender, alive) = channel();
    (Clients { alive }, Alive { _nothing_is_sent: sender })
}

impl Drop for Clients {
    fn drop(&mut self) {
        // Nothing can come but that the last one is gone.
        let Err(gone) = self.alive.recv_timeout(PATIENCE);
        if gone == RecvTimeoutError::Timeout {
            tracing::warn!("Kafka: a client is not closed yet, and is left to itself");
        }
    }
}

#[cfg(all(test, feature = "kafka"))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn the_last_one_is_waited_for() {
        let (all, alive) = clients();
        let closed = AtomicBool::new(false);
        thread::scope(|scope| {
            let another = alive.clone();
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                closed.store(true, SeqCst);
                drop(another);
            });
            drop(alive);
            drop(all);
            assert!(closed.load(SeqCst));
        });
    }
}
