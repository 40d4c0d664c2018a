//! ENDs that were never read, and partitions that should or should not be there.

use super::*;

#[test]
fn an_end_that_was_never_read_is_a_hole() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (6, 115), 116, 1);
    let end = End { txid: 6, lsn: Lsn(120), counts: vec![(ITEMS, 1)], commit_ms: 0 };
    let hole = stage.try_fact(ENDS, 0, FactKind::End(end)).unwrap_err();
    assert_eq!(hole, AlignError::Hole { txid: 6, end: Lsn(120), named: Lsn(115) });
}

#[test]
fn nothing_closes_behind_rows_whose_own_end_was_never_read() {
    // Transaction 5 has a row and no END; transaction 6 has no row that could name the END that is missing.
    let mut stage = at_110();
    stage.end(6, 130, &[]);
    stage.row(ITEMS, 0, 1, (7, 130), 131, 1);
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), [""; 0]);
    let report = stage.aligner.final_report();
    assert_eq!(report.unended, [5, 7]);
    assert_eq!(
        report.open[0].missing,
        ["the END of transaction 5, which comes right after 110, was never read: the transaction topic has a hole"]
    );
}

#[test]
fn the_first_transaction_behind_the_base_may_be_the_hole() {
    // It names no END: nothing was committed before it in the stream.
    let mut stage = before_the_base(options(), ONE_RUN);
    stage.snapshot(USERS, 0, 1, 100);
    stage.row(USERS, 0, 1, (5, 0), 101, 1);
    stage.row(ITEMS, 0, 1, (7, 130), 131, 1);
    stage.row(ITEMS, 1, 1, (7, 130), 132, 2);
    stage.end(6, 130, &[]);
    assert_eq!(stage.closed(), ["base 100"]);
    assert_eq!(stage.aligner.final_report().unended, [5, 7]);
}

#[test]
fn a_hole_may_lie_before_the_position_asked_for() {
    let mut stage = before_the_base(AlignOptions { until: Some(Lsn(125)), ..options() }, ONE_RUN);
    stage.snapshot(USERS, 0, 1, 100);
    for (table, number) in [(USERS, 0), (ITEMS, 0), (ITEMS, 1)] {
        stage.row(table, number, 1, (5, 0), 101, 1);
    }
    stage.end(6, 130, &[]);
    stage.row(ITEMS, 0, 1, (7, 130), 131, 1);
    assert!(!stage.aligner.until_reached());
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.aligner.final_report().unended, [5, 7]);
}

#[test]
fn where_partitions_are_not_known_those_below_the_greatest_exist() {
    let tables = vec!["users".to_owned(), "items".to_owned()];
    let aligner = Aligner::new(AlignOptions { snapshot_complete: true, ..options() }, tables, None, Restarts::Unknown);
    let mut stage = Stage { aligner, out: Vec::new() };
    stage.snapshot(USERS, 0, 1, 100);
    for number in [0, 2] {
        stage.row(ITEMS, number, 1, (5, 0), 101, u64::from(number) + 1);
    }
    stage.end(5, 110, &[(ITEMS, 3)]);
    for (table, number) in [(USERS, 0), (ITEMS, 0), (ITEMS, 2)] {
        stage.row(table, number, 1, (6, 110), 111, u64::from(number) + 1);
    }
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), ["base 100"], "a row of partition 1 is missing");
}

#[test]
fn a_partition_that_should_not_be_there_is_refused() {
    let mut stage = stage();
    let refused = stage.try_fact(ITEMS, 2, FactKind::Unreadable).unwrap_err();
    assert_eq!(refused, AlignError::UnknownPartition { table: "items".to_owned(), number: 2, given: 2 });
    let refused = stage.try_fact(ENDS, 1, FactKind::Start { offset: 0 }).unwrap_err();
    assert_eq!(refused, AlignError::TransactionPartition { number: 1 });
}
