//! Which topics and partitions there are, asked of every broker.
//!
//! ```text
//!   row ──> partition 3, just added: its leader knows of it          broker 1: 0, 1, 2, 3 ─┐
//!   END ──> transaction topic                                         broker 2: 0, 1, 2    ─┼─> 0, 1, 2, 3
//!                                                                     broker 3: 0, 1, 2    ─┘   (2 and 3 lag behind)
//! ```
//!
//! A broker learns of a new partition some time after the controller decided on it. One broker that lags would hide rows that
//! a connector has written there already; the leader that took them does not. So a broker that does not answer is waited for,
//! until the others will have learned of what it knows: nothing could be read from it anyway.

use super::admin::{TopicNow, ask_for_brokers, ask_for_topics, brokers};
use super::client::{Consumer, Trouble, trouble};
use super::ends::Failed;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a broker that does not answer is waited for, and how long it is then not asked again.
const SILENT: Duration = Duration::from_secs(30);
const PASSED_OVER: Duration = Duration::from_secs(60);

/// What a broker says of each topic.
type Described = Vec<Result<TopicNow, Code>>;

/// The brokers, and what they say of topics.
pub(super) struct Topics {
    consumer: Arc<Consumer>,
    /// Those that are asked, as long as they answer.
    brokers: Vec<i32>,
    /// Those that do not answer.
    silent: BTreeMap<i32, Silent>,
    wait: Duration,
}

/// A broker that does not answer.
struct Silent {
    since: Instant,
    /// When it was decided to go on without it.
    passed_over: Option<Instant>,
}

impl Silent {
    fn is_passed_over(&self) -> bool {
        self.passed_over.is_some_and(|since| since.elapsed() < PASSED_OVER)
    }
}

impl Topics {
    /// Each answer is waited for no longer than `wait`.
    pub(super) fn new(consumer: Arc<Consumer>, wait: Duration) -> Topics {
        Topics { consumer, brokers: Vec::new(), silent: BTreeMap::new(), wait }
    }

    /// Who is asked is found out anew: one of them did not answer.
    pub(super) fn forget_brokers(&mut self) {
        self.brokers.clear();
    }

    /// A broker that answers, most likely.
    pub(super) fn any_broker(&self) -> Option<i32> {
        let answers = |broker: &&i32| !self.silent.contains_key(broker);
        self.brokers.iter().find(answers).or(self.brokers.first()).copied()
    }

    /// A broker has not answered: whether to go on without it.
    fn pass_over(&mut self, broker: i32, error: &ClientError) -> bool {
        let now = Instant::now();
        if trouble(error) != Trouble::Passing {
            return false;
        }
        let silent = self.silent.entry(broker).or_insert(Silent { since: now, passed_over: None });
        if silent.since.elapsed() < SILENT || self.brokers.len() < 2 {
            return false;
        }
        if silent.passed_over.replace(now).is_none() {
            tracing::warn!(broker, %error, "a broker has not answered for long: which partitions there are is asked of the others");
        }
        true
    }

    /// What all brokers together say of topics, in the order of `names`.
    pub(super) fn look_up(&mut self, names: &[&str]) -> Result<Described, Failed> {
        if self.brokers.is_empty() {
            let topic = names.first().copied().unwrap_or_default();
            self.brokers = brokers(&self.consumer, topic, self.wait)?;
        }
        let mut answers: BTreeMap<i32, Described> = BTreeMap::new();
        loop {
            let is_asked = |broker: &&i32| {
                !answers.contains_key(broker) && !self.silent.get(broker).is_some_and(Silent::is_passed_over)
            };
            let new = self.brokers.iter().filter(is_asked);
            let asked = |&broker: &i32| Ok((broker, ask_for_topics(&self.consumer, broker, names, self.wait)?));
            let topics = new.map(asked).collect::<Result<Vec<_>, ClientError>>()?;
            if topics.is_empty() {
                if answers.is_empty() {
                    return Err(ClientError::Global(Code::AllBrokersDown).into());
                }
                return agreed(answers.into_values().collect(), names);
            }
            // Brokers come and go: all are asked that are there now.
            let first = self.any_broker().ok_or(ClientError::Global(Code::AllBrokersDown))?;
            let there = ask_for_brokers(&self.consumer, first, self.wait)?;
            let topics: Vec<_> = topics.into_iter().map(|(broker, topics)| (broker, topics.answer())).collect();
            self.brokers = match there.answer() {
                Ok(there) => there,
                Err(error) => {
                    // The next time another one is asked.
                    self.pass_over(first, &error);
                    return Err(silent(first, error));
                }
            };
            self.silent.retain(|broker, _| self.brokers.contains(broker));
            for (broker, topics) in topics {
                match topics {
                    Ok(topics) => {
                        self.silent.remove(&broker);
                        answers.insert(broker, topics);
                    }
                    Err(error) if !self.brokers.contains(&broker) => tracing::debug!(broker, %error, "a broker left"),
                    Err(error) if self.pass_over(broker, &error) => {}
                    Err(error) => return Err(silent(broker, error)),
                }
            }
        }
    }
}

