//! The operator at the head of the dataflow: takes chunks from the feed, has their rows held, and tells the aligner.
//!
//! A partition is read by one worker, so what the aligner is told of it comes in the partition's order. A worker pauses
//! while the aligner is behind: facts on their way are bounded.
//!
//! Chunks that wait are taken together, up to [`STEP`] events: what a step costs whatever is in it is shared by many rows, and
//! what one operator leaves for the next is still in the processor's cache.

use super::Mark;
use super::by_partition::ByPartition;
use super::catalog::{Catalog, Topic};
use super::feed::{Arrival, Chunk, Event, Inlet};
use super::kcat::{self, BadLine};
use super::offsets::{Offsets, Seen};
use crate::align::{Fact, FactKind};
use crate::envelope::{BadRecord, Envelope, Op, Origin};
use crate::error::Error;
use crate::hold::{Hold, Ticket};
use crate::report::{Inexact, InexactCause};
use crate::status::Status;
use crate::time::{Lsn, Time};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::scheduling::Activator;

/// A step takes chunks until it has so many events: at most a chunk more.
pub(crate) const STEP: usize = 1 << 12;
/// Facts that may be on their way to the aligner.
const FACTS_MAX: u64 = 1 << 18;
/// So many bits of the number of a row that stands for itself are counted up by its worker; the others are the worker's.
const ARRIVALS_BITS: u32 = 48;

/// Where the rows of each table are held.
pub(crate) type Holders = Vec<Rc<RefCell<dyn Hold>>>;

/// The worker's hand on its reader.
pub(crate) struct ReaderHandle {
    activator: Activator,
    read: Rc<Cell<bool>>,
}

impl ReaderHandle {
    /// Has the reader look for a chunk in the next step.
    pub(crate) fn activate(&self) {
        self.activator.activate();
    }

    /// Whether it found one since it was last asked.
    pub(crate) fn has_read(&self) -> bool {
        self.read.take()
    }
}

/// Facts of the partitions this worker reads.
pub(crate) fn read<'scope>(
    scope: Scope<'scope, Time>,
    mut inlet: Inlet,
    holders: Holders,
    catalog: Catalog,
    status: Arc<Status>,
) -> (Stream<'scope, Time, Vec<Fact>>, ReaderHandle) {
    let mut builder = OperatorBuilder::new("Source: replay log".to_owned(), scope);
    let (output, facts) = builder.new_output();
    let mut output = OutputBuilder::<Time, CapacityContainerBuilder<Vec<Fact>>>::from(output);
    let (worker, workers) = (scope.index(), scope.peers());
    let activator = scope.activator_for(builder.operator_info().address);
    let read = Rc::new(Cell::new(false));
    let handle = ReaderHandle { activator, read: Rc::clone(&read) };
    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop();
        let mut failed: Option<Error> = None;
        let (partitions, tickets) = (ByPartition::default(), Vec::new());
        let mut reader = Reader { holders, catalog, status, partitions, worker, arrived: 0, tickets };
        inlet.wake_this_thread();
        move |_| {
            let Some(held) = &capability else { return };
            if reader.status.is_stopped() {
                capability = None;
                return;
            }
            // What a closing lets go comes first: rows are held as they are between two closings, and do not pile up.
            let letting_go = reader.holders.iter().any(|holder| holder.borrow().is_letting_go());
            if letting_go || reader.status.counters.facts() > FACTS_MAX {
                return;
            }
            if let Some(error) = failed.take() {
                reader.status.fail(error);
                capability = None;
                return;
            }
            let (mut facts, mut taken) = (Vec::new(), 0);
            let ended = loop {
                match inlet.poll() {
                    Arrival::Chunk(mut chunk) => {
                        let (marks, at) = (std::mem::take(&mut chunk.marks), chunk.bytes_read);
                        taken += chunk.events.len() + marks.len() + 1;
                        reader.take(chunk, &mut facts);
                        marks.iter().for_each(|mark| reader.mark(mark, worker, workers));
                        facts.extend(marks.into_iter().map(|mark| Fact::Mark { worker, of: workers, at, mark }));
                        read.set(true);
                        if taken >= STEP || reader.status.is_stopped() {
                            break false;
                        }
                    }
                    // What was read before is followed before the run ends.
                    Arrival::Failed(error) => {
                        failed = Some(error.into());
                        break false;
                    }
                    Arrival::Broken(message) => {
                        failed = Some(Error::Feed(message));
                        break false;
                    }
                    Arrival::Nothing => break false,
                    Arrival::End => break true,
                }
            };
            if !facts.is_empty() {
                reader.status.counters.facts_sent(facts.len() as u64);
                output.activate().session(held).give_container(&mut facts);
            }
            if ended {
                capability = None;
            }
        }
    });
    (facts, handle)
}

/// What is known of one partition.
#[derive(Default)]
struct Read {
    offsets: Offsets,
    /// The greatest previous END that its rows have named.
    progress: Lsn,
    /// It came to its topic while that was read.
    added: bool,
}

