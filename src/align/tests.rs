//! The closing rules one by one: facts in, closings out. Here counts, progress and order; the rest in files of their own.

mod arrival;
mod base;
mod ends;
mod holes;
mod restarts;
mod settled;

use super::*;

const USERS: usize = 0;
const ITEMS: usize = 1;

const ONE_RUN: Restarts = Restarts::Known { last_start: None };

/// Two tables, `users` with one partition and `items` with two, and what closes.
struct Stage {
    aligner: Aligner,
    out: Vec<(Closing, Time)>,
}

fn options() -> AlignOptions {
    AlignOptions { repair_delay_ms: 10, settle_ms: 100, load_rows: 1 << 16, ..AlignOptions::default() }
}

/// After a snapshot at LSN 100 that run 1 took, and with the transaction that ends at 110 wholly read.
fn stage() -> Stage {
    stage_of(ONE_RUN)
}

fn stage_of(restarts: Restarts) -> Stage {
    let mut stage = before_the_base(options(), restarts);
    stage.snapshot(USERS, 0, 1, 100);
    stage.row(USERS, 0, 1, (9, 0), 101, 1);
    stage.row(ITEMS, 0, 1, (9, 0), 102, 1);
    stage.row(ITEMS, 1, 1, (9, 0), 103, 2);
    stage.end(9, 110, &[(USERS, 1), (ITEMS, 2)]);
    assert_eq!(stage.closed(), ["base 100"], "nothing is known to come behind 110 yet");
    stage
}

fn before_the_base(options: AlignOptions, restarts: Restarts) -> Stage {
    let tables = vec!["users".to_owned(), "items".to_owned()];
    Stage { aligner: Aligner::new(options, tables, Some(vec![1, 2]), restarts), out: Vec::new() }
}

/// The transaction topic.
const ENDS: usize = Catalog::TRANSACTIONS as usize;

fn run_id(run: u128) -> Uuid {
    Uuid(run.to_be_bytes())
}

impl Stage {
    fn try_fact(&mut self, table: usize, number: u32, kind: FactKind) -> Result<(), AlignError> {
        let partition = Partition { table: table as u16, number };
        self.aligner.note(Fact::Record { partition, kind }, &mut self.out)?;
        self.aligner.advance(&mut self.out)
    }

    fn fact(&mut self, table: usize, number: u32, kind: FactKind) {
        self.try_fact(table, number, kind).unwrap();
    }

    /// A change of the stream by `run`, in the transaction `(txid, previous END)`.
    fn row(&mut self, table: usize, number: u32, run: u128, (txid, previous): (u64, u64), lsn: u64, order: u64) {
        let origin = Origin::Stream { txid, lsn: Lsn(lsn), previous: Lsn(previous), order };
        self.fact(table, number, FactKind::Row { origin, run: Some(run_id(run)), truncate: false });
    }

    fn snapshot(&mut self, table: usize, number: u32, run: u128, lsn: u64) {
        let origin = Origin::Initial { lsn: Lsn(lsn), last: true };
        self.fact(table, number, FactKind::Row { origin, run: Some(run_id(run)), truncate: false });
    }

    fn end(&mut self, txid: u64, lsn: u64, counts: &[(usize, u64)]) {
        let end = End { txid, lsn: Lsn(lsn), counts: counts.to_vec(), commit_ms: lsn as i64 };
        self.fact(ENDS, 0, FactKind::End(end));
    }

    /// What closed since the last call.
    fn closed(&mut self) -> Vec<String> {
        let closings = std::mem::take(&mut self.out).into_iter();
        closings
            .map(|(closing, time)| match closing {
                Closing::Load { snapshot, reset } => format!("load {snapshot} at {time}, reset {reset}"),
                Closing::Base { snapshot: Some(snapshot), partial_from: Some(from), .. } => {
                    format!("base {snapshot}, partial from {from}")
                }
                Closing::Base { snapshot: Some(snapshot), reset: false, .. } => format!("base {snapshot}"),
                Closing::Base { snapshot, reset, .. } => format!("base {snapshot:?}, reset {reset}"),
                Closing::Transaction { end, .. } => format!("{end}"),
                Closing::Known { end, in_base, .. } => format!("known {end}, in base {in_base}"),
            })
            .collect()
    }

