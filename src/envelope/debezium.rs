//! Debezium's JSON, with and without the `schema` wrapper (told apart record by record), addressed by field names only:
//! their order and the set of extra fields change between versions.
//!
//! A column that cannot be read does not stop the reading: the row's place in its transaction is still needed, so that
//! the transaction can be accounted for.

use super::cell;
use super::codec::{Codec, RowBuffer, Values};
use super::{BadReason, BadRecord, End, Envelope, Op, Origin, RunId, strict};
use crate::source::catalog::{Catalog, Topic};
use crate::source::kcat::first_line;
use crate::source::{Location, SourceRecord};
use crate::time::Lsn;
use dataflows::{BadValue, Column, Value};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use sonic_rs::LazyValue;
use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

const RUN: &str = "__debezium.context.runId";
const NEW_KEY: &str = "__debezium.newkey";
const OLD_KEY: &str = "__debezium.oldkey";

/// Decodes records of a catalog's topics. Holds nothing but space to be used again.
pub(crate) struct Decoder {
    catalog: Catalog,
    key: Vec<Value>,
    moved: Vec<Value>,
    after: Vec<Value>,
}

impl Decoder {
    pub(crate) fn new(catalog: Catalog) -> Decoder {
        Decoder { catalog, key: Vec::new(), moved: Vec::new(), after: Vec::new() }
    }

    /// Decodes a record; a row is appended to the buffer of its table in `buffers`.
    pub(crate) fn decode(
        &mut self,
        record: &SourceRecord<'_>,
        topic: Topic,
        buffers: &mut [Box<dyn RowBuffer>],
    ) -> Result<Envelope, Box<BadRecord>> {
        let bad = |(reason, origin)| {
            Box::new(BadRecord {
                location: Location {
                    topic: record.topic.to_string(),
                    partition: record.partition,
                    offset: record.offset,
                    line: None,
                },
                reason,
                key: record.key.as_deref().map(|key| String::from_utf8_lossy(key).chars().take(200).collect()),
                line: Box::default(),
                table: if let Topic::Table(table) = topic { Some(table) } else { None },
                origin,
            })
        };
        match topic {
            Topic::Other => Ok(Envelope::Other),
            Topic::Transactions => self.transaction(record).map_err(|reason| bad((reason, None))),
            Topic::Table(table) => self.row(record, table, buffers).map_err(|refused| bad(*refused)),
        }
    }

    fn transaction(&self, record: &SourceRecord<'_>) -> Result<Envelope, BadReason> {
        let Some(value) = record.value.as_deref() else {
            return Ok(Envelope::Tombstone);
        };
        let Some(block): Option<TransactionRecord<'_>> = parse("value", value)? else {
            return Ok(Envelope::Tombstone);
        };
        let block = match block.payload {
            Some(payload) => *payload,
            None => block,
        };
        match block.status.as_deref() {
            Some("BEGIN") => return Ok(Envelope::Begin),
            Some("END") => {}
            Some(other) => return Err(field("status", other, "expected BEGIN or END")),
            None => return Err(BadReason::Missing("status")),
        }
        let id = block.id.ok_or(BadReason::Missing("id"))?;
        let problem = "expected TXID:LSN, as Debezium 2.0 and later write it";
        let (txid, lsn) = id.split_once(':').ok_or_else(|| field("id", &id, problem))?;
        let txid = txid.parse().map_err(|_| field("id", &id, problem))?;
        let lsn = lsn.parse().map(Lsn).ok().filter(|lsn| lsn.fits()).ok_or_else(|| field("id", &id, problem))?;
        let mut counts = Vec::new();
        for collection in block.data_collections.unwrap_or_default() {
            if let Some(table) = self.catalog.table(&collection.data_collection) {
                counts.push((table, collection.event_count));
            }
        }
        Ok(Envelope::End(End { txid, lsn, counts, commit_ms: block.ts_ms.unwrap_or_default() }))
    }

    fn row(
        &mut self,
        record: &SourceRecord<'_>,
        table: usize,
        buffers: &mut [Box<dyn RowBuffer>],
    ) -> Result<Envelope, Refused> {
        let codecs = Arc::clone(&self.catalog.codecs);
        let codec = codecs.get(table).expect("a topic's table is one of the catalog's");
        let Some(value) = record.value.as_deref() else {
            return Ok(Envelope::Tombstone);
        };
        let unplaced = |reason| Box::new((reason, None));
        framed("value", value).map_err(unplaced)?;
        let seed = PayloadSeed { codec, after: &mut self.after };
        let Some(payload) = parse_seed("value", value, seed).map_err(unplaced)? else {
            return Ok(Envelope::Tombstone);
        };
        let Some(op) = payload.op().map_err(unplaced)? else {
            return Ok(Envelope::Other);
        };
        let run = record.header(RUN).map(run_id);
        let origin = payload.origin(op).map_err(unplaced)?;
        let known = |reason| Box::new((reason, Some((origin, run))));
        if let Some(bad) = payload.bad_value {
            return Err(known(bad.into()));
        }

        let columns = &codec.table.key;
        let key = match (op, record.key.as_deref()) {
            (Op::Truncate, _) => None,
            (_, None) => return Err(known(BadReason::Missing("the record's key"))),
            (_, Some(key)) => Some(read_key("key", key, columns, &mut self.key).map_err(known)?),
        };
        let header = if op == Op::Delete { NEW_KEY } else { OLD_KEY };
        let moved = match record.header(header).filter(|_| matches!(op, Op::Delete | Op::Create)) {
            Some(other) => Some(read_key(header, other.as_bytes(), columns, &mut self.moved).map_err(known)?),
            None => None,
        };
        let after = match op {
            Op::Delete | Op::Truncate => None,
            _ if payload.after => Some(self.after.as_mut_slice()),
            _ => return Err(known(BadReason::Missing("after"))),
        };
        let buffer = buffers.get_mut(table).expect("one buffer for each table");
        buffer.push(Values { key, moved, after }).map_err(|bad| known(bad.into()))?;
        Ok(Envelope::Row { table, op, origin, run })
    }
}

