//! From document differences to batches: on worker 0, at each step of the frontier.
//!
//! ```text
//!   documents (document, time, diff) ──> hold until complete ──> consolidate ──> batch ──> channel ──> sink
//!   closings  (which times exist)    ──────────┘ upper
//! ```
//!
//! Nothing is shown before the initial snapshot is complete; what was loaded in pieces is shown at the snapshot's own
//! time. The channel is bounded: a slow sink stops this operator, with it the aligner, and with that the readers.

use super::{Action, Batch, History, Touch};
use crate::align::Closing;
use crate::queue::Sender;
use crate::status::Counters;
use crate::time::{Lsn, Time};
use dataflows::{Schema, ToDocument};
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate_updates;
use std::sync::Arc;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// Sends a batch to `batches` whenever the frontier has passed another closing.
pub(crate) fn batch<'scope, D: ToDocument>(
    documents: VecCollection<'scope, Time, D>,
    closings: Stream<'scope, Time, Vec<(Closing, Time)>>,
    schema: Arc<Schema>,
    history: History,
    batches: Sender<Batch>,
    counters: Arc<Counters>,
) {
    let scope = closings.scope();
    let leader = scope.index() == 0;
    let mut builder = OperatorBuilder::new("Batch: documents".to_owned(), scope);
    let mut documents = builder.new_input(documents.inner, Exchange::new(|_: &(D, Time, isize)| 0));
    let mut closings = builder.new_input(closings, Pipeline);
    builder.build(move |_| {
        let mut batches = Some(batches).filter(|_| leader);
        let mut builder = Builder {
            base: None,
            partial_from: None,
            lower: 0,
            closed: Vec::new(),
            staged: Vec::new(),
            documents: 0,
            schema,
            history,
        };
        move |frontiers| {
            documents.for_each(|_, data| {
                counters.documents_changed(data.iter().map(|(_, _, diff)| *diff as i64).sum());
                builder.staged.append(data);
            });
            closings.for_each(|_, data| builder.note(data));
            let first = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            if let (Some(batch), Some(to)) = (builder.build(first), &batches) {
                let batch = Batch { records: counters.records_read(), ..batch };
                // When the sink has gone, so has the reason for the batch; the run is ending.
                let _sink_is_gone = to.send(batch);
            }
            if first.is_none() {
                batches = None;
            }
        }
    });
}

struct Builder<D: ToDocument> {
    /// The time of the initial snapshot.
    base: Option<Time>,
    partial_from: Option<Lsn>,
    lower: Time,
    /// Times that closed and were not shown.
    closed: Vec<Time>,
    staged: Vec<(D, Time, isize)>,
    /// How many stand at `lower`.
    documents: i64,
    schema: Arc<Schema>,
    history: History,
}

impl<D: ToDocument> Builder<D> {
    fn note(&mut self, closings: &mut Vec<(Closing, Time)>) {
        for (closing, time) in closings.drain(..) {
            match closing {
                Closing::Base { partial_from, .. } => {
                    self.base = Some(time);
                    self.partial_from = partial_from;
                    self.closed.push(time);
                }
                Closing::Transaction { .. } => self.closed.push(time),
                Closing::Load { .. } | Closing::Known { .. } => {}
            }
        }
    }

    /// The batch up to the last closing before `frontier`; `None` if no closing was passed.
    fn build(&mut self, frontier: Option<Time>) -> Option<Batch> {
        let base = self.base?;
        let complete = |time: Time| frontier.is_none_or(|frontier| time < frontier);
        let upper = self.closed.iter().copied().filter(|time| complete(*time)).max()? + 1;
        self.closed.retain(|time| *time >= upper);

        let mut ready: Vec<(D, Time, isize)> = self.staged.extract_if(.., |(_, time, _)| *time < upper).collect();
        ready.iter_mut().for_each(|(_, time, _)| *time = base.max(*time));
        consolidate_updates(&mut ready);
        self.documents += ready.iter().map(|(_, _, diff)| *diff as i64).sum::<i64>();
        let mut touched: Vec<(D::Id, Time, Option<D>)> = Vec::with_capacity(ready.len());
        touched.extend(
            ready.into_iter().map(|(document, time, diff)| (document.id(), time, Some(document).filter(|_| diff > 0))),
        );
        // Of a removed and an added form of one document at one time, the added one stands last.
        touched.sort_by(|a, b| (&a.0, a.1, a.2.is_some()).cmp(&(&b.0, b.1, b.2.is_some())));
        let every = self.history == History::Every;
        touched.reverse();
        touched.dedup_by(|earlier, later| earlier.0 == later.0 && (!every || earlier.1 == later.1));
        touched.reverse();
        if every {
            touched.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        }
        let touched = touched
            .into_iter()
            .map(|(id, time, document)| Touch {
                time,
                id: D::document_id(&id),
                action: document.map_or(Action::Delete, |document| Action::Upsert(document.document(&self.schema))),
            })
            .collect();
        let lower = std::mem::replace(&mut self.lower, upper);
        let documents = self.documents.max(0) as u64;
        Some(Batch { lower, upper, touched, base, partial_from: self.partial_from, documents, records: 0 })
    }
}
