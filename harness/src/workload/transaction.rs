//! Builds one transaction, statement by statement, against the tables as they stand inside it.
//!
//! Every statement is a [`Draft`]: a change without its LSN. Drafts with the same `record` number lie in one WAL record and will
//! share one LSN (the rows of a COPY, the tables of a TRUNCATE).

use std::sync::Arc;

use fastrand::Rng;

use super::rows::{Cell, Row, SharedRow, Table, Tables};
use super::values::{Neighbours, TOAST_LENGTH, long_text, name};
use super::{Change, ChangeOp};

/// A change that has no place in the WAL yet.
pub(crate) struct Draft {
    /// Drafts of equal number share one WAL record.
    pub(crate) record: u32,
    /// The change; its `lsn` is 0 until the schedule sets it.
    pub(crate) change: Change,
}

/// The database the generator writes to, and what it remembers of it.
pub(crate) struct Database {
    pub(crate) rng: Rng,
    pub(crate) tables: Tables,
    pub(crate) near: Neighbours,
    /// Keys that were deleted, to be used again.
    pub(crate) graveyard: Vec<(Table, String)>,
    /// The key a chain over transactions continues from.
    pub(crate) chain: Option<(Table, String)>,
    pub(crate) hot: Option<String>,
    pub(crate) signals: u32,
    pub(crate) drafts: Vec<Draft>,
    pub(crate) record: u32,
}

impl Database {
    pub(crate) fn new(rng: Rng) -> Self {
        Database {
            rng,
            tables: Tables::default(),
            near: Neighbours::default(),
            graveyard: Vec::new(),
            chain: None,
            hot: None,
            signals: 0,
            drafts: Vec::new(),
            record: 0,
        }
    }

    /// The key of some row.
    pub(crate) fn some_key(&mut self, table: Table) -> Option<String> {
        let rows = self.tables.of(table);
        if rows.is_empty() {
            return None;
        }
        rows.keys().nth(self.rng.usize(..rows.len())).cloned()
    }

    /// One of the view's tables: items half of the time.
    pub(crate) fn some_table(&mut self) -> Table {
        match self.rng.u8(..8) {
            0..=1 => Table::Users,
            2..=3 => Table::Conversations,
            _ => Table::Items,
        }
    }

    /// A key no row of the table has: new, or that of a deleted row.
    pub(crate) fn free_key(&mut self, table: Table) -> String {
        if self.rng.u8(..4) == 0 && !self.graveyard.is_empty() {
            let (of, key) = self.graveyard.swap_remove(self.rng.usize(..self.graveyard.len()));
            if of == table && !self.tables.of(table).contains_key(&key) {
                return key;
            }
        }
        self.near.uuid(&mut self.rng)
    }

    /// The key of a parent: one time in sixteen of none that exists.
    pub(crate) fn some_parent(&mut self, table: Table) -> String {
        let existing = if self.rng.u8(..16) == 0 { None } else { self.some_key(table) };
        match existing {
            Some(key) => key,
            None => self.free_key(table),
        }
    }

    /// A row that could be inserted under `key`.
    pub(crate) fn draw_row(&mut self, table: Table, key: String) -> Row {
        let uid = Cell::Text(key);
        let cells = match table {
            Table::Users => vec![uid, Cell::Text(name(&mut self.rng)), self.draw_text(), self.draw_time()],
            Table::Conversations => {
                let user = Cell::Text(self.some_parent(Table::Users));
                vec![uid, user, self.draw_text(), self.draw_closed(5), self.draw_time()]
            }
            Table::Items => {
                let conversation = Cell::Text(self.some_parent(Table::Conversations));
                vec![uid, conversation, self.draw_type(), self.draw_text(), self.draw_time()]
            }
            Table::Signal => vec![uid, Cell::Text("log".to_owned()), Cell::Null],
        };
        Row { table, cells }
    }

    pub(crate) fn draw_text(&mut self) -> Cell {
        long_text(&mut self.rng).map_or(Cell::Null, Cell::Text)
    }

    pub(crate) fn draw_time(&mut self) -> Cell {
        Cell::Zoned(self.near.created_at(&mut self.rng))
    }

    pub(crate) fn draw_type(&mut self) -> Cell {
        let kind = self.rng.choice(["message", "message", "review_invite", "review"]).unwrap_or("message");
        Cell::Text(kind.to_owned())
    }

    /// `closed_at`: a time one in `rarity`, else null.
    pub(crate) fn draw_closed(&mut self, rarity: u8) -> Cell {
        if self.rng.u8(..rarity) == 0 { Cell::Local(self.near.created_at(&mut self.rng)) } else { Cell::Null }
    }

