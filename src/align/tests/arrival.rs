//! Rows that stand for themselves.

use super::*;

fn unaligned(options: AlignOptions) -> Stage {
    before_the_base(AlignOptions { alignment: Alignment::None, ..options }, Restarts::Unknown)
}

impl Stage {
    /// Of an LSN that is as far behind the first times.
    fn arrives(&mut self, table: usize, lsn: u64) {
        let lsn = FIRST + lsn;
        self.fact(table, 0, FactKind::Arrival { txid: lsn, lsn: Lsn(lsn), truncate: table == USERS });
    }

    /// The times of what closed, behind the empty base, as far behind the first times.
    fn arrived(&mut self) -> Vec<u64> {
        assert!(self.out.windows(2).all(|pair| pair[0].1 < pair[1].1), "{:?}", self.out);
        let closed = self.closed();
        assert_eq!(closed[0], "base None, reset false");
        closed[1..].iter().map(|end| end.parse::<u64>().unwrap() - FIRST).collect()
    }
}

/// What is below is for the initial snapshot.
const FIRST: u64 = HYDRATION_END;

#[test]
fn times_rise_in_the_order_of_arrival() {
    let mut stage = unaligned(options());
    for (table, lsn) in [(USERS, 100), (ITEMS, 100), (USERS, 90), (ITEMS, 0), (USERS, 300)] {
        stage.arrives(table, lsn);
    }
    let truncated: Vec<u64> = stage
        .out
        .iter()
        .filter_map(|(closing, _)| match closing {
            Closing::Transaction { truncated, .. } => Some(*truncated),
            _ => None,
        })
        .collect();
    assert_eq!(truncated, [1, 0, 1, 0, 1]);
    assert_eq!(stage.arrived(), [100, 101, 102, 103, 300]);
    let report = stage.aligner.report();
    assert_eq!((report.exact_at(), report.unaligned_at(), report.closed()), (None, Some(Lsn(FIRST + 300)), 0));
}

#[test]
fn nothing_comes_behind_the_position_asked_for() {
    let mut stage = unaligned(AlignOptions { until: Some(Lsn(FIRST + 101)), ..options() });
    for lsn in [100, 50, 40, 30] {
        stage.arrives(ITEMS, lsn);
    }
    assert_eq!(stage.arrived(), [100, 101], "the third would have the time 102");
    assert!(stage.aligner.until_reached());
}

/// A row of an incremental snapshot, which has no LSN, may be the first of all.
#[test]
fn the_first_row_may_have_no_lsn() {
    let mut stage = unaligned(options());
    for lsn in [0, 0] {
        stage.fact(ITEMS, 0, FactKind::Arrival { txid: 1, lsn: Lsn(lsn), truncate: false });
    }
    assert_eq!(stage.arrived(), [1, 2]);
}

#[test]
fn nothing_but_an_empty_beginning_is_shown_of_nothing() {
    let mut stage = unaligned(options());
    stage.aligner.end_of_log(&mut stage.out).unwrap();
    assert_eq!(stage.closed(), ["base None, reset false"]);
    assert_eq!(stage.aligner.final_report().unaligned_at(), Some(Lsn(0)));
}
