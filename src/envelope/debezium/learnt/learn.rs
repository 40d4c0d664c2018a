//! From a text that the parser has read, a line or a packed record, to its shape and what that means.
//!
//! The line is gone through once, in its order, and every scalar that may be another one in the next record becomes a hole.
//! What stays the same in one topic of one run is left in the literals: names, headers, schemas, and of `source` all that
//! is neither a number nor read.

use super::{Block, Hole, Learnt, Record, Row};
use crate::envelope::debezium::{NEW_KEY, OLD_KEY, RUN, run_id};
use crate::envelope::{Codec, Envelope, Op};
use crate::source::SourceRecord;
use crate::source::catalog::{Catalog, Topic};
use crate::source::kcat::{Part, parts};
use crate::source::packed::PackedRecord;
use crate::source::shape::{self, Node, Shape, outline};
use dataflows::Column;
use std::ops::Range;

/// Longer lines are not learnt from.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Learns from a line, the record it is, and what the parser made of it.
pub(in crate::envelope::debezium) fn learn_line(
    line: &[u8],
    record: &SourceRecord<'_>,
    topic: Topic,
    envelope: &Envelope,
    catalog: &Catalog,
) -> Option<(Shape, Learnt)> {
    learn((line, true), || parts(line), record, topic, envelope, catalog)
}

/// Learns from a record that never was a line.
pub(in crate::envelope::debezium) fn learn_packed(
    packed: PackedRecord<'_>,
    record: &SourceRecord<'_>,
    topic: Topic,
    envelope: &Envelope,
    catalog: &Catalog,
) -> Option<(Shape, Learnt)> {
    let text = packed.text();
    let parts = || {
        let key = packed.key().map(|at| outline::<false>(text, at).map(Part::Key));
        let value = packed.value().map(|at| outline::<false>(text, at));
        let value = value.map_or(Some(Part::Value(None)), |value| Some(Part::Value(Some(value?))));
        // A key that is no JSON is no mistake of its record's where nobody wants the key.
        packed.is_plain().then(|| key.flatten().into_iter().chain(value).collect())
    };
    learn((text, false), parts, record, topic, envelope, catalog)
}

/// Learns from a text; `quoted` says that key and value stand inside of text.
fn learn(
    (line, quoted): (&[u8], bool),
    parts: impl FnOnce() -> Option<Vec<Part>>,
    record: &SourceRecord<'_>,
    topic: Topic,
    envelope: &Envelope,
    catalog: &Catalog,
) -> Option<(Shape, Learnt)> {
    // What is learnt is kept.
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    // These two headers hold the other key of one row.
    if [NEW_KEY, OLD_KEY].iter().any(|name| record.header(name).is_some()) {
        return None;
    }
    let codec = if let Topic::Table(table) = topic { catalog.codecs.get(table) } else { None };
    let mut holes = Holes { line, quoted, holes: Vec::new() };
    let (mut partition, mut offset, mut numbers, mut key, mut meaning) = (None, None, Vec::new(), None, None);
    for part in parts()? {
        match part {
            Part::Partition(at) => partition = Some(holes.bare(at)),
            Part::Offset(at) => offset = Some(holes.bare(at)),
            Part::Number(at) => numbers.push(holes.bare(at)),
            Part::Key(node) => {
                key = holes.key(&node, codec.map(|codec| codec.table.key.as_slice()).unwrap_or_default())
            }
            Part::Value(None) => meaning = matches!(envelope, Envelope::Tombstone).then_some(Record::Tombstone),
            Part::Value(Some(node)) => {
                let node = unwrapped(&node)?;
                meaning = match (envelope, codec) {
                    (Envelope::Row { op, .. }, Some(codec)) if *op != Op::Truncate => {
                        holes.row(node, codec).map(Record::Row)
                    }
                    (Envelope::Begin | Envelope::End(_), None) => holes.block(node).map(Record::Transaction),
                    _ => None,
                }
            }
        }
    }
    let mut meaning = meaning?;
    if let Record::Row(row) = &mut meaning {
        row.key = key?;
        row.run = record.header(RUN).map(run_id);
    }
    let place = partition.zip(offset);
    (place.is_some() == quoted).then_some(())?;
    Some((Shape::new(line, &holes.holes), Learnt { topic, place, numbers, record: meaning }))
}

/// What is inside of a wrapper of schema and payload, or the node itself if it is bare.
fn unwrapped(node: &Node) -> Option<&Node> {
    let Some(payload) = node.field("payload") else { return Some(node) };
    let pair = node.fields()?.len() == 2 && node.field("schema").is_some();
    (pair && payload.field("payload").is_none()).then_some(payload)
}

