//! Connector runs: snapshot, stream, kill, resume.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::envelope::{Event, Renderer, Source, events, partitions_of};
use super::options::{ConnectorOptions, Resume};
use super::producer::{Meaning, Position, Producer};
use super::snapshot::{Taken, marked_rows, push_rows, still_rows};
use super::{HEARTBEAT_TOPIC, Log, TRANSACTION_TOPIC};
use crate::oddities::Oddities;
use crate::workload::{ChangeOp, Commit, History, Table, Tables, uuid_text};

/// A connector that reads one history.
pub(super) struct Connector<'a> {
    history: &'a History,
    options: &'a ConnectorOptions,
    rng: Rng,
    producer: Producer,
    renderer: Renderer<'a>,
    /// What is streamed: the overlap, then everything above L0.
    streamed: Vec<&'a Commit>,
    overlap: usize,
    run: u64,
    /// Events until the next kill.
    fuse: Option<usize>,
    /// Events withheld for good.
    lost: BTreeSet<(usize, usize)>,
}

/// The process was killed; where it happened no longer matters.
struct Killed;

impl<'a> Connector<'a> {
    pub(super) fn new(history: &'a History, options: &'a ConnectorOptions, seed: u64) -> Self {
        let has_base = !marked_rows(&history.base()).is_empty();
        let overlap = if has_base { options.overlap.min(history.earlier.len()) } else { 0 };
        let skipped = history.earlier.len() - overlap;
        let mut connector = Connector {
            history,
            options,
            rng: Rng::with_seed(seed ^ 0x5eed_0002),
            producer: Producer::new(options, history.base_ms),
            renderer: Renderer { options, run_id: String::new() },
            streamed: history.earlier.iter().skip(skipped).chain(&history.commits).collect(),
            overlap,
            run: 0,
            fuse: None,
            lost: BTreeSet::new(),
        };
        connector.start_run();
        connector.withhold();
        connector
    }

    pub(super) fn run(mut self) -> (Log, Oddities) {
        self.aborted_snapshots();
        self.snapshot();
        self.producer.oddities.overlap_transactions = self.overlap as u64;
        let mut position = Position::default();
        for kills_left in (0..=self.options.restarts).rev() {
            self.light_fuse(kills_left, position);
            if self.stream(position).is_ok() {
                break;
            }
            position = self.restart();
        }
        self.producer.drain(&mut self.rng);
        let mut log = std::mem::take(&mut self.producer.log);
        for table in Table::ALL {
            log.partitions.insert(table.topic(), partitions_of(self.options, table));
        }
        log.partitions.insert(TRANSACTION_TOPIC.to_owned(), 1);
        if self.options.heartbeats {
            log.partitions.insert(HEARTBEAT_TOPIC.to_owned(), 1);
        }
        (log, self.producer.oddities)
    }

    /// A new run id: a time in front, so that ids rise from run to run.
    fn start_run(&mut self) {
        self.run += 1;
        let time = u128::from(self.producer.now_ms.unsigned_abs() + self.run) << 80;
        let random = self.rng.u128(..) & ((1 << 76) - 1);
        self.renderer.run_id = uuid_text((time | (7 << 76) | random).to_be_bytes());
    }

    /// Kills come anywhere in what is left, more often early, so that short runs occur.
    fn light_fuse(&mut self, kills_left: usize, position: Position) {
        let left: usize = self.streamed.iter().skip(position.commit).map(|commit| events(commit).len() + 2).sum();
        let most = if self.rng.bool() { left } else { left.min(40) };
        self.fuse = (kills_left > 0).then(|| self.rng.usize(..=most));
    }

    fn restart(&mut self) -> Position {
        if self.producer.flushed().is_none() {
            // The end of the snapshot has not been acknowledged: let it be.
            self.producer.drain(&mut self.rng);
            self.producer.flush();
        }
        // After an empty snapshot nothing is flushed until a first record is.
        let position = self.producer.kill().unwrap_or_default();
        self.start_run();
        self.producer.oddities.restarts += 1;
        self.producer.oddities.restarts_inside_a_transaction += u64::from(position.events > 0);
        position
    }

