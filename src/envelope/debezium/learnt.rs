//! What the holes of a line's shape mean: a record decoded by where its scalars stand, without looking at a name.
//!
//! ```text
//!  line ──> Shapes::fit ──> fillings ──> Learnt ──> the same rules as by names ──> Envelope and row
//!    │          no shape, or a filling that is not plainly what is expected
//!    └──────────────────────────────────────────> the parser, by names ──> Envelope and row, and perhaps a new shape
//! ```
//!
//! A shape is learnt from a line that the parser has read, and only here what it means is worked out: `learn`.
//! Whatever is not plainly right is left to the parser, which also finds the words for what is wrong. Both answer the same
//! for every line: `fuzzing::shape` holds them to it.

mod learn;

pub(super) use learn::{learn_line, learn_packed};

use super::change::{Payload, Snapshot, Source, Transaction};
use super::columns::Cells;
use super::transaction::begin_or_end;
use crate::envelope::cell::{self, Scalar};
use crate::envelope::codec::Values;
use crate::envelope::{Codec, Envelope, Op, RowBuffer, RunId};
use crate::source::catalog::{Catalog, Partition, Topic};
use crate::source::kcat::possible;
use crate::source::shape::{Filling, Kind};
use crate::time::Lsn;
use dataflows::{Column, Value};
use std::borrow::Cow;

/// A hole, by its number in the shape.
type Hole = usize;

/// What a shape means.
pub(super) struct Learnt {
    topic: Topic,
    /// The partition and the offset, where they stand in the text.
    place: Option<(Hole, Hole)>,
    /// Numbers of the line that nobody reads.
    numbers: Vec<Hole>,
    record: Record,
}

enum Record {
    Tombstone,
    Row(Row),
    Transaction(Block),
}

/// A change of a row.
#[derive(Default)]
struct Row {
    run: RunId,
    key: Vec<(usize, Hole)>,
    op: Hole,
    lsn: Option<Hole>,
    sequence: Option<Hole>,
    snapshot: Option<Hole>,
    ts_ms: Option<Hole>,
    /// `id` and `data_collection_order`; `None` outside of transactions.
    transaction: Option<(Hole, Hole)>,
    /// The wanted columns; `None` if the row went.
    after: Option<Vec<(usize, Hole)>>,
}

/// BEGIN or END.
#[derive(Default)]
struct Block {
    status: Option<Hole>,
    id: Option<Hole>,
    ts_ms: Option<Hole>,
    /// Name and count.
    collections: Vec<(Hole, Hole)>,
}

/// A text and what fills the holes of its shape.
#[derive(Clone, Copy)]
pub(super) struct Fitted<'l> {
    pub(super) line: &'l [u8],
    pub(super) fillings: &'l [Filling],
    /// Whether key and value stand inside of text, as in a line.
    pub(super) quoted: bool,
}

impl Learnt {
    pub(super) fn topic(&self) -> Topic {
        self.topic
    }

    /// The partition and the offset.
    pub(super) fn place(&self, fitted: Fitted<'_>) -> Option<(Partition, u64)> {
        let (partition, offset) = self.place?;
        let number = possible(fitted.whole(partition)??)?;
        let offset = fitted.whole(offset)??;
        let unread = |hole: &Hole| fitted.filling(*hole).is_some_and(|filling| filling.kind == Kind::Number);
        self.numbers.iter().all(unread).then_some(())?;
        Some((Catalog::partition(self.topic, number)?, offset))
    }

    /// What the record is. A row is appended to the buffer of its table, or nothing is where the parser must be asked.
    pub(super) fn envelope(
        &self,
        fitted: Fitted<'_>,
        catalog: &Catalog,
        (key, after): (&mut Cells, &mut Cells),
        buffers: &mut [Box<dyn RowBuffer>],
    ) -> Option<Envelope> {
        match (&self.record, self.topic) {
            (Record::Tombstone, _) => Some(Envelope::Tombstone),
            (Record::Transaction(block), _) => block.envelope(fitted, catalog),
            (Record::Row(row), Topic::Table(table)) => {
                let codec = catalog.codecs.get(table)?;
                row.envelope(fitted, (table, codec), (key, after), buffers.get_mut(table)?.as_mut())
            }
            (Record::Row(_), _) => None,
        }
    }
}

