//! A followed log: what has been there for a while, with all that was there read, is judged by what was read.

use super::*;

impl Stage {
    /// This one of two workers has read all up to the byte `at`, where the log ended at `ms`.
    fn all_read(&mut self, worker: usize, at: u64, ms: u64) {
        self.aligner.note(Fact::Mark { worker, of: 2, at, mark: Mark::AllRead { ms } }, &mut self.out).unwrap();
        self.aligner.advance(&mut self.out).unwrap();
    }

    /// Both have.
    fn end_of_log_at(&mut self, at: u64, ms: u64) {
        (0..2).for_each(|worker| self.all_read(worker, at, ms));
    }
}

/// The stage of a log of which nothing is known before, with a transaction whose rows are all there.
fn followed() -> Stage {
    let mut stage = stage_of(Restarts::Unknown);
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(USERS, 1)]);
    stage
}

#[test]
fn what_is_counted_closes_unproven_when_it_has_been_there_for_a_while() {
    let mut stage = followed();
    stage.end_of_log_at(1_000, 50);
    stage.end_of_log_at(1_000, 149);
    assert_eq!(stage.closed(), [""; 0], "it has been there for 99 milliseconds");
    stage.all_read(0, 1_000, 151);
    assert_eq!(stage.closed(), [""; 0], "the other worker may still read");
    stage.all_read(1, 1_000, 151);
    assert_eq!(stage.closed(), ["110", "120"]);
    let report = stage.aligner.report();
    assert_eq!((report.settled, report.closed_by_counts, report.closed_by_progress), (2, 0, 0));
}

#[test]
fn a_log_that_is_never_still_settles_too() {
    let mut stage = followed();
    stage.end_of_log_at(1_000, 50);
    // Others come and come; each waits for as long itself.
    for n in 0..4 {
        stage.row(USERS, 0, 1, (6 + n, 120 + 10 * n), 121 + 10 * n, 1);
        stage.end(6 + n, 130 + 10 * n, &[(USERS, 1)]);
        stage.end_of_log_at(1_100 + n, 60 + 25 * n);
    }
    assert_eq!(stage.closed(), [""; 0]);
    stage.end_of_log_at(1_200, 160);
    assert_eq!(stage.closed(), ["110", "120", "130"]);
    stage.end_of_log_at(1_200, 300);
    assert_eq!(stage.closed(), ["140", "150", "160"]);
    assert_eq!(stage.aligner.report().settled, 6);
}

/// Facts of two workers come in any order.
#[test]
fn what_a_worker_said_of_an_earlier_place_counts_for_no_later_one() {
    let mut stage = followed();
    stage.end_of_log_at(1_000, 0);
    stage.all_read(0, 2_000, 50);
    stage.all_read(0, 3_000, 150);
    stage.all_read(1, 2_000, 50);
    assert_eq!(stage.closed(), [""; 0], "worker 1 has not read what lies behind 2,000");
    stage.all_read(1, 3_000, 150);
    assert_eq!(stage.closed(), ["110", "120"]);
}

#[test]
fn what_misses_rows_or_bears_signs_does_not_settle() {
    let mut stage = followed();
    stage.row(USERS, 0, 1, (6, 120), 121, 1);
    stage.end(6, 130, &[(USERS, 2)]);
    [0, 100].into_iter().for_each(|ms| stage.end_of_log_at(1_000, ms));
    assert_eq!(stage.closed(), ["110", "120"]);
    // A row that a run wrote which resumed inside the transaction: its number is one that was there before.
    stage.row(USERS, 0, 2, (6, 120), 122, 1);
    [200, 300].into_iter().for_each(|ms| stage.end_of_log_at(1_100, ms));
    assert_eq!(stage.closed(), [""; 0]);
}

#[test]
fn what_was_missing_may_come_late() {
    let mut stage = followed();
    stage.row(USERS, 0, 1, (6, 120), 121, 1);
    stage.end(6, 130, &[(USERS, 2)]);
    [0, 100].into_iter().for_each(|ms| stage.end_of_log_at(1_000, ms));
    assert_eq!(stage.closed(), ["110", "120"]);
    stage.row(USERS, 0, 1, (6, 120), 122, 2);
    stage.end_of_log_at(1_100, 110);
    assert_eq!(stage.closed(), ["130"]);
}

