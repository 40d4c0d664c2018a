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
use crate::mutant::Mutant;
use crate::queue::Sender;
use crate::status::Counters;
use crate::time::{Lsn, Time};
use dataflows::operators::Staged;
use dataflows::{Schema, ToDocument};
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate;
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
            staged: Staged::default(),
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
    staged: Staged<(D, Time, isize)>,
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
                Closing::Load { .. } if Mutant::PublishWhileHydrating.lives() => {
                    self.base.get_or_insert(time);
                    self.closed.push(time);
                }
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

        let touched = self.touched(upper, base);
        let touch = |(id, time, document): (D::Id, Time, Option<D>)| Touch {
            time,
            id: D::document_id(&id),
            action: document.map_or(Action::Delete, |document| Action::Upsert(document.document(&self.schema))),
        };
        let touched = touched.into_iter().map(touch).collect();
        let lower = std::mem::replace(&mut self.lower, upper);
        let documents = self.documents.max(0) as u64;
        Some(Batch { lower, upper, touched, base, partial_from: self.partial_from, documents, records: 0 })
    }

    /// Takes the differences of the times below `upper`, and says which documents they touch and what stands then.
    fn touched(&mut self, upper: Time, base: Time) -> Vec<(D::Id, Time, Option<D>)> {
        let every = self.history == History::Every;
        let mut rows: Vec<Option<(D, Time, isize)>> = Vec::new();
        let mut places: Vec<(D::Id, Time, usize)> = Vec::new();
        while let Some(time) = self.staged.first().filter(|time| *time < upper) {
            let first = rows.len();
            self.staged.take_first(&mut rows);
            let of_time = rows.iter().enumerate().skip(first);
            places.extend(of_time.filter_map(|(at, row)| Some((row.as_ref()?.0.id(), base.max(time), at))));
        }
        self.documents += rows.iter().flatten().map(|(_, _, diff)| *diff as i64).sum::<i64>();
        if every {
            places.sort_unstable_by(|a, b| (a.1, &a.0, a.2).cmp(&(b.1, &b.0, b.2)));
        } else {
            places.sort_unstable();
        }
        let mut touched: Vec<(D::Id, Time, Option<D>)> = Vec::with_capacity(places.len());
        let mut forms: Vec<(D, isize)> = Vec::new();
        let net = Mutant::NetInsteadOfTouched.lives() && !every;
        for group in places.chunk_by(|a, b| (a.1 == b.1 || net) && a.0 == b.0) {
            let rows = group.iter().filter_map(|(_, _, at)| rows.get_mut(*at)?.take());
            forms.extend(rows.map(|(document, _, diff)| (document, diff)));
            consolidate(&mut forms);
            let Some((id, time, _)) = group.first().filter(|_| !forms.is_empty()) else { continue };
            // Of a removed and an added form of one document at one time, the added one stands.
            let stands = forms.drain(..).find(|(_, diff)| *diff > 0).map(|(document, _)| document);
            match touched.last_mut() {
                Some(last) if !every && last.0 == *id => (last.1, last.2) = (*time, stands),
                _ => touched.push((id.clone(), *time, stands)),
            }
        }
        touched
    }
}
