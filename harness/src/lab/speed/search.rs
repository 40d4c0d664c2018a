//! How fast search servers are filled: by the sink, and by a client that does nothing but send.
//!
//! ```text
//!   log ──engine──> Recorded: batches ──┬──> ElasticsearchSink ─┐
//!                                       └──> bulks ──> raw client ─┴─> one server, an empty index each time
//!   transactions at a share of the peak ──> engine ──> ElasticsearchSink: from the push of an END until it is acknowledged
//! ```
//!
//! # Notes
//! - The bulks of the raw client are made before the clock runs: the sink makes them on the processors that the server works on, and
//!   writes its progress document. Either sends a document once in each bulk, and asks only whether something failed.

use super::super::install::run_folder;
use super::super::search::chosen;
use super::super::search_server::{MUCH_MEMORY, SearchInstalled, SearchKind, SearchServer};
use super::super::server::lasting_port;
use super::raw::Raw;
use super::{PEAK_ROWS, SpeedOptions, Transactions, WARM_UP, at};
use crate::Record;
use anyhow::{Context, Result, ensure};
use deltaic::dataflows::ConversationSearch;
use deltaic::{
    Ack, Batch, ElasticsearchOptions, ElasticsearchSink, Engine, History, Identity, Log, Lsn, RecordSender, Sink,
    SinkError, record_channel,
};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How many bulks are on their way.
const BULKS: [usize; 2] = [1, 4];
/// Transactions that may be needed until everything before them is shown.
const SETTLING: usize = 2_000;

/// What was seen of one server. Times are in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct SearchSpeedSummary {
    /// Its name and version.
    pub server: String,
    /// Documents of an initial snapshot, all new.
    pub load: Vec<BulksSpeed>,
    /// Documents that changed, many of them often.
    pub changes: Vec<BulksSpeed>,
    /// Operations that the index took for each record of a log that was read as fast as it goes, without the progress document's.
    pub operations_per_record_replayed: f64,
    /// The same at the pace below, with the progress document's.
    pub operations_per_record_paced: f64,
    /// Rows of transactions a second into the index.
    pub peak_rows_per_second: f64,
    /// Rows a second that were pushed.
    pub paced_rows_per_second: f64,
    /// From when a transaction was to be pushed until everything up to it is acknowledged.
    pub acknowledged_p50: f64,
    /// The same, of 99 of 100.
    pub acknowledged_p99: f64,
}

/// So many bulks at once, in documents a second: medians of the rounds.
#[derive(Clone, Debug, Default)]
pub struct BulksSpeed {
    /// Bulks on their way.
    pub bulks: usize,
    /// Documents that were given.
    pub documents: usize,
    /// Of the raw client.
    pub raw: f64,
    /// Of the sink.
    pub sink: f64,
    /// The sink's by the raw client's, of the same round.
    pub sink_to_raw: f64,
}

/// Keeps what it is given.
#[derive(Default)]
struct Recorded {
    identity: Option<Identity>,
    batches: Vec<Batch>,
}

impl Sink for Recorded {
    fn history(&self) -> History {
        History::Latest
    }

    fn start(&mut self, identity: &Identity) -> Result<(), SinkError> {
        self.identity = Some(identity.clone());
        Ok(())
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        self.batches.push(batch);
        Ok(Ack::Accepted)
    }
}

/// Fills each server that is asked for.
pub(super) fn search(options: &SpeedOptions) -> Result<(Vec<SearchSpeedSummary>, Vec<String>)> {
    let (dir, run) = run_folder(&options.dir, "speed-search")?;
    let (kinds, skipped) = chosen(&options.servers);
    ensure!(!kinds.is_empty(), "no server is called `{}`, or none runs here", options.servers);
    let path = run.join("log.jsonl");
    let file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    crate::write_lines(file, options.rows, 1)?;
    let mut recorded = Recorded::default();
    replay(&path).run(&mut recorded)?;
    let servers = kinds.into_iter().map(|kind| one(kind, options, &dir, &run, &path, &recorded));
    Ok((servers.collect::<Result<_>>()?, skipped))
}

fn replay(path: &Path) -> Engine<ConversationSearch> {
    Engine::replay(ConversationSearch::default(), Log::file(path)).snapshot_complete(true)
}

