//! What the client has fetched, taken many records at a time, and left where it is until it is decoded.
//!
//! ```text
//!   partition 0 ─┐                         reader thread             decoder thread
//!   partition 1 ─┼─> queue ══ one call ══> messages ──a piece──────> one record's text after the other
//!   partition 2 ─┘
//! ```
//!
//! The binding gives one record for each poll, as an event that is allocated for it. The partitions are forwarded to a queue of
//! their own: what has to do with the brokers still comes the other way, to who polls the client. What goes wrong with a
//! partition comes here, in its place among the records.
//!
//! # Notes
//! - A message holds on to the answer of a broker that it came in, so that memory is taken by about one answer for each broker
//!   (`fetch.max.bytes`) beyond the records that wait.
#![expect(unsafe_code, reason = "calls into librdkafka that its binding does not wrap")]

use super::client::Consumer;
use super::owned::Owned;
use crate::source::packed::{Packed, PackedRecord};
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use std::ffi::{CStr, CString, c_int};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

/// The most records that are taken with one call. While they wait here the client fetches others in their place.
const AT_ONCE: usize = 256;

/// What a message is assumed to take beside its key and its value: its headers, and what the client knows of it.
const BESIDE: usize = 512;

/// The records of the partitions that are forwarded to it.
pub(super) struct Fetched {
    /// Those of the last call that are not taken yet, the next one last.
    messages: Vec<Message>,
    pointers: Vec<*mut sys::rd_kafka_message_t>,
    queue: Owned<sys::rd_kafka_queue_t>,
    // Behind all that is its own: fields are dropped in their order.
    consumer: Arc<Consumer>,
}

/// A record that was fetched. It must not outlive the client: see [`FetchedRecords`].
pub(super) struct Message(Owned<sys::rd_kafka_message_t>);

/// Records as the client holds them.
pub(crate) struct FetchedRecords {
    messages: Vec<Message>,
    bytes: usize,
    // Behind all that is its own.
    consumer: Arc<Consumer>,
}

// SAFETY: the client, its queues and its messages may be used from any thread; each is used by one at a time.
unsafe impl Send for Fetched {}
// SAFETY: see above.
unsafe impl Send for FetchedRecords {}

impl Fetched {
    pub(super) fn new(consumer: Arc<Consumer>) -> Result<Fetched, ClientError> {
        // SAFETY: the client is alive as long as the consumer, which is kept.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let queue = Owned::new(queue, sys::rd_kafka_queue_destroy)?;
        Ok(Fetched { messages: Vec::with_capacity(AT_ONCE), pointers: vec![ptr::null_mut(); AT_ONCE], queue, consumer })
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

    /// The next record, or what went wrong with a partition; it is waited for no longer than `wait`.
    pub(super) fn next(&mut self, wait: Duration) -> Option<&Message> {
        if self.messages.is_empty() {
            self.fetch(wait);
        }
        self.messages.last()
    }

    /// Goes past the next record.
    pub(super) fn pass(&mut self) {
        self.messages.pop();
    }

    /// Moves the next record to where records of this client are collected.
    pub(super) fn move_to(&mut self, records: &mut FetchedRecords) {
        debug_assert!(Arc::ptr_eq(&self.consumer, &records.consumer), "records of one client");
        if let Some(message) = self.messages.pop() {
            records.push(message);
        }
    }

    /// Where records of this client are collected.
    pub(super) fn records(&self) -> FetchedRecords {
        FetchedRecords { messages: Vec::new(), bytes: 0, consumer: Arc::clone(&self.consumer) }
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
        self.messages.extend(owned.map(Message));
    }

    /// Takes records until these places are full or none has come for so many milliseconds; how many there are.
    fn take(&mut self, places: std::ops::Range<usize>, wait: c_int) -> usize {
        let Some(places) = self.pointers.get_mut(places) else { return 0 };
        // SAFETY: the queue is alive, and there are as many places as is said. The messages are ours to give back.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.get(), wait, places.as_mut_ptr(), places.len()) };
        // It is negative where nothing can be taken.
        usize::try_from(taken).unwrap_or(0)
    }
}

impl FetchedRecords {
    fn push(&mut self, message: Message) {
        self.bytes += message.get().len + message.get().key_len + BESIDE;
        self.messages.push(message);
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Roughly the bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of their keys and values.
    pub(super) fn text_bytes(&self) -> usize {
        self.bytes - self.messages.len() * BESIDE
    }

    /// Packs one record after the other, in their order, and gives it to `each`.
    pub(crate) fn for_each(&self, mut each: impl FnMut(PackedRecord<'_>)) {
        let mut packed = Packed::default();
        for message in &self.messages {
            packed.clear();
            let place = (message.partition(), message.offset());
            packed.push(message.topic(), place, message.key(), message.value(), message.headers());
            packed.iter().for_each(&mut each);
        }
    }
}

impl Message {
    fn get(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: the message is alive as long as this.
        unsafe { &*self.0.get() }
    }

    /// What went wrong with the partition, in words, if this is no record; its offset is where.
    pub(super) fn error(&self) -> Option<(Code, String)> {
        let code = self.get().err;
        if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let words = self.value().map(|words| String::from_utf8_lossy(words).into_owned());
        let code = Code::from(code);
        Some((code, words.filter(|words| !words.is_empty()).unwrap_or_else(|| code.to_string())))
    }

    /// The same for records of one topic.
    pub(super) fn topic_id(&self) -> usize {
        self.get().rkt.addr()
    }

    pub(super) fn topic(&self) -> &str {
        if self.get().rkt.is_null() {
            return "";
        }
        // SAFETY: a message holds its topic, whose name is a string that ends with a zero. The client takes UTF-8 alone.
        unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.get().rkt)) }.to_str().unwrap_or_default()
    }

    pub(super) fn partition(&self) -> u32 {
        self.get().partition.max(0) as u32
    }

    pub(super) fn offset(&self) -> u64 {
        self.get().offset.max(0) as u64
    }

    fn key(&self) -> Option<&[u8]> {
        // SAFETY: the bytes of a message live as long as that, and there are as many as it says.
        unsafe { bytes(self.get().key.cast(), self.get().key_len) }
    }

    fn value(&self) -> Option<&[u8]> {
        // SAFETY: see above.
        unsafe { bytes(self.get().payload.cast(), self.get().len) }
    }

    /// Names and values, in their order; a value that is not there is empty.
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive, and with it its headers.
        let found = unsafe { sys::rd_kafka_message_headers(self.get(), &raw mut headers) };
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
