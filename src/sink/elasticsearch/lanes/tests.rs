//! What is sent when, and how far everything is in.

use super::*;
use crate::sink::Action;
use dataflows::DocumentId;

const MAX: BulkMax = BulkMax { documents: 3, bytes: 1_000_000 };

fn touch(time: Time, id: &str) -> Touch {
    Touch { time, id: DocumentId(id.into()), action: Action::Delete }
}

fn ids(taken: &[Touch]) -> Vec<(&str, Time)> {
    taken.iter().map(|touch| (&*touch.id.0, touch.time)).collect()
}

#[test]
fn nothing_is_sent_before_it_is_announced() {
    let mut lanes = Lanes::new(1, 5);
    assert_eq!((lanes.ready(0, MAX), lanes.frontier()), (Ready::Nothing, 5));
    lanes.accept(5, 11, vec![touch(10, "a")]);
    assert_eq!((lanes.ready(0, MAX), lanes.frontier()), (Ready::Unannounced, 5));
    assert!(lanes.wants_more(MAX));
    lanes.announce(11);
    assert_eq!(lanes.ready(0, MAX), Ready::Some);
    lanes.accept(11, 21, vec![touch(20, "b")]);
    assert!(!lanes.wants_more(MAX), "there is something to do");
    assert_eq!(ids(&lanes.take(0, MAX)), [("a", 10)]);
    assert_eq!((lanes.ready(0, MAX), lanes.frontier()), (Ready::Nothing, 5));
    lanes.arrived(0);
    assert_eq!((lanes.ready(0, MAX), lanes.frontier()), (Ready::Unannounced, 11));
    lanes.announce(21);
    assert_eq!(ids(&lanes.take(0, MAX)), [("b", 20)]);
    lanes.arrived(0);
    assert_eq!((lanes.frontier(), lanes.bytes()), (21, 0));
}

#[test]
fn a_batch_begins_something_where_nothing_waits() {
    let mut lanes = Lanes::new(1, 0);
    assert!(lanes.accept(0, 11, vec![touch(10, "a")]), "something can be announced");
    assert!(!lanes.accept(11, 21, vec![touch(20, "b")]), "it waits behind another");
    lanes.announce(11);
    assert_eq!(lanes.take(0, MAX).len(), 1);
    lanes.announce(21);
    lanes.arrived(0);
    assert_eq!(lanes.take(0, MAX).len(), 1);
    assert!(!lanes.accept(21, 31, vec![touch(30, "c")]), "another is on its way");
    assert!(!lanes.accept(31, 41, Vec::new()), "nor is it in");
    lanes.announce(41);
    lanes.arrived(0);
    assert_eq!(lanes.take(0, MAX).len(), 1);
    lanes.arrived(0);
    assert!(lanes.accept(41, 51, Vec::new()), "what is in has moved");
    assert!(lanes.accept(51, 61, vec![touch(60, "d")]));
}

#[test]
fn a_bulk_has_each_document_once_in_its_latest_state() {
    let mut lanes = Lanes::new(1, 0);
    lanes.accept(0, 11, vec![touch(9, "a"), touch(10, "b")]);
    lanes.accept(11, 21, vec![touch(20, "a"), touch(15, "c"), touch(16, "d")]);
    lanes.announce(21);
    assert_eq!(lanes.ready(0, MAX), Ready::Full);
    assert_eq!(ids(&lanes.take(0, MAX)), [("a", 20), ("b", 10), ("c", 15)]);
    assert_eq!(lanes.frontier(), 0, "the oldest batch counts");
    lanes.arrived(0);
    assert_eq!(lanes.frontier(), 11);
    assert_eq!(ids(&lanes.take(0, MAX)), [("d", 16)]);
    lanes.arrived(0);
    assert_eq!((lanes.frontier(), lanes.bytes()), (21, 0));
}

#[test]
fn a_bulk_has_each_of_many_documents_once() {
    let mut lanes = Lanes::new(1, 0);
    for time in 1..=1_000 {
        lanes.accept(time, time + 1, vec![touch(time, &format!("id {}", time % 100))]);
    }
    lanes.announce(1_001);
    let taken = lanes.take(0, BulkMax { documents: 100, bytes: 1_000_000 });
    let expected: Vec<(String, Time)> = (1..=100).map(|n| (format!("id {}", n % 100), n)).collect();
    assert_eq!(ids(&taken).len(), 100);
    assert_eq!(ids(&taken), expected.iter().map(|(id, time)| (id.as_str(), *time)).collect::<Vec<_>>());
    lanes.arrived(0);
    let taken = lanes.take(0, BulkMax { documents: 200, bytes: 1_000_000 });
    let expected: Vec<(String, Time)> = (1..=100).map(|n| (format!("id {}", n % 100), 900 + n)).collect();
    assert_eq!(ids(&taken), expected.iter().map(|(id, time)| (id.as_str(), *time)).collect::<Vec<_>>());
}

#[test]
fn a_bulk_is_no_larger_than_it_may_be_unless_it_is_one_document() {
    let mut lanes = Lanes::new(1, 0);
    lanes.accept(0, 11, vec![touch(10, &"a".repeat(900)), touch(10, "b"), touch(10, "c")]);
    lanes.announce(11);
    let max = BulkMax { documents: 10, bytes: 700 };
    assert_eq!(lanes.take(0, max).len(), 1);
    lanes.arrived(0);
    assert_eq!(ids(&lanes.take(0, max)), [("b", 10), ("c", 10)]);
}

#[test]
fn a_document_goes_by_one_lane() {
    let mut lanes = Lanes::new(4, 0);
    for time in 1..40 {
        lanes.accept(time, time + 1, vec![touch(time, &format!("id {}", time % 7))]);
    }
    lanes.announce(40);
    let max = BulkMax { documents: 100, bytes: 1_000_000 };
    let bulks: Vec<Vec<Touch>> = (0..4).map(|lane| lanes.take(lane, max)).collect();
    let mut sent: Vec<_> = bulks.iter().flat_map(|bulk| ids(bulk)).collect();
    sent.sort_unstable();
    assert_eq!(sent.len(), 7, "{sent:?}");
    assert!(sent.iter().all(|(_, time)| *time > 32), "the latest states: {sent:?}");
    (0..4).for_each(|lane| lanes.arrived(lane));
    assert_eq!((lanes.frontier(), lanes.bytes()), (40, 0));
}
