//! Logs whose records are good and out of order: rows that come too late or twice, ENDs that are missing or fall back,
//! snapshots that are missing or one too many.

use super::*;

#[test]
fn a_late_row_is_counted_and_applied_at_the_next_end() {
    // GIVEN an END that counts one row of a transaction that has two, the second in another partition
    let mut log = Log::started();
    log.row(Row::new(0, "u", 1, "first", 2, 1));
    log.end(2, 1);
    log.row(Row::new(0, "u", 3, "third", 3, 1));
    log.pause();
    log.row(Row::new(1, "u", 2, "second", 2, 2));
    let mut ended = log.clone();
    log.end(3, 1);
    // THEN it is told, and shown with the next transaction
    let replayed = replay(&log, |_| {});
    check_closed(replayed.report(), 3, 0, &[]);
    assert_eq!(replayed.report().late, 1);
    assert_eq!(*replayed.at(2), users([(1, "first"), (2, "two"), (3, "three"), (4, "four")]));
    assert_eq!(*replayed.at(3), users([(1, "first"), (2, "second"), (3, "third"), (4, "four")]));

    assert_eq!(replayed.report().inexact, []);

    // WHEN no END follows THEN it is told all the same, with the key that is not exact
    ended.pause();
    let replayed = replay(&ended, |_| {});
    let [inexact] = &replayed.report().inexact[..] else { panic!("{:?}", replayed.report().inexact) };
    assert_eq!((replayed.report().late, inexact.after, &inexact.cause), (1, Lsn(end(1)), &InexactCause::LateRow));
    assert_eq!(inexact.table.as_deref(), Some("public.users"));
}

#[test]
fn a_missing_end_is_a_hole() {
    for workers in [1, 2, 4] {
        let mut log = Log::started();
        log.row(Row::new(0, "u", 1, "first", 2, 1));
        // The END of 2 is not there.
        log.row(Row::new(1, "u", 2, "second", 3, 1));
        log.end(3, 1);
        let replayed = replay(&log, |options| options.workers = workers);
        let expected = AlignError::Hole { txid: 3, end: Lsn(end(3)), named: Lsn(end(2)) };
        assert!(matches!(replayed.error(), Error::Align(found) if *found == expected), "{}", replayed.error());
        assert_eq!(*replayed.last(), users(STARTED), "nothing behind the hole is shown");
    }
}

#[test]
fn a_second_snapshot_after_the_first_was_shown_ends_the_run() {
    let mut log = Log::started();
    log.row(Row::new(0, "u", 1, "first", 2, 1));
    log.pause();
    log.snapshot(0, 5, end(2));
    let replayed = replay(&log, |_| {});
    let expected = AlignError::NewBase { base: Lsn(BASE), snapshot: Lsn(end(2)) };
    assert!(matches!(replayed.error(), Error::Align(found) if *found == expected), "{}", replayed.error());
    assert_eq!(*replayed.last(), users(STARTED));
}

#[test]
fn a_log_without_its_snapshot_is_refused_unless_permitted() {
    for workers in [1, 2, 4] {
        let mut log = Log::default();
        log.row(Row::new(0, "u", 1, "first", 5, 1));
        log.row(Row::new(1, "c", 5, "five", 5, 2));
        log.end(5, 2);
        log.row(Row::new(1, "u", 5, "fifth", 6, 1));
        log.row(Row::new(0, "c", 2, "second", 6, 2));
        log.end(6, 2);
        let refused = replay(&log, |options| options.workers = workers);
        assert!(matches!(refused.error(), Error::Align(AlignError::NoSnapshot)), "{}", refused.error());
        assert!(refused.states.is_empty());

        let replayed = replay(&log, |options| (options.allow_partial_base, options.workers) = (true, workers));
        let report = replayed.report();
        assert_eq!((report.partial_base, report.base, report.exact_at), (true, Some(Lsn(0)), Some(Lsn(end(6)))));
        assert_eq!(*replayed.last(), users([(1, "first"), (2, "second"), (5, "fifth")]));
        // Of the first transaction the log may lack the start: its count is not believed.
        check_closed(report, 1, 1, &[]);
        // With a snapshot the permission changes nothing.
        let whole = replay(&Log::started(), |options| options.allow_partial_base = true);
        assert!(!whole.report().partial_base);
    }
}