impl Row {
    fn envelope(
        &self,
        fitted: Fitted<'_>,
        (table, codec): (usize, &Codec),
        (key, after): (&mut Cells, &mut Cells),
        buffer: &mut dyn RowBuffer,
    ) -> Option<Envelope> {
        let source = Source {
            lsn: self.lsn.map_or(Some(None), |hole| fitted.whole(hole))?,
            snapshot: self.snapshot.map_or(Some(None), |hole| fitted.snapshot(hole))?,
            ts_ms: self.ts_ms.map_or(Some(None), |hole| fitted.milliseconds(hole))?,
            ..Source::default()
        };
        let transaction = match self.transaction {
            Some((id, order)) => {
                let id = Cow::Borrowed(fitted.text(id)?);
                Some(Transaction { id, data_collection_order: fitted.whole(order)?? })
            }
            None => None,
        };
        let op = Some(Cow::Borrowed(fitted.text(self.op)?));
        let payload = Payload { op, source: Some(source), transaction, ..Payload::default() };
        let op = payload.op().ok()??;
        let sequence = self.sequence.map_or(Some(None), |hole| fitted.sequence(hole))?;
        let origin = payload.origin_behind(op, sequence).ok()?;

        let may_omit = codec.table.may_omit;
        if let Some(columns) = &self.after {
            fitted.cells(columns, &codec.table.columns, may_omit, after)?;
        }
        let row = match op {
            Op::Delete => None,
            Op::Truncate => return None,
            Op::Create | Op::Update | Op::Read => self.after.as_ref().map(|_| Some(after.values()))?,
        };
        fitted.cells(&self.key, &codec.table.key, false, key)?;
        buffer.push(Values { key: Some(key.values()), moved: None, after: row }).ok()?;
        Some(Envelope::Row { table, op, origin, run: self.run })
    }
}

impl Block {
    fn envelope(&self, fitted: Fitted<'_>, catalog: &Catalog) -> Option<Envelope> {
        let text = |hole: Option<Hole>| hole.map_or(Some(None), |hole| fitted.text_or_null(hole));
        let ts_ms = self.ts_ms.map_or(Some(None), |hole| fitted.milliseconds(hole))?;
        let count = |&(name, count): &(Hole, Hole)| Some((fitted.text(name)?, fitted.whole(count)??));
        self.collections.iter().all(|counted| count(counted).is_some()).then_some(())?;
        let collections = self.collections.iter().filter_map(count);
        begin_or_end(text(self.status)?, text(self.id)?, ts_ms, collections, catalog).ok()
    }
}

