//! The contract of a view, and the typed set of tables it reads.

use crate::Time;
use crate::document::{Schema, ToDocument};
use crate::row::{Row, Table};
use differential_dataflow::VecCollection;

/// The rows of one table as a collection of `(key, row)`; each key has at most one row at any time.
pub type Rows<'scope, R> = VecCollection<'scope, Time, (<R as Row>::Key, R)>;

/// The collections a view is built from: a tuple with one for each of its tables.
pub type Collections<'scope, V> = <<V as View>::Tables as RowSet>::Collections<'scope>;

/// A query over source tables whose result an index holds.
///
/// # Contract
/// `build` is pure dataflow. At every time each [`ToDocument::id`] stands at most once in the collection it returns.
/// Two views with one name and the same options build the same dataflow.
pub trait View: Clone + Send + Sync + 'static {
    /// The tables read: a tuple of row types, as in `(User, Conversation)`.
    type Tables: RowSet;

    /// What the dataflow keeps of a document.
    type Output: ToDocument;

    /// The view's name, as an index remembers it.
    fn name(&self) -> &str;

    /// What tells this view from another of its name, as `(option, value)`: an index is of one view with one set of
    /// options, and remembers both. Default: it has no options.
    fn options(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The tables, in the order of [`View::Tables`], and as many.
    fn tables(&self) -> Vec<Table>;

    /// The documents' fields.
    fn schema(&self) -> Schema;

    /// The query.
    fn build<'scope>(&self, tables: Collections<'scope, Self>) -> VecCollection<'scope, Time, Self::Output>;
}

/// Something done for each table of a [`RowSet`], in order, with its row type at hand.
pub trait TableVisitor<'scope> {
    /// Makes the collection of the table at `index` in [`View::tables`].
    fn visit<R: Row>(&mut self, index: usize) -> Rows<'scope, R>;
}

/// Something done for each row type of a [`RowSet`], in order, outside any dataflow.
pub trait RowVisitor {
    /// Visits the row type of the table at `index` in [`View::tables`].
    fn visit<R: Row>(&mut self, index: usize);
}

/// A tuple of row types.
pub trait RowSet: 'static {
    /// How many row types there are.
    const LEN: usize;

    /// The same tuple of collections.
    type Collections<'scope>;

    /// Calls `visitor` for each row type in order.
    fn each<V: RowVisitor>(visitor: &mut V);

    /// Calls `visitor` for each table in order.
    fn visit<'scope, V: TableVisitor<'scope>>(visitor: &mut V) -> Self::Collections<'scope>;
}

macro_rules! row_sets {
    ($($row:ident $index:tt),+) => {
        impl<$($row: Row),+> RowSet for ($($row,)+) {
            const LEN: usize = [$($index),+].len();

            type Collections<'scope> = ($(Rows<'scope, $row>,)+);

            fn each<V: RowVisitor>(visitor: &mut V) {
                $(visitor.visit::<$row>($index);)+
            }

            fn visit<'scope, V: TableVisitor<'scope>>(visitor: &mut V) -> Self::Collections<'scope> {
                ($(visitor.visit::<$row>($index),)+)
            }
        }
    };
}

row_sets!(A 0);
row_sets!(A 0, B 1);
row_sets!(A 0, B 1, C 2);
row_sets!(A 0, B 1, C 2, D 3);
row_sets!(A 0, B 1, C 2, D 3, E 4);
row_sets!(A 0, B 1, C 2, D 3, E 4, F 5);
