//! A followed log that is quiet: what is there is taken as if the log had ended, for once.

use super::*;

impl Stage {
    /// This one of two workers finds the log quiet.
    fn quiet(&mut self, worker: usize) {
        self.aligner.note(Fact::Quiet { worker, of: 2 }, &mut self.out).unwrap();
        self.aligner.advance(&mut self.out).unwrap();
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
fn what_is_counted_closes_unproven_when_every_worker_finds_the_log_quiet() {
    let mut stage = followed();
    stage.quiet(0);
    stage.quiet(0);
    assert_eq!(stage.closed(), [""; 0], "the other worker may still read");
    stage.quiet(1);
    assert_eq!(stage.closed(), ["110", "120"]);
    let report = stage.aligner.report();
    assert_eq!((report.settled, report.closed_by_counts, report.closed_by_progress), (2, 0, 0));
}

#[test]
fn a_record_ends_the_quiet() {
    let mut stage = followed();
    stage.quiet(0);
    stage.row(USERS, 0, 1, (6, 120), 121, 1);
    stage.quiet(1);
    assert_eq!(stage.closed(), [""; 0]);
    stage.quiet(0);
    assert_eq!(stage.closed(), ["110", "120"]);
    // What comes after is not settled by what went before.
    stage.end(6, 130, &[(USERS, 1)]);
    assert_eq!(stage.closed(), [""; 0]);
    stage.go_past(130);
    assert_eq!(stage.closed(), ["130"]);
    assert_eq!(stage.aligner.report().closed_by_progress, 1);
}

#[test]
fn what_misses_rows_or_bears_signs_does_not_settle() {
    let mut stage = followed();
    stage.row(USERS, 0, 1, (6, 120), 121, 1);
    stage.end(6, 130, &[(USERS, 2)]);
    (0..2).for_each(|worker| stage.quiet(worker));
    assert_eq!(stage.closed(), ["110", "120"]);
    // The row was written by a run that resumed inside the transaction: its number is one that was there before.
    stage.row(USERS, 0, 2, (6, 120), 122, 1);
    (0..2).for_each(|worker| stage.quiet(worker));
    assert_eq!(stage.closed(), [""; 0]);
}

#[test]
fn a_snapshot_is_not_settled_unless_it_is_said_to_be_whole() {
    for (snapshot_complete, expected) in [(false, vec![]), (true, vec!["base 100"])] {
        let options = AlignOptions { snapshot_complete, ..options() };
        let mut stage = before_the_base(options, Restarts::Unknown);
        (0..2).for_each(|worker| stage.quiet(worker));
        assert_eq!(stage.closed(), [""; 0], "nothing was read yet, and that is no mistake");
        stage.snapshot(USERS, 0, 1, 100);
        (0..2).for_each(|worker| stage.quiet(worker));
        assert_eq!(stage.closed(), expected);
    }
}
