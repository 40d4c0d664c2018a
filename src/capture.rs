//! From topics in Kafka to a log that can be replayed: what a bug report carries, and what a benchmark replays.

use crate::engine::RunHandle;
use crate::envelope::codecs;
use crate::error::Error;
use crate::source::SourceRecord;
use crate::source::catalog::Catalog;
use crate::source::clients::clients;
use crate::source::input::Piece;
use crate::source::kafka::{Kafka, KafkaReader};
use crate::source::kcat;
use crate::source::log::Tailing;
use crate::status::{Status, StopOnDrop};
use dataflows::View;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// Copies the topics that a view reads from Kafka into a log, as `kcat -C -J` would print them: each partition's records in
/// their order, those of different partitions as they come. Topics have the names that Debezium gives them, whatever they are
/// called in Kafka: a replay finds them by those.
///
/// ```no_run
/// use deltaic::dataflows::ConversationSearch;
/// use deltaic::{Capture, Kafka};
///
/// let mut log = std::io::BufWriter::new(std::fs::File::create("log.jsonl")?);
/// let captured = Capture::new(&ConversationSearch::default(), Kafka::new("broker:9092"), "podium").run(&mut log)?;
/// println!("{} records", captured.records);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Capture {
    kafka: Kafka,
    prefix: String,
    /// The topics as they are called in Kafka, and as Debezium calls them.
    catalog: Catalog,
    canonical: Catalog,
    follow: bool,
    status: Arc<Status>,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Records.
    pub records: u64,
    /// Bytes of lines.
    pub bytes: u64,
    /// Everything that was there at first is copied. Not so where it was told to stop before, or where it follows.
    pub whole: bool,
}

impl Capture {
    /// The topics of the connector `prefix` that `view` reads, transactions among them.
    pub fn new(view: &impl View, kafka: Kafka, prefix: impl Into<String>) -> Capture {
        let prefix = prefix.into();
        let canonical = Catalog::new(&prefix, codecs(view));
        let catalog = canonical.clone().renamed(&kafka.topics, kafka.transaction_topic.as_deref());
        Capture { kafka, prefix, catalog, canonical, follow: false, status: Arc::default() }
    }

    /// Goes on when everything was copied that was there at first, until it is told to stop.
    #[must_use]
    pub fn follow(self, follow: bool) -> Capture {
        Capture { follow, ..self }
    }

    /// A hand on it: to stop it, and to see what it waits for.
    pub fn handle(&self) -> RunHandle {
        RunHandle::new(Arc::clone(&self.status), None)
    }

    /// Copies into `out`, on the calling thread.
    ///
    /// # Errors
    /// The topics cannot be read; or the log cannot be written: [`Error::Capture`].
    pub fn run(self, out: &mut dyn Write) -> Result<Captured, Error> {
        let Capture { kafka, prefix, catalog, canonical, follow, status } = self;
        // Behind all else: they end when it is found that this is over.
        let (_clients, alive) = clients();
        // Whatever it waits for, the thread that asks the brokers then finds that it is over.
        let (over, stopped) = (Arc::clone(&status), Arc::clone(&status));
        let _over = StopOnDrop(&over);
        let tailing = Tailing { settle: None, goes_on: Box::new(move || !stopped.is_stopped()) };
        let kafka = Kafka { to_the_end: !follow, ..kafka };
        let (counters, names) = (Arc::clone(&status.counters), catalog.clone());
        // A copy of what there is: whether that is enough is asked by who replays it.
        let (may_be_beheaded, may_be_compacted) = (true, true);
        let reader = KafkaReader { kafka, prefix, catalog, tailing, status, may_be_beheaded, may_be_compacted, alive };
        let (mut captured, mut outcome) = (Captured::default(), Ok(()));
        captured.whole = reader.read(&mut |piece| {
            let Piece::Records { records, .. } = piece else { return true };
            counters.records(records.len() as u64);
            records.for_each(|packed| {
                if outcome.is_err() {
                    return;
                }
                let mut record = packed.record();
                if let Some(of) = Catalog::partition(names.topic(&record.topic), record.partition) {
                    record.topic = canonical.topic_name(of.table).to_owned().into();
                }
                outcome = write(&record, out, &mut captured);
            });
            outcome.is_ok()
        })?;
        outcome.and_then(|()| out.flush()).map_err(Error::Capture)?;
        Ok(captured)
    }
}

fn write(record: &SourceRecord<'_>, out: &mut dyn Write, captured: &mut Captured) -> io::Result<()> {
    let mut line = kcat::line(record);
    line.push(b'\n');
    out.write_all(&line)?;
    captured.records += 1;
    captured.bytes += line.len() as u64;
    Ok(())
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("kafka", &self.kafka)
            .field("prefix", &self.prefix)
            .field("follow", &self.follow)
            .finish_non_exhaustive()
    }
}
