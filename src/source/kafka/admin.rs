//! What the brokers say of topics: who they are, how many partitions each has, how long it keeps what.
//!
//! The client can ask for this, but its Rust binding has no words for it: neither for a topic's id, which alone tells a topic
//! that was made anew from the one before, nor for several topics in one request.
#![expect(unsafe_code, reason = "calls into librdkafka that its binding does not wrap")]

use super::client::Consumer;
use super::owned::Owned;
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

/// The id of a topic: another one whenever it is made anew. `None` where the brokers know of no ids.
pub(super) type TopicId = Option<(i64, i64)>;

/// A topic as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicNow {
    pub(super) id: TopicId,
    pub(super) partitions: u32,
    /// Partitions that nothing can be read from for the moment.
    pub(super) leaderless: Vec<u32>,
}

impl TopicNow {
    /// Whether a partition is there and can be read from.
    pub(super) fn leads(&self, number: u32) -> bool {
        number < self.partitions && !self.leaderless.contains(&number)
    }
}

/// The brokers that are there, as one of them says. `topic` is what it is asked about.
pub(super) fn brokers(consumer: &Consumer, topic: &str, wait: Duration) -> Result<Vec<c_int>, ClientError> {
    let metadata = consumer.fetch_metadata(Some(topic), wait)?;
    some_of(metadata.brokers().iter().map(|broker| broker.id()).collect())
}

/// A broker's answer, to be waited for, of the brokers that are there.
pub(super) struct BrokersAsked(Asking);

/// Asks `broker` which brokers there are: the client by itself would ask the controller, which may be the one that is away.
pub(super) fn ask_for_brokers(consumer: &Consumer, broker: c_int, wait: Duration) -> Result<BrokersAsked, ClientError> {
    let what = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER;
    let asking = Asking::new(consumer, broker, what, wait)?;
    // SAFETY: the client, the options and the queue are alive; the request copies what it needs of them.
    unsafe { sys::rd_kafka_DescribeCluster(asking.client, asking.options.get(), asking.queue.get()) };
    Ok(BrokersAsked(asking))
}

impl BrokersAsked {
    pub(super) fn answer(mut self) -> Result<Vec<c_int>, ClientError> {
        let event = self.0.answer()?;
        let mut count = 0;
        // SAFETY: the event is alive until the end of this function, and with it the result and all that it points to.
        let nodes = unsafe {
            let result = sys::rd_kafka_event_DescribeCluster_result(event.get());
            slice(not_null(result)?, &mut count, |result, count| {
                sys::rd_kafka_DescribeCluster_result_nodes(result, count)
            })
        };
        // SAFETY: see above.
        some_of(nodes.iter().map(|&node| unsafe { sys::rd_kafka_Node_id(node) }).collect())
    }
}

/// Refuses an answer that no broker is in.
fn some_of(brokers: Vec<c_int>) -> Result<Vec<c_int>, ClientError> {
    if brokers.is_empty() { Err(ClientError::Global(Code::AllBrokersDown)) } else { Ok(brokers) }
}

/// A broker's answer, to be waited for, of so many topics.
pub(super) struct TopicsAsked {
    asking: Asking,
    topics: usize,
}

/// Asks `broker` about topics.
pub(super) fn ask_for_topics(
    consumer: &Consumer,
    broker: c_int,
    names: &[&str],
    wait: Duration,
) -> Result<TopicsAsked, ClientError> {
    let names = c_strings(names)?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let what = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let asking = Asking::new(consumer, broker, what, wait)?;
    // SAFETY: the pointers are of strings that live to the end of this function; the collection copies them.
    let collection = unsafe { sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
    let collection = Owned::new(collection, sys::rd_kafka_TopicCollection_destroy)?;
    // SAFETY: the client, the collection, the options and the queue are alive; the request copies what it needs of them.
    unsafe {
        sys::rd_kafka_DescribeTopics(asking.client, collection.get(), asking.options.get(), asking.queue.get());
    }
    Ok(TopicsAsked { asking, topics: names.len() })
}

impl TopicsAsked {
    /// In the order in which the topics were named.
    pub(super) fn answer(mut self) -> Result<Vec<Result<TopicNow, Code>>, ClientError> {
        let event = self.asking.answer()?;
        let mut count = 0;
        // SAFETY: the event is alive until the end of this function, and with it the result and all that it points to.
        let topics = unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event.get());
            slice(not_null(result)?, &mut count, |result, count| {
                sys::rd_kafka_DescribeTopics_result_topics(result, count)
            })
        };
        all_of(topics, self.topics)?;
        // SAFETY: see above.
        topics.iter().map(|&topic| unsafe { topic_now(not_null(topic)?) }).collect()
    }
}

