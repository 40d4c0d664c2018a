//! What librdkafka hands out and takes back.
#![expect(unsafe_code, reason = "gives back what librdkafka hands out")]

use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use std::ptr::NonNull;

/// Something of the client's that is given back when it is dropped.
pub(super) struct Owned<T> {
    pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    pub(super) fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Owned<T>, ClientError> {
        let pointer = NonNull::new(pointer).ok_or(ClientError::Global(Code::InvalidArgument))?;
        Ok(Owned { pointer, destroy })
    }

    pub(super) fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it was made by the call that `destroy` belongs to, and is given back once.
        unsafe { (self.destroy)(self.pointer.as_ptr()) }
    }
}