impl<'l> Fitted<'l> {
    fn filling(&self, hole: Hole) -> Option<&'l Filling> {
        self.fillings.get(hole)
    }

    /// Text without escapes.
    fn text(&self, hole: Hole) -> Option<&'l str> {
        let filling = self.filling(hole).filter(|filling| filling.kind == Kind::Text)?;
        std::str::from_utf8(filling.bytes(self.line)).ok()
    }

    /// The same, or null.
    fn text_or_null(&self, hole: Hole) -> Option<Option<&'l str>> {
        if self.is_null(hole) { Some(None) } else { self.text(hole).map(Some) }
    }

    fn snapshot(&self, hole: Hole) -> Option<Option<Snapshot<'l>>> {
        let filling = self.filling(hole)?;
        match (filling.kind, filling.bytes(self.line)) {
            (Kind::Word, b"null") => Some(None),
            (Kind::Word, flag) => Some(Some(Snapshot::Flag(flag == b"true"))),
            _ => self.text(hole).map(|marker| Some(Snapshot::Marker(Cow::Borrowed(marker)))),
        }
    }

    fn is_null(&self, hole: Hole) -> bool {
        self.filling(hole).is_some_and(|filling| filling.kind == Kind::Word && filling.bytes(self.line) == b"null")
    }

    /// A whole number that fits without a look at its last digits, or null.
    fn whole(&self, hole: Hole) -> Option<Option<u64>> {
        let filling = self.filling(hole)?;
        match filling.kind {
            Kind::Number => digits(filling.bytes(self.line)).map(Some),
            _ => self.is_null(hole).then_some(None),
        }
    }

    fn milliseconds(&self, hole: Hole) -> Option<Option<i64>> {
        match self.whole(hole)? {
            Some(number) => Some(Some(i64::try_from(number).ok()?)),
            None => Some(None),
        }
    }

    /// What `source.sequence` says of the END before it: `["<END>","<own>"]`, as text inside of text.
    fn sequence(&self, hole: Hole) -> Option<Option<Option<Lsn>>> {
        let filling = self.filling(hole)?;
        if filling.kind != Kind::Escaped {
            return self.is_null(hole).then_some(None);
        }
        let inside = filling.bytes(self.line).strip_prefix(b"[")?.strip_suffix(b"]")?;
        let (previous, rest) = position(inside, self.quoted)?;
        let (_own, end) = position(rest.strip_prefix(b",")?, self.quoted)?;
        let previous = match previous.map(Lsn) {
            Some(lsn) if !lsn.fits() => return None,
            previous => previous,
        };
        end.is_empty().then_some(Some(previous))
    }

    /// Reads columns, each of which has a hole.
    fn cells(&self, holes: &[(usize, Hole)], columns: &[Column], may_omit: bool, into: &mut Cells) -> Option<()> {
        let values = into.cleared(columns.len());
        for &(column, hole) in holes {
            *values.get_mut(column)? = self.cell(columns.get(column)?, may_omit, hole)?;
        }
        Some(())
    }

    fn cell(&self, column: &Column, may_omit: bool, hole: Hole) -> Option<Value> {
        let filling = self.filling(hole)?;
        let text = std::str::from_utf8(filling.bytes(self.line)).ok()?;
        match filling.kind {
            Kind::Text => cell::read_scalar(column, may_omit, Scalar::Text(text)),
            Kind::Number | Kind::Word => cell::read_scalar(column, may_omit, Scalar::Other(text)),
            Kind::Escaped => {
                let text = if self.quoted { unquoted(text)? } else { text.to_owned() };
                let json = format!("\"{text}\"");
                cell::read(column, may_omit, &sonic_rs::from_str(&json).ok()?).ok()
            }
        }
    }
}

/// Takes back the escapes of text inside of text, of which there are two.
fn unquoted(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        plain.push_str(before);
        plain.push(behind.chars().next().filter(|c| matches!(c, '"' | '\\'))?);
        rest = behind.get(1..)?;
    }
    plain.push_str(rest);
    Some(plain)
}

/// A position in quotes that are escaped once, or twice if `quoted`, or null; and what is behind it.
fn position(text: &[u8], quoted: bool) -> Option<(Option<u64>, &[u8])> {
    let quote: &[u8] = if quoted { br#"\\\""# } else { br#"\""# };
    if let Some(behind) = text.strip_prefix(b"null") {
        return Some((None, behind));
    }
    let inside = text.strip_prefix(quote)?;
    let end = inside.iter().position(|c| !c.is_ascii_digit())?;
    let (number, behind) = inside.split_at_checked(end)?;
    Some((Some(digits(number)?), behind.strip_prefix(quote)?))
}

/// A number of digits alone, few enough to fit.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |number, c| c.is_ascii_digit().then(|| number * 10 + u64::from(c - b'0')))
}
