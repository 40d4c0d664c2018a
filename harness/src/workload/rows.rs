//! Rows as Postgres holds them: four tables, their columns, and what one committed transaction does to them.
//!
//! Inside a transaction a key may stand twice for a moment: a swap of two keys under a deferrable primary key moves the first row
//! onto the second one's key before that one leaves. [`Tables::apply`] therefore works on tuples, like the heap: it takes away
//! exactly the old tuple, puts the new one, and only at the commit demands one row a key.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::values::{zoned_text, zoned_text_short};
use super::{Change, ChangeOp, Commit};

/// A captured table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `users(uid, name, bio, created_at)`
    Users,
    /// `conversations(uid, user_uid, subject, closed_at, created_at)`
    Conversations,
    /// `conversation_items(uid, conversation_uid, type, body, created_at)`
    Items,
    /// `dbz_signal(id, type, data)`: Debezium's signal table, in no view, but counted in every END.
    Signal,
}

/// The type of a column; decides its spelling in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `uuid`
    Uuid,
    /// `text`
    Text,
    /// `timestamptz`
    Zoned,
    /// `timestamp`
    Local,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether long values are stored out of line, so that an update may leave them out of the WAL.
    pub toastable: bool,
}

const fn column(name: &'static str, kind: ColumnType, nullable: bool, toastable: bool) -> Column {
    Column { name, kind, nullable, toastable }
}

const USERS: [Column; 4] = [
    column("uid", ColumnType::Uuid, false, false),
    column("name", ColumnType::Text, false, false),
    column("bio", ColumnType::Text, true, true),
    column("created_at", ColumnType::Zoned, false, false),
];
const CONVERSATIONS: [Column; 5] = [
    column("uid", ColumnType::Uuid, false, false),
    column("user_uid", ColumnType::Uuid, false, false),
    column("subject", ColumnType::Text, true, true),
    column("closed_at", ColumnType::Local, true, false),
    column("created_at", ColumnType::Zoned, false, false),
];
const ITEMS: [Column; 5] = [
    column("uid", ColumnType::Uuid, false, false),
    column("conversation_uid", ColumnType::Uuid, false, false),
    column("type", ColumnType::Text, false, false),
    column("body", ColumnType::Text, true, true),
    column("created_at", ColumnType::Zoned, false, false),
];
const SIGNAL: [Column; 3] = [
    column("id", ColumnType::Text, false, false),
    column("type", ColumnType::Text, false, false),
    column("data", ColumnType::Text, true, false),
];

impl Table {
    /// The three tables of the view, parents first.
    pub const VIEW: [Table; 3] = [Table::Users, Table::Conversations, Table::Items];
    /// Every captured table.
    pub const ALL: [Table; 4] = [Table::Users, Table::Conversations, Table::Items, Table::Signal];

    /// The name in schema `public`.
    pub fn name(self) -> &'static str {
        match self {
            Table::Users => "users",
            Table::Conversations => "conversations",
            Table::Items => "conversation_items",
            Table::Signal => "dbz_signal",
        }
    }

    /// The name as `data_collections` of an END gives it: `public.<table>`.
    pub fn collection(self) -> String {
        format!("public.{}", self.name())
    }

    /// The topic of its change records.
    pub fn topic(self) -> String {
        format!("podium.public.{}", self.name())
    }

    /// Its columns; the first is the primary key.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Table::Users => &USERS,
            Table::Conversations => &CONVERSATIONS,
            Table::Items => &ITEMS,
            Table::Signal => &SIGNAL,
        }
    }

    /// The name of the primary key's column.
    pub fn key_column(self) -> &'static str {
        if self == Table::Signal { "id" } else { "uid" }
    }
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// SQL null.
    Null,
    /// uuid or text.
    Text(String),
    /// timestamptz, microseconds since 1970 UTC.
    Zoned(i64),
    /// timestamp, microseconds since 1970.
    Local(i64),
}

impl Cell {
    /// The value as Debezium's JSON converter writes it.
    pub fn to_json(&self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Zoned(micros) => Value::from(zoned_text(*micros)),
            Cell::Local(micros) => Value::from(*micros),
        }
    }

    /// What Debezium invents for a column whose value a delete's old tuple does not carry.
    pub(crate) fn invented(column: &Column) -> Value {
        match column.kind {
            _ if column.nullable => Value::Null,
            ColumnType::Uuid | ColumnType::Text => Value::from(""),
            ColumnType::Zoned => Value::from(zoned_text_short(0)),
            ColumnType::Local => Value::from(0),
        }
    }
}