struct Holes<'l> {
    line: &'l [u8],
    /// Whether key and value stand inside of text.
    quoted: bool,
    holes: Vec<shape::Hole>,
}

impl Holes<'_> {
    /// A hole for a scalar of the line itself.
    fn bare(&mut self, at: Range<usize>) -> Hole {
        self.holes.push(shape::Hole { at, quoted: false });
        self.holes.len() - 1
    }

    /// A hole for a scalar of key or value.
    fn inside(&mut self, at: Range<usize>) -> Hole {
        self.holes.push(shape::Hole { at, quoted: self.quoted });
        self.holes.len() - 1
    }

    /// The same for one that is read; `None` if it is no scalar.
    fn read(&mut self, node: &Node) -> Option<Hole> {
        node.scalar().map(|at| self.inside(at))
    }

    /// Holes for all scalars of what is skipped.
    fn skipped(&mut self, node: &Node) {
        match node {
            Node::Scalar(at) => drop(self.inside(at.clone())),
            Node::Object(fields) => fields.iter().for_each(|(_, node)| self.skipped(node)),
            Node::Array(elements) => elements.iter().for_each(|node| self.skipped(node)),
        }
    }

    fn is_null(&self, node: &Node) -> bool {
        node.scalar().is_some_and(|at| self.line.get(at) == Some(b"null".as_slice()))
    }

    fn key(&mut self, node: &Node, columns: &[Column]) -> Option<Vec<(usize, Hole)>> {
        let bare = columns.iter().any(|column| column.name == "payload");
        self.columns(if bare { node } else { unwrapped(node)? }, columns)
    }

    /// The wanted columns; `None` if one of them is not there or no scalar.
    fn columns(&mut self, node: &Node, columns: &[Column]) -> Option<Vec<(usize, Hole)>> {
        let mut found = Vec::new();
        for (name, node) in node.fields()? {
            match columns.iter().position(|column| column.name == *name) {
                Some(column) => found.push((column, self.read(node)?)),
                None => self.skipped(node),
            }
        }
        (found.len() == columns.len()).then_some(found)
    }

    fn row(&mut self, node: &Node, codec: &Codec) -> Option<Row> {
        let (mut row, mut op) = (Row::default(), None);
        for (name, node) in node.fields()? {
            match name.as_str() {
                "op" => op = Some(self.read(node)?),
                "source" => self.source(node, &mut row)?,
                "schema" => {}
                // An object in its place makes another shape.
                "before" | "after" | "transaction" if self.is_null(node) => {}
                "after" => row.after = Some(self.columns(node, &codec.table.columns)?),
                "transaction" => row.transaction = Some(self.pair(node, "id", "data_collection_order")?),
                _ => self.skipped(node),
            }
        }
        row.op = op?;
        Some(row)
    }

    fn source(&mut self, node: &Node, row: &mut Row) -> Option<()> {
        for (name, node) in node.fields()? {
            match name.as_str() {
                "lsn" => row.lsn = Some(self.read(node)?),
                "sequence" => row.sequence = Some(self.read(node)?),
                "snapshot" => row.snapshot = Some(self.read(node)?),
                "ts_ms" => row.ts_ms = Some(self.read(node)?),
                _ => {
                    let first = node.scalar().and_then(|at| self.line.get(at.start));
                    if first.is_some_and(|first| matches!(first, b'-' | b'0'..=b'9')) {
                        self.skipped(node);
                    }
                }
            }
        }
        Some(())
    }

    /// Two fields that are read.
    fn pair(&mut self, node: &Node, first: &str, second: &str) -> Option<(Hole, Hole)> {
        let mut found = (None, None);
        for (name, node) in node.fields()? {
            match name.as_str() {
                name if name == first => found.0 = Some(self.read(node)?),
                name if name == second => found.1 = Some(self.read(node)?),
                _ => self.skipped(node),
            }
        }
        found.0.zip(found.1)
    }

    fn block(&mut self, node: &Node) -> Option<Block> {
        let mut block = Block::default();
        for (name, node) in node.fields()? {
            match name.as_str() {
                "status" => block.status = Some(self.read(node)?),
                "id" => block.id = Some(self.read(node)?),
                "ts_ms" => block.ts_ms = Some(self.read(node)?),
                "data_collections" if self.is_null(node) => {}
                "data_collections" => {
                    let Node::Array(collections) = node else { return None };
                    let mut counted = |node| self.pair(node, "data_collection", "event_count");
                    block.collections = collections.iter().map(&mut counted).collect::<Option<_>>()?;
                }
                _ => self.skipped(node),
            }
        }
        Some(block)
    }
}