/// What it means that a broker does not answer.
fn silent(broker: i32, error: ClientError) -> Failed {
    if trouble(&error) == Trouble::Passing {
        return Failed::Passing(format!("broker {broker} does not answer: {error}"));
    }
    error.into()
}

/// What several brokers together know of each topic, in the order of `names`.
fn agreed(answers: Vec<Described>, names: &[&str]) -> Result<Described, Failed> {
    let mut answers: Vec<_> = answers.into_iter().map(Vec::into_iter).collect();
    let mut of_topic = |name: &&str| {
        let answers: Described = answers.iter_mut().filter_map(Iterator::next).collect();
        let no_topic = |code: Code| trouble(&ClientError::Global(code)) == Trouble::NoTopic;
        let mut known: Vec<TopicNow> = Vec::with_capacity(answers.len());
        let mut unknown = None;
        for answer in answers {
            match answer {
                Ok(topic) => known.push(topic),
                Err(code) if no_topic(code) => unknown = Some(code),
                Err(code) => return Ok(Err(code)),
            }
        }
        let partitions = known.iter().map(|topic| topic.partitions).max();
        let Some(partitions) = partitions else { return Ok(Err(unknown.unwrap_or(Code::UnknownTopicOrPartition))) };
        let mut ids = known.iter().filter_map(|topic| topic.id);
        let id = ids.next();
        if ids.any(|other| Some(other) != id) {
            return Err(Failed::Passing(format!("topic {name} was made anew, and not every broker knows it yet")));
        }
        let leads = |number| known.iter().any(|topic| topic.leads(number));
        Ok(Ok(TopicNow { id, partitions, leaderless: (0..partitions).filter(|number| !leads(*number)).collect() }))
    };
    names.iter().map(&mut of_topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(id: i64, partitions: u32, leaderless: &[u32]) -> Result<TopicNow, Code> {
        Ok(TopicNow { id: Some((id, 0)), partitions, leaderless: leaderless.to_vec() })
    }

    #[test]
    fn a_broker_that_lags_hides_no_partition() {
        let lags = vec![topic(7, 3, &[2]), Err(Code::UnknownTopicOrPartition)];
        let knows = vec![topic(7, 4, &[1]), topic(8, 1, &[])];
        for answers in [vec![lags.clone(), knows.clone()], vec![knows, lags]] {
            let all = agreed(answers, &["a", "b"]).unwrap();
            assert_eq!(all, [topic(7, 4, &[]), topic(8, 1, &[])]);
        }
        let none = agreed(vec![vec![topic(7, 2, &[0, 1])], vec![topic(7, 1, &[0])]], &["a"]).unwrap();
        assert_eq!(none, [topic(7, 2, &[0, 1])]);
    }

    #[test]
    fn brokers_that_do_not_agree_are_asked_again() {
        let made_anew = agreed(vec![vec![topic(7, 3, &[])], vec![topic(9, 3, &[])]], &["a"]);
        assert!(matches!(&made_anew, Err(Failed::Passing(why)) if why.contains("topic a ")), "{made_anew:?}");
        let denied = agreed(vec![vec![topic(7, 3, &[])], vec![Err(Code::TopicAuthorizationFailed)]], &["a"]).unwrap();
        assert_eq!(denied, [Err(Code::TopicAuthorizationFailed)]);
        let missing = agreed(vec![vec![Err(Code::UnknownTopicOrPartition)]; 2], &["a"]).unwrap();
        assert_eq!(missing, [Err(Code::UnknownTopicOrPartition)]);
    }

    #[test]
    fn a_broker_that_is_silent_for_long_is_passed_over() {
        let (_clients, alive) = crate::source::clients::clients();
        let client = crate::source::kafka::client::consumer(&crate::Kafka::new("127.0.0.1:1"), "podium", false, &alive);
        let mut topics = Topics::new(Arc::new(client.unwrap()), Duration::ZERO);
        topics.brokers = vec![1, 2];
        let away = ClientError::Global(Code::RequestTimedOut);
        assert!(!topics.pass_over(1, &away), "it is waited for");
        assert_eq!(topics.any_broker(), Some(2));
        let silent = topics.silent.get_mut(&1).unwrap();
        silent.since = silent.since.checked_sub(SILENT).unwrap();
        assert!(!topics.pass_over(1, &ClientError::Global(Code::ClusterAuthorizationFailed)), "it has answered");
        assert!(topics.pass_over(1, &away) && topics.silent[&1].is_passed_over());
        topics.brokers = vec![1];
        assert!(!topics.pass_over(1, &away), "there is no other one");
    }
}
