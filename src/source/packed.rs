//! Records that never were lines, in one stretch of memory: what a source of records, or Kafka, gives.
//!
//! ```text
//!   topic 0xff flags headers key 0xff value 0xff name 0xff value 0xff ...  │ the next record
//!   └──────────────────────────── a record's text ───────────────────────┘
//! ```
//!
//! The byte 0xff stands in no JSON and in no name, so that a record's text can have a shape as a line has: what stands between
//! two of them is a part of its own whatever it holds. The number of headers (a byte) stands in the text, so that a text of which
//! a part holds that byte has the shape of no text that is as it should be.

use super::SourceRecord;
use std::borrow::Cow;
use std::ops::Range;

/// What ends each part of a record's text.
pub(crate) const END: u8 = 0xff;

/// The flags of a record that has a key, and of one that has a value.
const KEY: u8 = 1;
const VALUE: u8 = 2;

/// Records, one behind the other.
#[derive(Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    records: Vec<Placed>,
    /// Where the names and values of headers end.
    header_ends: Vec<usize>,
}

/// A record's place in its topic, and where the parts of its text stand.
#[derive(Clone)]
struct Placed {
    partition: u32,
    offset: u64,
    start: usize,
    topic: usize,
    key: usize,
    value: usize,
    end: usize,
    /// Which of the ends of header parts are its.
    headers: Range<usize>,
}

/// One of the records.
#[derive(Clone, Copy)]
pub(crate) struct PackedRecord<'p> {
    bytes: &'p [u8],
    placed: &'p Placed,
    header_ends: &'p [usize],
}

impl Packed {
    /// Adds a record; its headers are names and values, in order.
    pub(crate) fn push<'h>(
        &mut self,
        topic: &str,
        (partition, offset): (u32, u64),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        let start = self.bytes.len();
        let topic = self.part(topic.as_bytes());
        self.bytes.push(u8::from(key.is_some()) * KEY + u8::from(value.is_some()) * VALUE);
        let count = self.bytes.len();
        self.bytes.push(0);
        let key = self.part(key.unwrap_or_default());
        let value = self.part(value.unwrap_or_default());
        let first_header = self.header_ends.len();
        for part in headers.flat_map(|(name, value)| [name, value]) {
            let end = self.part(part);
            self.header_ends.push(end);
        }
        let headers = first_header..self.header_ends.len();
        if let Some(byte) = self.bytes.get_mut(count) {
            *byte = u8::try_from(headers.len() / 2).unwrap_or(END - 1).min(END - 1);
        }
        self.records.push(Placed { partition, offset, start, topic, key, value, end: self.bytes.len(), headers });
    }

    /// Removes all records; what they took is kept for the next ones.
    #[cfg(feature = "kafka")]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.header_ends.clear();
    }

    /// Adds a part, and says where it ends.
    fn part(&mut self, part: &[u8]) -> usize {
        self.bytes.extend_from_slice(part);
        self.bytes.push(END);
        self.bytes.len() - 1
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Roughly the bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Placed>() + self.header_ends.len() * size_of::<usize>()
    }

    /// The records, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PackedRecord<'_>> {
        self.records.iter().map(|placed| PackedRecord {
            bytes: &self.bytes,
            placed,
            header_ends: self.header_ends.get(placed.headers.clone()).unwrap_or_default(),
        })
    }
}

impl<'p> PackedRecord<'p> {
    /// All of its text.
    pub(crate) fn text(&self) -> &'p [u8] {
        self.at(self.placed.start..self.placed.end)
    }

    /// Its topic.
    pub(crate) fn topic(&self) -> &'p str {
        std::str::from_utf8(self.at(self.placed.start..self.placed.topic)).unwrap_or_default()
    }

    /// Its partition.
    pub(crate) fn partition(&self) -> u32 {
        self.placed.partition
    }

    /// Its offset.
    pub(crate) fn offset(&self) -> u64 {
        self.placed.offset
    }

    /// Where its key stands in its text.
    pub(crate) fn key(&self) -> Option<Range<usize>> {
        self.has(KEY).then(|| self.in_text(self.placed.topic + 3..self.placed.key))
    }

    /// Where its value stands in its text.
    pub(crate) fn value(&self) -> Option<Range<usize>> {
        self.has(VALUE).then(|| self.in_text(self.placed.key + 1..self.placed.value))
    }

    /// The record as every source gives it.
    pub(crate) fn record(&self) -> SourceRecord<'p> {
        let part = |range: Option<Range<usize>>| range.map(|at| Cow::Borrowed(self.text().get(at).unwrap_or_default()));
        let mut from = self.placed.value + 1;
        let mut next = |end: usize| {
            let text = String::from_utf8_lossy(self.at(from..end));
            from = end + 1;
            text
        };
        let headers = self.header_ends.as_chunks::<2>().0;
        SourceRecord {
            topic: Cow::Borrowed(self.topic()),
            partition: self.placed.partition,
            offset: self.placed.offset,
            headers: headers.iter().map(|[name, value]| (next(*name), next(*value))).collect(),
            key: part(self.key()),
            value: part(self.value()),
        }
    }

    /// Whether the byte that ends a part stands nowhere else, so that the text can have a shape.
    pub(crate) fn is_plain(&self) -> bool {
        memchr::memchr_iter(END, self.text()).count() == 3 + self.header_ends.len()
    }

    fn has(&self, flag: u8) -> bool {
        self.bytes.get(self.placed.topic + 1).is_some_and(|flags| flags & flag != 0)
    }

    fn at(&self, at: Range<usize>) -> &'p [u8] {
        self.bytes.get(at).unwrap_or_default()
    }

    fn in_text(&self, at: Range<usize>) -> Range<usize> {
        at.start - self.placed.start..at.end - self.placed.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_out_as_it_went_in() {
        let records = [
            (Some(&b"{}"[..]), Some(&b"null"[..]), vec![(&b"a"[..], &b"1"[..]), (b"", b"")]),
            (Some(b""), None, vec![]),
            (None, Some(b"\xff\xff"), vec![(b"b", b"\xff")]),
            (None, None, vec![]),
        ];
        let mut packed = Packed::default();
        for (offset, (key, value, headers)) in (7..).zip(&records) {
            packed.push("podium.any", (3, offset), *key, *value, headers.iter().copied());
        }
        assert_eq!((packed.len(), packed.is_empty()), (4, false));
        for ((found, offset), (key, value, headers)) in packed.iter().zip(7..).zip(records) {
            let record = found.record();
            assert_eq!((&*record.topic, record.partition, record.offset), ("podium.any", 3, offset));
            assert_eq!((record.key.as_deref(), record.value.as_deref()), (key, value));
            let expected: Vec<_> = headers
                .iter()
                .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
                .collect();
            let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            assert_eq!(headers, expected);
            assert_eq!(found.is_plain(), offset != 9);
        }
    }
}