    /// Attempts at earlier moments, each killed somewhere.
    fn aborted_snapshots(&mut self) {
        let earlier = self.history.earlier.len();
        if marked_rows(&self.history.base()).is_empty() {
            return;
        }
        let mut moments: Vec<usize> =
            (0..self.options.aborted_snapshots).filter(|_| earlier > 0).map(|_| self.rng.usize(..earlier)).collect();
        moments.sort_unstable();
        moments.dedup();
        for moment in moments {
            let before = moment.checked_sub(1).and_then(|last| self.history.earlier.get(last));
            let taken = Taken {
                txid: before.map_or(self.history.base_txid, |commit| commit.txid),
                lsn: before.map_or(self.history.start_lsn, |commit| commit.end_lsn),
                after: None,
                ts_ms: before.map_or(self.history.base_ms, |commit| commit.commit_ms),
            };
            let tables = self.history.earlier_tables(moment);
            let count = self.rng.usize(..=marked_rows(&tables).len());
            push_rows(&mut self.rng, &self.renderer, &mut self.producer, &tables, &taken, count, None);
            self.producer.kill();
            self.start_run();
            self.producer.oddities.aborted_snapshots += 1;
        }
    }

    fn snapshot(&mut self) {
        let history = self.history;
        let taken = Taken { txid: history.base_txid, lsn: history.base_lsn, after: None, ts_ms: history.base_ms };
        let start = Some(Position::default());
        push_rows(&mut self.rng, &self.renderer, &mut self.producer, &history.base(), &taken, usize::MAX, start);
    }

    fn stream(&mut self, from: Position) -> Result<(), Killed> {
        let mut resumed = Some(from);
        for at in from.commit..self.streamed.len() {
            self.transaction(at, resumed.take().unwrap_or(Position { commit: at, ..Position::default() }))?;
            if self.options.heartbeats && self.rng.u8(..6) == 0 {
                let record = self.renderer.heartbeat(&mut self.rng, &mut self.producer.oddities, self.producer.now_ms);
                self.push(record, Meaning::Other, Position { commit: at + 1, ..Position::default() })?;
            }
            self.blocking_snapshot(at)?;
        }
        Ok(())
    }

    fn push(&mut self, record: super::Record, meaning: Meaning, position: Position) -> Result<(), Killed> {
        match &mut self.fuse {
            Some(0) => return Err(Killed),
            Some(left) => *left -= 1,
            None => {}
        }
        self.producer.push(&mut self.rng, record, meaning, Some(position));
        Ok(())
    }

    /// One transaction, from where `from` says.
    fn transaction(&mut self, at: usize, from: Position) -> Result<(), Killed> {
        let Some(commit) = self.streamed.get(at).copied() else { return Ok(()) };
        self.producer.now_ms = self.producer.now_ms.max(commit.commit_ms + 300);
        let mut now = self.numbering(from);
        if now.events == 0 || self.options.second_begin {
            let record = self.renderer.begin(&mut self.rng, &mut self.producer.oddities, commit);
            self.push(record, Meaning::Other, now)?;
        } else {
            self.producer.oddities.missing_begins += 1;
        }
        let all = events(commit);
        for (number, event) in all.iter().enumerate().skip(now.events) {
            now.events = number + 1;
            self.event(at, *event, &mut now)?;
            if self.closes_a_window(at, event) {
                self.incremental_rows(at, now)?;
            }
        }
        let lost = self.lost.range((at, 0)..(at + 1, 0)).count();
        self.producer.oddities.ends_with_wrong_counts += u64::from(now.total_order + lost as u64 != all.len() as u64);
        let record = self.renderer.end(&mut self.rng, &mut self.producer.oddities, commit, now.total_order, now.orders);
        self.push(record, Meaning::End { commit: at }, Position { commit: at + 1, ..Position::default() })
    }

    /// What a resumed run makes of the events already processed and their numbers.
    fn numbering(&mut self, from: Position) -> Position {
        if from.events == 0 {
            return from;
        }
        let resume = match self.options.resume {
            Resume::Mixed => self
                .rng
                .choice([Resume::FirstRow, Resume::SkipFromOne, Resume::SkipBehind(9)])
                .unwrap_or(Resume::FirstRow),
            fixed => fixed,
        };
        let odd = &mut self.producer.oddities;
        match resume {
            Resume::FirstRow | Resume::Mixed => {
                odd.resumed_from_first_row += 1;
                Position { commit: from.commit, ..Position::default() }
            }
            Resume::SkipFromOne => {
                odd.resumed_from_one += 1;
                Position { total_order: 0, orders: [0; 4], ..from }
            }
            Resume::SkipBehind(most) => {
                let behind = self.rng.u64(..=most);
                odd.resumed_behind += u64::from(behind > 0);
                let orders = from.orders.map(|order| order.saturating_sub(behind));
                Position {
                    total_order: from.total_order.saturating_sub(behind).max(orders.iter().sum()),
                    orders,
                    ..from
                }
            }
        }
    }

