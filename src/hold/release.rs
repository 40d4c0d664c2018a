//! The operator that lets held rows go: closings in, changes out, on every worker.

use super::{Change, Held};
use crate::align::Closing;
use crate::time::Time;
use dataflows::Row;
use std::cell::RefCell;
use std::rc::Rc;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// The changes of one table that `closings` let go, each with its time.
pub(crate) fn release<'scope, R: Row>(
    closings: Stream<'scope, Time, Vec<(Closing, Time)>>,
    held: Rc<RefCell<Held<R>>>,
    name: &str,
) -> Stream<'scope, Time, Vec<(Change<R>, Time)>> {
    let scope = closings.scope();
    let (workers, leader) = (scope.peers(), scope.index() == 0);
    let mut builder = OperatorBuilder::new(format!("Release: {name}"), scope);
    let mut input = builder.new_input(closings, Pipeline);
    let (output, changes) = builder.new_output();
    let mut output = OutputBuilder::<Time, CapacityContainerBuilder<Vec<(Change<R>, Time)>>>::from(output);
    builder.build(move |_| {
        let mut out = Vec::new();
        move |frontiers| {
            let mut output = output.activate();
            input.for_each(|capability, closings| {
                let mut held = held.borrow_mut();
                for (closing, time) in closings.drain(..) {
                    held.let_go(&closing, time, workers, leader, &mut out);
                }
                if !out.is_empty() {
                    output.session(&capability).give_container(&mut out);
                    out.clear();
                }
            });
            if frontiers.iter().all(|frontier| frontier.is_empty()) {
                held.borrow_mut().end();
            }
        }
    });
    changes
}
