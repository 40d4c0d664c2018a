//! The parts of a line by where they stand in it: what a shape is learnt from. Of a line that was read, no other.

use crate::source::shape::{Node, outline};
use std::ops::Range;

/// A part of a line that is not the same for every record of a topic.
pub(crate) enum Part {
    /// The partition's number.
    Partition(Range<usize>),
    /// The offset.
    Offset(Range<usize>),
    /// A number that is not read: a time, a broker.
    Number(Range<usize>),
    /// The record's key, if it is JSON.
    Key(Node),
    /// The record's value; `None` is null.
    Value(Option<Node>),
}

/// The parts of a line, in their order; `None` if it is not quite as kcat writes it.
pub(crate) fn parts(line: &[u8]) -> Option<Vec<Part>> {
    let node = outline::<false>(line, 0..line.len())?;
    let mut parts = Vec::new();
    for (name, node) in node.fields()? {
        let Some(at) = node.scalar() else { continue };
        let text = |at: Range<usize>| at.start + 1..at.end - 1;
        let first = line.get(at.start)?;
        parts.push(match (name.as_str(), first) {
            ("partition", b'0'..=b'9') => Part::Partition(at),
            ("offset", b'0'..=b'9') => Part::Offset(at),
            ("key", b'"') => Part::Key(outline::<true>(line, text(at))?),
            ("payload", b'"') => Part::Value(Some(outline::<true>(line, text(at))?)),
            ("payload", b'n') => Part::Value(None),
            ("partition" | "offset" | "key" | "payload", _) => return None,
            (_, b'0'..=b'9') => Part::Number(at),
            _ => continue,
        });
    }
    Some(parts)
}
