//! The dataflow by itself, from decoded rows to a sink that counts, against a hash-map program written by hand for this one
//! view (`harness::baseline`), fed with the same rows in the same minutes: every figure that matters is a ratio of one run.
//!
//! | part | how |
//! |---|---|
//! | rows per CPU second | a snapshot, then changes; the next step is given when the documents of the one before have come out |
//! | a step of one transaction | from giving it to having its batch on another thread: both ways between threads included |
//! | one hot conversation | items come and go, one a transaction, a thousand a step; the number of items stays |
//! | bytes per live row | what stays allocated once a snapshot is loaded, by how much more there is of one table |
//!
//! CPU seconds are user and system time of the whole process, each program in a process of its own; decoding, and making the
//! log, are done before the clock starts. A figure by rows per step is the median of `DELTAIC_BENCH_RUNS` runs (default 3), in
//! which the programs take turns. `DELTAIC_BENCH_CONVERSATIONS` sets the size (default 500,000: 3,050,000 rows, then 3,900,000
//! changes, so that neither program's tables fit into a processor's cache).

#![expect(clippy::print_stdout, reason = "a bench that prints its figures")]

mod clock;
mod course;
mod live_bytes;
mod measure;

use clock::Took;
use course::Course;
use live_bytes::Counting;
use measure::Measured;
use std::process::{Command, Stdio};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HOT_ITEMS: [u64; 4] = [10, 1_000, 100_000, 1_000_000];
const HOT_CHANGES: u64 = 50_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["child", ref what @ ..] => child(what),
        _ => {
            against_the_baseline();
            hot_conversation();
            bytes_per_row();
        }
    }
}

/// Rows per CPU second, for steps of every size.
fn against_the_baseline() {
    let conversations = setting("DELTAIC_BENCH_CONVERSATIONS", 500_000);
    let course = Course::whole(conversations);
    let size = conversations.to_string();
    let runs = setting("DELTAIC_BENCH_RUNS", 3).max(1);
    let [baseline, one, two] = alternately(
        runs,
        [&["baseline", "whole", &size], &["engine", "whole", &size, "1"], &["engine", "whole", &size, "2"]],
    );
    println!(
        "{:<26} {:>10} {:>10} {:>7} {:>10} {:>7}",
        "krows per CPU second", "by hand", "1 worker", "ratio", "2 workers", "ratio"
    );
    let snapshot = format!("snapshot of {} k rows", course.sizes.rows() / 1_000);
    let steps = course.stretches.iter().map(|stretch| match stretch.step {
        1 => "one transaction a step".to_owned(),
        step => format!("{step} rows a step"),
    });
    for (at, name) in std::iter::once(snapshot).chain(steps).enumerate() {
        let (Some(baseline), Some(one), Some(two)) = (baseline.get(at), one.get(at), two.get(at)) else { continue };
        let speeds = [baseline, one, two].map(Took::rows_per_cpu_second);
        let [by_hand, one, two] = speeds;
        println!(
            "{name:<26} {:>10.0} {:>10.0} {:>7.2} {:>10.0} {:>7.2}",
            by_hand / 1e3,
            one / 1e3,
            one / by_hand,
            two / 1e3,
            two / by_hand
        );
    }
    println!("\n{:<26} {:>10} {:>10} {:>10}", "a step of one transaction", "by hand", "1 worker", "2 workers");
    let of = |parts: &[Took], what: fn(&Took) -> f64| parts.get(1).map_or(0.0, what);
    for (name, what) in [("p50, us", (|took| took.p50) as fn(&Took) -> f64), ("p99, us", |took| took.p99)] {
        println!("{name:<26} {:>10.1} {:>10.1} {:>10.1}", of(&baseline, what), of(&one, what), of(&two, what));
    }
    for (at, stretch) in course.stretches.iter().enumerate().filter(|(_, stretch)| stretch.step == 10_000) {
        if let (Some(one), Some(two)) = (one.get(at + 1), two.get(at + 1)) {
            println!(
                "\n1 to 2 workers, {} rows a step: {:.2} times the rows a second",
                stretch.step,
                one.wall / two.wall
            );
        }
    }
}

