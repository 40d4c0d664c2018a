//! Rows that wait within a budget are let go like rows that wait in memory without one.

use super::*;
use crate::align::Closing;
use crate::error::Error;
use crate::fuzzing::catalog;
use crate::spill::SpillOptions;
use crate::status::Status;
use crate::time::{HYDRATION_END, Time};
use dataflows::{Extra, User, Uuid, Value};
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

/// One holder, as the operators around it use it.
struct Place {
    held: Held<User>,
    status: Arc<Status>,
    spill: Arc<Spill>,
    dir: TempDir,
}

impl Place {
    fn new(memory: u64) -> Place {
        let dir = TempDir::new().unwrap();
        let options = SpillOptions { memory, disk: u64::MAX, dir: Some(dir.path().to_owned()) };
        let spill = Spill::new(&options, 1);
        let status = Arc::new(Status::default());
        let held = Held::new(0, 0, TableStatus::of(&status, &catalog(), 0), 10, &spill, &Pace::new(1));
        Place { held, status, spill, dir }
    }

    fn accept(&mut self, rows: Vec<(Option<Uuid>, Body<User>, Ticket)>) {
        let (rows, mut tickets): (Vec<_>, Vec<_>) =
            rows.into_iter().map(|(key, body, ticket)| ((key, body), ticket)).unzip();
        self.held.accept(Box::new(TypedRows(rows)), &mut tickets);
    }

    fn close(&mut self, closing: Closing, time: Time) -> Result<Vec<(Change<User>, Time)>, String> {
        let mut out = Vec::new();
        self.held.close(closing, time, 2, true, &mut out);
        while self.held.going_at().is_some() {
            self.held.let_go(2, true, &mut out).map_err(|(rows_of, error)| format!("{rows_of}: {error}"))?;
        }
        Ok(out)
    }
}

fn uuid(key: u8) -> Uuid {
    Uuid([key; 16])
}

fn user(text: String) -> User {
    User { extra: Extra([Value::Text(text.into())].into()) }
}

/// What happens to a holder.
#[derive(Clone, Debug)]
enum Event {
    /// A change of a transaction, or a truncate: its number among those that are open, partition, key, size.
    Row(u64, u32, Option<u8>, usize),
    /// The change so many changes ago is delivered again.
    Again(usize),
    Initial(u64, u8),
    Incremental(u32, u8),
    Blocking(u32, u8),
    /// A transaction closes; its partitions have shown themselves to be past it or not.
    Close(u64, bool),
    Known(u64, bool),
    Load(bool),
    Base,
}

fn event() -> impl Strategy<Value = Event> {
    let key = prop_oneof![8 => (0..6u8).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        12 => (0..4u64, 0..2u32, key, 0..80usize)
            .prop_map(|(txid, partition, key, size)| Event::Row(txid, partition, key, size)),
        3 => (0..12usize).prop_map(Event::Again),
        2 => (0..2u64, 0..6u8).prop_map(|(lsn, key)| Event::Initial(lsn, key)),
        1 => (0..2u32, 0..6u8).prop_map(|(partition, key)| Event::Incremental(partition, key)),
        1 => (0..2u32, 0..6u8).prop_map(|(partition, key)| Event::Blocking(partition, key)),
        3 => (0..4u64, any::<bool>()).prop_map(|(txid, past)| Event::Close(txid, past)),
        1 => (0..4u64, any::<bool>()).prop_map(|(txid, in_base)| Event::Known(txid, in_base)),
        1 => any::<bool>().prop_map(Event::Load),
        1 => Just(Event::Base),
    ]
}