fn one(
    kind: SearchKind,
    options: &SpeedOptions,
    dir: &Path,
    run: &Path,
    path: &Path,
    recorded: &Recorded,
) -> Result<SearchSpeedSummary> {
    let installed = SearchInstalled::install(dir, &[kind])?;
    let server = SearchServer::start(kind, &installed, &run.join(kind.label()), lasting_port()?, MUCH_MEMORY, &[])?;
    let filling = Filling { url: server.url(), recorded };
    // The server's program is compiled while it runs.
    filling.raw(BULKS[1])?;
    let mut summary = SearchSpeedSummary { server: kind.label(), ..SearchSpeedSummary::default() };
    for bulks in BULKS {
        let (mut raw, mut sink) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            // Each is first in turn.
            if round % 2 == 0 {
                raw.push(filling.raw(bulks)?);
                sink.push(filling.sink(bulks)?);
            } else {
                sink.push(filling.sink(bulks)?);
                raw.push(filling.raw(bulks)?);
            }
        }
        let speed = |of: fn(&Took) -> Filled| {
            let documents = raw.first().map_or(0, |took| of(took).documents);
            let rates = |all: &[Took]| all.iter().map(|took| documents as f64 / of(took).seconds).collect::<Vec<f64>>();
            let (mut raw, mut sink) = (rates(&raw), rates(&sink));
            let mut ratios: Vec<f64> = sink.iter().zip(&raw).map(|(sink, raw)| sink / raw).collect();
            let [raw, sink, sink_to_raw] = [&mut raw, &mut sink, &mut ratios].map(|values| at(values, 0.5));
            BulksSpeed { bulks, documents, raw, sink, sink_to_raw }
        };
        summary.load.push(speed(|took| took.load));
        summary.changes.push(speed(|took| took.changes));
    }
    filling.replayed(path, &mut summary)?;
    filling.paced(options, &mut summary)?;
    server.stop()?;
    Ok(summary)
}

/// Documents that were given, and how long it took until the index had them.
#[derive(Clone, Copy)]
struct Filled {
    documents: usize,
    seconds: f64,
}

/// What one filling of an index took.
#[derive(Clone, Copy)]
struct Took {
    load: Filled,
    changes: Filled,
}

struct Filling<'a> {
    url: String,
    recorded: &'a Recorded,
}