/// Facts of two workers come in any order, and an END that came in between has not been there for as long.
#[test]
fn an_end_is_as_old_as_the_first_word_that_came_behind_it() {
    let mut stage = followed();
    stage.all_read(0, 1_000, 0);
    stage.row(USERS, 0, 1, (6, 120), 121, 1);
    stage.end(6, 130, &[(USERS, 1)]);
    stage.all_read(1, 1_000, 0);
    stage.end_of_log_at(1_100, 100);
    assert_eq!(stage.closed(), ["110", "120"]);
    stage.end_of_log_at(1_100, 200);
    assert_eq!(stage.closed(), ["130"]);
}

/// A worker that is always behind holds nothing up for ever.
#[test]
fn a_moment_counts_when_the_last_worker_has_come_to_it() {
    let mut stage = followed();
    for n in 0..10 {
        stage.all_read(0, 1_000 + n, 20 * n);
        stage.all_read(1, 1_000 + n.saturating_sub(3), 20 * n.saturating_sub(3));
    }
    assert_eq!(stage.closed(), ["110", "120"]);
}

/// What every partition has gone past is proven, in a log that is followed too.
#[test]
fn what_was_gone_past_is_not_settled() {
    let mut stage = followed();
    stage.go_past(120);
    assert_eq!(stage.closed(), ["110", "120"]);
    let report = stage.aligner.report();
    assert_eq!((report.settled, report.closed_by_progress), (0, 2));
}

/// Where the user says that the snapshot is whole, it is when a transaction behind it has settled.
#[test]
fn a_base_that_is_vouched_for_settles_with_the_first_transaction_behind_it() {
    for snapshot_complete in [false, true] {
        let options = AlignOptions { snapshot_complete, ..options() };
        let mut stage = before_the_base(options, Restarts::Unknown);
        stage.snapshot(USERS, 0, 1, 100);
        stage.row(USERS, 0, 1, (5, 100), 111, 1);
        stage.end(5, 120, &[(USERS, 1)]);
        stage.end_of_log_at(1_000, 0);
        stage.end_of_log_at(1_000, 99);
        assert_eq!(stage.closed(), [""; 0]);
        stage.end_of_log_at(1_000, 100);
        assert_eq!(stage.closed(), if snapshot_complete { vec!["base 100", "120"] } else { vec![] });
    }
}

/// What was vouched for and is not so ends the run: nothing is lost without a word.
#[test]
fn a_row_of_a_snapshot_that_was_vouched_for_may_not_come_late() {
    let mut stage = before_the_base(AlignOptions { snapshot_complete: true, ..options() }, Restarts::Unknown);
    stage.snapshot(USERS, 0, 1, 100);
    stage.row(USERS, 0, 1, (5, 100), 111, 1);
    stage.end(5, 120, &[(USERS, 1)]);
    [0, 100].into_iter().for_each(|ms| stage.end_of_log_at(1_000, ms));
    assert_eq!(stage.closed(), ["base 100", "120"]);
    // One that its partition delivers once more is known to be there.
    stage.snapshot(USERS, 0, 1, 100);
    let row =
        FactKind::Row { origin: Origin::Initial { lsn: Lsn(100), last: false }, run: Some(run_id(1)), truncate: false };
    let late = stage.try_fact(ITEMS, 1, row);
    assert_eq!(late, Err(AlignError::LateSnapshotRow { base: Lsn(100), table: "items".to_owned(), number: 1 }));
}

/// Rows of a snapshot may come from a silent partition at any time, whatever the user vouches for.
#[test]
fn a_base_alone_does_not_settle() {
    for (snapshot_complete, allow_partial_base) in [(false, false), (true, false), (false, true)] {
        let mut stage =
            before_the_base(AlignOptions { snapshot_complete, allow_partial_base, ..options() }, Restarts::Unknown);
        [0, 100].into_iter().for_each(|ms| stage.end_of_log_at(0, ms));
        stage.snapshot(USERS, 0, 1, 100);
        [200, 300].into_iter().for_each(|ms| stage.end_of_log_at(1_000, ms));
        stage.snapshot(USERS, 0, 1, 100);
        assert_eq!(stage.closed(), [""; 0], "the snapshot goes on");
        stage.go_past(100);
        assert_eq!(stage.closed(), ["base 100"], "every partition has shown a change");
    }
}
