//! What a closing lets go, piece after piece.
//!
//! ```text
//!   close ──> Going: late rows ─> incremental ─> blocking ─> the transaction's own rows ─> dues     one piece at each
//!                    (or the rows of the initial snapshot, or those of a transaction that was known)   call of let_go
//! ```
//!
//! A transaction whose rows are few and in memory, with nothing else waiting, goes at once.
//!
//! Closings are let go one after the other: what one leaves behind is there before the next is taken note of. Rows of one
//! partition leave in the order in which they were read, and rows of incremental snapshots before those of the transaction:
//! `upsert` goes by both when it leaves out what a later change has overtaken.

use super::gone::{Gone, Identity};
use super::rows::{Loaded, Snapshotted, Streamed};
use super::waiting::{Leaving, Piece, Wait};
use super::{Change, Held, Rank};
use crate::align::Closing;
use crate::envelope::{Body, Op};
use crate::spill::{Share, SpillError, Store};
use crate::time::{Lsn, Time};
use dataflows::Row;
use std::collections::hash_map::Entry;

/// What a closing has yet to let go.
pub(super) struct Going<R: Row> {
    closing: Closing,
    time: Time,
    late: Option<Leaving<Streamed<R>>>,
    incremental: Option<Leaving<Snapshotted<R>>>,
    blocking: Option<Leaving<Snapshotted<R>>>,
    own: Option<Leaving<Streamed<R>>>,
    /// Rows of the initial snapshot at `snapshot`.
    initial: Option<Leaving<Loaded<R>>>,
    snapshot: Lsn,
}

impl<R: Row> Going<R> {
    fn of(closing: Closing, time: Time) -> Going<R> {
        let (late, incremental, blocking, own, initial) = (None, None, None, None, None);
        Going { closing, time, late, incremental, blocking, own, initial, snapshot: Lsn(0) }
    }

    /// What it lets go, for an error.
    fn name(&self) -> String {
        match self.closing {
            Closing::Load { .. } | Closing::Base { .. } => "the initial snapshot".to_owned(),
            Closing::Transaction { txid, .. } | Closing::Known { txid, .. } => format!("transaction {txid}"),
        }
    }

    fn has_rows(&self) -> bool {
        let Going { late, incremental, blocking, own, initial, .. } = self;
        late.is_some() || incremental.is_some() || blocking.is_some() || own.is_some() || initial.is_some()
    }
}

/// Changes on their way out, each with its time.
type Out<R> = Vec<(Change<R>, Time)>;

impl<R: Row> Held<R> {
    /// Takes note of a closing, and of what it lets go, which [`let_go`](Self::let_go) does. What little a transaction mostly is
    /// goes at once: the answer is how many bytes, roughly.
    pub(super) fn close(
        &mut self,
        closing: Closing,
        time: Time,
        workers: usize,
        leader: bool,
        out: &mut Out<R>,
    ) -> u64 {
        self.closed.note(&closing, self.table);
        if let Closing::Transaction { txid, end, repairs: false, .. } = closing
            && self.late.is_empty()
            && self.incremental.is_empty()
            && self.blocking.is_empty()
        {
            let Entry::Occupied(rows) = self.open.entry(txid) else { return 0 };
            if rows.get().is_small(self.share.piece_bytes()) {
                let rows = rows.remove();
                let bytes = rows.bytes();
                let rows = rows.into_small(&mut self.share);
                self.let_transaction_go(rows, txid, end, |row| row.emit(time, workers, out));
                return bytes;
            }
        }
        let mut going = Going::of(closing, time);
        match going.closing {
            Closing::Load { snapshot, reset } => self.load(&mut going, Some(snapshot), reset && leader, workers, out),
            Closing::Base { snapshot, reset, .. } => self.load(&mut going, snapshot, reset && leader, workers, out),
            Closing::Known { txid, end, .. } => {
                going.own = self.open.get_mut(&txid).and_then(|rows| rows.take_below(end));
            }
            Closing::Transaction { txid, end, .. } => {
                going.late = self.late.take();
                going.incremental = self.incremental.take_below(end);
                going.blocking = self.blocking.take_below(end);
                going.own = self.open.get_mut(&txid).and_then(|rows| rows.take_below(end));
            }
        }
        if going.has_rows() {
            self.going = Some(Box::new(going));
        } else {
            self.let_due_go(&going, workers, leader, out);
        }
        0
    }

