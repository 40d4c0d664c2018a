//! The sink that is a closure: it is called with every change of a document.

use super::{Ack, Batch, History, Sink, SinkError, Touch};

/// Calls a closure with every change of a document, by time and id.
pub struct ForEach<F> {
    each: F,
}

impl<F: FnMut(Touch) -> Result<(), SinkError>> ForEach<F> {
    /// The sink that calls `each`.
    pub fn new(each: F) -> ForEach<F> {
        ForEach { each }
    }
}

impl<F: FnMut(Touch) -> Result<(), SinkError>> Sink for ForEach<F> {
    fn history(&self) -> History {
        History::Every
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        batch.touched.into_iter().try_for_each(&mut self.each)?;
        Ok(Ack::Accepted)
    }
}