    /// A row that shows that the connector went past `previous`, in a transaction of its own that ends at once.
    fn went_past(&mut self, previous: u64) {
        self.row(USERS, 0, 1, (998, previous), previous + 1, 1);
    }

    /// One row in each partition that names `previous`, without an END of its own yet.
    fn go_past(&mut self, previous: u64) {
        for (table, number) in [(USERS, 0), (ITEMS, 0), (ITEMS, 1)] {
            self.row(table, number, 1, (999, previous), previous + 1, 1);
        }
    }
}

/// The stage with everything up to END 110 closed, and the first row of transaction 5, in `users`.
fn at_110() -> Stage {
    let mut stage = stage();
    stage.row(USERS, 0, 1, (5, 110), 111, 1);
    assert_eq!(stage.closed(), ["110"]);
    stage
}

#[test]
fn a_transaction_closes_when_its_rows_are_counted() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (5, 110), 112, 1);
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 2)]);
    stage.went_past(120);
    assert_eq!(stage.closed(), [""; 0]);
    stage.row(ITEMS, 1, 1, (5, 110), 112, 1);
    assert_eq!(stage.closed(), [""; 0], "the same number twice counts once");
    stage.row(ITEMS, 1, 1, (5, 110), 113, 2);
    assert_eq!(stage.closed(), ["120"]);
    assert_eq!(stage.aligner.report().closed_by_counts, 2);
}

#[test]
fn the_end_may_come_last_or_first() {
    for end_first in [true, false] {
        let mut stage = at_110();
        if end_first {
            stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
        }
        stage.row(ITEMS, 0, 1, (5, 110), 112, 1);
        if !end_first {
            stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
        }
        stage.went_past(120);
        assert_eq!(stage.closed(), ["120"]);
    }
}

#[test]
fn transactions_close_in_the_order_of_their_ends() {
    let mut stage = at_110();
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
    stage.end(4, 130, &[(ITEMS, 1)]);
    stage.row(ITEMS, 0, 1, (4, 120), 115, 1);
    stage.went_past(130);
    assert_eq!(stage.closed(), [""; 0]);
    stage.row(ITEMS, 1, 1, (5, 110), 112, 1);
    assert_eq!(stage.closed(), ["120", "130"]);
}

#[test]
fn a_transaction_closes_when_every_partition_has_gone_past_it() {
    let mut stage = at_110();
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 7)]);
    stage.row(ITEMS, 0, 1, (6, 120), 121, 1);
    assert_eq!(stage.closed(), [""; 0]);
    stage.row(ITEMS, 1, 1, (6, 120), 122, 2);
    assert_eq!(stage.closed(), ["120"], "users need not have gone past: their rows are counted");
    assert_eq!(stage.aligner.report().closed_by_progress, 1);
}

#[test]
fn what_counts_nothing_of_a_consumed_table_waits_until_the_connector_has_gone_past_it() {
    let ends = |stage: &mut Stage| {
        stage.end(5, 120, &[(USERS, 1)]);
        stage.end(6, 130, &[]);
        stage.end(7, 140, &[(USERS, 0)]);
        assert_eq!(stage.closed(), [""; 0], "an END may be of a run that resumed inside its transaction");
    };
    let mut stage = at_110();
    ends(&mut stage);
    stage.row(ITEMS, 0, 1, (8, 140), 141, 1);
    assert_eq!(stage.closed(), ["120", "130", "140"]);

    let mut stage = at_110();
    ends(&mut stage);
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), ["120", "130", "140"]);
}

