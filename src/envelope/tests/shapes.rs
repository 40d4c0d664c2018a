//! Lines decoded by their shape and by their names: the same for every line, and by shape for nearly all of real logs.

use super::hostile::{Change, changed, changes, for_all};
use super::{Decoder, catalog, golden};
use crate::envelope::{Envelope, RowBuffer};
use crate::fuzzing::{Learning, packed, same_by_shape, shape};
use crate::source::catalog::Topic;
use crate::source::{kcat, log};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::path::Path;

/// The real logs.
const LOGS: [&str; 5] = [
    "examples/podium/log.jsonl.zst",
    "tests/captures/full/log.jsonl.zst",
    "tests/captures/schemas/log.jsonl.zst",
    "tests/captures/incremental/log.jsonl.zst",
    "tests/captures/truncate/log.jsonl.zst",
];

fn lines(log: &str) -> Vec<Vec<u8>> {
    let file = std::fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(log)).unwrap();
    let text = zstd::decode_all(file).unwrap();
    log::lines(&text).filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Lines of every kind that there is, some behind each other as they are in their log.
fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> = golden::lines().into_iter().map(|(_, line)| line.into_bytes()).collect();
    for log in LOGS {
        let lines = lines(log);
        let from = |part: usize| lines.iter().skip(lines.len() * part / 8).take(12).cloned();
        samples.extend((0..8).flat_map(from));
    }
    samples
}

#[test]
fn real_logs_are_the_same_by_shape_and_by_name() {
    for log in LOGS {
        let lines = lines(log);
        // Where it begins, and where it goes on in mid-stream.
        for part in [0, lines.len() / 2] {
            let piece: Vec<Vec<u8>> = lines.iter().skip(part).take(1_500).cloned().collect();
            shape(&piece.join(&b'\n'));
        }
    }
}

/// GIVEN the real logs, WHEN they are decoded, THEN the records of consumed topics are nearly all decoded by their shape.
#[test]
fn nearly_all_of_real_logs_is_decoded_by_shape() {
    for log in LOGS {
        let (mut rows, mut blocks) = ([0, 0], [0, 0]);
        let catalog = catalog();
        let mut decoder = Decoder::new(catalog.clone());
        let mut buffers: Vec<Box<dyn RowBuffer>> = catalog.codecs.iter().map(|codec| codec.buffer()).collect();
        for line in lines(log) {
            let by_shape = decoder.by_shape(&line, |_| Some(&mut buffers)).map(|(_, _, envelope)| envelope);
            let known = by_shape.is_some();
            let envelope = by_shape.unwrap_or_else(|| {
                let record = kcat::parse(&line).unwrap();
                let topic = catalog.topic(&record.topic);
                let envelope = decoder.decode(&record, topic, &mut buffers).unwrap();
                decoder.learn(&line, &record, topic, &envelope);
                if topic == Topic::Other { Envelope::Other } else { envelope }
            });
            let count = match envelope {
                Envelope::Row { .. } => &mut rows,
                Envelope::Begin | Envelope::End(_) => &mut blocks,
                Envelope::Tombstone | Envelope::Other => continue,
            };
            count[usize::from(known)] += 1;
        }
        for ([by_name, by_shape], what) in [(rows, "rows"), (blocks, "BEGIN and END")] {
            assert!(by_shape >= 19 * by_name, "{log}, {what}: {by_shape} by shape, {by_name} by name");
        }
    }
}

/// The same of records that never were lines.
#[test]
fn nearly_all_records_are_decoded_by_shape() {
    for log in LOGS {
        let mut count = [0, 0];
        let catalog = catalog();
        let mut decoder = Decoder::new(catalog.clone());
        let mut buffers: Vec<Box<dyn RowBuffer>> = catalog.codecs.iter().map(|codec| codec.buffer()).collect();
        for line in lines(log) {
            let record = kcat::parse(&line).unwrap();
            let topic = catalog.topic(&record.topic);
            let packed = packed(&record);
            let packed = packed.iter().next().unwrap();
            assert_eq!(packed.record(), record);
            let known = decoder.packed_by_shape(packed, topic, &mut buffers).is_some();
            if !known {
                let envelope = decoder.decode(&record, topic, &mut buffers).unwrap();
                decoder.learn_packed(packed, &record, topic, &envelope);
            }
            count[usize::from(known)] += usize::from(topic != Topic::Other && record.value.is_some());
        }
        let [by_name, by_shape] = count;
        assert!(by_shape >= 19 * by_name, "{log}: {by_shape} by shape, {by_name} by name");
    }
}

