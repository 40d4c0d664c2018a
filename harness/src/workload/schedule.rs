//! Lays transactions that were drawn one after the other into one WAL, as three sessions would have written them.
//!
//! ```text
//! tick     0         1000        2000        3000
//! commit              C0          C1          C2
//! T2 may start after its session's last commit; its rows wait for
//! commits that touched their keys:   └─ row of key k ─┘ after C1, which changed k
//! ```
//!
//! Then every row and commit record gets its place by walking the ticks: LSNs rise by the record's length, txids are handed out
//! at the first write.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::options::WorkloadOptions;
use super::transaction::Draft;
use super::{Change, ChangeOp, Commit, Table};

const TICKS: u64 = 1000;
const SESSIONS: usize = 3;
/// No transaction stays open over more commits than this; bounds how long a txid must rest before it is used again.
const LONGEST: u64 = 8;
const TXID_REST: usize = 30;
/// Postgres reserves the ids below.
const FIRST_NORMAL_XID: u32 = 3;

/// The WAL as laid out.
pub(super) struct Wal {
    pub(super) commits: Vec<Commit>,
    pub(super) start_lsn: u64,
    pub(super) base_lsn: u64,
    pub(super) base_ms: i64,
    pub(super) base_txid: u32,
}

/// One WAL record of interest.
#[derive(Clone, Copy)]
enum Mark {
    Commit(usize),
    Base,
    Record { transaction: usize, record: u32 },
}

/// Places the transactions; the first `earlier` of them end at or below L0.
pub(super) fn schedule(rng: &mut Rng, options: &WorkloadOptions, transactions: Vec<Vec<Draft>>, earlier: usize) -> Wal {
    let mut marks = place(rng, &transactions);
    marks.push((earlier as u64 * TICKS, Mark::Base));
    // A stable sort: at one tick the commit, placed first, comes before L0.
    marks.sort_by_key(|(tick, _)| *tick);
    let mut clock = Clock::new(rng, options);
    let mut open: Vec<Opened> = transactions.into_iter().map(Opened::new).collect();
    let start_lsn = clock.lsn;
    let mut wal = Wal { commits: Vec::new(), start_lsn, base_lsn: start_lsn, base_ms: clock.ms, base_txid: 0 };
    for (_, mark) in marks {
        match mark {
            Mark::Base => {
                (wal.base_lsn, wal.base_ms, wal.base_txid) = (clock.lsn, clock.ms, clock.next_xid());
                clock.noise(rng);
            }
            Mark::Record { transaction, record } => {
                let open = open.get_mut(transaction).expect("marks name transactions by their place");
                open.write(record, &mut clock, rng);
            }
            Mark::Commit(transaction) => {
                let open = open.get_mut(transaction).expect("marks name transactions by their place");
                wal.commits.push(open.commit(&mut clock, rng));
            }
        }
    }
    wal
}

/// A tick for every record: commit `i` at `(i + 1) * TICKS`, its records before that, after whatever they had to wait for.
fn place(rng: &mut Rng, transactions: &[Vec<Draft>]) -> Vec<(u64, Mark)> {
    let mut marks = Vec::new();
    let mut sessions = [0_u64; SESSIONS];
    let mut locks = Locks::default();
    for (transaction, drafts) in transactions.iter().enumerate() {
        let (begin, end) = (transaction as u64 * TICKS, (transaction as u64 + 1) * TICKS);
        let session = sessions.get_mut(rng.usize(..SESSIONS)).expect("drawn below the number of sessions");
        let free = (*session).max(begin.saturating_sub(LONGEST * TICKS));
        let start = if rng.bool() { begin } else { rng.u64(free..=begin) };
        *session = end;
        marks.push((end, Mark::Commit(transaction)));
        let records: BTreeSet<u32> = drafts.iter().map(|draft| draft.record).collect();
        let mut ticks: Vec<u64> = (0..records.len().max(1)).map(|_| rng.u64(start + 1..end)).collect();
        ticks.sort_unstable();
        // Records of one tick keep their order; a lock ends with the commit at its tick, so a waiting record comes after.
        let mut earliest = start + 1;
        for (tick, record) in ticks.into_iter().zip(records.into_iter().chain([0])) {
            let changes = drafts.iter().filter(|draft| draft.record == record).map(|draft| &draft.change);
            earliest = changes.map(|change| locks.released(change) + 1).fold(earliest.max(tick), u64::max);
            marks.push((earliest, Mark::Record { transaction, record }));
        }
        drafts.iter().for_each(|draft| locks.take(&draft.change, end));
    }
    marks
}

