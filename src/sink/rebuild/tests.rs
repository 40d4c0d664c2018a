//! What the index that is read and the one that is filled are given, and when the one replaces the other.

use super::*;
use crate::sink::{Action, Touch};
use dataflows::{ConversationSearch, DocumentId};

/// Remembers the times that it is given.
#[derive(Default)]
struct Remembering {
    held: Time,
    given: Vec<Time>,
    broken: bool,
    breaks_at: Option<Time>,
    in_place: bool,
}

impl Sink for Remembering {
    fn history(&self) -> History {
        History::Latest
    }

    fn start(&mut self, _: &Identity) -> Result<(), SinkError> {
        if self.broken { Err(SinkError::other("broken")) } else { Ok(()) }
    }

    fn frontier(&self) -> Time {
        self.held
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        if self.breaks_at.is_some_and(|at| batch.upper > at) {
            return Err(SinkError::other("broken"));
        }
        self.given.extend(batch.touched.iter().map(|touch| touch.time));
        Ok(Ack::DurableBelow(batch.upper))
    }
}

impl Successor for Remembering {
    fn take_place(&mut self) -> Result<(), SinkError> {
        self.in_place = true;
        Ok(())
    }

    fn may_be_left(error: &SinkError) -> bool {
        error.to_string() == "broken"
    }
}

fn batch(lower: Time, upper: Time) -> Batch {
    let touch = |time| Touch { time, id: DocumentId("a".into()), action: Action::Delete };
    Batch { lower, upper, touched: (lower..upper).map(touch).collect(), ..Batch::default() }
}

fn started(kept: Remembering) -> Rebuild<Remembering> {
    let mut rebuild = Rebuild::new(Some(kept), Remembering::default());
    rebuild.start(&Identity::new(&ConversationSearch::default(), "p")).unwrap();
    rebuild
}

#[test]
fn both_are_given_what_they_do_not_hold() {
    let mut rebuild = started(Remembering { held: 7, ..Remembering::default() });
    assert_eq!(rebuild.frontier(), 0);
    for (lower, upper) in [(0, 5), (5, 10), (10, 12)] {
        assert_eq!(rebuild.apply(batch(lower, upper)).unwrap(), Ack::DurableBelow(upper));
        let behind = rebuild.complete();
        assert_eq!(behind.is_err(), upper == 5, "at {upper}: {behind:?}");
    }
    assert_eq!(rebuild.filled.given, (0..12).collect::<Vec<_>>());
    assert_eq!(rebuild.kept.as_ref().unwrap().given, (7..12).collect::<Vec<_>>());
}

#[test]
fn the_index_that_is_read_stays_until_the_other_is_as_far() {
    let mut rebuild = started(Remembering { held: 7, ..Remembering::default() });
    rebuild.apply(batch(0, 6)).unwrap();
    let told = rebuild.complete().unwrap_err().to_string();
    assert!(told.starts_with("the source ends at LSN 5, and the index that is read is at LSN 6"), "{told}");
    assert!(!rebuild.filled.in_place);
    rebuild.apply(batch(6, 8)).unwrap();
    rebuild.complete().unwrap();
    assert!(rebuild.filled.in_place);
}

#[test]
fn an_index_that_cannot_be_continued_is_left_as_it_is() {
    let mut rebuild = started(Remembering { held: 7, broken: true, ..Remembering::default() });
    rebuild.apply(batch(0, 3)).unwrap();
    rebuild.complete().unwrap();
    assert!(rebuild.kept.is_none() && rebuild.filled.in_place);
}

#[test]
fn an_index_that_breaks_on_the_way_is_left_as_it_is() {
    let mut rebuild = started(Remembering { held: 2, breaks_at: Some(5), ..Remembering::default() });
    for (lower, upper) in [(0, 5), (5, 9)] {
        rebuild.apply(batch(lower, upper)).unwrap();
        assert_eq!(rebuild.kept.is_some(), upper == 5);
    }
    rebuild.complete().unwrap();
    assert_eq!(rebuild.filled.given, (0..9).collect::<Vec<_>>());
}

/// What was deleted before the source's snapshot, nobody tells: an index from before it is not patched.
#[test]
fn an_index_from_before_the_source_s_snapshot_is_left_as_it_is() {
    let mut rebuild = started(Remembering { held: 7, ..Remembering::default() });
    rebuild.apply(Batch { base: 8, ..batch(0, 12) }).unwrap();
    assert!(rebuild.kept.is_none());
    rebuild.complete().unwrap();
}

#[test]
fn an_unaligned_index_is_only_filled_anew() {
    let mut rebuild = Rebuild::new(Some(Remembering::default()), Remembering::default());
    let mut identity = Identity::new(&ConversationSearch::default(), "p");
    identity.options.push((Identity::UNALIGNED.to_owned(), "true".to_owned()));
    rebuild.start(&identity).unwrap();
    assert!(rebuild.kept.is_none());
}

#[test]
fn what_is_safe_is_what_both_have() {
    use Ack::{Accepted, Durable, DurableBelow};
    assert_eq!(least(Durable, Durable), Durable);
    assert_eq!(least(DurableBelow(3), DurableBelow(5)), DurableBelow(3));
    assert_eq!(least(Durable, DurableBelow(5)), DurableBelow(5));
    assert_eq!(least(DurableBelow(5), Accepted), Accepted);
}