    /// The row with one or more columns changed, the key kept.
    pub(crate) fn mutated(&mut self, row: &Row) -> Row {
        let mut new = row.clone();
        for _ in 0..self.rng.usize(1..3) {
            new = match (row.table, self.rng.u8(..6)) {
                (Table::Users, 0..=3) => new.with("name", Cell::Text(name(&mut self.rng))),
                (Table::Users, _) => new.with("bio", self.draw_text()),
                (Table::Conversations, 0..=2) => new.with("closed_at", self.draw_closed(2)),
                (Table::Conversations, 3..=4) => new.with("subject", self.draw_text()),
                (Table::Conversations, _) => {
                    let user = self.some_parent(Table::Users);
                    new.with("user_uid", Cell::Text(user))
                }
                (Table::Items, 0..=1) => new.with("type", self.draw_type()),
                (Table::Items, 2) => new.with("created_at", self.draw_time()),
                (Table::Items, 3) => {
                    let conversation = self.some_parent(Table::Conversations);
                    new.with("conversation_uid", Cell::Text(conversation))
                }
                (Table::Items, _) => new.with("body", self.draw_text()),
                (Table::Signal, _) => new,
            };
        }
        new
    }

    /// The toastable columns whose value stays out of the WAL: long, equal, and not assigned by the statement.
    fn untouched(&mut self, old: &Row, new: &Row) -> Vec<&'static str> {
        let columns = old.table.columns().iter().zip(old.cells.iter().zip(&new.cells));
        let stored_apart = |cell: &Cell| matches!(cell, Cell::Text(text) if text.len() >= TOAST_LENGTH);
        let kept = columns.filter(|(column, (old, new))| column.toastable && old == new && stored_apart(new));
        let assigned_anyway = self.rng.u8(..8) == 0;
        kept.filter(|_| !assigned_anyway).map(|(column, _)| column.name).collect()
    }

    fn draft(&mut self, op: ChangeOp, table: Table, old: Option<SharedRow>, new: Option<SharedRow>) {
        let untouched = match (&old, &new) {
            (Some(old), Some(new)) => self.untouched(old, new),
            _ => Vec::new(),
        };
        let change = Change { lsn: 0, table, op, old, new, untouched };
        self.drafts.push(Draft { record: self.record, change });
    }

    /// Ends the current WAL record.
    pub(crate) fn next_record(&mut self) {
        self.record += 1;
    }

    pub(crate) fn insert(&mut self, row: Row) {
        self.insert_in_record(row);
        self.next_record();
    }

    /// Inserts without ending the WAL record, as COPY does.
    pub(crate) fn insert_in_record(&mut self, row: Row) {
        let (table, row) = (row.table, Arc::new(row));
        if self.tables.of(table).contains_key(row.key()) {
            return;
        }
        self.tables.of_mut(table).insert(row.key().to_owned(), Arc::clone(&row));
        self.draft(ChangeOp::Insert, table, None, Some(row));
    }

    /// Puts `new` in the place of the row with its key.
    pub(crate) fn update(&mut self, new: Row) {
        let (table, new) = (new.table, Arc::new(new));
        if let Some(standing) = self.tables.of_mut(table).get_mut(new.key()) {
            let old = std::mem::replace(standing, Arc::clone(&new));
            self.draft(ChangeOp::Update, table, Some(old), Some(new));
            self.next_record();
        }
    }

    pub(crate) fn delete(&mut self, table: Table, key: &str) {
        if let Some(old) = self.tables.of_mut(table).remove(key) {
            self.graveyard.push((table, key.to_owned()));
            self.draft(ChangeOp::Delete, table, Some(old), None);
            self.next_record();
        }
    }

    /// One statement that gives several rows new keys. The new keys may be those of rows in the same list.
    pub(crate) fn change_keys(&mut self, table: Table, moves: &[(String, String)]) {
        let mut moved = Vec::new();
        for (from, to) in moves {
            let old = self.tables.of_mut(table).remove(from).expect("a key change starts from an existing row");
            let kept = self.rng.u8(..3) != 0;
            let new = if kept { (*old).clone() } else { self.mutated(&old) };
            moved.push((old, Arc::new(new.with(table.key_column(), Cell::Text(to.clone())))));
        }
        for (old, new) in moved {
            let before = self.tables.of_mut(table).insert(new.key().to_owned(), Arc::clone(&new));
            assert!(before.is_none(), "a key change ends on a free key");
            self.draft(ChangeOp::KeyChange, table, Some(old), Some(new));
            self.next_record();
        }
    }

    /// One TRUNCATE of several tables: one WAL record.
    pub(crate) fn truncate(&mut self, tables: &[Table]) {
        for table in tables {
            self.tables.of_mut(*table).clear();
            self.draft(ChangeOp::Truncate, *table, None, None);
        }
        self.next_record();
    }
}
