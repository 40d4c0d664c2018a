//! The aligner inside timely: one operator, of which only worker 0's instance works.
//!
//! Its input is connected to no output: facts travel at time 0 for as long as the log lasts and must not hold the output
//! back. The operator mints its output's times itself and drops its capability past each closing, so that the output's
//! frontier *is* the statement "all transactions up to here are complete".

use super::{AlignError, AlignReport, Aligner, Closing, Fact};
use crate::time::Time;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::vec::Broadcast;

/// What the aligner tells those who run it.
pub(crate) trait AlignMonitor: 'static {
    /// Whether to close nothing more, though the log has not ended.
    fn stopped(&self) -> bool;
    /// So many facts were taken note of.
    fn noted(&self, facts: usize);
    /// The stream cannot be followed.
    fn failed(&self, error: AlignError);
    /// Where things stand, after something changed; `done` when nothing more will close.
    fn report(&self, report: AlignReport, done: bool);
}

/// Closings, each at its time, on every worker.
pub(crate) fn align<'scope>(
    facts: Stream<'scope, Time, Vec<Fact>>,
    mut aligner: Aligner,
    monitor: impl AlignMonitor,
) -> Stream<'scope, Time, Vec<(Closing, Time)>> {
    let scope = facts.scope();
    let mut builder = OperatorBuilder::new("Align: transactions".to_owned(), scope);
    let mut input = builder.new_input_connection(facts, Exchange::new(|_: &Fact| 0), []);
    let (output, closings) = builder.new_output_connection([]);
    let mut output = OutputBuilder::<Time, CapacityContainerBuilder<Vec<(Closing, Time)>>>::from(output);
    let leader = scope.index() == 0;
    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop().filter(|_| leader);
        let mut out = Vec::new();
        move |frontiers| {
            let ended = frontiers.iter().all(|frontier| frontier.is_empty());
            let (mut facts, mut outcome) = (0, Ok(()));
            input.for_each(|_, data| {
                facts += data.len();
                if capability.is_some() && outcome.is_ok() {
                    outcome = data.drain(..).try_for_each(|fact| aligner.note(fact, &mut out));
                }
            });
            // Where nothing closes any more, what readers still send is only let through.
            if leader {
                monitor.noted(facts);
            }
            let Some(held) = capability.as_mut() else { return };
            if facts == 0 && !ended {
                return;
            }
            if outcome.is_ok() && !monitor.stopped() {
                outcome = if ended { aligner.end_of_log(&mut out) } else { aligner.advance(&mut out) };
            }
            let mut activated = output.activate();
            activated.session(held).give_container(&mut out);
            out.clear();
            let done = ended || aligner.until_reached() || outcome.is_err();
            monitor.report(if done { aligner.final_report() } else { aligner.report() }, done);
            if let Err(error) = outcome {
                monitor.failed(error);
            }
            if done {
                capability = None;
            } else {
                held.downgrade(&aligner.upper());
            }
        }
    });
    // With one worker there is nobody else to tell, and three operators less on the way of every transaction.
    if scope.peers() == 1 { closings } else { closings.broadcast() }
}
