//! Logs that something is wrong with: here records that cannot be used; in `order` rows that come too late or twice, ENDs
//! that are missing or fall back. What is shown stays true, or the report says from where on it may not be.

pub mod log;
mod order;

use crate::support::mirror::Mirror;
use crate::support::{Documents, EveryState, text};
use deltaic::{
    AlignError, BadLine, BadReason, Engine, EngineOptions, Error, Inexact, InexactCause, Lsn, OnBadRecord, Report,
};
use log::{BASE, Log, Row, end, uid};
use std::path::Path;

/// What a replay showed: the names of users at each LSN of interest, and how it ended.
struct Replayed {
    /// Each state with the LSN before which it held.
    states: Vec<(u64, Names)>,
    outcome: Result<Report, Error>,
}

/// Number and name of each user.
type Names = Vec<(u32, String)>;

impl Replayed {
    fn report(&self) -> &Report {
        self.outcome.as_ref().unwrap()
    }

    fn error(&self) -> &Error {
        self.outcome.as_ref().unwrap_err()
    }

    /// Users as of the END of `tx`.
    fn at(&self, tx: u64) -> &Names {
        let (_, names) = self.states.iter().find(|(before, _)| *before > end(tx)).expect("it was shown");
        names
    }

    /// Users as they were shown last.
    fn last(&self) -> &Names {
        &self.states.last().expect("something was shown").1
    }
}

fn names(documents: &Documents) -> Names {
    let user = |uid: String, name: String| (uid.rsplit('0').next().unwrap().parse().unwrap(), name);
    documents.values().map(|document| user(text(document, "uid"), text(document, "0.name"))).collect()
}

fn users<const N: usize>(users: [(u32, &str); N]) -> Names {
    users.map(|(key, name)| (key, name.to_owned())).into()
}

const STARTED: [(u32, &str); 4] = [(1, "one"), (2, "two"), (3, "three"), (4, "four")];

/// Replays a log in small blocks.
fn replay(log: &Log, change: impl FnOnce(&mut EngineOptions)) -> Replayed {
    let file = log.file();
    let small = deltaic::Log { block_bytes: 200, ..deltaic::Log::file(file.path()) };
    let mut options = EngineOptions::default();
    change(&mut options);
    let mut states = Vec::new();
    let mut sink = EveryState::new(|before, documents: &Documents| states.push((before, names(documents))));
    let outcome = Engine::replay(Mirror, small).options(options).run(&mut sink);
    Replayed { states, outcome }
}

/// Replays with a file of dead letters, whose lines are given too.
fn replay_skipping(log: &Log, workers: usize) -> (Replayed, Vec<serde_json::Value>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.jsonl");
    let replayed = replay(log, |options| {
        options.on_bad_record = OnBadRecord::DeadLetter(path.clone());
        options.workers = workers;
    });
    let letters = std::fs::read_to_string(&path).unwrap_or_default();
    (replayed, letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn key(key: u32) -> Option<String> {
    Some(format!("{{\"uid\":\"{}\"}}", uid(key)))
}

fn place(inexact: &Inexact) -> (Option<&str>, Option<String>, u64) {
    (inexact.table.as_deref(), inexact.key.clone(), inexact.after.0)
}

fn check_closed(report: &Report, by_counts: u64, by_progress: u64, open: &[u64]) {
    let found: Vec<u64> = report.open.iter().map(|open| open.txid).collect();
    assert_eq!(
        (report.closed_by_counts, report.closed_by_progress, &*found),
        (by_counts, by_progress, open),
        "{report:?}"
    );
    assert_eq!(report.transactions(), by_counts + by_progress);
}

/// Transaction 2 spoils user 1's name, and 3 changes 2's.
fn with_bad_name() -> Log {
    let mut log = Log::started();
    log.row_with_bad_name(Row::new(0, "u", 1, "", 2, 1));
    log.row(Row::new(1, "u", 4, "fourth", 2, 2));
    log.end(2, 2);
    log.row(Row::new(1, "u", 2, "second", 3, 1));
    log.end(3, 1);
    log
}

#[test]
fn a_bad_record_stops_the_run_and_is_told_by_its_place() {
    let log = with_bad_name();
    let file = log.file();
    let name = file.path().display().to_string();
    let mut sink = EveryState::new(|_, _: &Documents| {});
    let error = Engine::replay(Mirror, deltaic::Log::file(file.path())).run(&mut sink).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "bad record at topic podium.public.users, partition 0, offset 2 ({name}, line 6): column `name`: expected text, found 7"
        )
    );
    let Error::BadRecord(bad) = error else { panic!("{error}") };
    let location = &bad.location;
    assert_eq!((location.topic.as_str(), location.partition, location.offset), ("podium.public.users", 0, 2));
    assert_eq!((&location.line, &bad.key), (&Some((name, 6)), &key(1)));
}

