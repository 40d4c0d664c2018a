//! The sink that only counts: for benches, and to check a log.

use super::{Ack, Batch, History, Sink, SinkError};

/// Forgets what it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink {
    /// Documents touched, all batches together.
    pub touched: u64,
    /// Batches given.
    pub batches: u64,
}

impl Sink for NullSink {
    fn history(&self) -> History {
        History::Latest
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        self.touched += batch.touched.len() as u64;
        self.batches += 1;
        Ok(Ack::Accepted)
    }
}
