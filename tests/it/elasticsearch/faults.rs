//! Whatever a server does, and however often the sender dies: the index becomes what it should be, with its versions.

use super::*;
use crate::support::search_server::Fault;
use fastrand::Rng;

/// States of documents, by time: what a view would show.
struct History(Vec<(Time, String, Option<i64>)>);

impl History {
    fn random(rng: &mut Rng) -> History {
        let mut states: Vec<(Time, String, Option<i64>)> = Vec::new();
        let mut time = 10;
        for number in 0..rng.i64(50..400) {
            time += u64::from(rng.u8(0..3) > 0) * rng.u64(1..5);
            let id = format!("id {}", rng.u8(0..30));
            // A document changes once in a transaction.
            if states.iter().rev().take_while(|(at, ..)| *at == time).all(|(_, other, _)| *other != id) {
                states.push((time, id, (rng.u8(0..3) > 0).then_some(number)));
            }
        }
        History(states)
    }

    fn end(&self) -> Time {
        self.0.last().map_or(0, |(time, ..)| time + 1)
    }

    /// Documents with their versions, after everything below `upper`.
    fn documents(&self, upper: Time) -> BTreeMap<String, (u64, i64)> {
        let mut documents = BTreeMap::new();
        for (time, id, number) in self.0.iter().filter(|(time, ..)| *time < upper) {
            match number {
                Some(number) => drop(documents.insert(id.clone(), (*time, *number))),
                None => drop(documents.remove(id)),
            }
        }
        documents
    }

    /// The batch of what changed from `lower` to `upper`: the last state of each document.
    fn batch(&self, lower: Time, upper: Time) -> Batch {
        let mut last = BTreeMap::new();
        for (time, id, number) in self.0.iter().filter(|(time, ..)| (lower..upper).contains(time)) {
            last.insert(id.clone(), touch(*time, id, *number));
        }
        Batch { documents: self.documents(upper).len() as u64, ..batch(lower, upper, last.into_values().collect()) }
    }
}

fn random_fault(rng: &mut Rng) -> Option<Fault> {
    let pause = Duration::from_millis(rng.u64(1..10));
    match rng.u8(0..24) {
        0 | 1 => Some(Fault::RejectItems),
        2 => Some(Fault::Refuse(429)),
        3 => Some(Fault::Refuse(503)),
        4 => Some(Fault::Refuse(500)),
        5 => Some(Fault::ApplyAndDrop),
        6 => Some(Fault::Drop),
        7 => Some(Fault::HalfAnswer),
        8..=11 => Some(Fault::Slow(pause)),
        12 => Some(Fault::Hang(Duration::from_millis(rng.u64(150..400)))),
        _ => None,
    }
}

/// One seed: a history, sent in random batches by senders that die, to a server that fails and forgets.
fn check(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let history = History::random(&mut rng);
    let mut faults = Rng::with_seed(seed ^ 0xfa17);
    let server = SearchServer::start(Box::new(move || random_fault(&mut faults)));
    server.model().body_max = rng.bool().then_some(600);
    let mut durable = 0;
    let mut deaths = rng.u8(0..4);
    let dies = deaths > 0;
    loop {
        let options = ElasticsearchOptions {
            bulk_documents_max: rng.usize(1..20),
            bulks_in_flight: rng.usize(1..5),
            compress: rng.bool(),
            request_timeout_ms: 100,
            ..options(&server)
        };
        let mut sink = started(options).unwrap();
        let mut at = sink.frontier();
        assert!(at >= durable, "seed {seed}: what was durable is kept");
        let dies_at = (deaths > 0).then(|| rng.u64(at..=history.end()));
        while at < history.end() && dies_at.is_none_or(|dies_at| at <= dies_at) {
            let upper = (at + rng.u64(1..40)).min(history.end());
            sink.apply(history.batch(at, upper)).unwrap();
            at = upper;
            if rng.u8(0..3) == 0 {
                std::thread::sleep(Duration::from_millis(rng.u64(0..6)));
            }
            if let Ack::DurableBelow(below) = sink.due().unwrap() {
                assert!(below >= durable && below <= at, "seed {seed}");
                durable = below;
            }
            if rng.u8(0..40) == 0 {
                server.model().restart();
            }
        }
        if dies_at.is_none() {
            assert_eq!(sink.finish().unwrap(), Ack::DurableBelow(history.end()), "seed {seed}");
            break;
        }
        deaths -= 1;
        drop(sink);
        server.model().sender_died();
        if rng.bool() {
            server.model().restart();
        }
    }
    assert_eq!(seen(&server), history.documents(history.end()), "seed {seed}");
    let model = server.model();
    // What the dead have sent may come while others send the same.
    assert!(dies || model.wrong.is_empty(), "seed {seed}: {:?}", model.wrong);
    let progress = model.progress(ALIAS);
    assert_eq!((&progress["durable"], &progress["attempted_upper"]), (&json!(history.end()), &json!(history.end())));
    assert_eq!(progress["documents"], json!(history.documents(history.end()).len()));
}

#[test]
fn an_index_becomes_what_it_should_be_whatever_the_server_does() {
    let seeds = 48;
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || (part..seeds).step_by(4).for_each(check));
        }
    });
}