/// A reason, and the row's place among transactions where that could be read.
type Refused = Box<(BadReason, Option<(Origin, RunId)>)>;

fn field(field: &'static str, value: &str, problem: &'static str) -> BadReason {
    BadReason::Field { field, value: value.chars().take(80).collect(), problem }
}

/// Refuses the framing of a schema registry: a zero byte, which no JSON starts with.
fn framed(part: &'static str, bytes: &[u8]) -> Result<(), BadReason> {
    if bytes.first() == Some(&0) { Err(BadReason::Framed { part }) } else { Ok(()) }
}

fn run_id(text: &str) -> u128 {
    dataflows::Uuid::parse(text).map(|uuid| u128::from_be_bytes(uuid.0)).unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        u128::from(hasher.finish())
    })
}

fn parse<'a, T: Deserialize<'a>>(part: &'static str, json: &'a [u8]) -> Result<T, BadReason> {
    framed(part, json)?;
    parse_seed(part, json, PhantomData)
}

fn parse_seed<'a, S: DeserializeSeed<'a>>(part: &'static str, json: &'a [u8], seed: S) -> Result<S::Value, BadReason> {
    strict::refuse(json).map_err(|error| BadReason::Json { part, error: error.to_owned() })?;
    let text = std::str::from_utf8(json).map_err(|error| BadReason::Json { part, error: error.to_string() })?;
    let mut deserializer = sonic_rs::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).map_err(|error| unread(part, &error))?;
    deserializer.end().map_err(|error| unread(part, &error))?;
    Ok(value)
}

fn unread(part: &'static str, error: &sonic_rs::Error) -> BadReason {
    let words = first_line(&error.to_string());
    if error.is_unmatched_type() {
        BadReason::Shape { part, error: words }
    } else {
        BadReason::Json { part, error: words }
    }
}

fn read_key<'v>(
    part: &'static str,
    json: &[u8],
    columns: &[Column],
    into: &'v mut Vec<Value>,
) -> Result<&'v mut [Value], BadReason> {
    framed(part, json)?;
    into.clear();
    into.resize(columns.len(), Value::Unknown);
    let mut seed = CellsSeed { columns, may_omit: false, values: into, bad: None, missing: u64::MAX };
    let found = parse_seed(part, json, KeySeed(&mut seed))?;
    let CellsSeed { bad, missing, .. } = seed;
    if !found {
        return Err(BadReason::Missing("the record's key"));
    }
    match bad.or_else(|| first_missing(columns, missing)) {
        Some(bad) => Err(bad.into()),
        None => Ok(into),
    }
}

