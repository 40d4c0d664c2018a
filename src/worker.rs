//! A worker thread: steps its part of the dataflow, and sleeps when there is nothing to do.

use crate::error::Error;
use crate::render::{Plan, render};
use crate::sink::Batch;
use crate::source::feed::Inlet;
use crate::time::Time;
use dataflows::View;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use timely::WorkerConfig;
use timely::communication::WorkerGuards;

/// The longest a worker sleeps before it looks again by itself. It is woken earlier by whatever it waits for.
const SLEEP: Duration = Duration::from_millis(5);

/// What a worker takes when it starts.
type Own = Option<(Inlet, SyncSender<Batch>)>;

/// Starts one thread for each inlet.
pub(crate) fn start<V: View>(
    plan: Plan<V>,
    inlets: Vec<Inlet>,
    batches: SyncSender<Batch>,
) -> Result<WorkerGuards<()>, Error> {
    let config = timely::Config {
        communication: timely::CommunicationConfig::Process(inlets.len()),
        worker: WorkerConfig::default(),
    };
    // Each worker takes what is its own; timely wants one closure for all.
    let own: Vec<Own> = inlets.into_iter().map(|inlet| Some((inlet, batches.clone()))).collect();
    let own = Mutex::new(own);
    timely::execute(config, move |worker| {
        let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = own.get_mut(worker.index()).and_then(Option::take);
        drop(own);
        let (inlet, batches) = taken.expect("each worker starts once");
        let plan = plan.clone();
        let reader = worker.dataflow_named::<Time, _, _>("Deltaic", |scope| render(scope, plan, inlet, batches));
        while worker.has_dataflows() {
            reader.activate();
            worker.step();
            while !reader.has_read() && worker.has_dataflows() {
                if !worker.step_or_park(Some(SLEEP)) {
                    break;
                }
                reader.activate();
                worker.step();
            }
        }
    })
    .map_err(Error::Worker)
}

/// Waits for all workers to end.
pub(crate) fn join(guards: WorkerGuards<()>) -> Result<(), Error> {
    let failed: Vec<String> = guards.join().into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(Error::Worker(failed.join("; "))) }
}
