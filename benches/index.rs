//! The embedded index: documents/s into it, how long a commit takes, how long until a change is found, bytes per document.
//!
//! | part | how |
//! |---|---|
//! | fill | a generated log, from the file to the committed index, against the same log to a null sink |
//! | commits | changes of documents in batches of a given size, a commit for each |
//! | peak | changes in batches of `PACED_BATCH`, given as fast as the sink takes them, commits at the default cadence |
//! | change to searchable | the same at a tenth and at half of the peak: from the moment a batch is due to the moment a reader that reloads after each commit has it |
//!
//! The last three give the sink its batches as the engine does, without the engine: a log has no clock. `DELTAIC_BENCH_ROWS`
//! sets the size of the log in rows (default 560,000); the index of the other parts holds `DOCUMENTS` documents, and each
//! changes one at a time, drawn evenly. Indexes are made below `target/`, so the disk is the one that is built on.

#![expect(clippy::print_stdout, reason = "a bench that prints its figures")]

use deltaic::dataflows::{ConversationSearch, Uuid, Value};
use deltaic::{
    Ack, Action, Batch, Document, DocumentId, Engine, Identity, Index, IndexOptions, LatestSnapshot, Log, NullSink,
    Sink, TantivySink, Time, Touch,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DOCUMENTS: u64 = 200_000;
const BASE: Time = 1 << 24;
const PACED_BATCH: u64 = 20;
const SECONDS: f64 = 10.0;

// That of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let rows = std::env::var("DELTAIC_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(560_000);
    fill(rows);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    println!("\n{:<46} {:>9} {:>9} {:>9} {:>12}", "", "p50 ms", "p99 ms", "commits", "changes/s");
    let mut writer = Writer::new(&folder.path().join("index"));
    for (size, commits) in [(1, 200), (100, 200), (1_000, 100), (10_000, 20)] {
        writer.commits(size, commits);
    }
    drop(writer);
    let peak = Writer::new(&folder.path().join("paced")).peak();
    for share in [0.1, 0.5] {
        Writer::new(&folder.path().join(format!("paced-{share}"))).paced(peak * share, share);
    }
}

/// From the log to the index.
fn fill(rows: u64) {
    let log = log(rows);
    let replay = |sink: &mut dyn FnMut(Engine<ConversationSearch>)| {
        let started = Instant::now();
        sink(Engine::replay(ConversationSearch::default(), Log::file(&log)).snapshot_complete(true));
        started.elapsed().as_secs_f64()
    };
    let mut touched = 0;
    let null = replay(&mut |engine| {
        let mut sink = NullSink::default();
        engine.run(&mut sink).expect("the log is good");
        touched = sink.touched;
    });
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    let filled = replay(&mut |engine| {
        let mut sink = TantivySink::open(folder.path(), IndexOptions::default()).expect("an index can be made");
        engine.run(&mut sink).expect("the log is good");
    });
    let stats = Index::open(folder.path()).and_then(|index| index.snapshot().stats()).expect("the index is whole");
    println!(
        "fill: {rows} rows, {touched} changes of documents; {filled:.1} s, {:.0} changes/s, {} commits (null sink: {null:.1} s)",
        touched as f64 / filled,
        stats.commits
    );
    println!(
        "  {} documents in {} segments, {} deleted; {:.0} bytes/document",
        stats.documents,
        stats.segments,
        stats.deleted,
        stats.bytes as f64 / stats.documents as f64
    );
}

fn log(rows: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("bench-{rows}.jsonl.zst"));
    if !path.exists() {
        let whole = folder.join(format!("bench-{rows}.part"));
        harness::write_large(&whole, rows, 1).expect("the log can be written");
        std::fs::rename(&whole, &path).expect("the log can be named");
    }
    path
}

/// An index of `DOCUMENTS` documents, and somebody who changes them.
struct Writer {
    sink: TantivySink,
    latest: LatestSnapshot,
    identity: Identity,
    upper: Time,
    rng: fastrand::Rng,
}

impl Writer {
    fn new(dir: &Path) -> Writer {
        let view = ConversationSearch::default().include("users.name").expect("a column");
        let identity = Identity::new(&view, "bench");
        let mut sink = open(dir, &identity, IndexOptions::default());
        let latest = sink.latest().expect("the index is made at the start");
        let mut rng = fastrand::Rng::with_seed(1);
        let touched = (0..DOCUMENTS).map(|number| touch(&identity, number, BASE, &mut rng)).collect();
        let batch = Batch { lower: 0, upper: BASE + 1, touched, base: BASE, documents: DOCUMENTS, ..Batch::default() };
        let started = Instant::now();
        sink.apply(batch).and_then(|_| sink.flush()).expect("the disk has room");
        let seconds = started.elapsed().as_secs_f64();
        println!("{:<46} {:>42.0}", format!("base of {DOCUMENTS} documents, one commit"), DOCUMENTS as f64 / seconds);
        Writer { sink, latest, identity, upper: BASE + 1, rng }
    }

