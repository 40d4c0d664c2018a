//! What fuzzers and property tests call: arbitrary bytes go through the decoder, and whatever it accepts is compared with
//! what serde_json reads from the same bytes.
//!
//! ```text
//!            ┌──> kcat, debezium, cell, codec ──> Envelope and typed row ──┐
//!  bytes ────┤                                                             ├──> equal, or a panic
//!            └──> serde_json::Value, field by field ───────────────────────┘
//! ```
//!
//! And lines that are decoded by their shape are compared with the same lines decoded by their names: [`shape`].
//!
//! Refusing is always right here, coercing never is: a row has the very uuid, text and instant that the bytes say, or it
//! is no row. No part of the stable API: it is there with the feature `fuzzing` only.
//!
//! # Notes
//! serde_json cannot judge three things that JSON allows: values nested deeper than 128 levels, numbers beyond a float, and
//! surrogates that stand alone in text that is skipped.

#![expect(
    clippy::indexing_slicing,
    reason = "a comparison that cannot be made is a finding, and serde_json answers null for what is not there"
)]

use crate::envelope::{Body, Decoder, Envelope, Op, Origin, RowBuffer, TypedRows, codecs};
use crate::source::catalog::{Catalog, Topic};
use crate::source::feed::{self, Chunk, Event};
use crate::source::log::Block;
use crate::source::packed::Packed;
use crate::source::{SourceRecord, kcat};
use dataflows::{Conversation, ConversationSearch, Extra, Item, ItemType, Row, User, Uuid, Value};
use serde_json::Value as Json;
use std::borrow::Cow;

/// What is decoded of the records of a source called `podium`; `users.name` and `users.bio` are passed on.
pub(crate) fn catalog() -> Catalog {
    let view = ConversationSearch::default();
    let view = view.include("users.name").and_then(|view| view.include("users.bio")).expect("two columns of users");
    Catalog::new("podium", codecs(&view))
}

/// Takes the bytes for a line of a replay log.
pub fn line(line: &[u8]) {
    let head = kcat::parse_head(line).ok();
    let Ok(record) = kcat::parse(line) else { return };
    assert_eq!(head, Some((record.topic.clone(), record.partition)), "the head of the line");
    if let Some(json) = json(line) {
        let text = |name: &str| json[name].as_str().map(str::as_bytes);
        assert_eq!(json["topic"], *record.topic);
        assert_eq!(json["partition"], record.partition);
        assert_eq!(json["offset"], record.offset);
        assert_eq!(text("key"), record.key.as_deref());
        assert_eq!(text("payload"), record.value.as_deref());
    }
    decode(&record, catalog().topic(&record.topic));
}

/// Takes the bytes for a record of each topic in turn. `header` stands in every header that is looked at.
pub fn record(value: &[u8], key: Option<&[u8]>, header: &str) {
    let names = ["__debezium.context.runId", "__debezium.newkey", "__debezium.oldkey"];
    let headers = names.into_iter().filter(|_| !header.is_empty());
    let record = SourceRecord {
        topic: Cow::Borrowed("podium.any"),
        headers: headers.map(|name| (Cow::Borrowed(name), Cow::Borrowed(header))).collect(),
        key: key.map(Cow::Borrowed),
        value: Some(Cow::Borrowed(value)),
        ..SourceRecord::default()
    };
    for topic in [Topic::Table(0), Topic::Table(1), Topic::Table(2), Topic::Transactions] {
        decode(&record, topic);
    }
}

/// Takes the bytes for a record whose value, key and header stand behind each other, with a byte 0xff between them. (JSON is
/// UTF-8, where that byte never stands.)
pub fn parts(bytes: &[u8]) {
    let mut parts = bytes.split(|&byte| byte == 0xff);
    let value = parts.next().unwrap_or_default();
    let key = parts.next();
    record(value, key, &String::from_utf8_lossy(parts.next().unwrap_or_default()));
}

