//! Positions that a broker says are in no range of their partitions: they are gone, or it was said of an older state of things.

use super::{ANEW, Reading, failed};
use crate::source::catalog::Partition;
use crate::source::kafka::KafkaError;
use crate::source::kafka::ends::Question;
use crate::source::kafka::fetched::Fetched;
use rdkafka::consumer::Consumer as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

impl Reading<'_> {
    /// Asks of partitions whose positions are said to be outside of what they have.
    pub(super) fn ask_for_ranges(&mut self) -> Result<(), KafkaError> {
        let soon = self.made_anew.is_some_and(|made| made.elapsed() < ANEW);
        if self.outside.is_empty() || self.ranges_asked.is_some() || soon {
            return Ok(());
        }
        let outside: Vec<Partition> = std::mem::take(&mut self.outside).into_iter().collect();
        let read = |partition: &Partition| Some((*partition, self.partitions.get(partition)?.next));
        self.ranges_asked = Some(outside.iter().filter_map(read).collect());
        self.asking.ask(Question::Ranges(outside))
    }

    /// Tells which position is in no range; if each is in its range by now, reading goes on: the client has stopped it in one.
    pub(super) fn go_on_within(
        &mut self,
        ranges: &[(Partition, u64, u64)],
        read: &BTreeMap<Partition, u64>,
    ) -> Result<(), KafkaError> {
        // Nothing is read of them meanwhile; but positions move when a tail is found to be no record.
        let at = |partition: Partition| read.get(&partition).copied();
        for &(partition, first, _) in ranges {
            if let Some(position) = at(partition).filter(|position| *position < first) {
                let topic = self.reader.catalog.topic_name(partition.table).to_owned();
                return Err(KafkaError::Expired { topic, partition: partition.number, position, first });
            }
        }
        for &(partition, _, end) in ranges {
            if let Some(position) = at(partition).filter(|position| *position > end) {
                return Err(self.fell_back(partition, position, end));
            }
        }
        // The client has stopped them, and a partition that is assigned anew while it stops is forwarded no more.
        tracing::info!("positions that were said to be out of range are in their range: they are read on from");
        let client = Arc::new(self.reader.consumer()?);
        self.fetched = Fetched::new(Arc::clone(&client)).map_err(failed)?;
        std::mem::replace(&mut self.consumer, client).unassign().map_err(failed)?;
        let assigned = self.forwarded(self.partitions.keys().copied())?;
        (self.made_anew, self.outside) = (Some(Instant::now()), BTreeSet::new());
        self.find_leaders(self.partitions.keys().map(|partition| partition.table).collect());
        self.consumer.assign(&assigned).map_err(failed)
    }
}
