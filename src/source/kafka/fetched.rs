//! What the client has fetched, taken many records at a time.
//!
//! ```text
//!   partition 0 ─┐
//!   partition 1 ─┼─> queue ══ one call ══> records ──> reader
//!   partition 2 ─┘
//! ```
//!
//! The binding gives one record for each poll, as an event that is allocated for it, and looks at each header's text. That
//! costs more than decoding. The partitions are forwarded to a queue of their own, so that what else the client has to say
//! still comes the other way.
#![expect(unsafe_code, reason = "calls into librdkafka that its binding does not wrap")]

use super::client::Consumer;
use super::owned::Owned;
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError as ClientError;
use std::ffi::{CStr, CString, c_int};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

/// The most records that are taken with one call. The client bounds the bytes of all that it has fetched.
const AT_ONCE: usize = 512;

/// The records of the partitions that are forwarded to it.
pub(super) struct Fetched {
    /// Those of the last call that are not taken yet, the next one last.
    records: Vec<Owned<sys::rd_kafka_message_t>>,
    pointers: Vec<*mut sys::rd_kafka_message_t>,
    queue: Owned<sys::rd_kafka_queue_t>,
    // Behind all that is its own: fields are dropped in their order.
    consumer: Arc<Consumer>,
}

// SAFETY: the client, its queues and its messages may be used from any thread; this is used by one at a time.
unsafe impl Send for Fetched {}

/// A record that was fetched.
pub(super) struct FetchedRecord<'f> {
    message: &'f sys::rd_kafka_message_t,
}

impl Fetched {
    pub(super) fn new(consumer: Arc<Consumer>) -> Result<Fetched, ClientError> {
        // SAFETY: the client is alive as long as the consumer, which is kept.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let queue = Owned::new(queue, sys::rd_kafka_queue_destroy)?;
        Ok(Fetched { records: Vec::with_capacity(AT_ONCE), pointers: vec![ptr::null_mut(); AT_ONCE], queue, consumer })
    }

    /// From now on the records of a partition come here. To be called before it is assigned.
    pub(super) fn forward(&self, topic: &str, partition: i32) -> Result<(), ClientError> {
        let topic = CString::new(topic)?;
        // SAFETY: the client and the name are alive; the queue is ours to give back.
        let of_partition = unsafe {
            sys::rd_kafka_queue_get_partition(self.consumer.client().native_ptr(), topic.as_ptr(), partition)
        };
        let of_partition = Owned::new(of_partition, sys::rd_kafka_queue_destroy)?;
        // SAFETY: both queues are alive; the client counts who refers to the one that is forwarded to.
        unsafe { sys::rd_kafka_queue_forward(of_partition.get(), self.queue.get()) };
        Ok(())
    }

    /// The next record, which is waited for no longer than `wait`.
    pub(super) fn next(&mut self, wait: Duration) -> Option<Result<FetchedRecord<'_>, ClientError>> {
        // The one that was given before is not used any more.
        self.records.pop();
        if self.records.is_empty() {
            self.fetch(wait);
        }
        let message = self.records.last()?;
        // SAFETY: the message is alive until it is popped, which needs this to be borrowed no more.
        let message = unsafe { &*message.get() };
        Some(match message.err {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(FetchedRecord { message }),
            code => Err(ClientError::MessageConsumption(code.into())),
        })
    }

    /// Takes what is there, of which the first is waited for.
    fn fetch(&mut self, wait: Duration) {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        let mut taken = self.take(0..1, wait);
        if taken == 1 {
            taken += self.take(1..AT_ONCE, 0);
        }
        let taken = self.pointers.iter_mut().take(taken).rev();
        let owned = taken.filter_map(|message| {
            Owned::new(std::mem::replace(message, ptr::null_mut()), sys::rd_kafka_message_destroy).ok()
        });
        self.records.extend(owned);
    }

    /// Takes records until these places are full or none has come for so many milliseconds; how many there are.
    fn take(&mut self, places: std::ops::Range<usize>, wait: c_int) -> usize {
        let Some(places) = self.pointers.get_mut(places) else { return 0 };
        // SAFETY: the queue is alive, and there are as many places as is said. The messages are ours to give back.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.get(), wait, places.as_mut_ptr(), places.len()) };
        // It is negative if nothing can be taken, of which the client says the cause the other way.
        usize::try_from(taken).unwrap_or(0)
    }
}

impl<'f> FetchedRecord<'f> {
    /// The same for records of one topic.
    pub(super) fn topic_id(&self) -> usize {
        self.message.rkt.addr()
    }

    pub(super) fn topic(&self) -> &'f str {
        // SAFETY: a message holds its topic, whose name is a string that ends with a zero. The client takes UTF-8 alone.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.message.rkt)) }.to_str().unwrap_or_default()
    }

    pub(super) fn partition(&self) -> u32 {
        self.message.partition.max(0) as u32
    }

    pub(super) fn offset(&self) -> u64 {
        self.message.offset.max(0) as u64
    }

    pub(super) fn key(&self) -> Option<&'f [u8]> {
        // SAFETY: the bytes of a message live as long as that, and there are as many as it says.
        unsafe { bytes(self.message.key.cast(), self.message.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'f [u8]> {
        // SAFETY: see above.
        unsafe { bytes(self.message.payload.cast(), self.message.len) }
    }

    /// Names and values, in their order; a value that is not there is empty.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'f [u8], &'f [u8])> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and with it its headers.
        let found = unsafe { sys::rd_kafka_message_headers(self.message, &raw mut headers) };
        let none = found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null();
        let mut at = if none { usize::MAX } else { 0 };
        std::iter::from_fn(move || {
            if at == usize::MAX {
                return None;
            }
            let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
            // SAFETY: see above; behind the last header it answers with an error and leaves the rest alone.
            let found =
                unsafe { sys::rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut len) };
            if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return None;
            }
            at += 1;
            // SAFETY: the name is a string that ends with a zero; both live as long as the message.
            Some(unsafe { (CStr::from_ptr(name).to_bytes(), bytes(value.cast(), len).unwrap_or_default()) })
        })
    }
}

/// # Safety
/// There are `len` bytes that live for `'f`, or none at all.
unsafe fn bytes<'f>(first: *const u8, len: usize) -> Option<&'f [u8]> {
    // SAFETY: what the caller vouches for.
    (!first.is_null()).then(|| unsafe { slice::from_raw_parts(first, len) })
}