    fn load(&mut self, going: &mut Going<R>, snapshot: Option<Lsn>, reset: bool, workers: usize, out: &mut Out<R>) {
        if reset {
            let rank = Rank { lsn: Lsn(0), op: Op::Truncate, offset: 0 };
            out.extend((0..workers as u64).map(|worker| (Change::Truncate { worker, rank }, going.time)));
        }
        let Some(snapshot) = snapshot else { return };
        let later = self.initial.split_off(&Lsn(snapshot.0 + 1));
        for (lsn, mut rows) in std::mem::replace(&mut self.initial, later) {
            if lsn == snapshot {
                (going.initial, going.snapshot) = (rows.take(), snapshot);
            } else {
                rows.discard(&mut self.store, &mut self.share);
            }
        }
    }

    /// The time of the closing that has more to let go.
    pub(super) fn going_at(&self) -> Option<Time> {
        self.going.as_ref().map(|going| going.time)
    }

    /// How much is to be let go at once, in bytes.
    pub(super) fn piece_bytes(&self) -> u64 {
        self.share.piece_bytes()
    }

    /// Says whether closings wait that have not been taken note of, the first of them at this time.
    pub(super) fn keep_waiting(&mut self, first: Option<Time>) {
        self.closings_wait = first.is_some();
        self.turn.is_at(first);
    }

    /// Whether other holders are behind this time, so that nothing of it is to be let go yet.
    pub(super) fn is_ahead_at(&self, time: Time) -> bool {
        self.turn.is_ahead_at(time)
    }

    /// Lets go a piece of what the last closing lets go, and says how many bytes, roughly. An error means that rows are
    /// lost, and says of what.
    pub(super) fn let_go(
        &mut self,
        workers: usize,
        leader: bool,
        out: &mut Out<R>,
    ) -> Result<u64, (String, SpillError)> {
        let Some(mut going) = self.going.take() else { return Ok(0) };
        match self.let_piece_go(&mut going, workers, out) {
            Ok(Some(bytes)) => {
                self.going = Some(going);
                self.shrink();
                Ok(bytes)
            }
            Ok(None) => {
                self.let_due_go(&going, workers, leader, out);
                // What has gone is free for others.
                self.shrink();
                Ok(0)
            }
            Err(error) => Err((going.name(), error)),
        }
    }

    /// `None` when nothing is left.
    fn let_piece_go(
        &mut self,
        going: &mut Going<R>,
        workers: usize,
        out: &mut Out<R>,
    ) -> Result<Option<u64>, SpillError> {
        let time = going.time;
        let end = if let Closing::Transaction { end, .. } = going.closing { end } else { Lsn(0) };
        if let Some(piece) = next(&mut going.late, &mut self.store, &mut self.share)? {
            self.let_late_go(piece.rows, end, time, workers, out);
            return Ok(Some(piece.bytes));
        }
        let truncated = self.closed.truncated().unwrap_or_default();
        if let Some(piece) = next(&mut going.incremental, &mut self.store, &mut self.share)? {
            for row in piece.rows {
                if row.previous >= end {
                    self.incremental.push(row, &mut self.share);
                } else if truncated <= row.previous {
                    out.push((Change::Incremental { key: row.key, offset: row.offset, row: row.row }, time));
                }
            }
            return Ok(Some(piece.bytes));
        }
        if let Some(piece) = next(&mut going.blocking, &mut self.store, &mut self.share)? {
            for row in piece.rows {
                if row.previous >= end {
                    self.blocking.push(row, &mut self.share);
                } else if truncated <= row.previous {
                    let Snapshotted { key, offset, row, ts_ms, .. } = row;
                    out.push((Change::Repair { key, offset, row, ts_ms }, time));
                }
            }
            return Ok(Some(piece.bytes));
        }
        if let Some(piece) = next(&mut going.own, &mut self.store, &mut self.share)? {
            match going.closing {
                Closing::Known { txid, end, in_base } => self.drop_known(piece.rows, txid, end, in_base)?,
                Closing::Transaction { txid, end, .. } => {
                    self.let_transaction_go(piece.rows, txid, end, |row| row.emit(time, workers, out));
                    self.forget_empty(txid);
                }
                Closing::Load { .. } | Closing::Base { .. } => {}
            }
            return Ok(Some(piece.bytes));
        }
        let Some(piece) = next(&mut going.initial, &mut self.store, &mut self.share)? else { return Ok(None) };
        let snapshot = going.snapshot;
        out.extend(piece.rows.into_iter().map(|Loaded { key, offset, row }| {
            let rank = Rank { lsn: snapshot, op: Op::Read, offset };
            (Change::Row { key, rank, body: Body::Put { row, from: None } }, time)
        }));
        Ok(Some(piece.bytes))
    }