/// Takes the bytes for lines of one log. Each is decoded by a decoder that learns shapes from those before it, and by one
/// that has seen no other line: both must say the same. So it is for the records of the lines, as another source gives them.
pub fn shape(log: &[u8]) {
    let catalog = catalog();
    let mut learning = Learning::new(&catalog);
    log.split(|c| *c == b'\n').for_each(|line| same_by_shape(&catalog, &mut learning, line));
}

/// Decoders that learn shapes: of lines, and of the records that lines are.
pub(crate) struct Learning {
    lines: Decoder,
    records: Decoder,
}

impl Learning {
    pub(crate) fn new(catalog: &Catalog) -> Learning {
        Learning { lines: Decoder::new(catalog.clone()), records: Decoder::new(catalog.clone()) }
    }
}

/// Decodes a line with a decoder that may know its shape and with one that cannot, and compares all that comes out.
pub(crate) fn same_by_shape(catalog: &Catalog, learning: &mut Learning, line: &[u8]) {
    let by_shape = spelled(catalog, &mut learning.lines, line);
    let by_name = spelled(catalog, &mut Decoder::new(catalog.clone()), line);
    assert_eq!(by_shape, by_name, "{}", String::from_utf8_lossy(line));
    let Ok(record) = kcat::parse(line) else { return };
    let packed = || packed(&record);
    let by_shape = spelled_chunks(feed::decode_packed(catalog, &mut learning.records, packed(), 2));
    let by_name = spelled_chunks(feed::decode_packed(catalog, &mut Decoder::new(catalog.clone()), packed(), 2));
    assert_eq!(by_shape, by_name, "{}", String::from_utf8_lossy(line));
}

/// A record, packed.
pub(crate) fn packed(record: &SourceRecord<'_>) -> Packed {
    let mut packed = Packed::default();
    let headers = record.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    packed.push(&record.topic, (record.partition, record.offset), key, value, headers);
    packed
}

/// All that a decoder makes of a line, in words.
fn spelled(catalog: &Catalog, decoder: &mut Decoder, line: &[u8]) -> Vec<String> {
    let bytes_read = line.len() as u64;
    let block =
        Block { lines: line.to_vec(), name: "log".into(), first_line: 1, bytes_read, cut: false, all_read: None };
    spelled_chunks(feed::decode(catalog, decoder, &block, 2))
}

fn spelled_chunks(chunks: Vec<Chunk>) -> Vec<String> {
    let mut spelled = Vec::new();
    for chunk in chunks {
        spelled.push(format!("{} records", chunk.records));
        for Event { partition, offset, body } in chunk.events {
            spelled.push(format!("{partition:?}, offset {offset}: {body:?}"));
        }
        for rows in chunk.buffers.into_iter().map(RowBuffer::into_any) {
            let rows = match rows.downcast::<TypedRows<User>>() {
                Ok(users) => Ok(format!("{:?}", users.0)),
                Err(rows) => rows.downcast::<TypedRows<Conversation>>().map(|rows| format!("{:?}", rows.0)),
            };
            spelled.push(rows.unwrap_or_else(|rows| {
                let items: Box<TypedRows<Item>> = rows.downcast().expect("rows of one of three tables");
                format!("{:?}", items.0)
            }));
        }
    }
    spelled
}

