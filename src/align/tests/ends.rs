//! Kafka: counts are believed once everything was read that was written before an END, and no sooner.

use super::*;

impl Stage {
    /// Ends are looked up, and reached.
    fn looks_up(&mut self, look_up: u64, ms: u64) {
        self.mark(Mark::Asked { look_up });
        self.mark(Mark::Known { look_up });
        self.mark(Mark::Reached { look_up, ms });
    }

    /// Both of two workers have come to a mark.
    fn mark(&mut self, mark: Mark) {
        for worker in 0..2 {
            self.aligner.note(Fact::Mark { worker, of: 2, at: 0, mark }, &mut self.out).unwrap();
        }
        self.aligner.advance(&mut self.out).unwrap();
    }
}

fn looking_up() -> AlignOptions {
    AlignOptions { looks_up: true, ..options() }
}

/// The stage of topics of which nothing is known before, with everything up to the first END read.
fn live() -> Stage {
    let mut stage = before_the_base(looking_up(), Restarts::Unknown);
    stage.snapshot(USERS, 0, 1, 100);
    stage.row(USERS, 0, 1, (9, 0), 101, 1);
    stage.row(ITEMS, 0, 1, (9, 0), 102, 1);
    stage.row(ITEMS, 1, 1, (9, 0), 103, 2);
    assert_eq!(stage.closed(), [""; 0], "there may be partitions that are not known yet");
    stage.looks_up(1, 1);
    assert_eq!(stage.closed(), ["base 100"]);
    stage.end(9, 110, &[(USERS, 1), (ITEMS, 2)]);
    stage
}

#[test]
fn counts_are_believed_when_all_was_read_that_stood_before_the_end() {
    let mut stage = live();
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(USERS, 1)]);
    assert_eq!(stage.closed(), [""; 0]);
    stage.mark(Mark::Asked { look_up: 2 });
    stage.end(6, 130, &[(ITEMS, 1)]);
    stage.mark(Mark::Reached { look_up: 2, ms: 1 });
    assert_eq!(stage.closed(), ["110", "120"]);
    assert_eq!((stage.aligner.report().closed_by_counts, stage.aligner.report().settled), (2, 0));
    stage.row(ITEMS, 0, 1, (6, 120), 121, 1);
    assert_eq!(stage.closed(), [""; 0], "the look-up was made before that END was read");
    stage.looks_up(3, 2);
    assert_eq!(stage.closed(), ["130"]);
}

#[test]
fn a_transaction_of_two_runs_is_left_to_progress() {
    let mut stage = live();
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.row(USERS, 0, 2, (5, 110), 112, 2);
    stage.end(5, 120, &[(USERS, 2)]);
    stage.looks_up(2, 1);
    assert_eq!(stage.closed(), ["110"]);
    stage.go_past(120);
    assert_eq!(stage.closed(), ["120"]);
}

/// GIVEN a transaction that is left to progress, and that all partitions that are known have gone past, WHEN a partition was
/// added, THEN it waits for that too: it may hold its rows.
#[test]
fn progress_waits_until_it_is_known_which_partitions_there_are() {
    let mut stage = live();
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    stage.row(USERS, 0, 2, (5, 110), 112, 2);
    stage.mark(Mark::Asked { look_up: 2 });
    stage.end(5, 120, &[(USERS, 2)]);
    stage.go_past(120);
    stage.mark(Mark::Known { look_up: 2 });
    stage.mark(Mark::Reached { look_up: 2, ms: 1 });
    assert_eq!(stage.closed(), ["110"], "the look-up was made before that END was read");
    stage.mark(Mark::Asked { look_up: 3 });
    stage.mark(Mark::Partition { partition: Partition { table: ITEMS as u16, number: 2 }, first: 0, added: true });
    stage.mark(Mark::Known { look_up: 3 });
    assert_eq!(stage.closed(), [""; 0], "the partition that was added may hold rows of it");
    stage.row(ITEMS, 2, 1, (999, 120), 121, 2);
    assert_eq!(stage.closed(), ["120"], "though there is more to read up to the ends");
}

/// GIVEN changes in every partition that is known, WHEN a partition was added, THEN the snapshot waits for that too.
#[test]
fn the_snapshot_waits_until_it_is_known_which_partitions_there_are() {
    let mut stage = before_the_base(looking_up(), Restarts::Unknown);
    stage.snapshot(USERS, 0, 1, 100);
    stage.mark(Mark::Asked { look_up: 1 });
    for (table, number) in [(USERS, 0), (ITEMS, 0), (ITEMS, 1)] {
        stage.row(table, number, 1, (9, 0), 101, 1);
    }
    stage.mark(Mark::Known { look_up: 1 });
    assert_eq!(stage.closed(), [""; 0], "the look-up was made before the last of them was read");
    stage.mark(Mark::Asked { look_up: 2 });
    stage.mark(Mark::Partition { partition: Partition { table: ITEMS as u16, number: 2 }, first: 0, added: true });
    stage.mark(Mark::Known { look_up: 2 });
    assert_eq!(stage.closed(), [""; 0]);
    stage.row(ITEMS, 2, 1, (9, 0), 102, 2);
    assert_eq!(stage.closed(), [""; 0]);
    stage.mark(Mark::Asked { look_up: 3 });
    stage.mark(Mark::Known { look_up: 3 });
    assert_eq!(stage.closed(), ["base 100"], "though there is more to read up to the ends");
}

/// GIVEN the first transaction of a run that resumed, whole in that run, WHEN all before its END was read, THEN it closes;
/// but not where a partition lacks its first records, and so perhaps what another run wrote of it.
#[test]
fn the_first_transaction_of_a_run_needs_no_row_before_it() {
    for (first, expected) in [(0, &["110", "120", "130"][..]), (3, &["110", "120"])] {
        let mut stage = live();
        stage.mark(Mark::Partition { partition: Partition { table: ITEMS as u16, number: 1 }, first, added: false });
        stage.row(USERS, 0, 1, (5, 110), 111, 1);
        stage.end(5, 120, &[(USERS, 1)]);
        stage.row(USERS, 0, 2, (6, 120), 121, 1);
        stage.end(6, 130, &[(USERS, 1)]);
        stage.looks_up(2, 1);
        assert_eq!(stage.closed(), expected, "from offset {first} on");
    }
}

/// GIVEN a snapshot whose last row was read, and partitions that show no change, WHEN none of its rows has come for a while,
/// with all that was there read, THEN it is complete.
#[test]
fn a_snapshot_rests_before_it_is_shown_though_partitions_are_silent() {
    let mut stage = before_the_base(looking_up(), Restarts::Unknown);
    let reached = |stage: &mut Stage, look_up, ms| {
        stage.looks_up(look_up, ms);
        stage.closed()
    };
    stage.snapshot(USERS, 0, 1, 100);
    assert_eq!(reached(&mut stage, 1, 10), [""; 0]);
    stage.snapshot(ITEMS, 1, 1, 100);
    assert_eq!(reached(&mut stage, 2, 110), [""; 0], "a row came behind the last one");
    assert_eq!(reached(&mut stage, 3, 209), [""; 0]);
    assert_eq!(reached(&mut stage, 4, 210), ["base 100"]);
}
