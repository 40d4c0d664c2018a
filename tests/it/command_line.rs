//! The real binary, from arguments to exit code: what a person, a script and a pipe see of it.
//!
//! All of it is told by the log in `examples/`, whose documents are known from Postgres (see `captures`).

mod refusals;
mod stops;

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tempfile::NamedTempFile;

/// The LSN of the example's initial snapshot and of its last END.
const BASE: u64 = 120_972_920;
const LAST: u64 = 126_403_376;

/// What standard input cannot tell of the example.
pub(super) const PARTITIONS: [&str; 6] = [
    "--partitions",
    "podium.public.users=3",
    "--partitions",
    "podium.public.conversations=3",
    "--partitions",
    "podium.public.conversation_items=3",
];

pub(super) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/podium/log.jsonl.zst")
}

/// The example's lines.
pub(super) static LOG: LazyLock<String> = LazyLock::new(|| {
    let bytes = zstd::decode_all(std::fs::File::open(example()).unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
});

/// What `replay` prints of the example.
pub(super) static DOCUMENTS: LazyLock<String> = LazyLock::new(|| replay(&[], &[&example()]).done().stdout);

/// What `replay --changes` prints of the example.
pub(super) static CHANGES: LazyLock<String> = LazyLock::new(|| replay(&["--changes"], &[&example()]).done().stdout);

/// A run that has ended.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ran {
    /// The run, which must have succeeded.
    pub(super) fn done(self) -> Ran {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Checks that nothing but `message` came of it.
    pub(super) fn check_refused(&self, code: i32, message: &str) {
        assert_eq!(self.code, Some(code), "{message}: {}", self.stderr);
        assert!(self.stderr.contains(message), "no `{message}` in: {}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert_eq!(self.stdout, "", "{message}");
    }

    /// Checks that the summary has a line that starts with these words, whatever the space between them.
    pub(super) fn check_summary(&self, line: &str) {
        assert!(self.has_summary(line), "no `{line}` in: {}", self.stderr);
    }

    fn has_summary(&self, line: &str) -> bool {
        self.summary().any(|found| found == line || found.starts_with(&format!("{line} ")))
    }

    fn summary(&self) -> impl Iterator<Item = String> {
        self.stderr.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The LSN that the documents are exact at.
    pub(super) fn exact_at(&self) -> u64 {
        self.summary()
            .find_map(|line| line.strip_prefix("exact at LSN ")?.parse().ok())
            .unwrap_or_else(|| panic!("{}", self.stderr))
    }
}

pub(super) fn deltaic() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltaic"));
    command.env_remove("DELTAIC_LOG");
    command
}

pub(super) fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(super) fn replay(args: &[&str], logs: &[&Path]) -> Ran {
    run(deltaic().arg("replay").args(args).args(logs))
}

/// Replays `log` as a file.
fn replay_text(args: &[&str], log: &str) -> Ran {
    replay(args, &[file(log.as_bytes()).path()])
}

/// Replays standard input, which holds `log`.
fn replay_stdin(args: &[&str], log: &[u8]) -> Ran {
    let mut child = deltaic()
        .args(["replay", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let log = log.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&log));
    let output = child.wait_with_output().unwrap();
    let _refused_early = writer.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

pub(super) fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// The example's lines from `from` up to but without `to`.
fn lines(from: usize, to: usize) -> String {
    LOG.split_inclusive('\n').skip(from).take(to - from).collect()
}

/// A line of `--changes`.
#[derive(Deserialize)]
struct Change<'a> {
    lsn: u64,
    op: &'a str,
    id: &'a str,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
}

fn changes_of(text: &str) -> impl Iterator<Item = Change<'_>> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// What `replay` prints where `--changes` prints `text`, up to and with `until`.
fn folded(text: &str, until: u64) -> String {
    let mut documents = BTreeMap::new();
    for change in changes_of(text).filter(|change| change.lsn <= until) {
        match (change.op, change.document) {
            ("upsert", Some(document)) => {
                documents.insert(change.id, document.get());
            }
            ("delete", None) => assert!(documents.remove(change.id).is_some(), "{} stood before it went", change.id),
            (op, _) => panic!("{op}"),
        }
    }
    documents.values().flat_map(|document| [*document, "\n"]).collect()
}

fn parsed(documents: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
    documents.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn documents_go_to_standard_output_and_the_summary_to_standard_error() {
    let ran = replay(&[], &[&example()]).done();
    let documents = parsed(&ran.stdout);
    assert_eq!(documents.len(), 884);
    let ids: Vec<&str> = documents.iter().map(|document| document["conversation_uid"].as_str().unwrap()).collect();
    assert!(ids.is_sorted(), "sorted by id");
    assert!(documents.iter().all(|document| document.len() == 3 && document.contains_key("user_uid")));
    ran.check_summary("documents 884");
    for step in ["finished", "needs_review", "needs_review_invite", "needs_review_response"] {
        let count = documents.iter().filter(|document| document["step"] == step).count();
        assert!(count > 0);
        ran.check_summary(&format!("{step} {count}"));
    }
    ran.check_summary(&format!("exact at LSN {LAST}"));
    ran.check_summary("transactions 1408 (1408 closed by counts, 0 by progress)");
    ran.check_summary("records 17903 (0 re-deliveries, 0 late rows, 0 bad)");
    ran.check_summary("open 0 transactions");
    ran.check_summary("seconds");
    assert!(!ran.has_summary("cut") && !ran.has_summary("stopped") && !ran.has_summary("torn"));
}

#[test]
fn any_number_of_workers_prints_the_same() {
    for workers in ["1", "2", "4"] {
        let documents = replay(&["--workers", workers], &[&example()]).done().stdout;
        assert!(documents == *DOCUMENTS, "{workers} workers");
        let changes = replay(&["--changes", "--workers", workers], &[&example()]).done().stdout;
        assert!(changes == *CHANGES, "--changes, {workers} workers");
    }
}

#[test]
fn plain_gzip_zstd_and_standard_input_print_the_same() {
    let zst = std::fs::read(example()).unwrap();
    let gz = gzipped(LOG.as_bytes());
    for log in [LOG.as_bytes(), &gz] {
        assert!(replay(&[], &[file(log).path()]).done().stdout == *DOCUMENTS);
    }
    for log in [LOG.as_bytes(), &gz, &zst] {
        let ran = replay_stdin(&["--prefix", "podium"], log).done();
        assert!(ran.stdout == *DOCUMENTS);
        ran.check_summary(&format!("exact at LSN {LAST}"));
    }
    let told = [&["--prefix", "podium", "--workers", "2"][..], &PARTITIONS].concat();
    let ran = replay_stdin(&told, LOG.as_bytes()).done();
    assert!(ran.stdout == *DOCUMENTS);
    ran.check_summary("transactions 1408");
}

#[test]
fn parts_in_their_order_are_one_log() {
    let (first, second, third) = (lines(0, 7_000), lines(7_000, 7_001), lines(7_001, usize::MAX));
    let parts = [file(first.as_bytes()), file(&gzipped(second.as_bytes())), file(third.as_bytes())];
    let paths = parts.each_ref().map(NamedTempFile::path);
    let ran = replay(&["--prefix", "podium"], &paths).done();
    assert!(ran.stdout == *DOCUMENTS);
    ran.check_summary("records 17903 (0 re-deliveries,");

    // A part given twice holds nothing new.
    let ran = replay(&[], &[paths[0], paths[1], paths[1], paths[2]]).done();
    assert!(ran.stdout == *DOCUMENTS);
}

#[test]
fn changes_are_in_the_order_of_transactions_and_make_the_documents() {
    assert!(changes_of(&CHANGES).map(|change| change.lsn).is_sorted());
    let (first, last) = (changes_of(&CHANGES).next().unwrap(), changes_of(&CHANGES).last().unwrap());
    assert_eq!((first.lsn, last.lsn), (BASE, LAST));
    assert!(changes_of(&CHANGES).any(|change| change.op == "delete"));
    assert!(folded(&CHANGES, LAST) == *DOCUMENTS);
}

#[test]
fn until_stops_at_the_last_transaction_that_ends_there_or_before() {
    let mut lsns: Vec<u64> = changes_of(&CHANGES).map(|change| change.lsn).collect();
    lsns.dedup();
    let middle = lsns[lsns.len() / 2];
    let at = [
        (BASE, "1"),
        (middle, "1"),
        (middle - 1, "2"),
        (middle + 1, "4"),
        (LAST - 1, "1"),
        (LAST, "2"),
        (u64::MAX, "1"),
    ];
    for (until, workers) in at {
        let ran = replay(&["--until", &until.to_string(), "--workers", workers], &[&example()]).done();
        assert!(ran.stdout == folded(&CHANGES, until), "--until {until}");
        // An END may change no document.
        let shown = lsns.iter().copied().filter(|lsn| *lsn <= until).max().unwrap();
        assert!((shown..=until).contains(&ran.exact_at()), "--until {until}: exact at {}", ran.exact_at());
        ran.check_summary("open 0 transactions");
        assert!(!ran.has_summary("stopped"));
    }
    let changes = replay(&["--changes", "--until", &middle.to_string()], &[&example()]).done().stdout;
    assert!(CHANGES.starts_with(&changes) && folded(&changes, u64::MAX) == folded(&CHANGES, middle));
}

#[test]
fn include_adds_a_field_to_every_document() {
    let ran = replay(&["--include", "users.name", "--include", "conversations.subject"], &[&example()]).done();
    let mut documents = parsed(&ran.stdout);
    for document in &mut documents {
        assert!(document.remove("name").is_some_and(|name| name.is_string()));
        assert!(document.remove("subject").is_some());
    }
    assert_eq!(documents, parsed(&DOCUMENTS));
}

#[test]
fn zero_items_only_adds_documents() {
    let ran = replay(&["--zero-items", "needs_review_invite"], &[&example()]).done();
    let without: Vec<&str> = DOCUMENTS.lines().collect();
    let with: Vec<&str> = ran.stdout.lines().collect();
    assert!(with.len() > without.len() && without.iter().all(|line| with.contains(line)));
    for added in with.iter().filter(|line| !without.contains(line)) {
        assert!(added.contains(r#""step":"needs_review_invite""#), "{added}");
    }
}

#[test]
fn a_cut_log_is_used_as_far_as_it_is_whole() {
    let zst = std::fs::read(example()).unwrap();
    let gz = gzipped(LOG.as_bytes());
    let (mut done, mut refused) = (0, 0);
    for log in [LOG.as_bytes(), &zst, &gz] {
        for permille in [40, 300, 600, 900, 999] {
            // GIVEN a log that stops in the middle of a line or of a frame
            let mut at = log.len() * permille / 1000;
            while log[at - 1] == b'\n' {
                at -= 1;
            }
            let ran = replay(&["--workers", "2"], &[file(&log[..at]).path()]);
            // THEN what is shown was true, and the summary says that there was more; or it is refused
            if ran.code == Some(0) {
                done += 1;
                ran.check_summary("cut");
                assert!(ran.stdout == folded(&CHANGES, ran.exact_at()));
            } else {
                refused += 1;
                // So early that no transaction was committed yet.
                ran.check_refused(1, "the log has no transaction topic");
            }
        }
    }
    assert!(done >= 6 && refused >= 3, "{done} done, {refused} refused");
}

#[test]
fn a_last_line_without_its_newline_is_whole() {
    let ran = replay_text(&[], LOG.trim_end()).done();
    assert!(ran.stdout == *DOCUMENTS && !ran.has_summary("cut"), "{}", ran.stderr);
}

#[test]
fn a_snapshot_that_some_partition_does_not_prove_is_taken_on_trust() {
    // GIVEN a log that ends inside the snapshot's proof
    let log = lines(0, 2_050);
    replay_text(&[], &log).check_refused(1, "give --snapshot-complete");
    // WHEN the user knows better
    let ran = replay_text(&["--snapshot-complete"], &log).done();
    // THEN it is shown
    assert!(ran.stdout == folded(&CHANGES, ran.exact_at()));
}

#[test]
fn a_bad_record_is_written_away_and_named() {
    // GIVEN the example with one row's column spoiled
    let is_update = |line: &str| line.contains("public.conversations\"") && line.contains(r#"\"op\":\"u\""#);
    let at = LOG.lines().position(is_update).unwrap();
    let spoiled = lines(at, at + 1).replace(r#"\"user_uid\":\""#, r#"\"user_uid\":4,\"was\":\""#);
    let log = file((lines(0, at) + &spoiled + &lines(at + 1, usize::MAX)).as_bytes());

    // WHEN it may not be skipped THEN its place and what is wrong are told
    let place = format!("({}, line {}): column `user_uid`: expected a uuid, found 4", log.path().display(), at + 1);
    replay(&[], &[log.path()]).check_refused(1, &place);

    // WHEN it may THEN it is kept whole, and the summary names the key
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("letters.jsonl");
    let ran = replay(&["--on-bad-record", &format!("dead-letter={}", letters.display())], &[log.path()]).done();
    ran.check_summary("records 17903 (0 re-deliveries, 0 late rows, 1 bad)");
    ran.check_summary("inexact 1 keys");
    assert!(ran.stderr.contains("  public.conversations {\"uid\":"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!(", line {})", at + 1)), "{}", ran.stderr);
    let letter: serde_json::Value = serde_json::from_slice(&std::fs::read(&letters).unwrap()).unwrap();
    assert_eq!(letter["record"].as_str(), Some(spoiled.trim_end()));
    assert_eq!(letter["reason"], "column `user_uid`: expected a uuid, found 4");
}
