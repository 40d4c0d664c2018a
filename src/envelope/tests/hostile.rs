//! Bytes that no connector wrote. Nothing panics, and what is accepted is what serde_json reads: see [`crate::fuzzing`].

use super::golden;
use crate::fuzzing;
use crate::source::kcat;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Runs `test` for as many inputs, the same in every run.
pub(super) fn for_all<S: Strategy>(cases: u32, inputs: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&inputs, |input| {
        test(input);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// One change of a record's bytes. Places are parts of the whole, since earlier changes move what is behind them.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    Repeat(Index, usize),
    /// A field of an object once more or no more, or with another value.
    Field(Index, Field),
}

#[derive(Clone, Debug)]
pub(super) enum Field {
    Delete,
    Twice,
    Value(&'static str),
}

/// Pieces that mean something to one parser or the other.
const PIECES: [&str; 16] = [
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "\\u0000",
    "null",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "-0",
    "1e999",
    "\"op\":\"d\",",
    "\"payload\":{",
];

/// Values of every type, and some that are nearly right.
const VALUES: [&str; 20] = [
    "null",
    "true",
    "0",
    "-1",
    "1.0",
    "1e3",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "[]",
    "{}",
    "[[[[{}]]]]",
    "\"\\u0063\"",
    "\"\\ud800\"",
    "\"00000000-0000-0000-0000-00000000000A\"",
    "\"__debezium_unavailable_value\"",
    "[\"__debezium_unavailable_value\"]",
    "\"2024-02-29T23:59:59.999999+05:30\"",
    "\"[\\\"1\\\",null]\"",
    "\"review\"",
];

pub(super) fn changes() -> impl Strategy<Value = Vec<Change>> {
    let piece = prop_oneof![select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()), vec(any::<u8>(), 1..4)];
    let field = prop_oneof![Just(Field::Delete), Just(Field::Twice), select(&VALUES[..]).prop_map(Field::Value)];
    let change = prop_oneof![
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        1 => (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        1 => (any::<Index>(), 1..40usize).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), 1..200usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        8 => (any::<Index>(), field).prop_map(|(at, field)| Change::Field(at, field)),
    ];
    vec(change, 1..4)
}

pub(super) fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            return bytes;
        }
        let length = bytes.len();
        match change {
            Change::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Change::Insert(at, piece) => drop(bytes.splice(at.index(length)..at.index(length), piece)),
            Change::Remove(at, count) => drop(bytes.drain(at.index(length)..(at.index(length) + count).min(length))),
            Change::Cut(at) => bytes.truncate(at.index(length)),
            Change::Repeat(at, count) => {
                let piece = bytes[at.index(length)..(at.index(length) + count).min(length)].to_vec();
                bytes.splice(at.index(length)..at.index(length), piece);
            }
            Change::Field(at, field) => change_field(&mut bytes, at, &field),
        }
    }
    bytes
}

/// Changes one `"name":value` of the bytes, found by its colon.
fn change_field(bytes: &mut Vec<u8>, at: Index, field: &Field) {
    let colons: Vec<usize> = (1..bytes.len()).filter(|&at| bytes[at - 1..=at] == *b"\":").collect();
    if colons.is_empty() {
        return;
    }
    let colon = colons[at.index(colons.len())];
    let start = bytes[..colon - 1].iter().rposition(|&c| c == b'"').unwrap_or(colon);
    let mut stream = serde_json::Deserializer::from_slice(&bytes[colon + 1..]).into_iter::<serde_json::Value>();
    let end = colon + 1 + if let Some(Ok(_)) = stream.next() { stream.byte_offset() } else { 0 };
    match field {
        Field::Value(value) => drop(bytes.splice(colon + 1..end, value.bytes())),
        Field::Twice => {
            let mut again = bytes[start..end].to_vec();
            again.push(b',');
            bytes.splice(start..start, again);
        }
        Field::Delete => {
            let end = if bytes.get(end) == Some(&b',') { end + 1 } else { end };
            bytes.drain(start..end);
        }
    }
}

fn real_line() -> impl Strategy<Value = String> {
    select(golden::lines()).prop_map(|(_, line)| line)
}

#[test]
fn arbitrary_bytes_are_no_line_and_no_record() {
    for_all(2_000, vec(any::<u8>(), 0..200), |bytes| fuzzing::line(&bytes));
    for_all(2_000, (vec(any::<u8>(), 0..100), vec(any::<u8>(), 0..100), any::<String>()), |(value, key, header)| {
        fuzzing::record(&value, Some(&key), &header);
    });
}

#[test]
fn arbitrary_fields_are_what_they_say() {
    let json = vec(prop_oneof![select(&PIECES[..]), select(&VALUES[..])], 0..20).prop_map(|pieces| pieces.concat());
    for_all(2_000, (json.clone(), json.clone(), json), |(value, key, header)| {
        fuzzing::line(value.as_bytes());
        fuzzing::record(value.as_bytes(), Some(key.as_bytes()), &header);
    });
}

#[test]
fn a_mutated_line_is_refused_or_read_as_serde_json_reads_it() {
    for_all(6_000, (real_line(), changes()), |(line, changes)| fuzzing::line(&changed(line.into_bytes(), changes)));
}

#[test]
fn a_mutated_record_is_refused_or_read_as_serde_json_reads_it() {
    let untouched = || Just(Vec::new());
    let inputs = (
        real_line(),
        prop_oneof![4 => changes(), 1 => untouched()],
        prop_oneof![1 => changes(), 4 => untouched()],
        prop_oneof![1 => changes(), 4 => untouched()],
    );
    for_all(6_000, inputs, |(line, value_changes, key_changes, header_changes)| {
        let record = kcat::parse(line.as_bytes()).unwrap();
        let value = changed(record.value.as_deref().unwrap_or_default().to_vec(), value_changes);
        let key = record.key.as_deref().map(|key| changed(key.to_vec(), key_changes));
        let header = changed(key.clone().unwrap_or_default(), header_changes);
        fuzzing::record(&value, key.as_deref(), &String::from_utf8_lossy(&header));
    });
}

/// GIVEN values nested deeper than any stack, WHEN they stand at each place that is read or skipped, THEN they are refused or
/// skipped, on a stack of the size that threads have.
#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let places: [fn(&str) -> String; 9] = [
        |deep| deep.to_owned(),
        |deep| format!(r#"{{"before":{deep}}}"#),
        |deep| format!(r#"{{"op":{deep}}}"#),
        |deep| format!(r#"{{"after":{{"name":{deep}}}}}"#),
        |deep| format!(r#"{{"after":{{"unknown":{deep}}}}}"#),
        |deep| format!(r#"{{"source":{{"snapshot":{deep}}}}}"#),
        |deep| format!(r#"{{"source":{{"unknown":{deep}}}}}"#),
        |deep| format!(r#"{{"schema":{deep},"payload":{deep}}}"#),
        |deep| format!(r#"{{"topic":"podium.public.users","partition":0,"offset":0,"unknown":{deep},"payload":null}}"#),
    ];
    let kinds = [("[", "]"), (r#"{"payload":"#, "}"), (r#"{"schema":1,"payload":"#, "}"), (r#"{"a":["#, "]}")];
    let run = move || {
        for place in places {
            for (open, close) in kinds {
                for levels in [100, 200, 300, 500, 10_000, 1_000_000] {
                    let deep = format!("{}1{}", open.repeat(levels), close.repeat(levels));
                    for json in [place(&deep), place(&open.repeat(levels))] {
                        fuzzing::line(json.as_bytes());
                        fuzzing::record(json.as_bytes(), Some(json.as_bytes()), &json);
                    }
                }
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}