/// Until which tick the last transactions held their locks.
#[derive(Default)]
struct Locks {
    keys: BTreeMap<(Table, String), u64>,
    truncated: BTreeMap<Table, u64>,
    written: BTreeMap<Table, u64>,
}

impl Locks {
    fn released(&self, change: &Change) -> u64 {
        let table = change.table;
        if change.op == ChangeOp::Truncate {
            return self.written.get(&table).copied().unwrap_or(0);
        }
        let keys = change.keys().filter_map(|key| self.keys.get(&(table, key.to_owned())));
        keys.chain(self.truncated.get(&table)).copied().max().unwrap_or(0)
    }

    fn take(&mut self, change: &Change, until: u64) {
        self.written.insert(change.table, until);
        if change.op == ChangeOp::Truncate {
            self.truncated.insert(change.table, until);
        }
        self.keys.extend(change.keys().map(|key| ((change.table, key.to_owned()), until)));
    }
}

/// A transaction whose records are being written.
struct Opened {
    records: BTreeMap<u32, Vec<Change>>,
    begun: Option<(u32, u64)>,
    written: Vec<Change>,
}

impl Opened {
    fn new(drafts: Vec<Draft>) -> Self {
        let mut records: BTreeMap<u32, Vec<Change>> = BTreeMap::new();
        drafts.into_iter().for_each(|draft| records.entry(draft.record).or_default().push(draft.change));
        Opened { records, begun: None, written: Vec::new() }
    }

    fn write(&mut self, record: u32, clock: &mut Clock, rng: &mut Rng) {
        if self.begun.is_none() {
            self.begun = Some((clock.txid(rng), clock.lsn));
        }
        let changes = self.records.remove(&record).unwrap_or_default();
        let length = 64 + 8 * rng.u64(..40) * changes.len().max(1) as u64;
        self.written.extend(changes.into_iter().map(|change| Change { lsn: clock.lsn, ..change }));
        clock.lsn += length;
        clock.noise(rng);
    }

    fn commit(&mut self, clock: &mut Clock, rng: &mut Rng) -> Commit {
        let (txid, begin_lsn) = self.begun.expect("every transaction has a record before its commit");
        clock.lsn += 48;
        let end_lsn = clock.lsn;
        clock.noise(rng);
        debug_assert!(self.records.is_empty(), "every record lies before the commit");
        clock.ms += if rng.u8(..25) == 0 { rng.i64(1_000..8_000) } else { rng.i64(0..120) };
        Commit { txid, begin_lsn, end_lsn, commit_ms: clock.ms, changes: std::mem::take(&mut self.written) }
    }
}

/// Where the WAL ends, what time it is, which txids were used.
struct Clock {
    lsn: u64,
    ms: i64,
    xid: u32,
    used: Vec<u32>,
    reuse: bool,
}

impl Clock {
    fn new(rng: &mut Rng, options: &WorkloadOptions) -> Self {
        let lsn = 24_000_000 + 8 * rng.u64(..10_000_000);
        let ms = 1_795_449_000_000 + rng.i64(0..500_000_000);
        let xid = options.xid_start.max(FIRST_NORMAL_XID);
        Clock { lsn, ms, xid, used: Vec::new(), reuse: options.reuse_txids }
    }

    /// WAL of tables that nobody captures; often none.
    fn noise(&mut self, rng: &mut Rng) {
        if rng.u8(..3) == 0 {
            self.lsn += 8 * rng.u64(1..60);
        }
    }

    fn next_xid(&mut self) -> u32 {
        let xid = self.xid;
        self.xid = self.xid.checked_add(1).unwrap_or(FIRST_NORMAL_XID);
        xid
    }

    fn txid(&mut self, rng: &mut Rng) -> u32 {
        let (rested, recent) = self.used.split_at(self.used.len().saturating_sub(TXID_REST));
        let again = if self.reuse && rng.u8(..6) == 0 { rng.choice(rested).copied() } else { None };
        let txid = again.filter(|txid| !recent.contains(txid));
        let txid = txid.unwrap_or_else(|| self.next_xid());
        self.used.push(txid);
        txid
    }
}
