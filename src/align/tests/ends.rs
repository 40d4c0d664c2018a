//! Kafka: counts are believed once everything was read that was written before an END, and no sooner.

use super::*;

impl Stage {
    /// Both of two workers have come to a mark.
    fn mark(&mut self, mark: Mark) {
        for worker in 0..2 {
            self.aligner.note(Fact::Mark { worker, of: 2, at: 0, mark }, &mut self.out).unwrap();
        }
        self.aligner.advance(&mut self.out).unwrap();
    }
}

/// The stage of topics of which nothing is known before.
fn live() -> Stage {
    stage_of(Restarts::Unknown)
}

#[test]
fn counts_are_believed_when_all_was_read_that_stood_before_the_end() {
    let mut stage = live();
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(USERS, 1)]);
    assert_eq!(stage.closed(), [""; 0]);
    stage.mark(Mark::Asked { look_up: 1 });
    stage.end(6, 130, &[(ITEMS, 1)]);
    stage.mark(Mark::Reached { look_up: 1, ms: 1 });
    assert_eq!(stage.closed(), ["110", "120"]);
    assert_eq!((stage.aligner.report().closed_by_counts, stage.aligner.report().settled), (2, 0));
    stage.row(ITEMS, 0, 1, (6, 120), 121, 1);
    assert_eq!(stage.closed(), [""; 0], "the look-up was made before that END was read");
    stage.mark(Mark::Asked { look_up: 2 });
    stage.mark(Mark::Reached { look_up: 2, ms: 2 });
    assert_eq!(stage.closed(), ["130"]);
}

#[test]
fn a_transaction_of_two_runs_is_left_to_progress() {
    let mut stage = live();
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.row(USERS, 0, 2, (5, 110), 112, 2);
    stage.end(5, 120, &[(USERS, 2)]);
    stage.mark(Mark::Asked { look_up: 1 });
    stage.mark(Mark::Reached { look_up: 1, ms: 1 });
    assert_eq!(stage.closed(), ["110"]);
    stage.go_past(120);
    assert_eq!(stage.closed(), ["120"]);
}

/// GIVEN the first transaction of a run that resumed, whole in that run, WHEN all before its END was read, THEN it closes;
/// but not where a partition lacks its first records, and so perhaps what another run wrote of it.
#[test]
fn the_first_transaction_of_a_run_needs_no_row_before_it() {
    for (first, expected) in [(0, &["110", "120", "130"][..]), (3, &["110", "120"])] {
        let mut stage = live();
        stage.mark(Mark::Partition { partition: Partition { table: ITEMS as u16, number: 1 }, first });
        stage.row(USERS, 0, 1, (5, 110), 111, 1);
        stage.end(5, 120, &[(USERS, 1)]);
        stage.row(USERS, 0, 2, (6, 120), 121, 1);
        stage.end(6, 130, &[(USERS, 1)]);
        stage.mark(Mark::Asked { look_up: 1 });
        stage.mark(Mark::Reached { look_up: 1, ms: 1 });
        assert_eq!(stage.closed(), expected, "from offset {first} on");
    }
}

/// GIVEN a snapshot whose last row was read, and partitions that show no change, WHEN none of its rows has come for a while,
/// with all that was there read, THEN it is complete.
#[test]
fn a_snapshot_rests_before_it_is_shown_though_partitions_are_silent() {
    let mut stage = before_the_base(options(), Restarts::Unknown);
    let reached = |stage: &mut Stage, look_up, ms| {
        stage.mark(Mark::Asked { look_up });
        stage.mark(Mark::Reached { look_up, ms });
        stage.closed()
    };
    stage.snapshot(USERS, 0, 1, 100);
    assert_eq!(reached(&mut stage, 1, 10), [""; 0]);
    stage.snapshot(ITEMS, 1, 1, 100);
    assert_eq!(reached(&mut stage, 2, 110), [""; 0], "a row came behind the last one");
    assert_eq!(reached(&mut stage, 3, 209), [""; 0]);
    assert_eq!(reached(&mut stage, 4, 210), ["base 100"]);
}
