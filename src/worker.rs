//! A worker thread: steps its part of the dataflow, and sleeps when there is nothing to do.
//!
//! A worker that panics takes the others down with it: they would wait for its progress for ever.

use crate::error::{Error, panic_message};
use crate::queue::Sender;
use crate::render::{Plan, render};
use crate::sink::Batch;
use crate::source::feed::Inlet;
use crate::spin::Spin;
use crate::status::Status;
use crate::time::Time;
use dataflows::View;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use timely::WorkerConfig;
use timely::communication::WorkerGuards;
use timely::worker::Worker;

/// The longest a worker sleeps before it looks again by itself. It is woken earlier by whatever it waits for.
const SLEEP: Duration = Duration::from_millis(5);

/// What a worker takes when it starts.
type Own = Option<(Inlet, Sender<Batch>)>;

/// Starts one thread for each inlet.
pub(crate) fn start<V: View>(
    plan: Plan<V>,
    inlets: Vec<Inlet>,
    batches: Sender<Batch>,
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
        let (plan, status) = (plan.clone(), Arc::clone(&plan.status));
        // Nothing of what a panic leaves half done is used again: the dataflow is dropped, here and everywhere.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(worker, plan, inlet, batches)));
        if let Err(panic) = outcome {
            status.break_off(panic_message(&*panic));
        }
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow);
        }
    })
    .map_err(Error::Worker)
}

/// Steps the dataflow until it is done, or until any worker has failed: what that one owes the others never comes.
fn work<V: View>(worker: &mut Worker, plan: Plan<V>, inlet: Inlet, batches: Sender<Batch>) {
    let status = Arc::clone(&plan.status);
    let reader = worker.dataflow_named::<Time, _, _>("Deltaic", |scope| render(scope, plan, inlet, batches));
    let goes_on = |worker: &Worker| worker.has_dataflows() && !status.is_broken();
    let mut spin = Spin::default();
    while goes_on(worker) {
        reader.activate();
        worker.step();
        if reader.has_read() {
            spin.came();
        } else if spin.goes_on(Instant::now()) {
            thread::yield_now();
        } else {
            worker.step_or_park(Some(SLEEP));
        }
    }
}

/// Waits for all workers to end.
pub(crate) fn join(guards: WorkerGuards<()>, status: &Status) -> Result<(), Error> {
    let failed: Vec<String> = guards.join().into_iter().filter_map(Result::err).collect();
    match status.broken() {
        Some(panic) => Err(Error::Worker(panic.to_owned())),
        None if failed.is_empty() => Ok(()),
        None => Err(Error::Worker(failed.join("; "))),
    }
}