/// A run that died after it had sent more than it knows of: what it should have sent, and the server, which is well again.
fn died_between() -> (History, SearchServer) {
    let history = History((10..30).map(|time| (time, format!("id {}", time % 5), Some(time as i64))).collect());
    let server = SearchServer::start(Box::new(|| Some(Fault::ApplyAndDrop)));
    let mut sink = started(options(&server)).unwrap();
    sink.apply(history.batch(0, 30)).unwrap();
    until(|| server.model().seen(ALIAS).len() == 5);
    drop(sink);
    let healthy = SearchServer::start(no_faults());
    std::mem::swap(&mut healthy.model().indexes, &mut server.model().indexes);
    (history, healthy)
}

#[test]
fn after_a_crash_what_is_given_is_sent_at_once() {
    // GIVEN a run that goes on where all it is given was announced by the one before
    let (history, server) = died_between();
    let mut sink = started(ElasticsearchOptions { bulks_in_flight: 1, ..options(&server) }).unwrap();
    // WHEN it is given some, each time when everything before has arrived
    let mut at = 0;
    for (upper, answered) in [(15, 5), (20, 10), (25, 15)] {
        sink.apply(history.batch(at, upper)).unwrap();
        at = upper;
        // THEN it is sent, although nothing is flushed
        until(|| sink.status().newer + sink.status().operations == answered);
    }
}

#[test]
fn between_two_times_nothing_is_called_exact() {
    let (history, healthy) = died_between();

    // WHEN the next one is not yet past that
    let mut sink = started(options(&healthy)).unwrap();
    assert_eq!(sink.frontier(), 0);
    sink.apply(history.batch(0, 20)).unwrap();
    // THEN it does not say so, also at its end
    assert_eq!(sink.finish().unwrap(), Ack::DurableBelow(0));
    let status = sink.status();
    assert_eq!((status.lsn, status.attempted.map(|lsn| lsn.0)), (None, Some(29)));
    assert!(status.newer > 0, "the index has newer states");

    // WHEN it is
    sink.apply(history.batch(20, 30)).unwrap();
    assert_eq!(sink.finish().unwrap(), Ack::DurableBelow(30));
    assert_eq!(seen(&healthy), history.documents(30));
}

#[test]
fn a_sender_waits_while_too_much_is_pending() {
    let server = SearchServer::start(Box::new(|| Some(Fault::Slow(Duration::from_millis(5)))));
    let options = ElasticsearchOptions { pending_bytes_max: 1_000, bulk_documents_max: 5, ..options(&server) };
    let mut sink = started(options).unwrap();
    for time in 10..60 {
        sink.apply(batch(
            if time == 10 { 0 } else { time },
            time + 1,
            vec![touch(time, &format!("id {time}"), Some(1))],
        ))
        .unwrap();
        // What waits has some 100 bytes each.
        let sent = server.model().indexes["things-000001"].documents.len() as u64;
        assert!(time - 9 <= sent + 12, "{sent} of {} were sent", time - 9);
    }
    sink.finish().unwrap();
    assert_eq!(seen(&server).len(), 50);
}

#[test]
fn what_is_sent_is_counted_whichever_lane_it_goes_by() {
    let server = SearchServer::start(no_faults());
    let options = ElasticsearchOptions { bulk_documents_max: 1, bulks_in_flight: 8, ..options(&server) };
    let mut sink = started(options).unwrap();
    sink.apply(batch(0, 11, (0..4_000).map(|n| touch(10, &format!("id {n}"), Some(n))).collect())).unwrap();
    sink.finish().unwrap();
    let status = sink.status();
    assert_eq!((status.operations, status.bulks, status.again), (4_000, 4_000, 0));
}

#[test]
fn documents_that_are_sent_again_are_counted_whether_some_or_all_were_refused() {
    // GIVEN a server that takes nothing at first, then every second document, also when it is asked which, then all
    let mut faults = vec![Fault::RejectItems, Fault::RejectItems, Fault::Refuse(503)];
    let server = SearchServer::start(Box::new(move || faults.pop()));
    let mut sink = started(ElasticsearchOptions { bulks_in_flight: 1, ..options(&server) }).unwrap();
    // WHEN ten are sent
    sink.apply(batch(0, 11, (0..10).map(|n| touch(10, &format!("id {n}"), Some(n))).collect())).unwrap();
    sink.finish().unwrap();
    // THEN ten were sent again, and once more to be told of each, and of those five once more
    let status = sink.status();
    assert_eq!((status.operations, status.bulks, status.again), (10, 4, 25));
}

#[test]
fn each_document_is_asked_for_only_while_something_fails() {
    // GIVEN a server that refuses something of the first bulk
    let mut faults = vec![Fault::RejectItems];
    let server = SearchServer::start(Box::new(move || faults.pop()));
    let options = ElasticsearchOptions { bulks_in_flight: 1, bulk_documents_max: 10, ..options(&server) };
    let mut sink = started(options).unwrap();
    // WHEN a hundred bulks are sent
    sink.apply(batch(0, 11, (0..1_000).map(|n| touch(10, &format!("id {n}"), Some(n))).collect())).unwrap();
    sink.finish().unwrap();
    // THEN one is sent twice, and it and some after it are asked for each document
    assert_eq!((sink.status().operations, sink.status().bulks, sink.status().again), (1_000, 101, 10));
    let asked = server.model().asked_for_each.clone();
    let expected: Vec<bool> = (0..101).map(|bulk| (1..=32).contains(&bulk)).collect();
    assert_eq!(asked, expected);
}
