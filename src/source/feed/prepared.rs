//! Chunks that were made ahead of time, given to the workers in place of what reader and decoders would send.

use super::{Chunk, Feed, Inlet, Outlet, Panic};
use crate::queue::{Bound, queue};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

/// Chunks waiting for one worker: more than there are of the largest step, since who gives them takes no batch meanwhile.
const WAITING: Bound = Bound { items: 1 << 12, bytes: usize::MAX };

/// The way to all workers.
pub(crate) struct Outlets(Vec<Outlet>);

/// One inlet for each worker, and the way to them.
pub(crate) fn start(workers: usize) -> (Outlets, Vec<Inlet>) {
    let panic = Panic::default();
    let way = |_| {
        let reader: Arc<OnceLock<Thread>> = Arc::default();
        let (channel, receiver) = queue(WAITING);
        let inlet = Inlet { channels: vec![receiver], next: 0, reader: Arc::clone(&reader), panic: Arc::clone(&panic) };
        (Outlet { channel: Some(channel), reader }, inlet)
    };
    let (outlets, inlets) = (0..workers).map(way).unzip();
    (Outlets(outlets), inlets)
}

impl Outlets {
    /// Gives each worker its chunk; waits while a worker has too many.
    pub(crate) fn send(&self, chunks: Vec<Chunk>) {
        for (outlet, chunk) in self.0.iter().zip(chunks) {
            let _a_worker_that_has_gone_needs_none = outlet.send(Feed::Part(chunk));
        }
    }

    /// Tells every worker that the log was read to its end.
    pub(crate) fn end(self) {
        for outlet in &self.0 {
            let _a_worker_that_has_gone_needs_none = outlet.send(Feed::End);
        }
    }
}