/// # Safety
/// `topic` points to a description that is alive.
unsafe fn topic_now(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<Result<TopicNow, Code>, ClientError> {
    // SAFETY: all that is asked of a description lives as long as that.
    unsafe {
        let code = sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(topic));
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(Err(code.into()));
        }
        let uuid = not_null(sys::rd_kafka_TopicDescription_topic_id(topic))?;
        let (most, least) =
            (sys::rd_kafka_Uuid_most_significant_bits(uuid), sys::rd_kafka_Uuid_least_significant_bits(uuid));
        let mut count = 0;
        let partitions =
            slice(topic, &mut count, |topic, count| sys::rd_kafka_TopicDescription_partitions(topic, count));
        let leaderless = partitions.iter().filter(|&&partition| {
            let leader = sys::rd_kafka_TopicPartitionInfo_leader(partition);
            leader.is_null() || sys::rd_kafka_Node_id(leader) < 0
        });
        let number = |&partition: &*const _| sys::rd_kafka_TopicPartitionInfo_partition(partition).max(0) as u32;
        Ok(Ok(TopicNow {
            id: Some((most, least)).filter(|id| *id != (0, 0)),
            partitions: partitions.len() as u32,
            leaderless: leaderless.map(number).collect(),
        }))
    }
}

/// The value of a configuration entry of each topic, from `broker`; `Ok(None)` where a topic has no such entry.
pub(super) fn topic_configs(
    consumer: &Consumer,
    broker: c_int,
    names: &[&str],
    entry: &str,
    wait: Duration,
) -> Result<Vec<Result<Option<String>, Code>>, ClientError> {
    let names = c_strings(names)?;
    let what = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
    let mut asking = Asking::new(consumer, broker, what, wait)?;
    let mut resources = Vec::with_capacity(names.len());
    for name in &names {
        let kind = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
        // SAFETY: the name lives to the end of this function, and is copied.
        let resource = unsafe { sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()) };
        resources.push(Owned::new(resource, sys::rd_kafka_ConfigResource_destroy)?);
    }
    let mut pointers: Vec<_> = resources.iter().map(Owned::get).collect();
    // SAFETY: the client, the resources, the options and the queue are alive; the request copies what it needs of them.
    unsafe {
        let (configs, count) = (pointers.as_mut_ptr(), pointers.len());
        sys::rd_kafka_DescribeConfigs(asking.client, configs, count, asking.options.get(), asking.queue.get());
    }
    let event = asking.answer()?;
    let mut count = 0;
    // SAFETY: the event is alive until the end of this function, and with it the result and all that it points to.
    let resources = unsafe {
        let result = sys::rd_kafka_event_DescribeConfigs_result(event.get());
        slice(not_null(result)?, &mut count, |result, count| {
            sys::rd_kafka_DescribeConfigs_result_resources(result, count).cast()
        })
    };
    all_of(resources, names.len())?;
    // SAFETY: see above.
    resources.iter().map(|&resource| Ok(unsafe { config_entry(not_null(resource)?, entry) })).collect()
}