fn first_missing(columns: &[Column], missing: u64) -> Option<BadValue> {
    let unseen = columns.iter().take(64).enumerate().find(|(at, _)| missing & (1 << at) != 0)?;
    Some(BadValue::new(unseen.1.name.clone(), "missing from the record"))
}

#[derive(Deserialize)]
struct TransactionRecord<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    data_collections: Option<Vec<CollectionCount>>,
    #[serde(default)]
    ts_ms: Option<i64>,
    #[serde(borrow, default)]
    payload: Option<Box<TransactionRecord<'a>>>,
}

#[derive(Deserialize)]
struct CollectionCount {
    data_collection: String,
    event_count: u64,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(default)]
    lsn: Option<u64>,
    #[serde(borrow, default)]
    sequence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    snapshot: Option<Snapshot<'a>>,
    #[serde(default)]
    ts_ms: Option<i64>,
}

/// The snapshot marker: text, or a boolean in old versions.
#[derive(Deserialize)]
#[serde(untagged)]
enum Snapshot<'a> {
    #[serde(borrow)]
    Marker(Cow<'a, str>),
    Flag(#[expect(dead_code, reason = "its presence tells it from a marker")] bool),
}

#[derive(Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    data_collection_order: u64,
}

/// What of a change record's value is used; `after` is in the decoder's space.
#[derive(Default)]
struct Payload<'a> {
    op: Option<Cow<'a, str>>,
    source: Option<Source<'a>>,
    transaction: Option<Transaction<'a>>,
    after: bool,
    bad_value: Option<BadValue>,
}

impl Payload<'_> {
    /// `None` for what changes no row.
    fn op(&self) -> Result<Option<Op>, BadReason> {
        let Some(op) = self.op.as_deref() else {
            return Err(if self.source.is_none() { BadReason::Flattened } else { BadReason::Missing("op") });
        };
        Ok(Some(match op {
            "c" => Op::Create,
            "u" => Op::Update,
            "d" => Op::Delete,
            "r" => Op::Read,
            "t" => Op::Truncate,
            "m" => return Ok(None),
            other => return Err(field("op", other, "expected c, u, d, r, t or m")),
        }))
    }

    fn origin(&self, op: Op) -> Result<Origin, BadReason> {
        let source = self.source.as_ref().ok_or(BadReason::Missing("source"))?;
        let sequence = match source.sequence.as_deref() {
            Some(text) => Some(previous(text)?),
            None => None,
        };
        let lsn = || match source.lsn.map(Lsn) {
            Some(lsn) if lsn.fits() => Ok(lsn),
            Some(lsn) => Err(field("source.lsn", &lsn.to_string(), "expected a position below 2^55")),
            None => Err(BadReason::Missing("source.lsn")),
        };
        if op != Op::Read {
            let block = self.transaction.as_ref().ok_or(BadReason::NoTransaction)?;
            let txid = block.id.split(':').next().unwrap_or_default();
            return Ok(Origin::Stream {
                txid: txid.parse().map_err(|_| field("transaction.id", &block.id, "expected TXID:LSN"))?,
                lsn: lsn()?,
                previous: sequence.ok_or(BadReason::Missing("source.sequence"))?.unwrap_or_default(),
                order: block.data_collection_order,
            });
        }
        let marker = match &source.snapshot {
            Some(Snapshot::Marker(marker)) => marker.as_ref(),
            Some(Snapshot::Flag(_)) | None => "true",
        };
        match (marker, sequence.flatten()) {
            ("incremental", previous) => Ok(Origin::Incremental { previous: previous.unwrap_or_default() }),
            (_, None) => Ok(Origin::Initial { lsn: lsn()?, last: marker == "last" }),
            (_, Some(previous)) => {
                Ok(Origin::Blocking { previous, ts_ms: source.ts_ms.ok_or(BadReason::Missing("source.ts_ms"))? })
            }
        }
    }
}