/// What is known of the partitions a worker reads.
struct Reader {
    holders: Holders,
    catalog: Catalog,
    status: Arc<Status>,
    partitions: ByPartition<Read>,
    worker: usize,
    /// Rows that stand for themselves, so far.
    arrived: u64,
    /// Of each table: empty, but with the room that a chunk needs.
    tickets: Vec<Vec<Ticket>>,
}

impl Reader {
    fn take(&mut self, chunk: Chunk, facts: &mut Vec<Fact>) {
        let counters = Arc::clone(&self.status.counters);
        counters.records(chunk.records);
        counters.set_bytes_read(chunk.bytes_read);
        if chunk.cut {
            self.status.cut();
        }
        facts.reserve(chunk.events.len());
        let mut tickets = std::mem::take(&mut self.tickets);
        tickets.resize_with(self.holders.len(), Vec::new);
        for event in chunk.events {
            self.event(event, facts, &mut tickets);
        }
        for ((holder, rows), tickets) in self.holders.iter().zip(chunk.buffers).zip(&mut tickets) {
            if !tickets.is_empty() {
                holder.borrow_mut().accept(rows.into_any(), tickets);
            }
        }
        self.tickets = tickets;
    }

    fn mark(&mut self, mark: &Mark, worker: usize, workers: usize) {
        let Mark::Partition { partition, added: true, .. } = *mark else { return };
        if partition.worker(workers) == worker {
            self.partitions.get_or_insert_with(partition, || Read { added: true, ..Read::default() });
        }
    }

    fn event(&mut self, event: Event, facts: &mut Vec<Fact>, tickets: &mut [Vec<Ticket>]) {
        let Event { partition, offset, body } = event;
        let Some(partition) = partition else {
            let Err(bad) = body else { return };
            // Its start may show all the same that it is of the transaction topic: perhaps an END.
            let topic = match kcat::parse_head(&bad.line) {
                Ok((topic, _)) => self.catalog.topic(&topic),
                Err(BadLine::Partition { topic, .. }) => self.catalog.topic(&topic),
                Err(_) => Topic::Other,
            };
            if topic == Topic::Transactions {
                return self.status.fail_record(bad);
            }
            return self.bad(bad, Lsn(0));
        };
        tracing::trace!(table = partition.table, partition = partition.number, offset, "record");
        let Read { offsets, progress, added } = self.partitions.get_or_insert_with(partition, || {
            facts.push(Fact::Record { partition, kind: FactKind::Start { offset } });
            Default::default()
        });
        let seen = offsets.note(offset);
        if let Seen::OutOfOrder { after } = seen {
            let topic = self.catalog.topic_name(partition.table).to_owned();
            return self.status.fail(Error::OutOfOrder { topic, partition: partition.number, offset, after });
        }
        let again = seen == Seen::Again;
        let fact = match body {
            Ok(Envelope::Row { table, op, origin, run }) => {
                *progress = origin.previous().max(*progress);
                let (progress, added, truncate) = (*progress, *added, op == Op::Truncate);
                let (origin, kind) = match origin {
                    Origin::Arrival { lsn } => {
                        self.arrived += 1;
                        let txid = (self.worker as u64) << ARRIVALS_BITS | self.arrived;
                        // Below whatever time the aligner gives it.
                        let held = Origin::Stream { txid, lsn: Lsn(0), previous: Lsn(0), order: 0 };
                        (held, FactKind::Arrival { txid, lsn, truncate })
                    }
                    other => (other, FactKind::Row { origin, run, truncate }),
                };
                if let Some(tickets) = tickets.get_mut(table) {
                    tickets.push(Ticket { partition, offset, origin, op, progress, added, again });
                }
                kind
            }
            Ok(Envelope::End(end)) => FactKind::End(end),
            Ok(Envelope::Begin | Envelope::Tombstone | Envelope::Other) => return,
            Err(_) if again => return,
            Err(bad) if partition.table == Catalog::TRANSACTIONS => return self.status.fail_record(bad),
            Err(bad) => {
                let known = bad.origin;
                if let Some((origin, _)) = known {
                    *progress = origin.previous().max(*progress);
                }
                let since = known.map_or(*progress, |(origin, _)| since(&origin));
                self.bad(bad, since);
                match known {
                    // There is nothing that would wait for it.
                    Some((Origin::Arrival { .. }, _)) => return,
                    Some((origin, run)) => FactKind::Row { origin, run, truncate: false },
                    None => FactKind::Unreadable,
                }
            }
        };
        if !again {
            facts.push(Fact::Record { partition, kind: fact });
        }
    }

    fn bad(&mut self, bad: Box<BadRecord>, since: Lsn) {
        self.status.counters.bad(1);
        let table = bad.table.and_then(|table| self.catalog.codecs.get(table)).map(|codec| codec.table.name.clone());
        let inexact =
            Inexact { table, key: bad.key.clone(), after: since, cause: InexactCause::BadRecord(bad.location.clone()) };
        match self.status.refuse(bad) {
            Ok(()) => self.status.inexact(inexact),
            Err(error) => self.status.fail(error),
        }
    }
}

/// The END up to which a row that cannot be used leaves its key exact.
fn since(origin: &Origin) -> Lsn {
    match origin {
        Origin::Initial { .. } => Lsn(0),
        other => other.previous(),
    }
}
