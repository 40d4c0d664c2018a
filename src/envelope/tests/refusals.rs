//! Records that cannot be used: in which words that is said, and whether the record's place among transactions is known all
//! the same. A row whose place is known lets its transaction close; one without makes its partition unreadable.

use super::{catalog, decoded};
use crate::envelope::{Envelope, Origin};
use crate::source::{SourceRecord, kcat};
use crate::time::Lsn;
use serde_json::{Value as Json, json};
use std::borrow::Cow;

const CREATE: &str = include_str!("golden/create.jsonl");
const KEY_CHANGE: &str = include_str!("golden/key_change.jsonl");
const MARKERS: &str = include_str!("golden/snapshot_markers.jsonl");
const TRANSACTION: &str = include_str!("golden/transaction.jsonl");

/// The create of an item, which no refusal changes in its place.
const PLACED: bool = true;
const NOWHERE: bool = false;

fn sample(lines: &'static str, number: usize) -> SourceRecord<'static> {
    kcat::parse(lines.lines().nth(number).unwrap().as_bytes()).unwrap()
}

/// The create of an item.
fn item() -> SourceRecord<'static> {
    sample(CREATE, 2)
}

/// The record with its value changed by `edit`.
fn edited(mut record: SourceRecord<'static>, edit: impl Fn(&mut Json)) -> SourceRecord<'static> {
    let mut value: Json = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    edit(&mut value);
    record.value = Some(Cow::Owned(value.to_string().into_bytes()));
    record
}

fn remove(json: &mut Json, field: &str) {
    json.as_object_mut().unwrap().remove(field).unwrap();
}

/// The message, and whether the place is known.
fn refusal(record: &SourceRecord<'_>) -> (String, bool) {
    match decoded(record) {
        Ok(found) => panic!("accepted: {found}"),
        Err(bad) => {
            assert_eq!(
                bad.location.to_string(),
                format!("topic {}, partition {}, offset {}", record.topic, record.partition, record.offset)
            );
            assert_eq!(bad.key.is_some(), record.key.is_some());
            (without_column(&bad.reason), bad.origin.is_some())
        }
    }
}

fn check(cases: impl IntoIterator<Item = (SourceRecord<'static>, &'static str, bool)>) {
    for (record, message, placed) in cases {
        assert_eq!(refusal(&record), (message.to_owned(), placed));
    }
}

type Edit = fn(&mut Json);

/// The message without where in the text the parser stopped: that is the parser's own affair.
fn without_column(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.split(" at line 1 column").next().unwrap().to_owned()
}

#[test]
fn a_row_without_its_place_is_refused() {
    let sequence = "expected [previous, own] with text or null inside";
    let cases: Vec<(Edit, String)> = vec![
        (
            |v| v["transaction"] = Json::Null,
            "the row names no transaction: set provide.transaction.metadata=true in the connector, or do without (`alignment` = \"none\" in [source])".into(),
        ),
        (
            |v| remove(v, "transaction"),
            "the row names no transaction: set provide.transaction.metadata=true in the connector, or do without (`alignment` = \"none\" in [source])".into(),
        ),
        (|v| remove(v, "source"), "source is missing".into()),
        (|v| remove(v, "op"), "op is missing".into()),
        (|v| v["op"] = json!("x"), "op is `x`: expected c, u, d, r, t or m".into()),
        (
            |v| v["op"] = json!(5),
            "value is not what Debezium writes: invalid type: integer `5`, expected a string".into(),
        ),
        (|v| remove(&mut v["source"], "sequence"), "source.sequence is missing".into()),
        (|v| v["source"]["sequence"] = json!("[1,2]"), format!("source.sequence is `[1,2]`: {sequence}")),
        (|v| v["source"]["sequence"] = json!("[\"1\"]"), format!("source.sequence is `[\"1\"]`: {sequence}")),
        (
            |v| v["source"]["sequence"] = json!("[\"x\",\"2\"]"),
            format!("source.sequence is `[\"x\",\"2\"]`: {sequence}"),
        ),
        (
            |v| v["source"]["sequence"] = json!("[\"36028797018963968\",\"2\"]"),
            format!("source.sequence is `[\"36028797018963968\",\"2\"]`: {sequence}"),
        ),
        (|v| v["source"]["sequence"] = json!(""), format!("source.sequence is ``: {sequence}")),
        (|v| remove(&mut v["source"], "lsn"), "source.lsn is missing".into()),
        (|v| v["source"]["lsn"] = Json::Null, "source.lsn is missing".into()),
        (
            |v| v["source"]["lsn"] = json!(1u64 << 55),
            "source.lsn is `36028797018963968`: expected a position below 2^55".into(),
        ),
        (|v| v["transaction"]["id"] = json!("x:1"), "transaction.id is `x:1`: expected TXID:LSN".into()),
        (|v| v["transaction"]["id"] = json!(""), "transaction.id is ``: expected TXID:LSN".into()),
    ];
    for (edit, message) in cases {
        let (found, placed) = refusal(&edited(item(), edit));
        let found = found.split(" column ").next().unwrap().to_owned();
        assert_eq!((found, placed), (message.split(" column ").next().unwrap().to_owned(), NOWHERE));
    }
}

#[test]
fn a_value_that_cannot_be_used_leaves_the_row_its_place() {
    let cases: [(Edit, &str); 14] = [
        (|v| v["after"] = Json::Null, "after is missing"),
        (|v| remove(v, "after"), "after is missing"),
        (|v| remove(&mut v["after"], "type"), "column `type`: missing from the record"),
        (|v| v["after"] = json!({}), "column `conversation_uid`: missing from the record"),
        (|v| v["after"]["type"] = Json::Null, "column `type`: null, where a value is needed"),
        (|v| v["after"]["type"] = json!(7), "column `type`: expected text, found 7"),
        (|v| v["after"]["type"] = json!("memo"), "column `type`: `memo` is not message, review_invite or review"),
        (|v| v["after"]["conversation_uid"] = json!(""), "column `conversation_uid`: expected a uuid, found \"\""),
        (
            |v| v["after"]["conversation_uid"] = json!(["a"]),
            "column `conversation_uid`: expected a uuid, found [\"a\"]",
        ),
        (|v| v["after"]["created_at"] = Json::Null, "column `created_at`: null, where a value is needed"),
        (
            |v| v["after"]["created_at"] = json!(true),
            "column `created_at`: expected an ISO-8601 time or whole microseconds, found true",
        ),
        (
            |v| v["after"]["created_at"] = json!(1.5),
            "column `created_at`: expected an ISO-8601 time or whole microseconds, found 1.5",
        ),
        (
            |v| v["after"]["created_at"] = json!("2026-02-30T00:00:00Z"),
            "column `created_at`: expected an ISO-8601 time or whole microseconds, found \"2026-02-30T00:00:00Z\"",
        ),
        // The placeholder of TOAST values, in a table whose columns cannot be toasted.
        (
            |v| v["after"]["type"] = json!("__debezium_unavailable_value"),
            "column `type`: `__debezium_unavailable_value` is not message, review_invite or review",
        ),
    ];
    check(cases.map(|(edit, message)| (edited(item(), edit), message, PLACED)));
    let long = edited(item(), |v| v["after"]["created_at"] = json!("é".repeat(100)));
    assert!(refusal(&long).0.ends_with(&format!("found \"{}...", "é".repeat(39))), "a value is shortened at a letter");
}

#[test]
fn the_place_of_a_refused_row_is_its_own() {
    let record = edited(item(), |v| v["after"]["type"] = json!("memo"));
    let source: Json = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    let (origin, run) = decoded(&record).unwrap_err().origin.unwrap();
    assert!(matches!(origin, Origin::Stream { lsn: Lsn(lsn), .. } if source["source"]["lsn"] == lsn));
    assert!(run.is_some());

    let record = edited(sample(MARKERS, 0), |v| v["after"] = Json::Null);
    assert!(matches!(decoded(&record).unwrap_err().origin, Some((Origin::Initial { last: false, .. }, Some(_)))));
}

#[test]
fn a_key_that_cannot_be_used_leaves_the_row_its_place() {
    let with_key = |key: Option<&'static [u8]>| SourceRecord { key: key.map(Cow::Borrowed), ..item() };
    let framed = "starts with a zero byte: a schema registry's format (Avro, Protobuf, JSON Schema) is not supported yet; use Debezium's JSON converter";
    for (key, message) in [
        (None, "the record's key is missing"),
        (Some(&b"null"[..]), "the record's key is missing"),
        (Some(b"{}"), "the record's key is missing"),
        (Some(br#"{"schema":{},"payload":null}"#), "the record's key is missing"),
        (Some(br#"{"id":1}"#), "the record's key is missing"),
        (Some(br#"{"uid":null}"#), "column `uid`: null, where a value is needed"),
        (Some(br#"{"uid":7}"#), "column `uid`: expected a uuid, found 7"),
        (Some(b"\0\0\0\0\x01{}"), &*format!("key {framed}")),
        (Some(b"\xff{}"), "key is not JSON: invalid utf-8 sequence of 1 bytes from index 0"),
        (Some(b"{\"uid\":"), "key is not JSON: EOF while parsing"),
        (Some(b"{}x"), "key is not JSON: JSON has non-whitespace trailing characters after the value"),
        (Some(b"abc"), "key is not JSON: Invalid JSON value"),
        (Some(br#""abc""#), "key is not what Debezium writes: invalid type: string \"abc\", expected a key"),
        (
            Some(br#"{"uid":"00000000-0000-0000-0000-000000000000","payload":{"uid":"00000000-0000-0000-0000-000000000001"}}"#),
            "key is not what Debezium writes: a key both bare and in a wrapper",
        ),
    ] {
        assert_eq!(refusal(&with_key(key)), (message.to_owned(), PLACED));
    }
}

#[test]
fn the_other_key_of_a_key_change_is_as_strict() {
    for (number, name) in [(0, "__debezium.newkey"), (2, "__debezium.oldkey")] {
        let with_header = |value: &'static str| {
            let mut record = sample(KEY_CHANGE, number);
            record.headers.iter_mut().find(|(header, _)| header == name).unwrap().1 = Cow::Borrowed(value);
            record
        };
        let words = "is not JSON: EOF while parsing";
        assert_eq!(refusal(&with_header("")), (format!("{name} {words}"), PLACED));
        assert_eq!(
            refusal(&with_header(r#"{"uid":"x"}"#)),
            ("column `uid`: expected a uuid, found \"x\"".to_owned(), PLACED)
        );
    }
}

#[test]
fn a_value_that_is_no_change_record_is_refused() {
    let with_value = |value: &[u8]| SourceRecord { value: Some(Cow::Owned(value.to_vec())), ..item() };
    let deep = |levels: usize| format!("{{\"before\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
    let framed = "starts with a zero byte: a schema registry's format (Avro, Protobuf, JSON Schema) is not supported yet; use Debezium's JSON converter";
    for (value, message) in [
        (&b"\0\0\0\0\x02\x00\x02H"[..], &*format!("value {framed}")),
        (b"", "value is not JSON: EOF while parsing"),
        (b"{\"op\":\"c\"", "value is not JSON: EOF while parsing"),
        (b"{\"op\":\"\xc3\"}", "value is not JSON: invalid utf-8 sequence of 1 bytes from index 7"),
        (br#"{"before":"\u12"}"#, "value is not JSON: \\u without four hexadecimal digits"),
        (b"[]", "value is not what Debezium writes: invalid type: sequence, expected a change record or null"),
        (&deep(600), "value is not JSON: nested deeper than 128 levels"),
    ] {
        assert_eq!(refusal(&with_value(value)), (message.to_owned(), NOWHERE));
    }
    let twice = edited(item(), |v| v["payload"] = v.clone());
    let (message, placed) = refusal(&twice);
    assert!(message.starts_with("value is not what Debezium writes: a record both bare and in a wrapper"), "{message}");
    assert!(!placed);
}

#[test]
fn flattened_records_are_refused_in_every_mode() {
    let flat = "the value has no envelope (op, source, after): records flattened by ExtractNewRecordState are not supported yet; remove that transform";
    for (mode, value) in [
        ("default", json!({"uid": "u", "conversation_uid": "c", "type": "message"})),
        ("rewrite", json!({"uid": "u", "type": "message", "__deleted": "false"})),
        ("rewrite of a delete", json!({"uid": "u", "type": "", "__deleted": "true"})),
        ("add.fields", json!({"uid": "u", "__op": "c", "__table": "t", "__lsn": 5, "__source_ts_ms": 1})),
        ("schemas", json!({"schema": {"type": "struct"}, "payload": {"uid": "u", "__op": "c"}})),
        ("a column called payload", json!({"uid": "u", "payload": {"a": 1}})),
    ] {
        let record = edited(item(), |v| *v = value.clone());
        assert_eq!(refusal(&record), (flat.to_owned(), NOWHERE), "{mode}");
    }
}

#[test]
fn a_broken_end_is_refused() {
    let id = "expected TXID:LSN, as Debezium 2.0 and later write it";
    let cases: [(Edit, String); 9] = [
        (|v| v["status"] = json!("ABORT"), "status is `ABORT`: expected BEGIN or END".into()),
        (|v| remove(v, "status"), "status is missing".into()),
        (|v| remove(v, "id"), "id is missing".into()),
        (|v| v["id"] = json!("571"), format!("id is `571`: {id}")),
        (|v| v["id"] = json!("571:"), format!("id is `571:`: {id}")),
        (|v| v["id"] = json!("x:1"), format!("id is `x:1`: {id}")),
        (|v| v["id"] = json!("1:36028797018963968"), format!("id is `1:36028797018963968`: {id}")),
        (|v| v["id"] = json!("1:18446744073709551616"), format!("id is `1:18446744073709551616`: {id}")),
        (|v| *v = json!({}), "status is missing".into()),
    ];
    for (edit, message) in cases {
        assert_eq!(refusal(&edited(sample(TRANSACTION, 1), edit)), (message, NOWHERE));
    }
    let avro = SourceRecord { value: Some(Cow::Borrowed(b"\0\0\0\0\x08\x06END")), ..sample(TRANSACTION, 1) };
    assert!(refusal(&avro).0.starts_with("value starts with a zero byte"));
}

#[test]
fn a_line_that_is_none_is_refused() {
    let base64 =
        "key or payload is base64: Avro and other binary formats are not supported yet; use Debezium's JSON converter";
    for (line, message) in [
        (&br#"{"topic":"t","partition":0,"offset":0,"key":null,"payload_b64":"AAAAAAI="}"#[..], base64),
        (br#"{"topic":"t","partition":0,"offset":0,"key_b64":"AAAAAAI=","payload":"{}"}"#, base64),
        (br#"{"topic":"t","partition":0,"offset":0,"key":null}"#, "not a line of `kcat -C -J`: `payload` is missing"),
        (br#"{"topic":"t","partition":0,"payload":null}"#, "not a line of `kcat -C -J`: `offset` is missing"),
        (br#"{"topic":"t","partition":0,"partition":1}"#, "not a line of `kcat -C -J`: duplicate field `partition`"),
        (
            br#"{"topic":"t","partition":4294967296,"offset":5,"payload":null}"#,
            "topic t, partition 4294967296, offset 5: partition numbers above 65535 are not supported",
        ),
        (b"", "not a line of `kcat -C -J`: EOF while parsing"),
        (b"{\"topic\":\"\xff\"}", "not a line of `kcat -C -J`: Invalid UTF-8 characters in json"),
    ] {
        assert_eq!(without_column(&kcat::parse(line).unwrap_err()), message);
    }
    // A tombstone whose key alone is binary, as the tool writes it.
    let tombstone = br#"{"topic":"t","partition":0,"offset":0,"key_b64":null,"payload_b64":null}"#;
    assert_eq!(kcat::parse(tombstone).unwrap().value, None);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    // GIVEN one decoder and its buffers, WHEN a bad row comes between two good ones, THEN the second is as the first.
    let catalog = catalog();
    let mut buffers: Vec<_> = catalog.codecs.iter().map(|codec| codec.buffer()).collect();
    let topic = catalog.topic(&item().topic);
    let mut decoder = super::Decoder::new(catalog);
    let bad = edited(item(), |v| remove(&mut v["after"], "type"));
    let bare = edited(item(), |v| remove(v, "after"));
    let mut outcomes =
        [item(), bad, bare, item()].map(|record| decoder.decode(&record, topic, &mut buffers)).into_iter();
    assert!(matches!(outcomes.next(), Some(Ok(Envelope::Row { .. }))));
    assert!(outcomes.next().unwrap().is_err() && outcomes.next().unwrap().is_err());
    assert!(outcomes.next().unwrap().is_ok());
    let rows = super::spelled(*buffers.remove(2).into_any().downcast::<super::TypedRows<super::Item>>().unwrap());
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], rows[1]);
}