/// Decodes a record and compares what came out.
fn decode(record: &SourceRecord<'_>, topic: Topic) {
    let catalog = catalog();
    let mut buffers: Vec<Box<dyn RowBuffer>> = catalog.codecs.iter().map(|codec| codec.buffer()).collect();
    let outcome = Decoder::new(catalog).decode(record, topic, &mut buffers);
    let value = record.value.as_deref().filter(|_| outcome.is_ok() && topic != Topic::Other).and_then(json);
    let rows = buffers.into_iter().map(RowBuffer::into_any);
    let [users, conversations, items] = <[_; 3]>::try_from(rows.collect::<Vec<_>>()).expect("three tables");
    let users: TypedRows<User> = *users.downcast().expect("rows of users");
    let conversations: TypedRows<Conversation> = *conversations.downcast().expect("rows of conversations");
    let items: TypedRows<Item> = *items.downcast().expect("rows of conversation_items");
    let count = users.0.len() + conversations.0.len() + items.0.len();
    match outcome {
        Ok(Envelope::Row { table, op, origin, .. }) => {
            assert_eq!(count, 1, "one row for a change");
            let Some(value) = value else { return };
            let change = unwrapped(&value);
            placed(change, op, origin);
            match table {
                0 => row(record, op, users, change, same_user),
                1 => row(record, op, conversations, change, same_conversation),
                _ => row(record, op, items, change, same_item),
            }
        }
        Ok(Envelope::End(end)) => {
            let Some(value) = value else { return };
            let block = if value["payload"].is_null() { &value } else { &value["payload"] };
            assert_eq!(block["status"], "END");
            let id = block["id"].as_str().and_then(|id| id.split_once(':')).expect("an id");
            assert_eq!((id.0.parse(), id.1.parse()), (Ok(end.txid), Ok(end.lsn.0)), "the place of END");
        }
        Ok(_) => assert_eq!(count, 0, "no row without a change"),
        Err(bad) => {
            assert_eq!(count, 0, "no row of a bad record");
            assert!(!bad.to_string().is_empty());
        }
    }
}

/// Reads the bytes as serde_json does, or not at all where it cannot judge.
fn json(bytes: &[u8]) -> Option<Json> {
    match serde_json::from_slice(bytes) {
        Ok(json) => Some(json),
        Err(error) => {
            let (words, unjudged) =
                (error.to_string(), ["recursion limit", "out of range", "surrogate", "end of hex escape"]);
            assert!(unjudged.iter().any(|judge| words.contains(judge)), "accepted, but serde_json says: {words}");
            None
        }
    }
}

/// The change inside of its wrappers.
fn unwrapped(value: &Json) -> &Json {
    match value.get("payload") {
        Some(inner) if value.get("schema").is_some() && value["op"].is_null() => unwrapped(inner),
        _ => value,
    }
}

fn placed(change: &Json, op: Op, origin: Origin) {
    let letter = match op {
        Op::Create => "c",
        Op::Update => "u",
        Op::Delete => "d",
        Op::Read => "r",
        Op::Truncate => "t",
    };
    assert_eq!(change["op"], letter);
    let source = &change["source"];
    let sequence: Option<Json> = source["sequence"].as_str().and_then(|text| json(text.as_bytes()));
    let named = sequence.and_then(|sequence| sequence[0].as_str()?.parse::<u64>().ok()).unwrap_or_default();
    assert_eq!(origin.previous().0, named, "the END before it");
    match origin {
        Origin::Stream { lsn, txid, order, .. } => {
            assert_eq!(source["lsn"], lsn.0);
            assert_eq!(change["transaction"]["data_collection_order"], order);
            let id = change["transaction"]["id"].as_str().expect("an id");
            assert_eq!(id.split(':').next().and_then(|id| id.parse().ok()), Some(txid));
        }
        Origin::Initial { lsn, last } => {
            assert_eq!(source["lsn"], lsn.0);
            assert_eq!(source["snapshot"] == "last", last);
        }
        Origin::Incremental { .. } => assert_eq!(source["snapshot"], "incremental"),
        Origin::Arrival { .. } => panic!("the catalog has transactions"),
        Origin::Blocking { ts_ms, .. } => assert_eq!(source["ts_ms"], ts_ms),
    }
}

fn row<R: Row<Key = Uuid>>(record: &SourceRecord<'_>, op: Op, rows: TypedRows<R>, change: &Json, same: fn(&Json, R)) {
    let (key, body) = rows.0.into_iter().next().expect("a row of the record's table");
    let header = |name| record.header(name).map(str::as_bytes);
    let (row, moved) = match body {
        Body::Put { row, from } => (Some(row), (header("__debezium.oldkey").filter(|_| op == Op::Create), from)),
        Body::Delete { to } => (None, (header("__debezium.newkey"), to)),
        Body::Truncate => (None, (None, None)),
    };
    assert_eq!((row.is_some(), key.is_some()), (!matches!(op, Op::Delete | Op::Truncate), op != Op::Truncate));
    same_key(record.key.as_deref().filter(|_| op != Op::Truncate), key);
    same_key(moved.0, moved.1);
    if let Some(row) = row {
        same(&change["after"], row);
    }
}

