//! Debezium's JSON, with and without the `schema` wrapper (told apart record by record), addressed by field names only:
//! their order and the set of extra fields change between versions.
//!
//! A column that cannot be read does not stop the reading: the row's place in its transaction is still needed, so that
//! the transaction can be accounted for.

mod change;
mod columns;
mod learnt;
mod parse;
mod place;
mod transaction;

use super::codec::{RowBuffer, Values};
use super::{BadReason, BadRecord, Envelope, Op, Origin, RunId};
use crate::source::catalog::{Catalog, Partition, Topic};
use crate::source::packed::PackedRecord;
use crate::source::shape::Shapes;
use crate::source::{Location, SourceRecord};
use change::PayloadSeed;
use columns::{Cells, read_key};
use dataflows::Uuid;
use learnt::{Fitted, Learnt, learn_line, learn_packed};
use parse::{framed, parse_seed};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use transaction::transaction;

pub(crate) use place::Place;

const RUN: &str = "__debezium.context.runId";
const NEW_KEY: &str = "__debezium.newkey";
const OLD_KEY: &str = "__debezium.oldkey";

/// Decodes records of a catalog's topics. Holds space to be used again, and the shapes of the lines it was shown.
pub(crate) struct Decoder {
    catalog: Catalog,
    key: Cells,
    moved: Cells,
    after: Cells,
    shapes: Shapes<Topic, Learnt>,
}

impl Decoder {
    pub(crate) fn new(catalog: Catalog) -> Decoder {
        let (key, moved, after) = Default::default();
        Decoder { catalog, key, moved, after, shapes: Shapes::new() }
    }

    /// Decodes a line of a log whose shape is known, as [`decode`](Decoder::decode) would the record that it is. A row is
    /// appended to the buffer of its table in the `buffers` of its partition. `None` where only the parser can tell.
    pub(crate) fn by_shape<'b>(
        &mut self,
        line: &[u8],
        buffers: impl FnOnce(Partition) -> Option<&'b mut [Box<dyn RowBuffer>]>,
    ) -> Option<(Partition, u64, Envelope)> {
        let (learnt, fillings) = self.shapes.fit(line)?;
        let fitted = Fitted { line, fillings, quoted: true };
        let (partition, offset) = learnt.place(fitted)?;
        let cells = (&mut self.key, &mut self.after);
        let envelope = learnt.envelope(fitted, &self.catalog, cells, buffers(partition)?)?;
        Some((partition, offset, envelope))
    }

    /// The same for a record that never was a line.
    pub(crate) fn packed_by_shape(
        &mut self,
        packed: PackedRecord<'_>,
        topic: Topic,
        buffers: &mut [Box<dyn RowBuffer>],
    ) -> Option<Envelope> {
        let line = packed.text();
        let (learnt, fillings) = self.shapes.fit(line)?;
        debug_assert_eq!(learnt.topic(), topic, "a text begins with its topic");
        let fitted = Fitted { line, fillings, quoted: false };
        learnt.envelope(fitted, &self.catalog, (&mut self.key, &mut self.after), buffers)
    }

    /// Learns the shape of a record that no known shape fits, from what [`decode`](Decoder::decode) made of it.
    pub(crate) fn learn_packed(
        &mut self,
        packed: PackedRecord<'_>,
        record: &SourceRecord<'_>,
        topic: Topic,
        envelope: &Envelope,
    ) {
        if self.catalog.is_aligned() {
            self.shapes.learn(topic, || learn_packed(packed, record, topic, envelope, &self.catalog));
        }
    }

    /// Learns the shape of a line that no known shape fits, from what [`decode`](Decoder::decode) made of it.
    pub(crate) fn learn(&mut self, line: &[u8], record: &SourceRecord<'_>, topic: Topic, envelope: &Envelope) {
        // What a shape means is worked out for rows of transactions.
        if self.catalog.is_aligned() {
            self.shapes.learn(topic, || learn_line(line, record, topic, envelope, &self.catalog));
        }
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
            Topic::Transactions => transaction(record, &self.catalog).map_err(|reason| bad((reason, None))),
            Topic::Table(table) => self.row(record, table, buffers).map_err(|refused| bad(*refused)),
        }
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
        let origin = if self.catalog.is_aligned() { payload.origin(op) } else { payload.arrival(op) };
        let origin = origin.map_err(unplaced)?;
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
            _ if payload.after => Some(self.after.values()),
            _ => return Err(known(BadReason::Missing("after"))),
        };
        let buffer = buffers.get_mut(table).expect("one buffer for each table");
        buffer.push(Values { key, moved, after }).map_err(|bad| known(bad.into()))?;
        Ok(Envelope::Row { table, op, origin, run })
    }
}

/// A reason, and the row's place among transactions where that could be read.
type Refused = Box<(BadReason, Option<(Origin, RunId)>)>;

fn run_id(text: &str) -> Uuid {
    Uuid::parse(text).unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Uuid(u128::from(hasher.finish()).to_be_bytes())
    })
}
