//! Which topics and partitions there are, asked of every broker.
//!
//! ```text
//!   row ──> partition 3, just added: its leader knows of it          broker 1: 0, 1, 2, 3 ─┐
//!   END ──> transaction topic                                         broker 2: 0, 1, 2    ─┼─> 0, 1, 2, 3
//!                                                                     broker 3: 0, 1, 2    ─┘   (2 and 3 lag behind)
//! ```
//!
//! A broker learns of a new partition some time after the controller decided on it. One broker that lags would hide rows that
//! a connector has written there already; the leader that took them does not.

use super::admin::{TopicNow, ask_for_brokers, ask_for_topics, brokers};
use super::client::{Consumer, Trouble, trouble};
use super::ends::Failed;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a broker says of each topic.
type Described = Vec<Result<TopicNow, Code>>;

/// The brokers, and what they say of topics.
pub(super) struct Topics {
    consumer: Arc<Consumer>,
    /// Those that are asked, as long as they answer.
    brokers: Vec<i32>,
    wait: Duration,
}

impl Topics {
    /// Each answer is waited for no longer than `wait`.
    pub(super) fn new(consumer: Arc<Consumer>, wait: Duration) -> Topics {
        Topics { consumer, brokers: Vec::new(), wait }
    }

    /// Who is asked is found out anew: one of them did not answer.
    pub(super) fn forget_brokers(&mut self) {
        self.brokers.clear();
    }

    /// A broker that has answered.
    pub(super) fn any_broker(&self) -> Option<i32> {
        self.brokers.first().copied()
    }

    /// What all brokers together say of topics, in the order of `names`.
    pub(super) fn look_up(&mut self, names: &[&str]) -> Result<Described, Failed> {
        if self.brokers.is_empty() {
            let topic = names.first().copied().unwrap_or_default();
            self.brokers = brokers(&self.consumer, topic, self.wait)?;
        }
        let mut answers: BTreeMap<i32, Described> = BTreeMap::new();
        loop {
            let new = self.brokers.iter().filter(|broker| !answers.contains_key(broker));
            let asked = |&broker: &i32| Ok((broker, ask_for_topics(&self.consumer, broker, names, self.wait)?));
            let topics = new.map(asked).collect::<Result<Vec<_>, ClientError>>()?;
            if topics.is_empty() {
                let answers = answers.into_values().collect();
                return agreed(answers, names);
            }
            // Brokers come and go: all are asked that are there now.
            let first = self.any_broker().ok_or(ClientError::Global(Code::AllBrokersDown))?;
            let there = ask_for_brokers(&self.consumer, first, self.wait)?;
            let topics: Vec<_> = topics.into_iter().map(|(broker, topics)| (broker, topics.answer())).collect();
            self.brokers = there.answer()?;
            for (broker, topics) in topics {
                match topics {
                    Ok(topics) => drop(answers.insert(broker, topics)),
                    Err(error) if !self.brokers.contains(&broker) => tracing::debug!(broker, %error, "a broker left"),
                    Err(error) if trouble(&error) == Trouble::Passing => {
                        return Err(Failed::Passing(format!("broker {broker} does not answer: {error}")));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
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
}
