//! One file of records for each shape under `golden/`: `SHAPE.jsonl` as kcat printed them (long texts shortened, and a few
//! records changed by hand into what other versions and settings write), `SHAPE.txt` what must come out, line for line.
//! The expectations were written by another program from the records alone, never by the decoder.

use super::decoded;
use crate::fuzzing;
use crate::source::kcat;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every shape, and what is particular about it.
const SHAPES: [(&str, &str); 25] = [
    (
        "blocking_snapshot",
        "`r` with markers as of an initial snapshot, but `sequence` names an END: it was taken mid-stream",
    ),
    ("create", "one row of each table"),
    ("delete_with_invented_before", "under the default identity `before` is the key and invented values"),
    ("first_transaction", "`sequence` starts with null in the first transaction after the snapshot"),
    ("headers", "no headers, and a header without a value"),
    ("identity_full", "REPLICA IDENTITY FULL: `before` is the whole old row"),
    ("incremental_snapshot", "`r` without txId and lsn"),
    ("key_change", "delete with newkey, its tombstone, create with oldkey; TOAST may be left out even of the create"),
    ("key_change_with_wrapped_headers", "the same where the header converter writes schemas"),
    ("missing_fields", "older versions: no ts_us, ts_ns, xmin, origin"),
    ("not_consumed", "a heartbeat, a signal row, logical messages"),
    ("passed_on_columns", "null and a number in columns that are only passed on"),
    ("shuffled_fields", "no version's order of fields"),
    ("snapshot_marker_of_old_versions", "`snapshot` is a boolean"),
    ("snapshot_markers", "first, true, first_in_data_collection, last_in_data_collection, last"),
    ("streaming_marker", "`snapshot` is null, \"false\", false, or not there"),
    ("tombstones", "no value, the text `null`, a wrapper around null, null among spaces"),
    ("transaction", "BEGIN; END with three tables, with none, with one not consumed; both inside wrappers"),
    ("transaction_as_documented", "the id of Debezium's manual; no data_collections, no ts_ms"),
    ("truncate", "no key, no row"),
    ("unavailable_value", "an unchanged TOAST value, in an update and in the create of a key change"),
    ("unknown_fields", "fields of versions to come"),
    ("update", "one row of each table, and a conversation that was closed"),
    ("whole_microseconds", "a time without a time zone is a number, here before 1970"),
    ("wrapped", "`schemas.enable=true`, for keys too"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/envelope/tests/golden")
}

/// The lines of every golden file, each with the name of its shape.
pub(super) fn lines() -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for (shape, _) in SHAPES {
        let text = std::fs::read_to_string(folder().join(shape).with_extension("jsonl")).unwrap();
        lines.extend(text.lines().map(|line| (shape, line.to_owned())));
    }
    lines
}

#[test]
fn each_shape_is_decoded_as_expected() {
    for (shape, about) in SHAPES {
        let records = std::fs::read_to_string(folder().join(shape).with_extension("jsonl")).unwrap();
        let expected = std::fs::read_to_string(folder().join(shape).with_extension("txt")).unwrap();
        assert_eq!(records.lines().count(), expected.lines().count(), "{shape}");
        for (number, (line, expected)) in records.lines().zip(expected.lines()).enumerate() {
            let record = kcat::parse(line.as_bytes()).unwrap();
            let found = decoded(&record).unwrap_or_else(|bad| panic!("{shape} ({about}): {bad}"));
            assert_eq!(found, expected, "{shape} ({about}), line {}", number + 1);
        }
    }
}

#[test]
fn each_shape_reads_as_serde_json_reads_it() {
    for (_, line) in lines() {
        fuzzing::line(line.as_bytes());
    }
}

#[test]
fn each_file_is_tested() {
    let names = |name: &Path| name.file_stem().unwrap().to_string_lossy().into_owned();
    let files: BTreeSet<_> = std::fs::read_dir(folder()).unwrap().map(|entry| names(&entry.unwrap().path())).collect();
    assert_eq!(files, SHAPES.iter().map(|(shape, _)| shape.to_string()).collect());
}
