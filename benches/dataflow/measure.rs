//! One measurement, in a process of its own: memory that one program freed would be there, already touched, for the next.

use crate::clock::Took;
use crate::course::Course;
use crate::live_bytes::{count, live_bytes};
use deltaic::dataflows::{ConversationSearch, Uuid};
use deltaic::internals::{self, Dataflow, Decoding, Piece};
use harness::baseline::{Baseline, Change, Conversation, Item, Uid};
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

const PREFIX: &str = "podium";

/// What a program took for each part of a course, and how many documents stood then.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) parts: Vec<Took>,
    pub(crate) documents: u64,
}

/// The dataflow, with so many workers.
pub(crate) fn engine(course: &Course, workers: usize) -> Measured {
    let view = ConversationSearch::default();
    let mut decoding = Decoding::new(&view, PREFIX, workers);
    let mut parts: Vec<Vec<Piece>> = (0..=course.stretches.len()).map(|_| Vec::new()).collect();
    course.run(|part, lines| parts.get_mut(part).expect("a part for each").push(decoding.decode(lines)));

    let dataflow = Dataflow::start(view, &decoding, course.sizes.partitions).expect("the workers start");
    let mut parts = parts.into_iter();
    let snapshot = parts.next().unwrap_or_default();
    let snapshot = Took::of(|| {
        let rows = snapshot.iter().map(Piece::rows).sum();
        let last = snapshot.last().map(Piece::proven).unwrap_or_default();
        snapshot.into_iter().for_each(|piece| dataflow.offer(piece));
        dataflow.wait(last);
        (rows, Vec::new())
    });
    let stretch = |pieces: Vec<Piece>| {
        Took::of(|| {
            let (mut rows, mut steps) = (0, Vec::with_capacity(pieces.len()));
            for piece in pieces {
                let (started, last) = (Instant::now(), piece.proven());
                rows += piece.rows();
                dataflow.offer(piece);
                dataflow.wait(last);
                steps.push(started.elapsed());
            }
            (rows, steps)
        })
    };
    let parts = std::iter::once(snapshot).chain(parts.map(stretch)).collect();
    let documents = dataflow.end().expect("the log is good");
    Measured { parts, documents }
}

/// The program by hand.
pub(crate) fn baseline(course: &Course) -> Measured {
    let mut decoding = Decoding::new(&ConversationSearch::default(), PREFIX, 1);
    let mut parts: Vec<Vec<Step>> = (0..=course.stretches.len()).map(|_| Vec::new()).collect();
    course.run(|part, lines| {
        let step = Step::of(decoding.decode(lines));
        parts.get_mut(part).expect("a part for each").push(step);
    });

    let mut baseline = Baseline::default();
    let parts = parts.into_iter().map(|steps| {
        Took::of(|| {
            let (mut rows, mut times) = (0, Vec::with_capacity(steps.len()));
            for Step { changes, sizes } in steps {
                let started = Instant::now();
                let mut rest = changes.as_slice();
                for size in sizes {
                    let Some((transaction, behind)) = rest.split_at_checked(size) else { continue };
                    rest = behind;
                    baseline.apply(transaction, |uid, shown| {
                        black_box((uid, shown));
                    });
                }
                rows += changes.len() as u64;
                times.push(started.elapsed());
            }
            (rows, times)
        })
    });
    Measured { parts: parts.collect(), documents: baseline.documents() }
}

/// A step of the baseline: changes, and how many of them each transaction has.
struct Step {
    changes: Vec<Change>,
    sizes: Vec<usize>,
}

impl Step {
    fn of(piece: Piece) -> Step {
        let changes = piece.changes();
        let sizes = changes.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).collect();
        Step { changes: changes.into_iter().map(|(_, change)| typed(change)).collect(), sizes }
    }
}

fn typed(change: internals::Change) -> Change {
    let uid = |uid: Uuid| Uid::from_be_bytes(uid.0);
    match change {
        internals::Change::User(key, row) => Change::User(uid(key), row.map(|_| ())),
        internals::Change::Conversation(key, row) => {
            let row = row.map(|row| Conversation { user: uid(row.user_uid), closed: row.closed });
            Change::Conversation(uid(key), row)
        }
        internals::Change::Item(key, row) => {
            let row = row.map(|row| Item {
                conversation: uid(row.conversation_uid),
                kind: row.kind,
                created_at: row.created_at,
            });
            Change::Item(uid(key), row)
        }
    }
}

/// Bytes that stay allocated once a snapshot is loaded into a dataflow of one worker.
pub(crate) fn bytes(course: &Course) -> i64 {
    count();
    let view = ConversationSearch::default();
    let mut decoding = Decoding::new(&view, PREFIX, 1);
    let before = live_bytes();
    let dataflow = Dataflow::start(view, &decoding, course.sizes.partitions).expect("the worker starts");
    let mut last = Default::default();
    course.run(|_, lines| {
        let piece = decoding.decode(lines);
        last = piece.proven();
        dataflow.offer(piece);
    });
    dataflow.wait(last);
    // What the worker still has in hand is freed when it has nothing to do.
    thread::sleep(Duration::from_millis(100));
    let bytes = live_bytes() - before;
    dataflow.end().expect("the log is good");
    bytes
}