    fn drop_known(&mut self, rows: Vec<Streamed<R>>, txid: u64, end: Lsn, in_base: bool) -> Result<(), SpillError> {
        for row in rows {
            if row.at() >= end {
                self.open.entry(txid).or_default().push(row, &mut self.share);
            } else if in_base || self.closed.has_all_of(row.partition, end) {
                self.counters.redelivered(1);
            } else {
                self.judge(row, end)?;
            }
        }
        self.forget_empty(txid);
        Ok(())
    }

    fn let_transaction_go(&mut self, rows: Vec<Streamed<R>>, txid: u64, end: Lsn, mut emit: impl FnMut(Streamed<R>)) {
        for row in rows {
            if row.at() >= end {
                self.open.entry(txid).or_default().push(row, &mut self.share);
                continue;
            }
            if !self.closed.has_all_of(row.partition, end) {
                let gone = self.gone.entry(row.partition).or_insert_with(|| Gone::at(end));
                if gone.end != end {
                    gone.renew(end, &mut self.store, &mut self.share);
                }
                let identity = Identity { lsn: row.rank.lsn, op: row.rank.op, key: row.key.clone() };
                gone.push(identity, &mut self.share);
            }
            emit(row);
        }
    }

    /// Most transactions leave nothing behind.
    fn forget_empty(&mut self, txid: u64) {
        if self.open.get(&txid).is_some_and(|rows| rows.is_empty()) {
            self.open.remove(&txid);
        }
    }

    fn let_late_go(&mut self, rows: Vec<Streamed<R>>, end: Lsn, time: Time, workers: usize, out: &mut Out<R>) {
        let truncated = self.closed.truncated().filter(|truncated| *truncated < end);
        for mut row in rows {
            if truncated.is_none_or(|truncated| truncated <= row.previous) {
                // Before anything the closing's own transaction does to the key, and in the order of offsets.
                row.rank = Rank { lsn: Lsn(0), op: Op::Truncate, ..row.rank };
                row.emit(time, workers, out);
            }
        }
    }

    fn let_due_go(&mut self, going: &Going<R>, workers: usize, leader: bool, out: &mut Out<R>) {
        let Closing::Transaction { commit_ms, repairs: true, .. } = going.closing else { return };
        if leader {
            let commit_ms = commit_ms.saturating_sub(self.repair_delay_ms);
            out.extend((0..workers as u64).map(|worker| (Change::Due { worker, commit_ms }, going.time)));
        }
    }

    /// Nothing closes any more: what would have repaired its key at the next END is told instead.
    pub(super) fn end(&mut self) -> Result<(), SpillError> {
        if let Some(mut late) = self.late.take() {
            while let Some(piece) = late.piece(&mut self.store, &mut self.share)? {
                for row in piece.rows {
                    let key = row.key.as_ref().map(|key| format!("{key:?}"));
                    self.status.never_applied(key, row.previous);
                }
            }
        }
        let unapplied = self.rewound.drain().map(|(_, rewound)| rewound.rows.len() as u64).sum();
        self.counters.unapplied(unapplied);
        Ok(())
    }
}

/// The next piece of what leaves, if anything does.
fn next<T: Wait>(
    leaving: &mut Option<Leaving<T>>,
    store: &mut Store,
    share: &mut Share,
) -> Result<Option<Piece<T>>, SpillError> {
    let piece = leaving.as_mut().map(|leaving| leaving.piece(store, share)).transpose()?.flatten();
    if piece.is_none() {
        *leaving = None;
    }
    Ok(piece)
}