#[test]
fn at_the_end_of_a_log_the_tail_is_believed_as_a_whole_or_not_at_all() {
    // A run that resumed inside transaction 6 may count nothing in it and leave no row behind.
    for (items_of_5, closed) in [(1, vec!["120", "130"]), (2, vec![])] {
        let mut stage = at_110();
        stage.row(ITEMS, 0, 1, (5, 110), 112, 1);
        stage.end(5, 120, &[(USERS, 1), (ITEMS, items_of_5)]);
        stage.end(6, 130, &[]);
        assert_eq!(stage.closed(), [""; 0]);
        stage.aligner.end_of_log(&mut stage.out).unwrap();
        assert_eq!(stage.closed(), closed, "transaction 5 has {items_of_5} items");
    }
}

#[test]
fn one_transaction_that_misses_rows_keeps_those_before_it_open_where_nothing_comes_behind() {
    let mut stage = at_110();
    stage.end(5, 120, &[(USERS, 1)]);
    stage.end(6, 130, &[(ITEMS, 1)]);
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), [""; 0]);
    let open = stage.aligner.final_report().open;
    let doubt = "and other transactions at the end of the log miss rows or bear signs of a restart, so that its counts are doubtful";
    assert_eq!(open[0].missing[0], format!("users: 1 of 1 rows, {doubt}; no later row yet in partition 0"));
    assert_eq!(open[1].missing, ["items: 0 of 1 rows; no later row yet in partition 0, 1"]);
}

#[test]
fn one_txid_in_two_lives_is_two_transactions() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    stage.row(ITEMS, 0, 1, (5, 120), 125, 1);
    stage.row(ITEMS, 0, 1, (5, 120), 126, 2);
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 1)]);
    assert_eq!(stage.closed(), ["120"]);
    stage.end(5, 130, &[(ITEMS, 2)]);
    stage.went_past(130);
    assert_eq!(stage.closed(), ["130"]);
}

#[test]
fn nothing_closes_above_the_position_asked_for() {
    let mut stage = before_the_base(AlignOptions { until: Some(Lsn(125)), ..options() }, ONE_RUN);
    stage.snapshot(USERS, 0, 1, 100);
    stage.go_past(0);
    stage.end(999, 110, &[(USERS, 1), (ITEMS, 1)]);
    stage.end(4, 120, &[]);
    stage.end(5, 130, &[]);
    assert_eq!(stage.closed(), ["base 100"]);
    assert!(!stage.aligner.until_reached());
    stage.went_past(130);
    assert_eq!(stage.closed(), ["110", "120"]);
    assert!(stage.aligner.until_reached());
    assert_eq!(stage.aligner.final_report().open, []);

    let mut early = before_the_base(AlignOptions { until: Some(Lsn(99)), ..options() }, ONE_RUN);
    early.snapshot(USERS, 0, 1, 100);
    early.row(USERS, 0, 1, (999, 0), 101, 1);
    early.row(ITEMS, 0, 1, (999, 0), 102, 1);
    let origin = Origin::Stream { txid: 999, lsn: Lsn(103), previous: Lsn(0), order: 2 };
    let refused =
        early.try_fact(ITEMS, 1, FactKind::Row { origin, run: Some(run_id(1)), truncate: false }).unwrap_err();
    assert_eq!(refused, AlignError::UntilBeforeBase { until: Lsn(99), base: Lsn(100) });
}

#[test]
fn an_open_transaction_says_what_it_waits_for() {
    let mut stage = at_110();
    stage.row(ITEMS, 0, 1, (5, 110), 111, 1);
    stage.end(5, 120, &[(USERS, 1), (ITEMS, 2)]);
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    let open = stage.aligner.final_report().open;
    assert_eq!(open[0].missing, ["items: 1 of 2 rows; no later row yet in partition 0, 1"]);
    assert_eq!(stage.aligner.report().exact_at(), Some(Lsn(110)));
}
