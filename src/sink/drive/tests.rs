//! What a sink is given, and when it is called.

use super::*;
use crate::queue::{Bound, queue};
use crate::sink::{Ack, Action, History, SinkError, Touch};
use dataflows::DocumentId;
use std::time::Duration;

/// Remembers what it is given; asks to be flushed `patience` after a batch.
#[derive(Default)]
struct Remembering {
    held: Time,
    given: Vec<(Time, Time, Vec<Time>)>,
    patience: Option<Duration>,
    deadline: Option<Instant>,
    flushed_after: Vec<usize>,
}

impl Sink for Remembering {
    fn history(&self) -> History {
        History::Latest
    }

    fn frontier(&self) -> Time {
        self.held
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        self.given.push((batch.lower, batch.upper, batch.touched.iter().map(|touch| touch.time).collect()));
        self.deadline = self.patience.map(|patience| Instant::now() + patience);
        Ok(Ack::Accepted)
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn flush(&mut self) -> Result<Ack, SinkError> {
        self.deadline = None;
        self.flushed_after.push(self.given.len());
        Ok(Ack::Durable)
    }
}

fn batch(lower: Time, upper: Time, times: &[Time]) -> Batch {
    let touch = |time: &Time| Touch { time: *time, id: DocumentId(time.to_string().into()), action: Action::Delete };
    Batch { lower, upper, touched: times.iter().map(touch).collect(), base: 10, ..Batch::default() }
}

fn driven(sink: &mut Remembering, batches: &[Batch]) -> Result<Driven, Error> {
    let (send, receive) = queue(Bound { items: batches.len(), bytes: usize::MAX });
    batches.iter().for_each(|batch| send.send(batch.clone()).unwrap());
    drop(send);
    drive(receive, sink, &Given::default())
}

#[test]
fn a_sink_is_given_nothing_below_its_frontier() {
    let batches = [batch(0, 11, &[10, 10]), batch(11, 21, &[12, 15, 20]), batch(21, 31, &[30])];
    for (held, expected) in [
        (0, vec![(0, 11, vec![10, 10]), (11, 21, vec![12, 15, 20]), (21, 31, vec![30])]),
        (11, vec![(11, 21, vec![12, 15, 20]), (21, 31, vec![30])]),
        (15, vec![(15, 21, vec![15, 20]), (21, 31, vec![30])]),
        (16, vec![(16, 21, vec![20]), (21, 31, vec![30])]),
        (31, vec![]),
        (99, vec![]),
    ] {
        let mut sink = Remembering { held, ..Remembering::default() };
        let touched = expected.iter().map(|(_, _, times)| times.len() as u64).sum();
        assert_eq!(driven(&mut sink, &batches).unwrap(), Driven { held, batches: expected.len() as u64, touched });
        assert_eq!(sink.given, expected, "holds below {held}");
    }
}

#[test]
fn a_log_that_begins_after_the_sink_stopped_is_refused() {
    let mut sink = Remembering { held: 10, ..Remembering::default() };
    let refused = driven(&mut sink, &[batch(0, 11, &[10])]);
    assert!(matches!(refused, Err(Error::BaseAfterSink { base: Lsn(10), sink: Lsn(9) })), "{refused:?}");
    assert_eq!(sink.given, []);
}

#[test]
#[should_panic(expected = "batches tile time")]
fn batches_tile_time() {
    let _panics = driven(&mut Remembering::default(), &[batch(0, 11, &[]), batch(12, 13, &[])]);
}

#[test]
fn a_deadline_is_kept_while_no_batch_comes_and_while_batches_never_cease() {
    let mut sink = Remembering { patience: Some(Duration::ZERO), ..Remembering::default() };
    driven(&mut sink, &[batch(0, 11, &[]), batch(11, 12, &[])]).unwrap();
    assert_eq!(sink.flushed_after, [1, 2], "a batch was waiting");

    let mut sink = Remembering { patience: Some(Duration::from_millis(1)), ..Remembering::default() };
    let (send, receive) = queue(Bound { items: 1, bytes: usize::MAX });
    let sender = std::thread::spawn(move || {
        send.send(batch(0, 11, &[])).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        send.send(batch(11, 12, &[])).unwrap();
    });
    drive(receive, &mut sink, &Given::default()).unwrap();
    sender.join().unwrap();
    assert_eq!(sink.flushed_after.first(), Some(&1), "flushed while nothing came");
}