/// # Safety
/// `resource` points to a resource of a result that is alive.
unsafe fn config_entry(resource: *const sys::rd_kafka_ConfigResource_t, entry: &str) -> Result<Option<String>, Code> {
    // SAFETY: all that is asked of a resource lives as long as that; names and values are strings that end with a zero.
    unsafe {
        let code = sys::rd_kafka_ConfigResource_error(resource);
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(code.into());
        }
        let mut count = 0;
        let entries = slice(resource, &mut count, |resource, count| {
            sys::rd_kafka_ConfigResource_configs(resource, count).cast_const()
        });
        let text = |text: *const c_char| (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
        let found = entries
            .iter()
            .find(|&&found| text(sys::rd_kafka_ConfigEntry_name(found)).is_some_and(|name| name == entry));
        Ok(found.and_then(|&found| text(sys::rd_kafka_ConfigEntry_value(found))))
    }
}

/// A request to the brokers, and the queue that its answer comes to.
struct Asking {
    client: *mut sys::rd_kafka_t,
    options: Owned<sys::rd_kafka_AdminOptions_t>,
    queue: Owned<sys::rd_kafka_queue_t>,
    wait: c_int,
}

impl Asking {
    fn new(
        consumer: &Consumer,
        broker: c_int,
        what: sys::rd_kafka_admin_op_t,
        wait: Duration,
    ) -> Result<Asking, ClientError> {
        let client = consumer.client().native_ptr();
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX / 2);
        // SAFETY: the client is alive as long as the consumer, which outlives the request: it is borrowed by its caller.
        let (options, queue) =
            unsafe { (sys::rd_kafka_AdminOptions_new(client, what), sys::rd_kafka_queue_new(client)) };
        let options = Owned::new(options, sys::rd_kafka_AdminOptions_destroy)?;
        let queue = Owned::new(queue, sys::rd_kafka_queue_destroy)?;
        let mut problem = [0; 256];
        let (text, bytes) = (problem.as_mut_ptr(), problem.len());
        // SAFETY: the options are alive, and the buffer is as long as is said.
        let set = unsafe {
            [
                sys::rd_kafka_AdminOptions_set_request_timeout(options.get(), wait, text, bytes),
                sys::rd_kafka_AdminOptions_set_broker(options.get(), broker, text, bytes),
            ]
        };
        if let Some(code) = set.into_iter().find(|set| *set != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR) {
            return Err(ClientError::Global(code.into()));
        }
        Ok(Asking { client, options, queue, wait })
    }

    /// Waits for the answer.
    fn answer(&mut self) -> Result<Owned<sys::rd_kafka_event_t>, ClientError> {
        // The client itself says so when the time is over: only then is it waited a little longer.
        let wait = self.wait.saturating_add(1_000);
        // SAFETY: the queue is alive; what it gives is ours.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue.get(), wait) };
        if event.is_null() {
            return Err(ClientError::Global(Code::RequestTimedOut));
        }
        let event = Owned::new(event, sys::rd_kafka_event_destroy)?;
        // SAFETY: the event is alive.
        match unsafe { sys::rd_kafka_event_error(event.get()) } {
            sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(event),
            code => Err(ClientError::Global(code.into())),
        }
    }
}

fn c_strings(names: &[&str]) -> Result<Vec<CString>, ClientError> {
    names.iter().map(|name| CString::new(*name).map_err(ClientError::Nul)).collect()
}

/// Refuses an answer that is not of each that was asked about.
fn all_of<T>(answers: &[T], asked: usize) -> Result<(), ClientError> {
    if answers.len() == asked { Ok(()) } else { Err(ClientError::Global(Code::BadMessage)) }
}

fn not_null<T>(pointer: *const T) -> Result<*const T, ClientError> {
    if pointer.is_null() { Err(ClientError::Global(Code::BadMessage)) } else { Ok(pointer) }
}

/// The array that `of` gives and counts.
///
/// # Safety
/// `of` gives a pointer to as many elements as it says, which live as long as `from`, or null.
unsafe fn slice<'a, F, T>(
    from: *const F,
    count: &mut usize,
    of: impl FnOnce(*const F, *mut usize) -> *const *const T,
) -> &'a [*const T] {
    let first = of(from, count);
    if first.is_null() {
        return &[];
    }
    // SAFETY: what the caller vouches for.
    unsafe { std::slice::from_raw_parts(first, *count) }
}
