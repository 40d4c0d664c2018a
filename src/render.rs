//! The whole dataflow, on each worker. The one place that knows every part.
//!
//! ```text
//!   feed ─> Source ──facts──> Align ──closings──> Release ──changes──> Upsert ──rows──> view ──documents──> Batch ─> sink
//!             │   (to worker 0)   (to all workers)   ↑     (by key)                          (to worker 0)     ↑
//!             └── rows, held per table ──────────────┘                                    closings ────────────┘
//! ```

use crate::align::{AlignOptions, Aligner, Closing, align};
use crate::hold::{Held, Pace, release};
use crate::queue::Sender;
use crate::sink::batch::batch;
use crate::sink::{Batch, History};
use crate::source::catalog::Catalog;
use crate::source::feed::Inlet;
use crate::source::reader::{Holders, ReaderHandle, read};
use crate::source::survey::Restarts;
use crate::spill::Spill;
use crate::status::{Status, TableStatus};
use crate::time::Time;
use crate::upsert::upsert;
use dataflows::{Row, RowSet, RowVisitor, Rows, TableVisitor, View};
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use timely::dataflow::{Scope, Stream};

/// What every worker needs to build its part of the dataflow.
#[derive(Clone)]
pub(crate) struct Plan<V> {
    pub(crate) view: V,
    pub(crate) catalog: Catalog,
    pub(crate) status: Arc<Status>,
    pub(crate) align: AlignOptions,
    /// How many partitions each table's topic has, if that is known.
    pub(crate) partitions: Option<Vec<u32>>,
    pub(crate) restarts: Restarts,
    pub(crate) history: History,
    pub(crate) spill: Arc<Spill>,
    pub(crate) pace: Arc<Pace>,
    /// Bytes of changes of one time from which on the upsert leaves out those that others have overtaken.
    pub(crate) compact_from: usize,
}

/// Builds the dataflow in `scope`.
pub(crate) fn render<'scope, V: View>(
    scope: Scope<'scope, Time>,
    plan: Plan<V>,
    inlet: Inlet,
    batches: Sender<Batch>,
) -> ReaderHandle {
    let Plan { view, catalog, status, align: options, partitions, restarts, history, spill, pace, compact_from } = plan;
    let mut holds = Holds {
        catalog: &catalog,
        status: &status,
        worker: scope.index(),
        spill: &spill,
        pace: &pace,
        repair_delay_ms: options.repair_delay_ms,
        holders: Vec::new(),
        typed: Vec::new(),
    };
    V::Tables::each(&mut holds);
    let Holds { holders, typed, .. } = holds;

    let names: Vec<String> = catalog.codecs.iter().map(|codec| codec.table.name.clone()).collect();
    let aligner = Aligner::new(options, names, partitions, restarts);
    let (facts, reader) = read(scope, inlet, holders, catalog.clone(), Arc::clone(&status));
    let closings = align(facts, aligner, Arc::clone(&status));

    let mut tables = Tables {
        closings: closings.clone(),
        typed: typed.into_iter(),
        catalog: &catalog,
        status: &status,
        compact_from,
    };
    let tables = V::Tables::visit(&mut tables);
    let schema = Arc::new(view.schema());
    batch(view.build(tables), closings, schema, history, batches, Arc::clone(&status.counters));
    reader
}

/// Makes, for each table, the place where its rows are held.
struct Holds<'a> {
    catalog: &'a Catalog,
    status: &'a Arc<Status>,
    worker: usize,
    spill: &'a Arc<Spill>,
    pace: &'a Arc<Pace>,
    repair_delay_ms: i64,
    holders: Holders,
    /// The same, by their types.
    typed: Vec<Box<dyn Any>>,
}

impl RowVisitor for Holds<'_> {
    fn visit<R: Row>(&mut self, index: usize) {
        let status = TableStatus::of(self.status, self.catalog, index);
        let held = Held::<R>::new(index, self.worker, status, self.repair_delay_ms, self.spill, self.pace);
        let held = Rc::new(RefCell::new(held));
        self.holders.push(Rc::clone(&held) as Rc<RefCell<dyn crate::hold::Hold>>);
        self.typed.push(Box::new(held));
    }
}

/// Makes, for each table, the collection of its rows.
struct Tables<'a, 'scope> {
    closings: Stream<'scope, Time, Vec<(Closing, Time)>>,
    typed: std::vec::IntoIter<Box<dyn Any>>,
    catalog: &'a Catalog,
    status: &'a Arc<Status>,
    compact_from: usize,
}

impl<'scope> TableVisitor<'scope> for Tables<'_, 'scope> {
    fn visit<R: Row>(&mut self, index: usize) -> Rows<'scope, R> {
        let held = self.typed.next().and_then(|held| held.downcast::<Rc<RefCell<Held<R>>>>().ok());
        let held = *held.expect("tables are visited in one order");
        let table = &self.catalog.codecs.get(index).expect("a codec for each table").table;
        let changes = release(self.closings.clone(), held, &table.name);
        let status = TableStatus::of(self.status, self.catalog, index);
        upsert(changes, &table.name, table.may_omit, self.compact_from, status)
    }
}