/// Feeds `events` to a holder; answers with all it lets go, in some order within each closing, and its counters.
fn run(place: &mut Place, events: &[Event]) -> (Vec<String>, [u64; 4]) {
    let (mut lsn, mut closed, mut progress) = (100, Lsn(0), [Lsn(0); 2]);
    let mut delivered: Vec<(u64, u32, Option<u8>, usize, u64)> = Vec::new();
    let mut shown = Vec::new();
    for (offset, event) in events.iter().enumerate() {
        lsn += 10;
        let ticket = |partition: u32, origin, op, progress| Ticket {
            partition: Partition { table: 0, number: partition },
            offset: offset as u64,
            origin,
            op,
            progress,
            added: false,
            again: false,
        };
        let streamed = |(txid, partition, key, size, lsn): (u64, u32, Option<u8>, usize, u64), progress: [Lsn; 2]| {
            let body = match (key, size % 5) {
                (None, _) => Body::Truncate,
                (_, 0) => Body::Delete { to: None },
                _ => Body::Put { row: user("x".repeat(size)), from: None },
            };
            let op = [Op::Delete, Op::Create, Op::Update][size % 3];
            let op = if key.is_none() { Op::Truncate } else { op };
            let progress = progress[partition as usize];
            let origin = Origin::Stream { txid, lsn: Lsn(lsn), previous: progress, order: 1 };
            (key.map(uuid), body, ticket(partition, origin, op, progress))
        };
        let put = |key: u8| (Some(uuid(key)), Body::Put { row: user(format!("{key} {offset}")), from: None });
        let snapshot = |key, partition, origin, progress| {
            let (key, body) = put(key);
            (key, body, ticket(partition, origin, Op::Read, progress))
        };
        let closing = match *event {
            Event::Row(txid, partition, key, size) => {
                delivered.push((txid, partition, key, size, lsn));
                place.accept(vec![streamed((txid, partition, key, size, lsn), progress)]);
                continue;
            }
            Event::Again(ago) => {
                let row = delivered.len().checked_sub(1 + ago).and_then(|at| delivered.get(at));
                place.accept(row.map(|row| streamed(*row, progress)).into_iter().collect());
                continue;
            }
            Event::Initial(at, key) => {
                place.accept(vec![snapshot(key, 0, Origin::Initial { lsn: Lsn(at + 1), last: false }, progress[0])]);
                continue;
            }
            Event::Incremental(partition, key) => {
                let at = progress[partition as usize];
                place.accept(vec![snapshot(key, partition, Origin::Incremental { previous: closed }, at)]);
                continue;
            }
            Event::Blocking(partition, key) => {
                let at = progress[partition as usize];
                let previous = Lsn(lsn - 15);
                place.accept(vec![snapshot(key, partition, Origin::Blocking { previous, ts_ms: 1 }, at)]);
                continue;
            }
            Event::Close(txid, past) => {
                closed = Lsn(lsn);
                if past {
                    progress = [closed; 2];
                }
                Closing::Transaction { txid, end: closed, truncated: 0, commit_ms: 3, repairs: past }
            }
            Event::Known(txid, in_base) => Closing::Known { txid, end: Lsn(lsn), in_base },
            Event::Load(reset) => Closing::Load { snapshot: Lsn(2), reset },
            Event::Base => Closing::Base { snapshot: Some(Lsn(2)), reset: false, partial_from: None },
        };
        let out = place.close(closing, HYDRATION_END + lsn).unwrap();
        let mut changes: Vec<String> = out.iter().map(|change| format!("{change:?}")).collect();
        changes.sort();
        shown.push(changes.join("\n"));
    }
    place.held.end().unwrap();
    let counters = &place.status.counters;
    let inexact = place.status.take_inexact().0.len() as u64;
    (shown, [counters.rows_redelivered(), counters.rows_late(), counters.rows_unapplied(), inexact])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_budget_changes_nothing(events in proptest::collection::vec(event(), 1..80), budget in 0..6_000u64) {
        let (mut free, mut tight) = (Place::new(u64::MAX), Place::new(budget));
        prop_assert_eq!(run(&mut tight, &events), run(&mut free, &events));
        prop_assert_eq!(free.spill.written(), 0);
        prop_assert!(tight.status.take_error().is_none());
    }
}

/// Fills a transaction with so many rows, 100 in a chunk, and says how much memory it had at most.
fn fill(place: &mut Place, rows: u64) -> u64 {
    let mut most = 0;
    for from in (0..rows).step_by(100) {
        let chunk = (from..from + 100).map(|number| {
            let origin = Origin::Stream { txid: 1, lsn: Lsn(100 + number), previous: Lsn(0), order: number + 1 };
            let partition = Partition { table: 0, number: 0 };
            let ticket = Ticket {
                partition,
                offset: number,
                origin,
                op: Op::Update,
                progress: Lsn(0),
                added: false,
                again: false,
            };
            (Some(uuid(number as u8)), Body::Put { row: user(format!("row {number}")), from: None }, ticket)
        });
        place.accept(chunk.collect());
        most = most.max(place.held.share.bytes());
    }
    most
}

const CLOSING: Closing =
    Closing::Transaction { txid: 1, end: Lsn(1 << 30), truncated: 0, commit_ms: 0, repairs: false };

