//! The embedded index: at every commit it equals the query at the LSN it names, whatever happens to its writer.

mod concurrent;
mod continued;
mod rebuilt;
mod refusals;

use crate::captures::{CAPTURES, log_of, truth_of};
use crate::command_line::{deltaic, run};
use crate::support::digest_of;
use deltaic::dataflows::ConversationSearch;
use deltaic::{Engine, EngineOptions, Error, FinalLines, Index, IndexOptions, Log, Lsn, Report, Snapshot, TantivySink};
use harness::{Delivery, Documents, Scenario, deliver, kcat_line};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A commit for each batch.
const EACH: IndexOptions = IndexOptions {
    commit_interval_ms: 0,
    commit_changes_max: 20_000,
    commit_bytes_max: 32 << 20,
    threads: 1,
    thread_bytes: 15_000_000,
};

/// The view with every column that documents can carry.
fn wide() -> ConversationSearch {
    let include = ["users.name", "users.bio", "conversations.subject"];
    include.iter().try_fold(ConversationSearch::default(), |view, column| view.include(column)).unwrap()
}

/// A log, and how it is replayed.
#[derive(Clone)]
struct Replay {
    log: Log,
    options: EngineOptions,
}

impl Replay {
    fn of(log: &Path) -> Replay {
        Replay { log: Log::file(log), options: EngineOptions::default() }
    }

    /// The same with other options.
    fn but(&self, change: impl FnOnce(&mut EngineOptions)) -> Replay {
        let mut changed = self.clone();
        change(&mut changed.options);
        changed
    }

    /// The same in blocks of so many bytes.
    fn in_blocks(&self, block_bytes: usize) -> Replay {
        Replay { log: Log { block_bytes, ..self.log.clone() }, options: self.options.clone() }
    }

    fn until(&self, until: Option<Lsn>) -> Replay {
        self.but(|options| options.until = until)
    }

    fn engine(self, view: ConversationSearch) -> Engine<ConversationSearch> {
        Engine::replay(view, self.log).options(self.options)
    }
}

/// Replays into the index in `dir`.
fn fill(view: ConversationSearch, replay: Replay, dir: &Path, index: IndexOptions) -> Result<Report, Error> {
    let mut sink = TantivySink::open(dir, index).map_err(deltaic::SinkError::from)?;
    replay.engine(view).run(&mut sink)
}

