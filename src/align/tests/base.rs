//! The initial snapshot: when it is complete, and when a log without one is right.

use super::*;

#[test]
fn the_snapshot_is_complete_when_every_partition_has_streamed() {
    let mut stage = before_the_base(options(), ONE_RUN);
    stage.snapshot(USERS, 0, 1, 100);
    stage.row(USERS, 0, 1, (5, 0), 101, 1);
    stage.row(ITEMS, 0, 1, (5, 0), 102, 1);
    assert_eq!(stage.closed(), [""; 0]);
    let refused = stage.aligner.end_of_log(&mut stage.out).unwrap_err();
    assert_eq!(refused, AlignError::SnapshotNotProven { partitions: vec!["items/1".to_owned()] });
    assert_eq!(stage.closed(), [""; 0]);
}

#[test]
fn the_snapshot_is_complete_when_the_user_says_so() {
    let mut stage = before_the_base(AlignOptions { snapshot_complete: true, ..options() }, ONE_RUN);
    stage.snapshot(USERS, 0, 1, 100);
    assert_eq!(stage.closed(), [""; 0], "not before the log has ended");
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), ["base 100"]);
}

#[test]
fn a_snapshot_of_which_first_records_are_missing_is_refused() {
    let refused = AlignError::SnapshotBeheaded { partitions: vec!["users/0".to_owned()] };
    for (snapshot_complete, expected) in [(false, Err(refused)), (true, Ok(()))] {
        let mut stage = before_the_base(AlignOptions { snapshot_complete, ..options() }, ONE_RUN);
        stage.fact(USERS, 0, FactKind::Start { offset: 1 });
        stage.snapshot(USERS, 0, 1, 100);
        assert_eq!(stage.aligner.end_of_log(&mut stage.out), expected);
    }
}

/// GIVEN topics that have lost their first records, and a user who goes on without them, THEN what is left is a partial base.
#[test]
fn what_is_left_of_a_snapshot_is_a_partial_base_where_that_is_allowed() {
    let options = AlignOptions { allow_partial_base: true, ..options() };
    let partial = "base 100, partial from 110";
    let beheaded = || {
        let mut stage = before_the_base(options.clone(), ONE_RUN);
        stage.fact(USERS, 0, FactKind::Start { offset: 1 });
        stage.snapshot(USERS, 0, 1, 100);
        stage
    };
    let mut ended = beheaded();
    ended.aligner.end_of_log(&mut ended.out).unwrap();
    assert_eq!(ended.closed(), ["base 100, partial from 100"]);

    let mut goes_on = beheaded();
    goes_on.row(USERS, 0, 1, (5, 110), 111, 1);
    goes_on.row(ITEMS, 0, 1, (5, 110), 112, 1);
    goes_on.row(ITEMS, 1, 1, (5, 110), 113, 2);
    assert_eq!(goes_on.closed(), [partial]);
    assert!(goes_on.aligner.report().partial_base);
}

#[test]
fn only_the_greatest_attempt_of_a_snapshot_is_shown() {
    let mut stage = before_the_base(options(), ONE_RUN);
    stage.snapshot(USERS, 0, 1, 90);
    stage.snapshot(ITEMS, 0, 2, 100);
    stage.snapshot(ITEMS, 1, 1, 90);
    stage.end(3, 95, &[(USERS, 1)]);
    stage.go_past(0);
    assert_eq!(stage.closed(), ["base 100", "known 95, in base true"]);
    let origin = Origin::Initial { lsn: Lsn(140), last: false };
    let refused =
        stage.try_fact(USERS, 0, FactKind::Row { origin, run: Some(run_id(3)), truncate: false }).unwrap_err();
    assert_eq!(refused, AlignError::NewBase { base: Lsn(100), snapshot: Lsn(140) });
}

#[test]
fn a_log_without_a_snapshot_begins_after_an_empty_one_or_is_refused() {
    let mut empty = before_the_base(options(), ONE_RUN);
    empty.go_past(0);
    assert_eq!(empty.closed(), ["base None, reset false"]);

    // Where a topic lacks its first records, rows of a snapshot may have been among them.
    let mut beheaded = before_the_base(options(), ONE_RUN);
    beheaded.fact(ITEMS, 1, FactKind::Start { offset: 1 });
    beheaded.row(USERS, 0, 1, (5, 0), 51, 1);
    beheaded.row(ITEMS, 0, 1, (5, 0), 52, 1);
    let first = Origin::Stream { txid: 5, lsn: Lsn(53), previous: Lsn(0), order: 2 };
    let row = FactKind::Row { origin: first, run: Some(run_id(1)), truncate: false };
    assert_eq!(beheaded.try_fact(ITEMS, 1, row).unwrap_err(), AlignError::NoSnapshot);

    let mut stage = before_the_base(options(), ONE_RUN);
    stage.row(USERS, 0, 1, (5, 50), 51, 1);
    stage.row(ITEMS, 0, 1, (5, 50), 52, 1);
    let origin = Origin::Stream { txid: 5, lsn: Lsn(53), previous: Lsn(50), order: 2 };
    let row = FactKind::Row { origin, run: Some(run_id(1)), truncate: false };
    assert_eq!(stage.try_fact(ITEMS, 1, row.clone()).unwrap_err(), AlignError::NoSnapshot);

    let mut partial = before_the_base(AlignOptions { allow_partial_base: true, ..options() }, ONE_RUN);
    partial.row(USERS, 0, 1, (5, 50), 51, 1);
    partial.row(ITEMS, 0, 1, (5, 50), 52, 1);
    partial.fact(ITEMS, 1, row);
    assert_eq!(partial.closed(), ["base None, reset false"]);
    assert!(partial.aligner.report().partial_base);
}