    fn event(&mut self, at: usize, event: Event, now: &mut Position) -> Result<(), Killed> {
        let Some(commit) = self.streamed.get(at).copied() else { return Ok(()) };
        if self.lost.contains(&(at, now.events)) {
            return Ok(());
        }
        let change = event.change;
        now.total_order += 1;
        let place = Table::ALL.iter().position(|table| *table == change.table);
        let order = place.and_then(|place| now.orders.get_mut(place)).expect("every table is in ALL");
        *order += 1;
        let transaction = format!(
            "{{\"id\":\"{}:{}\",\"total_order\":{},\"data_collection_order\":{order}}}",
            commit.txid, change.lsn, now.total_order
        );
        let source = Source {
            table: change.table,
            txid: Some(commit.txid),
            lsn: Some(change.lsn),
            sequence: (self.previous_end(at), change.lsn),
            ts_ms: commit.commit_ms,
            snapshot: None,
        };
        let meaning = Meaning::Event { commit: at, event: now.events };
        let records = self.renderer.event(&mut self.rng, &mut self.producer.oddities, event, source, transaction);
        for (nth, record) in records.into_iter().enumerate() {
            self.push(record, if nth == 0 { meaning } else { Meaning::Other }, *now)?;
        }
        Ok(())
    }

    fn previous_end(&self, at: usize) -> Option<u64> {
        at.checked_sub(1).and_then(|before| self.streamed.get(before)).map(|commit| commit.end_lsn)
    }

    /// The tables after the streamed transaction `at`, which lies above L0.
    fn tables_after(&self, at: usize) -> Tables {
        let mut tables = self.history.base();
        self.streamed.iter().take(at + 1).skip(self.overlap).for_each(|commit| tables.apply(commit));
        tables
    }

    fn closes_a_window(&self, at: usize, event: &Event) -> bool {
        let kind = event.change.new.as_ref().map_or("", |row| row.text("type"));
        self.options.incremental
            && at > self.overlap
            && event.change.table == Table::Signal
            && kind == "snapshot-window-close"
    }

    fn incremental_rows(&mut self, at: usize, now: Position) -> Result<(), Killed> {
        let Some((previous, commit)) = self.previous_end(at).zip(self.streamed.get(at).copied()) else { return Ok(()) };
        let tables = self.tables_after(at);
        for row in still_rows(&mut self.rng, self.history, &tables, at - self.overlap) {
            let source = Source {
                table: row.table,
                txid: None,
                lsn: None,
                sequence: (Some(previous), previous),
                ts_ms: commit.commit_ms,
                snapshot: Some("incremental"),
            };
            let record = self.renderer.snapshot_row(&mut self.rng, &mut self.producer.oddities, &row, &source);
            self.push(record, Meaning::Other, now)?;
            self.producer.oddities.incremental_rows += 1;
        }
        Ok(())
    }

    /// After a transaction that asked for it: rows of a later moment under the LSN of this transaction's END.
    fn blocking_snapshot(&mut self, at: usize) -> Result<(), Killed> {
        let Some(commit) = self.streamed.get(at).copied() else { return Ok(()) };
        let asks = |event: &Event| {
            event
                .change
                .new
                .as_ref()
                .is_some_and(|row| row.table == Table::Signal && row.text("data").contains("\"blocking\""))
        };
        if !self.options.blocking || at < self.overlap || !events(commit).iter().any(asks) {
            return Ok(());
        }
        let last = self.streamed.len() - 1;
        let read_at = (at + self.rng.usize(..6)).min(last);
        let Some(read) = self.streamed.get(read_at).copied() else { return Ok(()) };
        let (then, tables) = (self.tables_after(at), self.tables_after(read_at));
        let rows = marked_rows(&tables);
        let ahead = rows.iter().filter(|(row, _)| then.of(row.table).get(row.key()) != Some(row)).count();
        self.producer.oddities.blocking_rows += rows.len() as u64;
        self.producer.oddities.blocking_rows_ahead += ahead as u64;
        let taken = Taken { txid: read.txid, lsn: commit.end_lsn, after: Some(commit.end_lsn), ts_ms: read.commit_ms };
        let position = Some(Position { commit: at + 1, ..Position::default() });
        push_rows(&mut self.rng, &self.renderer, &mut self.producer, &tables, &taken, usize::MAX, position);
        Ok(())
    }

    /// Draws the events to withhold: inserts only, as in the losses seen in real logs.
    fn withhold(&mut self) {
        let mut inserts = Vec::new();
        for (at, commit) in self.streamed.iter().enumerate().skip(self.overlap) {
            let all = events(commit).into_iter().enumerate();
            inserts.extend(
                all.filter(|(_, event)| event.change.op == ChangeOp::Insert && event.change.table != Table::Signal)
                    .map(|(number, _)| (at, number + 1)),
            );
        }
        self.rng.shuffle(&mut inserts);
        self.lost = inserts.into_iter().take(self.options.lose_rows).collect();
        self.producer.oddities.lost_rows = self.lost.len() as u64;
    }
}
