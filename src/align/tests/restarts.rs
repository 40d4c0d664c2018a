//! Where a connector may have been restarted: signs, runs that resume, logs of which nothing is known.

use super::*;

/// Whether the pending transaction 5 (END 120) waits until all tables have gone past it, and then closes.
fn waits_for_progress_of_all(mut stage: Stage) {
    assert_eq!(stage.closed(), [""; 0]);
    stage.row(ITEMS, 0, 1, (6, 120), 121, 1);
    stage.row(ITEMS, 1, 1, (6, 120), 122, 2);
    assert_eq!(stage.closed(), [""; 0], "an END that is doubtful may leave out a table");
    stage.row(USERS, 0, 1, (6, 120), 123, 1);
    assert_eq!(stage.closed(), ["120"]);
}

#[test]
fn rows_of_two_runs_make_counts_doubtful() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    stage.row(ITEMS, 0, 2, (5, 110), 112, 2);
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 2)]);
    waits_for_progress_of_all(stage);
}

#[test]
fn an_order_above_the_count_makes_counts_doubtful() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    stage.row(ITEMS, 1, 1, (5, 110), 112, 2);
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
    waits_for_progress_of_all(stage);
}

#[test]
fn rows_of_a_table_that_the_end_leaves_out_make_counts_doubtful() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (5, 110), 112, 1);
    stage.end(5, 120, &[(ITEMS, 1)]);
    waits_for_progress_of_all(stage);
}

#[test]
fn two_ends_that_count_differently_make_counts_doubtful() {
    let mut stage = at_110();
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 2)]);
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    stage.row(ITEMS, 0, 1, (5, 110), 112, 2);
    waits_for_progress_of_all(stage);
}

#[test]
fn an_end_that_falls_back_makes_the_counts_of_what_is_open_doubtful() {
    let mut stage = at_110();
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
    stage.end(9, 110, &[(USERS, 1), (ITEMS, 2)]);
    assert_eq!(stage.closed(), ["known 110, in base false"]);
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    waits_for_progress_of_all(stage);
}

#[test]
fn a_missing_run_id_makes_counts_doubtful() {
    let mut stage = at_110();
    let origin = Origin::Stream { txid: 5, lsn: Lsn(111), previous: Lsn(110), order: 1 };
    stage.fact(ITEMS, 0, FactKind::Row { origin, run: None, truncate: false });
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
    waits_for_progress_of_all(stage);
}

#[test]
fn the_transaction_a_run_resumed_in_is_not_counted() {
    let mut stage = stage();
    stage.row(ITEMS, 0, 2, (5, 110), 111, 1);
    stage.end(5, 120, &[(ITEMS, 1)]);
    stage.row(ITEMS, 0, 2, (6, 120), 121, 1);
    assert_eq!(stage.closed(), ["110"], "run 2 has shown nothing from before");
    stage.row(ITEMS, 1, 2, (9, 0), 102, 2);
    assert_eq!(stage.closed(), ["120"], "run 2 has shown that it started before");
}

#[test]
fn where_a_run_may_have_resumed_counts_are_not_believed() {
    // GIVEN a log of which the survey says that the last run started behind END 110
    let mut stage = stage_of(Restarts::Known { last_start: Some(Lsn(110)) });
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(USERS, 1)]);
    stage.row(ITEMS, 0, 1, (6, 120), 121, 1);
    stage.row(ITEMS, 1, 1, (6, 120), 122, 2);
    stage.end(6, 130, &[(ITEMS, 2)]);
    assert_eq!(stage.closed(), ["110"], "every partition has gone past it");
    // WHEN the last partition has gone past 120, THEN that closes by progress, and counts are believed behind it.
    stage.row(USERS, 0, 1, (7, 130), 131, 1);
    assert_eq!(stage.closed(), ["120", "130"]);
    let report = stage.aligner.report();
    assert_eq!((report.closed_by_progress, report.closed_by_counts), (2, 1));
}

#[test]
fn where_nothing_is_known_of_runs_counts_wait_for_the_end_of_the_log() {
    let mut stage = stage_of(Restarts::Unknown);
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(USERS, 1)]);
    stage.went_past(120);
    assert_eq!(stage.closed(), [""; 0]);
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), ["110", "120"]);
    assert_eq!(stage.aligner.report().closed_by_counts, 2);
}

#[test]
fn where_a_run_may_have_resumed_the_end_of_the_log_proves_nothing() {
    let mut stage = stage_of(Restarts::Known { last_start: Some(Lsn(120)) });
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(ITEMS, 1)]);
    stage.row(ITEMS, 0, 1, (6, 120), 121, 1);
    stage.end(6, 130, &[(ITEMS, 1)]);
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), [""; 0]);
    let open = stage.aligner.final_report().open;
    let doubt = "and a connector restart at or after it makes its counts doubtful";
    assert_eq!(open[2].missing[1], format!("items: 1 of 1 rows, {doubt}; no later row yet in partition 0, 1"));
}