#[test]
fn rows_come_back_in_order_and_in_pieces() {
    let mut place = Place::new(90_000);
    let most = fill(&mut place, 10_000);
    assert!(most <= 90_000, "{most} bytes in memory");
    let mut out = Vec::new();
    place.held.close(CLOSING, 1, 1, true, &mut out);
    let (mut next, mut pieces) = (0, 0);
    while place.held.going_at().is_some() {
        assert!(place.held.is_letting_go());
        place.held.let_go(1, true, &mut out).unwrap();
        pieces += 1;
        assert!(out.len() <= 500, "{} rows at once", out.len());
        for (change, _) in out.drain(..) {
            let Change::Row { rank, body: Body::Put { row, .. }, .. } = change else { panic!("{change:?}") };
            assert_eq!((rank.lsn, rank.offset), (Lsn(100 + next), next));
            assert_eq!(row, user(format!("row {next}")));
            next += 1;
        }
        assert!(place.held.share.bytes() <= 90_000);
    }
    assert_eq!(next, 10_000);
    assert!(pieces > 20, "{pieces} pieces");
    // What was let go is known again, from the disk too.
    fill(&mut place, 10_000);
    assert_eq!((place.status.counters.rows_redelivered(), place.status.counters.rows_late()), (10_000, 0));
    assert_eq!(place.status.take_error().map(|error| error.to_string()), None);
}

#[test]
fn a_changed_file_ends_the_run_before_its_rows_are_shown() {
    let mut place = Place::new(1_000);
    fill(&mut place, 20_000);
    let folder = fs::read_dir(place.dir.path()).unwrap().next().unwrap().unwrap().path();
    let file = folder.join("table-0-worker-0.0.rows");
    let mut bytes = fs::read(&file).unwrap();
    bytes[10] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = place.close(CLOSING, 1).unwrap_err();
    assert!(error.starts_with("transaction 1: ") && error.contains("does not hold at byte 0"), "{error}");
}

#[test]
fn a_full_disk_ends_the_run_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let options = SpillOptions { memory: 0, disk: 3_000, dir: Some(dir.path().to_owned()) };
    let mut place = Place::new(0);
    place.spill = Spill::new(&options, 1);
    place.held = Held::new(0, 0, TableStatus::of(&place.status, &catalog(), 0), 10, &place.spill, &Pace::new(1));
    fill(&mut place, 1_000);
    let error = place.status.take_error().unwrap();
    assert!(matches!(error, Error::Spill { error: SpillError::Budget { budget: 3_000 }, .. }));
    let text = error.to_string();
    assert!(text.starts_with("table public.users: rows of transaction 1 wait, and what waits on disk"), "{text}");
    assert!(place.status.is_stopped() && !place.status.is_broken());
    assert_eq!(place.close(CLOSING, 1).unwrap().len(), 1_000);
}

/// GIVEN a transaction of one partition that has closed, WHEN its row and a row of an incremental snapshot come again in a
/// partition that was added, to which their key has moved, THEN the one changes nothing, and the other waits until that
/// partition is past what has closed.
#[test]
fn what_comes_again_in_a_partition_that_was_added_changes_nothing() {
    let mut place = Place::new(u64::MAX);
    let row = |number, origin, previous: u64| {
        let partition = Partition { table: 0, number };
        let op = if matches!(origin, Origin::Stream { .. }) { Op::Update } else { Op::Read };
        let (progress, added) = (Lsn(previous), number > 0);
        let ticket = Ticket { partition, offset: previous, origin, op, progress, added, again: false };
        (Some(uuid(1)), Body::Put { row: user(format!("{previous}")), from: None }, ticket)
    };
    let changes = |txid, previous| Origin::Stream { txid, lsn: Lsn(previous + 1), previous: Lsn(previous), order: 1 };
    let closes =
        |txid, end: u64| Closing::Transaction { txid, end: Lsn(end), truncated: 0, commit_ms: 0, repairs: false };
    let at = |end: u64| HYDRATION_END + end;
    place.close(Closing::Base { snapshot: None, reset: false, partial_from: None }, HYDRATION_END).unwrap();
    place.accept(vec![row(0, changes(5, 100), 100)]);
    assert_eq!(place.close(closes(5, 110), at(110)).unwrap().len(), 1);

    place.accept(vec![row(1, Origin::Incremental { previous: Lsn(90) }, 90), row(1, changes(5, 100), 100)]);
    let counters = Arc::clone(&place.status.counters);
    assert_eq!((counters.rows_redelivered(), counters.rows_late()), (1, 0));
    assert_eq!(place.close(closes(6, 120), at(120)).unwrap().len(), 0);

    // The change that came again has overtaken the snapshot's row of its key.
    place.accept(vec![row(1, changes(7, 120), 120)]);
    assert_eq!(place.close(closes(7, 130), at(130)).unwrap().len(), 1);
    place.held.end().unwrap();
    assert_eq!(counters.rows_unapplied(), 0);
}