impl Filling<'_> {
    fn options(&self, alias: &str, bulks: usize) -> ElasticsearchOptions {
        ElasticsearchOptions { bulks_in_flight: bulks, ..ElasticsearchOptions::new(&self.url, alias) }
    }

    /// The snapshot, and what changed since.
    fn parts(&self) -> Result<(&[Batch], &[Batch])> {
        let first = self.recorded.batches.iter().position(|batch| !batch.touched.is_empty());
        Ok(self.recorded.batches.split_at(first.context("a log with documents")? + 1))
    }

    fn identity(&self) -> Result<&Identity> {
        self.recorded.identity.as_ref().context("the engine has started the sink")
    }

    /// By the sink.
    fn sink(&self, bulks: usize) -> Result<Took> {
        let alias = format!("sink-{bulks}");
        let mut sink = ElasticsearchSink::new(self.options(&alias, bulks))?;
        sink.start(self.identity()?)?;
        let (load, changes) = self.parts()?;
        let mut fill = |batches: &[Batch]| {
            let (batches, documents) = (batches.to_vec(), touched(batches));
            let begun = Instant::now();
            for batch in batches {
                sink.apply(batch)?;
            }
            sink.flush()?;
            anyhow::Ok(Filled { documents, seconds: begun.elapsed().as_secs_f64() })
        };
        let took = Took { load: fill(load)?, changes: fill(changes)? };
        sink.finish()?;
        self.delete(&alias)?;
        Ok(took)
    }

    /// By a raw client, into an index as the sink makes it.
    fn raw(&self, bulks: usize) -> Result<Took> {
        let alias = format!("raw-{bulks}");
        let options = self.options(&alias, bulks);
        let mut sink = ElasticsearchSink::new(options.clone())?;
        sink.start(self.identity()?)?;
        sink.finish()?;
        let (load, changes) = self.parts()?;
        let fill = |batches: &[Batch]| {
            let raw = Raw::new(batches, &options);
            let begun = Instant::now();
            raw.send()?;
            anyhow::Ok(Filled { documents: touched(batches), seconds: begun.elapsed().as_secs_f64() })
        };
        let took = Took { load: fill(load)?, changes: fill(changes)? };
        self.delete(&alias)?;
        Ok(took)
    }

    fn delete(&self, alias: &str) -> Result<()> {
        let request = ureq::delete(&format!("{}/{alias}-000001", self.url));
        request.config().proxy(None).build().call()?;
        Ok(())
    }

    /// Operations that the index of an alias has taken since it was made.
    fn operations(&self, alias: &str) -> Result<f64> {
        let request = ureq::get(&format!("{}/{alias}-000001/_stats/indexing", self.url));
        let stats: Value = request.config().proxy(None).build().call()?.body_mut().read_json()?;
        let number = |name: &str| stats.pointer(&format!("/_all/primaries/indexing/{name}")).and_then(Value::as_f64);
        number("index_total").zip(number("delete_total")).map(|(index, delete)| index + delete).context("counts")
    }

    /// By the engine, from a log.
    fn replayed(&self, path: &Path, summary: &mut SearchSpeedSummary) -> Result<()> {
        let mut sink = ElasticsearchSink::new(self.options("replayed", BULKS[1]))?;
        let report = replay(path).run(&mut sink)?;
        summary.operations_per_record_replayed = sink.status().operations as f64 / report.records as f64;
        self.delete("replayed")
    }

    /// By the engine, from transactions that are pushed: first as fast as it goes, then at a share of that.
    fn paced(&self, options: &SpeedOptions, summary: &mut SearchSpeedSummary) -> Result<()> {
        let mut log = Transactions::new(options.rows);
        let (sender, receiver) = record_channel();
        let tables = ["users", "conversations", "conversation_items"];
        let engine = tables.iter().fold(Engine::live(ConversationSearch::default(), receiver), |engine, table| {
            engine.partitions(format!("podium.public.{table}"), 3)
        });
        let engine = engine.prefix("podium").snapshot_complete(true).settle_ms(50);
        let run = engine.start(ElasticsearchSink::new(self.options("paced", BULKS[1]))?)?;
        let mut pushed = Pushed { sender, offsets: HashMap::new(), records: 0 };
        pushed.push(log.snapshot()?)?;
        let mut shown = Lsn(0);
        for _ in 0..SETTLING {
            let (records, end, _) = log.next()?;
            pushed.push(records)?;
            shown = end;
            if run.progress().exact_at.is_some() {
                break;
            }
        }
        ensure!(run.wait_until_durable(shown).is_ok(), "the snapshot is not there");

        let (mut transactions, mut rows) = (Vec::new(), 0);
        let mut last = shown;
        while rows < PEAK_ROWS / 2 {
            let (records, end, of) = log.next()?;
            transactions.push(records);
            (rows, last) = (rows + of, end);
        }
        let begun = Instant::now();
        transactions.into_iter().try_for_each(|records| pushed.push(records))?;
        ensure!(run.wait_until_durable(last).is_ok(), "the last transaction of the peak is not there");
        summary.peak_rows_per_second = rows as f64 / begun.elapsed().as_secs_f64();

        let rate = summary.peak_rows_per_second * options.share;
        let (mut transactions, mut rows) = (Vec::new(), 0);
        while (rows as f64) < rate * (WARM_UP + options.seconds) {
            let transaction = log.next()?;
            rows += transaction.2;
            transactions.push(transaction);
        }
        let (told, ends) = mpsc::channel::<(Lsn, Instant)>();
        let handle = (*run).clone();
        let acknowledged = thread::spawn(move || {
            let wait = |(end, pushed): (Lsn, Instant)| {
                handle.wait_until_durable(end)?;
                anyhow::Ok(pushed.elapsed().as_secs_f64() * 1e3)
            };
            ends.into_iter().map(wait).collect::<Result<Vec<f64>>>()
        });
        let before = (pushed.records, self.operations("paced")?);
        let begun = Instant::now();
        let mut due = 0.0;
        for (records, end, rows) in transactions {
            let wait = due - begun.elapsed().as_secs_f64();
            if wait > 0.0 {
                thread::sleep(Duration::from_secs_f64(wait));
            }
            let at = begun + Duration::from_secs_f64(due);
            due += rows as f64 / rate;
            pushed.push(records)?;
            if begun.elapsed().as_secs_f64() > WARM_UP {
                told.send((end, at)).context("whoever waits for acknowledgements has ended")?;
            }
        }
        summary.paced_rows_per_second = rows as f64 / begun.elapsed().as_secs_f64();
        drop(told);
        let mut took =
            acknowledged.join().map_err(|_| anyhow::anyhow!("who waits for acknowledgements panicked"))??;
        ensure!(!took.is_empty(), "no transaction was waited for");
        (summary.acknowledged_p50, summary.acknowledged_p99) = (at(&mut took, 0.5), at(&mut took, 0.99));
        let records = pushed.records - before.0;
        summary.operations_per_record_paced = (self.operations("paced")? - before.1) / records as f64;
        drop(pushed);
        run.join().0?;
        self.delete("paced")
    }
}

fn touched(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.touched.len()).sum()
}

/// Pushes records, each with the offset that is its own.
struct Pushed {
    sender: RecordSender,
    offsets: HashMap<(String, i32), u64>,
    records: u64,
}

impl Pushed {
    fn push(&mut self, records: Vec<Record>) -> Result<()> {
        for Record { topic, partition, key, payload, headers, .. } in records {
            let next = self.offsets.entry((topic.clone(), partition)).or_default();
            let record = deltaic::Record {
                topic,
                partition: u32::try_from(partition)?,
                offset: *next,
                headers,
                key: key.map(String::into_bytes),
                value: payload.map(String::into_bytes),
            };
            *next += 1;
            self.records += 1;
            self.sender.push(record).map_err(|ended| anyhow::anyhow!("{ended}"))?;
        }
        Ok(())
    }
}