/// The first element of `["<END of the previous transaction>","<own LSN>"]`.
fn previous(sequence: &str) -> Result<Option<Lsn>, BadReason> {
    let problem = "expected [previous, own] with text or null inside";
    let (previous, _own): (Option<Cow<'_, str>>, Option<Cow<'_, str>>) =
        sonic_rs::from_str(sequence).map_err(|_| field("source.sequence", sequence, problem))?;
    match previous {
        None => Ok(None),
        Some(text) => match text.parse().map(Lsn) {
            Ok(lsn) if lsn.fits() => Ok(Some(lsn)),
            _ => Err(field("source.sequence", sequence, problem)),
        },
    }
}

/// Reads a change record's value, inside a wrapper or bare; `None` is a tombstone spelled as JSON.
struct PayloadSeed<'c> {
    codec: &'c Codec,
    after: &'c mut Vec<Value>,
}

impl<'de> DeserializeSeed<'de> for PayloadSeed<'_> {
    type Value = Option<Payload<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PayloadSeed<'_> {
    type Value = Option<Payload<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change record or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut payload = Payload::default();
        let mut wrapped = None;
        let mut schema = false;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "op" => payload.op = map.next_value()?,
                "source" => payload.source = map.next_value()?,
                "transaction" => payload.transaction = map.next_value()?,
                "after" => {
                    let table = &self.codec.table;
                    self.after.clear();
                    self.after.resize(table.columns.len(), Value::Unknown);
                    let mut seed = CellsSeed {
                        columns: &table.columns,
                        may_omit: table.may_omit,
                        values: self.after,
                        bad: None,
                        missing: u64::MAX,
                    };
                    payload.after = map.next_value_seed(&mut seed)?;
                    let missing = seed.missing;
                    let bad = seed.bad.take().or_else(|| first_missing(&table.columns, missing));
                    payload.bad_value = bad.filter(|_| payload.after);
                }
                "schema" => {
                    map.next_value::<IgnoredAny>()?;
                    schema = true;
                }
                "payload" => {
                    let seed = PayloadSeed { codec: self.codec, after: self.after };
                    wrapped = Some(map.next_value_seed(seed)?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match wrapped {
            Some(inner) if schema && payload.op.is_none() => Ok(inner),
            // The inner row stands where the outer one did: neither can be trusted.
            Some(_) if payload.op.is_some() => Err(A::Error::custom("a record both bare and in a wrapper")),
            _ => Ok(Some(payload)),
        }
    }
}

/// Reads the wanted columns of a row; true unless the row is null. Values it cannot use do not stop it.
struct CellsSeed<'c> {
    columns: &'c [Column],
    may_omit: bool,
    values: &'c mut Vec<Value>,
    bad: Option<BadValue>,
    /// A bit for each of the first 64 columns, set until the column is seen.
    missing: u64,
}

impl<'de> DeserializeSeed<'de> for &mut CellsSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut CellsSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row or null")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            self.column(&name, &mut map)?;
        }
        Ok(true)
    }
}

impl CellsSeed<'_> {
    /// True if the column is a wanted one.
    fn column<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let Some(at) = self.columns.iter().position(|column| column.name == name) else {
            map.next_value::<IgnoredAny>()?;
            return Ok(false);
        };
        let json: LazyValue<'de> = map.next_value()?;
        let (Some(column), Some(into)) = (self.columns.get(at), self.values.get_mut(at)) else {
            return Err(A::Error::custom("a value for each column"));
        };
        if at < 64 {
            self.missing &= !(1 << at);
        }
        match cell::read(column, self.may_omit, &json) {
            Ok(value) => *into = value,
            Err(bad) => self.bad = Some(bad),
        }
        Ok(true)
    }
}

/// Reads a key: its columns bare, or inside a wrapper.
struct KeySeed<'s, 'c>(&'s mut CellsSeed<'c>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let key = self.0;
        let (mut bare, mut wrapped) = (false, false);
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                // A wrapper, unless the key has a column of that name.
                "payload" if !key.columns.iter().any(|column| column.name == "payload") => {
                    if wrapped {
                        return Err(A::Error::duplicate_field("payload"));
                    }
                    wrapped = map.next_value_seed(&mut *key)?;
                }
                _ => bare |= key.column(&name, &mut map)?,
            }
        }
        if bare && wrapped { Err(A::Error::custom("a key both bare and in a wrapper")) } else { Ok(bare || wrapped) }
    }
}