#[test]
fn mutated_lines_are_the_same_by_shape_and_by_name() {
    let samples = samples();
    let inputs = (any::<Index>(), vec(changes(), 1..4));
    for_all(3_000, inputs, |(at, mutations): (Index, Vec<Vec<Change>>)| {
        let line = &samples[at.index(samples.len())];
        let mutated = mutations.into_iter().map(|changes| changed(line.clone(), changes));
        let log: Vec<Vec<u8>> = std::iter::once(line.clone()).chain(mutated).chain([line.clone()]).collect();
        shape(&log.join(&b'\n'));
    });
}

/// Scalars, in most of which something is unusual, as they stand in the value of a record.
const SCALARS: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-7",
    "00",
    "1.50",
    "1e3",
    "36028797018963968",
    "999999999999999999",
    "1000000000000000000",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345",
    r#""""#,
    r#""c""#,
    r#""u""#,
    r#""d""#,
    r#""r""#,
    r#""t""#,
    r#""m""#,
    r#""END""#,
    r#""BEGIN""#,
    r#""7:9""#,
    r#""+7:9""#,
    r#""07""#,
    r#""last""#,
    r#""incremental""#,
    r#""public.users""#,
    r#""caf\u00e9 \"x\" \\ \n""#,
    r#""\ud83d""#,
    r#""東京""#,
    r#""00000000-0000-0000-0000-00000000000A""#,
    r#""2024-02-29T23:59:59.999999+05:30""#,
    r#""__debezium_unavailable_value""#,
    r#""[\"7\",\"9\"]""#,
    r#""[null,\"07\"]""#,
    r#""[\"+7\",null]""#,
];

/// What the scalars of a line are replaced by: at the level of the line, in key or value, or as bytes of their own.
#[derive(Clone, Debug)]
enum Scalar {
    Bare(&'static str),
    Quoted(&'static str),
    Of(Index),
}

/// GIVEN a line whose shape was learnt, WHEN a few of its scalars are replaced, THEN it is the same by shape and by name.
#[test]
fn lines_with_other_scalars_are_the_same_by_shape_and_by_name() {
    let samples = samples();
    let scalar = prop_oneof![
        1 => select(&SCALARS[..]).prop_map(Scalar::Bare),
        6 => select(&SCALARS[..]).prop_map(Scalar::Quoted),
        2 => any::<Index>().prop_map(Scalar::Of),
    ];
    let inputs = (any::<Index>(), vec(vec((any::<Index>(), scalar), 1..4), 1..6));
    for_all(6_000, inputs, |(at, mutations)| {
        let line = &samples[at.index(samples.len())];
        let catalog = catalog();
        let mut learning = Learning::new(&catalog);
        same_by_shape(&catalog, &mut learning, line);
        for replaced in mutations {
            let mut mutated = line.clone();
            for (place, scalar) in replaced {
                replace(&mut mutated, place, &scalar);
            }
            same_by_shape(&catalog, &mut learning, &mutated);
        }
        same_by_shape(&catalog, &mut learning, line);
    });
}

/// Where the values stand behind a colon, of the line and of key and value, however deep.
fn values(line: &[u8]) -> Vec<std::ops::Range<usize>> {
    let starts = (1..line.len()).filter(|&at| line[at] == b':' && line[at - 1] == b'"');
    let end = |start: usize| {
        let rest = &line[start..];
        let length = match rest {
            [b'"', ..] => 2 + rest[1..].iter().position(|c| *c == b'"')?,
            [b'\\', b'"', ..] => {
                2 + rest[2..].windows(4).position(|four| matches!(four, [a, b'\\', b'"', _] if *a != b'\\'))? + 3
            }
            _ => rest.iter().position(|c| matches!(c, b',' | b'}' | b']'))?,
        };
        Some(start..start + length)
    };
    starts.filter_map(|colon| end(colon + 1)).collect()
}

fn replace(line: &mut Vec<u8>, place: Index, scalar: &Scalar) {
    let values = values(line);
    if values.is_empty() {
        return;
    }
    let bytes = match scalar {
        Scalar::Bare(text) => text.as_bytes().to_vec(),
        Scalar::Quoted(text) => text.replace('\\', "\\\\").replace('"', "\\\"").into_bytes(),
        Scalar::Of(other) => line[values[other.index(values.len())].clone()].to_vec(),
    };
    line.splice(values[place.index(values.len())].clone(), bytes);
}