#[test]
fn what_was_shown_before_a_bad_record_is_exact() {
    let mut log = Log::started();
    log.row(Row::new(0, "u", 1, "first", 2, 1));
    log.pause();
    log.unreadable(0, 1);
    let replayed = replay(&log, |_| {});
    assert!(matches!(replayed.error(), Error::BadRecord(_)), "{}", replayed.error());
    assert_eq!(*replayed.last(), users(STARTED));
}

#[test]
fn a_bad_column_leaves_the_key_its_last_good_row() {
    for workers in [1, 2, 4] {
        let log = with_bad_name();
        let (replayed, letters) = replay_skipping(&log, workers);
        // The transaction is counted whole: it closes, with what else it did.
        let report = replayed.report();
        check_closed(report, 3, 0, &[]);
        assert_eq!(*replayed.at(2), users([(1, "one"), (2, "two"), (3, "three"), (4, "fourth")]));
        assert_eq!(*replayed.last(), users([(1, "one"), (2, "second"), (3, "three"), (4, "fourth")]));
        // The report says which key, and since when.
        assert_eq!((report.bad, report.exact_at), (1, Some(Lsn(end(3)))));
        assert_eq!(report.inexact.iter().map(place).collect::<Vec<_>>(), [(Some("public.users"), key(1), end(1))]);
        // Nothing of the record is lost.
        let [letter] = &letters[..] else { panic!("{letters:?}") };
        assert_eq!(letter["reason"], "column `name`: expected text, found 7");
        assert_eq!(
            (&letter["topic"], &letter["partition"], &letter["offset"]),
            (&"podium.public.users".into(), &0.into(), &2.into())
        );
        assert_eq!((&letter["record"], &letter["line"]), (&log.lines[5].as_str().into(), &6.into()));
        assert!(letter["file"].is_string());
    }
}

#[test]
fn a_good_row_after_a_bad_one_is_applied() {
    let mut log = with_bad_name();
    log.row(Row::new(0, "u", 1, "first", 4, 1));
    log.end(4, 1);
    let (replayed, _) = replay_skipping(&log, 1);
    assert_eq!(replayed.last()[0], (1, "first".to_owned()));
    check_closed(replayed.report(), 4, 0, &[]);
}

#[test]
fn an_unreadable_record_leaves_its_transaction_to_progress() {
    for workers in [1, 2, 4] {
        // GIVEN a transaction of two rows, one of which cannot be placed
        let mut log = Log::started();
        log.unreadable(0, 1);
        log.row(Row::new(1, "u", 2, "second", 2, 2));
        log.end(2, 2);
        // WHEN both partitions show that they are past it
        log.row(Row::new(0, "u", 3, "third", 3, 1));
        log.row(Row::new(1, "u", 4, "fourth", 3, 2));
        log.end(3, 2);
        // THEN it closes by that
        let (replayed, letters) = replay_skipping(&log, workers);
        check_closed(replayed.report(), 2, 1, &[]);
        assert_eq!(*replayed.at(2), users([(1, "one"), (2, "second"), (3, "three"), (4, "four")]));
        assert_eq!(*replayed.last(), users([(1, "one"), (2, "second"), (3, "third"), (4, "fourth")]));
        let report = replayed.report();
        assert_eq!(report.inexact.iter().map(place).collect::<Vec<_>>(), [(Some("public.users"), key(1), end(0))]);
        assert_eq!((letters.len(), &letters[0]["record"]), (1, &log.lines[5].as_str().into()));
    }
}