/// What one change costs in a conversation of many items.
fn hot_conversation() {
    println!("\n{:<26} {:>10} {:>10} {:>7}", "one hot conversation", "by hand", "1 worker", "to 10");
    let mut least = None;
    for items in HOT_ITEMS {
        let size = items.to_string();
        let took = alternately(1, [&["baseline", "hot", &size], &["engine", "hot", &size, "1"]]);
        let [by_hand, engine] = took.map(|parts| parts.get(1).map_or(0.0, |took| took.cpu * 1e6 / took.rows as f64));
        let least = *least.get_or_insert(engine);
        println!(
            "{:<26} {by_hand:>10.2} {engine:>10.2} {:>7.1}",
            format!("us a change, {items} items"),
            engine / least
        );
    }
}

/// What a row takes, as the difference of two snapshots.
fn bytes_per_row() {
    println!("\n{:<26} {:>10}", "bytes per live row", "1 worker");
    // With so many, tables that double are six and eight tenths full: neither just grown nor about to grow.
    let (few, many) = (8_000_u64, 80_000_u64);
    let bytes = |users: u64, conversations: u64, items_each: u64| {
        let sizes = [users, conversations, items_each].map(|size| size.to_string());
        let [users, conversations, items] = &sizes;
        output(&["bytes", users, conversations, items]).trim().parse::<i64>().expect("a number") as f64
    };
    let rows = (many - few) as f64;
    let least = bytes(few, few, 5);
    println!("{:<26} {:>10.0}", "users", (bytes(many, few, 5) - least) / rows);
    let without_items = bytes(few, many, 0);
    println!("{:<26} {:>10.0}", "conversations", (without_items - bytes(few, few, 0)) / rows);
    let items = 5.0 * many as f64;
    println!("{:<26} {:>10.0}", "items, five each", (bytes(few, many, 5) - without_items) / items);
}

/// Runs every child in turn, again and again, and takes the median of each part.
fn alternately<const N: usize>(runs: u64, children: [&[&str]; N]) -> [Vec<Took>; N] {
    let mut all: [Vec<Measured>; N] = [const { Vec::new() }; N];
    for _ in 0..runs {
        for (child, all) in children.iter().zip(&mut all) {
            all.push(measured(&output(child)));
        }
    }
    let mut documents = all.iter().flatten().map(|measured| measured.documents);
    let first = documents.next();
    assert!(documents.all(|documents| Some(documents) == first), "all end with the same documents");
    all.map(|runs| {
        let parts = runs.first().map_or(0, |run| run.parts.len());
        (0..parts).map(|part| Took::median(runs.iter().filter_map(|run| run.parts.get(part)))).collect()
    })
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// What a child of this program writes to its output.
fn output(arguments: &[&str]) -> String {
    let program = std::env::current_exe().expect("a program knows where it is");
    let output = Command::new(program).arg("child").args(arguments).stderr(Stdio::inherit()).output();
    let output = output.expect("the program can be started again");
    assert!(output.status.success(), "{arguments:?} failed");
    String::from_utf8(output.stdout).expect("numbers are text")
}

fn measured(output: &str) -> Measured {
    let mut lines = output.lines();
    let documents = lines.next().and_then(|line| line.parse().ok()).expect("a child tells how many documents stand");
    Measured { parts: lines.filter_map(Took::read).collect(), documents }
}

/// One measurement; the figures go to standard output, for `measured`.
fn child(what: &[&str]) {
    let number = |text: &str| text.parse().expect("a number");
    let course = |name: &str, size: &str| match name {
        "whole" => Course::whole(number(size)),
        _ => Course::hot(number(size), HOT_CHANGES),
    };
    let measured = match *what {
        ["baseline", name, size] => measure::baseline(&course(name, size)),
        ["engine", name, size, workers] => measure::engine(&course(name, size), number(workers) as usize),
        ["bytes", users, conversations, items] => {
            let course = Course::snapshot(number(users), number(conversations), number(items));
            return println!("{}", measure::bytes(&course));
        }
        _ => panic!("no such measurement: {what:?}"),
    };
    println!("{}", measured.documents);
    measured.parts.iter().for_each(|part| println!("{}", part.line()));
}