#[test]
fn rows_delivered_again_change_nothing_and_are_counted() {
    for workers in [1, 2, 4] {
        // GIVEN two transactions that the connector delivers again, at new offsets, once it is past them
        let mut log = Log::started();
        let rows =
            [Row::new(0, "u", 1, "first", 2, 1), Row::new(1, "d", 2, "", 2, 2), Row::new(0, "u", 1, "again", 3, 1)];
        let deliver = |log: &mut Log| {
            rows[..2].iter().for_each(|row| log.row(*row));
            log.end(2, 2);
            log.row(rows[2]);
            log.end(3, 1);
        };
        let next = Row::new(1, "c", 5, "five", 4, 1);
        deliver(&mut log);
        log.row(next);
        log.pause();
        deliver(&mut log);
        log.row(next);
        log.end(4, 1);
        // THEN nothing changes but the count
        let replayed = replay(&log, |options| options.workers = workers);
        let report = replayed.report();
        check_closed(report, 4, 0, &[]);
        assert_eq!((report.redelivered, report.late), (4, 0), "{workers} workers");
        assert_eq!(*replayed.at(2), users([(1, "first"), (3, "three"), (4, "four")]));
        assert_eq!(*replayed.at(3), users([(1, "again"), (3, "three"), (4, "four")]));
        assert_eq!(*replayed.last(), users([(1, "again"), (3, "three"), (4, "four"), (5, "five")]));
    }
}

#[test]
fn a_truncate_takes_what_stands_before_it_and_leaves_what_comes_after() {
    for workers in [1, 2, 4] {
        // GIVEN a transaction that adds a user, truncates, and adds another, over both partitions
        let mut log = Log::started();
        log.row(Row::new(0, "c", 5, "before", 2, 1));
        log.row(Row::new(1, "t", 0, "", 2, 2));
        log.row(Row::new(0, "c", 5, "after", 2, 3));
        log.row(Row::new(1, "c", 2, "again", 2, 4));
        log.end(2, 4);
        let replayed = replay(&log, |options| options.workers = workers);
        check_closed(replayed.report(), 2, 0, &[]);
        assert_eq!(*replayed.at(1), users(STARTED));
        assert_eq!(*replayed.at(2), users([(2, "again"), (5, "after")]));
    }
}

#[test]
fn an_end_that_falls_back_makes_what_is_open_wait_for_progress() {
    for workers in [1, 2, 4] {
        // GIVEN a transaction whose END was read, and then a lower END: the connector had restarted before it
        let mut log = Log::started();
        log.row(Row::new(0, "u", 1, "first", 2, 1));
        log.pause();
        log.end(2, 1);
        log.end(1, 2);
        log.pause();
        // WHEN nothing more comes THEN its count is not believed
        let short = log.clone();
        let replayed = replay(&short, |options| options.workers = workers);
        check_closed(replayed.report(), 1, 0, &[2]);
        let missing = &replayed.report().open[0].missing;
        assert!(
            missing[0].contains("a connector restart makes its counts doubtful; no later row yet in partition 0, 1"),
            "{missing:?}"
        );
        assert_eq!(*replayed.last(), users(STARTED));
        // WHEN every partition goes past it THEN it closes by that
        log.row(Row::new(0, "u", 3, "third", 3, 1));
        log.row(Row::new(1, "u", 4, "fourth", 3, 2));
        log.end(3, 2);
        let replayed = replay(&log, |options| options.workers = workers);
        check_closed(replayed.report(), 2, 1, &[]);
        assert_eq!(*replayed.at(2), users([(1, "first"), (2, "two"), (3, "three"), (4, "four")]));
        assert_eq!(replayed.report().late, 0);
    }
}