/// One row: its cells in the order of [`Table::columns`], the primary key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The table it belongs to.
    pub table: Table,
    /// Its values.
    pub cells: Vec<Cell>,
}

impl Row {
    /// The primary key.
    pub fn key(&self) -> &str {
        match self.cells.first() {
            Some(Cell::Text(key)) => key,
            _ => "",
        }
    }

    /// The value of a column, or `None` where the table has no such column.
    pub fn get(&self, column: &str) -> Option<&Cell> {
        let at = self.table.columns().iter().position(|known| known.name == column)?;
        self.cells.get(at)
    }

    /// A text value; `""` where it is null or absent.
    pub fn text(&self, column: &str) -> &str {
        match self.get(column) {
            Some(Cell::Text(text)) => text,
            _ => "",
        }
    }

    /// This row with one value replaced.
    pub(crate) fn with(mut self, column: &str, value: Cell) -> Row {
        let at = self.table.columns().iter().position(|known| known.name == column);
        if let Some(cell) = at.and_then(|at| self.cells.get_mut(at)) {
            *cell = value;
        }
        self
    }

    /// The whole row as Debezium writes it.
    pub fn to_json(&self) -> Value {
        let pairs = self.table.columns().iter().zip(&self.cells);
        Value::Object(pairs.map(|(column, cell)| (column.name.to_owned(), cell.to_json())).collect::<Map<_, _>>())
    }
}

/// A row that many holders share.
pub type SharedRow = Arc<Row>;

/// The contents of all tables at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    users: BTreeMap<String, SharedRow>,
    conversations: BTreeMap<String, SharedRow>,
    items: BTreeMap<String, SharedRow>,
    signals: BTreeMap<String, SharedRow>,
}

impl Tables {
    /// The rows of one table by key.
    pub fn of(&self, table: Table) -> &BTreeMap<String, SharedRow> {
        match table {
            Table::Users => &self.users,
            Table::Conversations => &self.conversations,
            Table::Items => &self.items,
            Table::Signal => &self.signals,
        }
    }

    pub(crate) fn of_mut(&mut self, table: Table) -> &mut BTreeMap<String, SharedRow> {
        match table {
            Table::Users => &mut self.users,
            Table::Conversations => &mut self.conversations,
            Table::Items => &mut self.items,
            Table::Signal => &mut self.signals,
        }
    }

    /// What a committed transaction leaves behind.
    ///
    /// # Panics
    /// Where a change does not fit: its old row is not there, or a key stands twice at the commit. A history from
    /// [`History::generate`](super::History::generate) always fits.
    pub fn apply(&mut self, commit: &Commit) {
        let mut open = OpenKeys { tables: self, tuples: BTreeMap::new() };
        for change in &commit.changes {
            open.change(change);
        }
        open.close();
    }
}

/// The keys a transaction has touched, each with the tuples that stand under it right now.
struct OpenKeys<'a> {
    tables: &'a mut Tables,
    tuples: BTreeMap<(Table, String), Vec<SharedRow>>,
}

impl OpenKeys<'_> {
    fn change(&mut self, change: &Change) {
        if change.op == ChangeOp::Truncate {
            self.tables.of_mut(change.table).clear();
            self.tuples
                .iter_mut()
                .filter(|((table, _), _)| *table == change.table)
                .for_each(|(_, tuples)| tuples.clear());
        }
        if let Some(old) = &change.old {
            let tuples = self.under(change.table, old.key());
            let at = tuples.iter().position(|tuple| tuple == old).expect("a change's old row stands in its table");
            tuples.remove(at);
        }
        if let Some(new) = &change.new {
            self.under(change.table, new.key()).push(Arc::clone(new));
        }
    }

    fn under(&mut self, table: Table, key: &str) -> &mut Vec<SharedRow> {
        let standing = self.tables.of(table).get(key);
        self.tuples.entry((table, key.to_owned())).or_insert_with(|| standing.cloned().into_iter().collect())
    }

    fn close(self) {
        for ((table, key), mut tuples) in self.tuples {
            assert!(tuples.len() < 2, "two rows of {} under key {key} at a commit", table.name());
            match tuples.pop() {
                Some(row) => self.tables.of_mut(table).insert(key, row),
                None => self.tables.of_mut(table).remove(&key),
            };
        }
    }
}