fn same_key(bytes: Option<&[u8]>, key: Option<Uuid>) {
    assert_eq!(bytes.is_some(), key.is_some());
    let (Some(json), Some(key)) = (bytes.and_then(json), key) else { return };
    let columns = if json["payload"].is_null() { &json } else { &json["payload"] };
    same_uuid(&columns["uid"], key);
}

fn same_uuid(json: &Json, uuid: Uuid) {
    assert_eq!(json.as_str().map(str::to_ascii_lowercase), Some(uuid.to_string()));
}

fn same_user(after: &Json, user: User) {
    let Extra(values) = user.extra;
    assert_eq!(values.len(), 2);
    for (name, value) in ["name", "bio"].into_iter().zip(values) {
        let json = after.get(name).expect("a value for each column");
        let same = match &value {
            Value::Unknown => {
                *json == "__debezium_unavailable_value" || *json == serde_json::json!(["__debezium_unavailable_value"])
            }
            Value::Null => json.is_null(),
            Value::Bool(bool) => *json == *bool,
            Value::Integer(integer) => json.as_i64() == Some(*integer) || json.as_f64() == Some(*integer as f64),
            Value::Number(text) => json.is_number() && json.as_f64() == text.parse().ok(),
            Value::Text(text) => *json == **text,
            Value::Json(text) => serde_json::from_str::<Json>(text).is_ok_and(|read| read == *json),
            Value::Uuid(_) | Value::Timestamp(_) => false,
        };
        assert!(same, "{name} is {json}, not {value:?}");
    }
}

fn same_conversation(after: &Json, conversation: Conversation) {
    same_uuid(&after["user_uid"], conversation.user_uid);
    assert_eq!(conversation.closed, !after.get("closed_at").expect("closed_at").is_null());
}

fn same_item(after: &Json, item: Item) {
    same_uuid(&after["conversation_uid"], item.conversation_uid);
    let kind = match item.kind {
        ItemType::Message => "message",
        ItemType::ReviewInvite => "review_invite",
        ItemType::Review => "review",
    };
    assert_eq!(after["type"], kind);
    match &after["created_at"] {
        Json::Number(number) => assert_eq!(number.as_i64(), Some(item.created_at)),
        Json::String(text) => same_instant(text, item.created_at),
        other => panic!("an instant from {other}"),
    }
}

/// Writes `micros` as the text does, in its time zone, and compares the numbers.
fn same_instant(text: &str, micros: i64) {
    let (date, time) = text.split_once('T').expect("date and time");
    let zone_at = time.find(['Z', '+', '-']).expect("a time zone");
    let (clock, zone) = time.split_at(zone_at);
    let numbers = |text: &str| -> Vec<i64> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.parse().expect("few digits"))
            .collect()
    };
    let mut shift = match numbers(zone)[..] {
        [hours, minutes] => hours * 3_600 + minutes * 60,
        [hours] => hours * 3_600,
        _ => 0,
    };
    if zone.starts_with('-') {
        shift = -shift;
    }
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let local = i128::from(micros) + i128::from(shift) * 1_000_000;
    let (seconds, rest) = (local.div_euclid(1_000_000), local.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(i64::try_from(days).expect("a day"));
    let spelled = numbers(date);
    assert_eq!(spelled, [year.abs(), month, day], "{text}");
    assert_eq!(date.starts_with('-') && year != 0, year < 0, "{text}");
    assert_eq!(
        numbers(clock).into_iter().map(i128::from).collect::<Vec<_>>(),
        [second / 3_600, second / 60 % 60, second % 60],
        "{text}"
    );
    assert_eq!(format!("{rest:06}").trim_end_matches('0'), fraction.trim_end_matches('0'), "{text}");
}

/// Year, month and day of a day since 1970-01-01, by counting.
fn civil(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let (mut year, mut left) = (1970 + 400 * days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}