/// What the JSON lines sink would write.
fn lines(view: ConversationSearch, replay: Replay) -> String {
    let mut out = Vec::new();
    replay.engine(view).run(&mut FinalLines::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

/// Every document of a snapshot, a line each.
fn dumped(snapshot: &Snapshot) -> String {
    snapshot.dump().unwrap().map(|document| document.unwrap().json + "\n").collect()
}

fn documents(snapshot: &Snapshot) -> Documents {
    let document = |stored: deltaic::Stored| (stored.id.to_string(), serde_json::from_str(&stored.json).unwrap());
    snapshot.dump().unwrap().map(|stored| document(stored.unwrap())).collect()
}

fn podium() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/podium/log.jsonl.zst")
}

/// A generated log of one connector run that closes whole, with the options to replay it.
fn generated(seed: u64, transactions: usize) -> (Scenario, tempfile::NamedTempFile, Replay) {
    let (mut workload, mut connector) = Scenario::random_options(seed);
    (workload.finale, workload.transactions) = (true, transactions);
    (workload.initial_users, workload.initial_conversations, workload.initial_items) = (10, 20, 60);
    connector.restarts = 0;
    let scenario = Scenario::generate(seed, workload, connector);
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    for record in deliver(&scenario.log, &Delivery::Production, &mut fastrand::Rng::with_seed(seed)) {
        writeln!(file, "{}", kcat_line(record)).unwrap();
    }
    file.flush().unwrap();
    let replay = Replay::of(file.path()).in_blocks(2_000).but(|options| {
        options.prefix = Some("podium".to_owned());
        options.partitions =
            scenario.log.partitions.iter().map(|(topic, count)| (topic.clone(), *count as u32)).collect();
        options.snapshot_complete = true;
    });
    (scenario, file, replay)
}

#[test]
fn the_index_holds_the_lines_that_the_json_lines_sink_writes() {
    let expected = lines(wide(), Replay::of(&podium()));
    for workers in [1, 2, 4] {
        let dir = tempfile::tempdir().unwrap();
        let replay = Replay::of(&podium()).but(|options| options.workers = workers);
        let report =
            fill(wide(), replay, dir.path(), IndexOptions { threads: workers, ..IndexOptions::default() }).unwrap();
        let index = Index::open(dir.path()).unwrap();
        let snapshot = index.snapshot();
        assert_eq!(dumped(&snapshot), expected, "{workers} workers");
        assert_eq!(snapshot.lsn(), report.exact_at);
        assert_eq!((report.resumed_at, report.nothing_new), (None, false));

        let stats = snapshot.stats().unwrap();
        assert_eq!((stats.view.as_str(), stats.prefix.as_str()), ("conversation_search", "podium"));
        assert_eq!(stats.documents, expected.lines().count() as u64);
        assert_eq!(stats.steps.values().sum::<u64>(), stats.documents);
        assert_eq!((stats.lsn, stats.records), (report.exact_at, report.records));
        assert!(stats.segments < 20 && stats.bytes > 0, "{stats:?}");
    }
}

#[test]
fn every_document_is_found() {
    let dir = tempfile::tempdir().unwrap();
    fill(wide(), Replay::of(&podium()), dir.path(), IndexOptions::default()).unwrap();
    let snapshot = Index::open(dir.path()).unwrap().snapshot();
    let all = documents(&snapshot);
    let count =
        |fits: &dyn Fn(&serde_json::Value) -> bool| all.values().filter(|document| fits(document)).count() as u64;
    let total = |query: &str| snapshot.search(query, 3).unwrap().total;

    for (id, document) in &all {
        let stored = snapshot.get(id).unwrap().unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&stored.json).unwrap(), *document);
    }
    assert_eq!(snapshot.get("nobody").unwrap(), None);
    assert_eq!((total("*"), total(""), total("nowhere_at_all")), (all.len() as u64, 0, 0));
    for step in ["needs_review_invite", "needs_review", "finished", "needs_review_response"] {
        assert_eq!(total(&format!("step:{step}")), count(&|document| document["step"] == step), "{step}");
    }
    let (id, one) = all.iter().next().unwrap();
    assert_eq!(snapshot.search(id, 10).unwrap().hits.next().unwrap().unwrap().document.id.to_string(), *id);
    let user = one["user_uid"].as_str().unwrap();
    assert_eq!(total(&format!("user_uid:{user}")), count(&|document| document["user_uid"] == user));
    // A column that is passed on is found by its words.
    let has = |document: &serde_json::Value, word: &str| {
        let name = document["name"].as_str().unwrap_or_default().to_lowercase();
        name.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
    };
    let words = one["name"].as_str().unwrap().to_lowercase();
    let word = words.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap();
    let found = snapshot.search(&format!("name:{word}"), usize::MAX).unwrap();
    assert_eq!(found.total, count(&|document| has(document, word)), "{word}");
    assert!(found.total > 0 && found.hits.len() as u64 == found.total);
    assert_eq!(
        total(&format!("name:{word} -step:finished")) + total(&format!("name:{word} step:finished")),
        found.total
    );
}

#[test]
fn an_index_stopped_at_any_lsn_equals_postgres_there() {
    let mut rng = fastrand::Rng::with_seed(4);
    for (capture, _) in CAPTURES {
        let (log, truth) = (log_of(capture), truth_of(capture));
        let mut stops: Vec<usize> = (0..3).map(|_| rng.usize(..truth.len())).collect();
        stops.sort_unstable();
        // One index that goes on, by the library; and one that is filled from nothing, by the command.
        let going_on = tempfile::tempdir().unwrap();
        for truth in stops.into_iter().map(|stop| &truth[stop]) {
            let workers = rng.choice([1, 2, 4]).unwrap();
            let commit_interval_ms = rng.choice([0, 5, 50]).unwrap();
            let block_bytes = rng.choice([2_000, 200_000]).unwrap();
            let replay = Replay::of(&log).in_blocks(block_bytes).but(|options| {
                (options.until, options.workers) = (Some(Lsn(truth.lsn)), workers);
            });
            let index = IndexOptions { commit_interval_ms, ..IndexOptions::default() };
            fill(ConversationSearch::default(), replay, going_on.path(), index).unwrap();
            let snapshot = Index::open(going_on.path()).unwrap().snapshot();
            assert!(snapshot.lsn().is_some_and(|lsn| lsn.0 <= truth.lsn));

            let from_nothing = tempfile::tempdir().unwrap();
            let (until, workers) = (truth.lsn.to_string(), workers.to_string());
            let args = ["replay", "--until", &until, "--workers", &workers, "--index"];
            run(deltaic().args(args).arg(from_nothing.path()).arg(&log)).done();
            let dump = run(deltaic().arg("dump").arg(from_nothing.path())).done().stdout;
            for lines in [dumped(&snapshot), dump] {
                let digest = digest_of(lines.lines().map(|line| {
                    let document: serde_json::Value = serde_json::from_str(line).unwrap();
                    ["conversation_uid", "user_uid", "step"].map(|field| document[field].as_str().unwrap().to_owned())
                }));
                let found = (lines.lines().count(), digest);
                assert_eq!(found, (truth.n_docs, truth.digest.clone()), "{capture} at LSN {}", truth.lsn);
            }
        }
    }
}
