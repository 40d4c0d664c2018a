//! Rows: the typed form of a source table's columns that a view uses, and nothing else of them.

use crate::value::{BadValue, Column, Value};
use differential_dataflow::{ExchangeData, Hashable};
use serde::{Deserialize, Serialize};
use std::hash::Hash;

/// One row of a source table without its key, holding only what the view reads.
///
/// # Contract
/// A row survives serde: what waits may wait on disk, and no field is skipped. [`Row::read`] gets the values of [`Table::columns`] in that order. A row that may hold [`Value::Unknown`] says so by
/// [`Row::is_whole`] and fills those columns, and only those, in [`Row::fill`].
pub trait Row: ExchangeData {
    /// The primary key: what changes of one row have in common.
    type Key: ExchangeData + Hashable<Output = u64> + Hash + Eq;

    /// Makes the key of the values of [`Table::key`].
    fn read_key(values: &mut [Value]) -> Result<Self::Key, BadValue>;

    /// Makes the row of the values of [`Table::columns`].
    fn read(values: &mut [Value]) -> Result<Self, BadValue>;

    /// Whether every column is known. Only a row with a column that Postgres may keep out of line can ever say no.
    fn is_whole(&self) -> bool {
        true
    }

    /// Gives every unknown column the value it has in `stored`.
    fn fill(&mut self, _stored: &Self) {}

    /// The bytes that the row has in memory besides its own size, so that what waits can be kept within a budget.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// The same of a key.
    fn key_heap_bytes(_key: &Self::Key) -> usize {
        0
    }
}

/// A source table as a view reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Schema and table, as in `public.users`; the topic is the source's prefix, a dot and this.
    pub name: String,
    /// The columns of the primary key.
    pub key: Vec<Column>,
    /// The other columns.
    pub columns: Vec<Column>,
    /// Whether a column's value may be left out of an update because it did not change (text, json, bytes and arrays,
    /// once they are large). Only such a table pays for asking the old row of a changed key.
    pub may_omit: bool,
}

/// Columns that are only carried to the document, in the order the view was asked for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Extra(pub Box<[Value]>);

impl Extra {
    /// Takes all of `values`.
    pub fn take(values: &mut [Value]) -> Extra {
        Extra(values.iter_mut().map(std::mem::take).collect())
    }

    /// The bytes that the values have in memory.
    pub fn heap_bytes(&self) -> usize {
        self.0.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum()
    }

    /// Whether every column is known.
    pub fn is_whole(&self) -> bool {
        !self.0.contains(&Value::Unknown)
    }

    /// Gives every unknown column the value it has in `stored`.
    pub fn fill(&mut self, stored: &Extra) {
        for (value, stored) in self.0.iter_mut().zip(&stored.0) {
            if *value == Value::Unknown {
                value.clone_from(stored);
            }
        }
    }
}
