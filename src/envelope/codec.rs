//! Between the decoder, which knows no view, and the dataflow, which is typed by one.
//!
//! Decoders run beside the workers. Each puts the rows of a table into a typed buffer behind the [`RowBuffer`] trait; the
//! worker that reads the partition takes the buffer and knows its type again. One dynamic call a row, no boxes.

use dataflows::{BadValue, Row, RowSet, RowVisitor, Table, Value, View};
use std::any::Any;

/// What a record does to the row of its key.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(bound = "")]
pub(crate) enum Body<R: Row> {
    /// The row is now this; its key was `from` before, if it changed.
    Put { row: R, from: Option<R::Key> },
    /// The row went; its key is `to` now, if it changed.
    Delete { to: Option<R::Key> },
    /// Every row of the table went.
    Truncate,
}

/// The values of one record's row: those of a buffer's `push`.
pub(crate) struct Values<'a> {
    /// The record's key; `None` for a truncate.
    pub(crate) key: Option<&'a mut [Value]>,
    /// The key it had, or has from now on, if the record is one half of a key change.
    pub(crate) moved: Option<&'a mut [Value]>,
    /// The row after the change; `None` where it went.
    pub(crate) after: Option<&'a mut [Value]>,
}

/// A growing list of typed rows of one table.
pub(crate) trait RowBuffer: Send {
    /// Appends the row made of `values`, or refuses and appends nothing.
    fn push(&mut self, values: Values<'_>) -> Result<(), BadValue>;

    /// The typed list.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// The rows of a buffer, in the order of their records. The key is `None` for a truncate.
pub(crate) struct TypedRows<R: Row>(pub(crate) Vec<(Option<R::Key>, Body<R>)>);

impl<R: Row> RowBuffer for TypedRows<R> {
    fn push(&mut self, values: Values<'_>) -> Result<(), BadValue> {
        let moved = values.moved.map(R::read_key).transpose()?;
        let Some(key) = values.key else {
            self.0.push((None, Body::Truncate));
            return Ok(());
        };
        let key = R::read_key(key)?;
        let body = match values.after {
            Some(after) => Body::Put { row: R::read(after)?, from: moved },
            None => Body::Delete { to: moved },
        };
        self.0.push((Some(key), body));
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// A table as the decoder needs it.
pub(crate) struct Codec {
    pub(crate) table: Table,
    buffer: fn() -> Box<dyn RowBuffer>,
}

impl Codec {
    /// An empty buffer for rows of the table.
    pub(crate) fn buffer(&self) -> Box<dyn RowBuffer> {
        (self.buffer)()
    }
}

/// The codecs of a view's tables, in their order.
pub(crate) fn codecs<V: View>(view: &V) -> Vec<Codec> {
    struct Collect {
        tables: std::vec::IntoIter<Table>,
        codecs: Vec<Codec>,
    }
    impl RowVisitor for Collect {
        fn visit<R: Row>(&mut self, _index: usize) {
            fn buffer<R: Row>() -> Box<dyn RowBuffer> {
                Box::new(TypedRows::<R>(Vec::new()))
            }
            let table = self.tables.next().expect("a view names as many tables as it has row types");
            self.codecs.push(Codec { table, buffer: buffer::<R> });
        }
    }
    let mut collect = Collect { tables: view.tables().into_iter(), codecs: Vec::new() };
    V::Tables::each(&mut collect);
    collect.codecs
}