    /// A batch that changes `size` documents.
    fn batch(&mut self, size: u64) -> Batch {
        let (lower, upper) = (self.upper, self.upper + 1);
        self.upper = upper;
        let mut numbers: Vec<u64> = (0..size).map(|_| self.rng.u64(..DOCUMENTS)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let touched = numbers.iter().map(|number| touch(&self.identity, *number, lower, &mut self.rng)).collect();
        Batch { lower, upper, touched, base: BASE, documents: DOCUMENTS, ..Batch::default() }
    }

    fn commits(&mut self, size: u64, commits: usize) {
        let mut took = Vec::with_capacity(commits);
        let begun = Instant::now();
        for _ in 0..commits {
            let batch = self.batch(size);
            let started = Instant::now();
            self.sink.apply(batch).and_then(|_| self.sink.flush()).expect("the disk has room");
            took.push(started.elapsed());
        }
        let rate = size as f64 * commits as f64 / begun.elapsed().as_secs_f64();
        print(&format!("commit of {size} changes"), &mut took, commits, rate);
    }

    /// Changes a second when nothing is waited for.
    fn peak(&mut self) -> f64 {
        let (mut changes, mut took) = (0u64, Vec::new());
        let begun = Instant::now();
        while begun.elapsed().as_secs_f64() < SECONDS {
            let batch = self.batch(PACED_BATCH);
            changes += batch.touched.len() as u64;
            if self.sink.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
                let started = Instant::now();
                self.sink.flush().expect("the disk has room");
                took.push(started.elapsed());
            }
            self.sink.apply(batch).expect("the disk has room");
        }
        self.sink.flush().expect("the disk has room");
        let rate = changes as f64 / begun.elapsed().as_secs_f64();
        let commits = took.len();
        print(&format!("peak, batches of {PACED_BATCH}: a commit"), &mut took, commits, rate);
        rate
    }

    /// How long a change takes until it is found, at so many changes a second.
    fn paced(&mut self, rate: f64, share: f64) {
        let between = Duration::from_secs_f64(PACED_BATCH as f64 / rate);
        let begun = Instant::now();
        let (mut due, mut waiting, mut took) = (begun, Vec::new(), Vec::new());
        let mut commits = 0;
        while begun.elapsed().as_secs_f64() < SECONDS || !waiting.is_empty() {
            let now = Instant::now();
            let deadline = self.sink.deadline();
            let durable = if deadline.is_some_and(|deadline| deadline <= now) {
                self.sink.flush().expect("the disk has room")
            } else if due <= now && begun.elapsed().as_secs_f64() < SECONDS {
                let batch = self.batch(PACED_BATCH);
                waiting.push((batch.upper, due));
                due += between;
                self.sink.apply(batch).expect("the disk has room")
            } else {
                let next = deadline.map_or(due, |deadline| deadline.min(due));
                std::thread::sleep(next.saturating_duration_since(now).min(Duration::from_millis(5)));
                continue;
            };
            if durable == Ack::Durable {
                commits += 1;
                let lsn = self.latest.get().and_then(|snapshot| snapshot.lsn()).map_or(0, |lsn| lsn.0);
                let found = Instant::now();
                took.extend(waiting.extract_if(.., |(upper, _)| *upper <= lsn + 1).map(|(_, due)| found - due));
            }
        }
        print(&format!("change to searchable at {share} of the peak"), &mut took, commits, rate);
    }
}

fn open(dir: &Path, identity: &Identity, options: IndexOptions) -> TantivySink {
    let mut sink = TantivySink::open(dir, options).expect("an index can be made");
    sink.start(identity).expect("it is new");
    sink
}

fn touch(identity: &Identity, number: u64, time: Time, rng: &mut fastrand::Rng) -> Touch {
    let uid = |kind: u64, number: u64| {
        let mut rng = fastrand::Rng::with_seed(number * 2 + kind);
        Uuid(rng.u128(..).to_be_bytes())
    };
    let step = rng.choice(["needs_review_invite", "needs_review", "finished", "needs_review_response"]);
    let name = ["Ada", "Grace", "Edsger", "Barbara", "Tony"].map(|name| format!("{name} {}", number / 10 % 1000));
    let values = [
        Value::Uuid(uid(0, number / 10)),
        Value::Uuid(uid(1, number)),
        Value::Text(step.unwrap_or("finished").into()),
        Value::Text(rng.choice(name).unwrap_or_default().into()),
    ];
    let document = Document { schema: std::sync::Arc::clone(&identity.schema), values: values.into() };
    Touch { time, id: DocumentId(uid(1, number).to_string().into()), action: Action::Upsert(document) }
}

fn print(name: &str, took: &mut [Duration], commits: usize, rate: f64) {
    took.sort_unstable();
    let at = |share: f64| {
        let place = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    };
    println!("{name:<46} {:>9.1} {:>9.1} {commits:>9} {rate:>12.0}", at(0.5), at(0.99));
}