#[test]
fn an_unreadable_record_keeps_its_transaction_open_until_every_partition_is_past_it() {
    for workers in [1, 2, 4] {
        // GIVEN as before, but the log ends, or only one partition goes on
        let mut log = Log::started();
        log.unreadable(0, 1);
        log.row(Row::new(1, "u", 2, "second", 2, 2));
        log.end(2, 2);
        let ends = log.clone();
        let mut one_goes_on = log;
        one_goes_on.row(Row::new(0, "u", 3, "third", 3, 1));
        one_goes_on.end(3, 1);
        // THEN it stays open, and what follows with it
        for (log, open) in [(&ends, &[2][..]), (&one_goes_on, &[2, 3])] {
            let (replayed, _) = replay_skipping(log, workers);
            let report = replayed.report();
            check_closed(report, 1, 0, open);
            assert_eq!((*replayed.last() == users(STARTED), report.exact_at), (true, Some(Lsn(end(1)))));
            assert!(
                report.open[0].missing[0].starts_with("public.users: 1 of 2 rows; no later row yet in partition"),
                "{report:?}"
            );
            assert_eq!(report.open[0].end, Lsn(end(2)));
        }
    }
}

#[test]
fn a_bad_row_of_the_snapshot_is_missing_from_the_start() {
    let mut log = Log::default();
    log.snapshot(0, 1, BASE);
    log.lines[0] = log.lines[0].replace(r#"\"name\":\"one\""#, r#"\"name\":false"#);
    log.snapshot(1, 2, BASE);
    let (replayed, _) = {
        let rest = Log::started();
        log.lines.extend_from_slice(&rest.lines[2..]);
        replay_skipping(&log, 2)
    };
    assert_eq!(*replayed.at(0), users([(2, "two")]));
    let report = replayed.report();
    assert_eq!(report.inexact.iter().map(place).collect::<Vec<_>>(), [(Some("public.users"), key(1), 0)]);
    check_closed(report, 1, 0, &[]);
}

/// Transaction 2 changes user 1, in line 6, and 3 goes past it in both partitions.
fn with_two_transactions() -> Log {
    let mut log = Log::started();
    log.row(Row::new(0, "u", 1, "first", 2, 1));
    log.end(2, 1);
    log.row(Row::new(0, "u", 3, "third", 3, 1));
    log.row(Row::new(1, "u", 4, "fourth", 3, 2));
    log.end(3, 2);
    log
}

#[test]
fn a_line_that_is_no_record_is_of_an_unknown_key() {
    // GIVEN a row's line that is spoiled
    let mut log = with_two_transactions();
    log.lines[5].truncate(100);
    let stopped = replay(&log, |_| {});
    assert!(stopped.error().to_string().contains(", line 6: not a line of `kcat -C -J`"), "{}", stopped.error());
    // WHEN it may be skipped THEN its transaction closes by progress alone
    let (replayed, letters) = replay_skipping(&log, 1);
    check_closed(replayed.report(), 2, 1, &[]);
    let report = replayed.report();
    assert_eq!(report.inexact.iter().map(place).collect::<Vec<_>>(), [(None, None, 0)]);
    assert_eq!((&letters[0]["record"], &letters[0]["line"]), (&log.lines[5].as_str().into(), &6.into()));
}

#[test]
fn a_partition_that_no_topic_has_is_a_bad_record() {
    // GIVEN a row's line whose partition is impossible: taken at its word, the topic would have four thousand million
    let mut log = with_two_transactions();
    log.lines[5] = log.lines[5].replace("\"partition\":0", "\"partition\":4294967295");
    for workers in [1, 2] {
        // THEN the run stops there and names it
        let stopped = replay(&log, |options| options.workers = workers);
        let Error::BadRecord(bad) = stopped.error() else { panic!("{}", stopped.error()) };
        let BadReason::Line(BadLine::Partition { topic, partition, offset }) = &bad.reason else { panic!("{bad}") };
        assert_eq!((topic.as_str(), *partition, *offset), ("podium.public.users", 4_294_967_295, 2));
        assert_eq!(bad.location.line.as_ref().map(|(_, line)| *line), Some(6));
        // AND where it may be skipped, its transaction closes by progress alone.
        let (replayed, letters) = replay_skipping(&log, workers);
        check_closed(replayed.report(), 2, 1, &[]);
        assert_eq!((letters.len(), &letters[0]["line"]), (1, &6.into()));
    }
    // An END is never skipped.
    log.lines[6] = log.lines[6].replace("\"partition\":0", "\"partition\":65536");
    let (replayed, _) = replay_skipping(&log, 1);
    assert!(replayed.error().to_string().contains("partition 65536, offset 1"), "{}", replayed.error());
}

#[test]
fn a_bad_begin_or_end_is_always_fatal() {
    for bad in [
        "{\"status\":\"END\"",
        "{\"status\":\"END\",\"id\":\"2\",\"data_collections\":[]}",
        "{\"status\":\"END\",\"id\":\"2:x\",\"data_collections\":[]}",
        "{\"status\":\"END\",\"data_collections\":[]}",
        "{\"status\":\"BEGIN\",\"id\":7",
        "{\"status\":\"BEGUN\",\"id\":\"2:20001500\"}",
        "{\"id\":\"2:20001500\"}",
    ] {
        let mut log = Log::started();
        log.begin(2);
        log.transaction(bad);
        for workers in [1, 2] {
            let (replayed, letters) = replay_skipping(&log, workers);
            let Error::BadRecord(found) = replayed.error() else { panic!("{bad}: {}", replayed.error()) };
            assert_eq!((found.location.topic.as_str(), found.location.offset), ("podium.transaction", 2), "{bad}");
            assert_eq!(letters.len(), 0, "{bad}");
        }
    }
}

#[test]
fn a_line_that_is_no_record_is_fatal_where_it_may_be_an_end() {
    // GIVEN an END whose line is cut, or written in base64, but starts with its topic
    let spoils: [fn(&mut String); 2] =
        [|line| line.truncate(100), |line| *line = line.replace("\"payload\"", "\"payload_b64\"")];
    for spoil in spoils {
        let mut log = Log::started();
        log.end(2, 0);
        log.end(3, 0);
        spoil(&mut log.lines[5]);
        // THEN it is not skipped: nothing else would tell what is lost
        let (replayed, letters) = replay_skipping(&log, 2);
        assert!(replayed.error().to_string().contains(", line 6: "), "{}", replayed.error());
        assert_eq!(letters.len(), 0);
    }
}

#[test]
fn several_bad_records_are_each_written_and_named() {
    for workers in [1, 2, 4] {
        let mut log = with_bad_name();
        log.row_with_bad_name(Row::new(1, "u", 2, "", 4, 1));
        log.row_with_bad_name(Row::new(0, "c", 5, "", 4, 2));
        log.end(4, 2);
        let (replayed, letters) = replay_skipping(&log, workers);
        let report = replayed.report();
        check_closed(report, 4, 0, &[]);
        let expected =
            [(1, end(1)), (2, end(3)), (5, end(3))].map(|(user, after)| (Some("public.users"), key(user), after));
        assert_eq!((report.bad, report.inexact.iter().map(place).collect::<Vec<_>>()), (3, expected.to_vec()));
        let mut records: Vec<&str> = letters.iter().map(|letter| letter["record"].as_str().unwrap()).collect();
        records.sort_by_key(|record| log.lines.iter().position(|line| line == record));
        assert_eq!(records, [&log.lines[5], &log.lines[10], &log.lines[11]]);
        assert_eq!(replayed.last()[1], (2, "second".to_owned()));
    }
}

#[test]
fn dead_letters_are_appended() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{\"earlier\":1}\n").unwrap();
    let to = OnBadRecord::DeadLetter(file.path().to_owned());
    replay(&with_bad_name(), |options| options.on_bad_record = to).outcome.unwrap();
    let letters = std::fs::read_to_string(file.path()).unwrap();
    assert!(letters.starts_with("{\"earlier\":1}\n{\"reason\":") && letters.lines().count() == 2);
}

#[test]
fn dead_letters_that_cannot_be_written_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/letters.jsonl");
    let to = OnBadRecord::DeadLetter(path.clone());
    let replayed = replay(&with_bad_name(), |options| options.on_bad_record = to);
    let error = replayed.error();
    assert!(matches!(error, Error::DeadLetters { path: named, .. } if Path::new(named) == path), "{error}");
    assert!(error.to_string().starts_with("cannot write dead letters to "));
}
