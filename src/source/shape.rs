//! The shape of a line: what of it stays the same from record to record, and the holes between, of one JSON scalar each.
//!
//! ```text
//!  {"topic":"podium.public.users","partition":2,"offset":62,... "payload":"{\"before\":null,\"after\":{\"uid\":\"0b..\",...
//!  └────────────── literal ─────────────────┘ ^ └literal┘^^ └────────────────── literal ──────────────────┘└ hole ┘
//!                                            hole       hole
//! ```
//!
//! A line fits a shape if its literals are the same bytes and each of its holes is filled by a scalar that is told for sure
//! (see [`scalar`]). Then it is the line that the shape was learnt from, with other scalars: whoever read that one by its
//! names knows where everything stands in this one, without looking at a name.

mod known;
mod outline;
mod scalar;

pub(crate) use known::Shapes;
pub(crate) use outline::{Node, outline};
pub(crate) use scalar::{Kind, scan};

use std::ops::Range;

/// Where a scalar may stand that differs from line to line.
pub(crate) struct Hole {
    /// Where it stands in the line that is learnt from.
    pub(crate) at: Range<usize>,
    /// Whether it stands inside of text, so that each quote and backslash of it is escaped.
    pub(crate) quoted: bool,
}

/// What a line has in a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filling {
    pub(crate) kind: Kind,
    /// Where the scalar starts, of text behind its quote.
    start: usize,
    /// Where the scalar ends, of text before its quote.
    end: usize,
    /// Where the line goes on.
    behind: usize,
}

impl Filling {
    /// The scalar's bytes; of text those between its quotes.
    pub(crate) fn bytes<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        line.get(self.start..self.end).unwrap_or_default()
    }
}

/// A line in literals and holes.
pub(crate) struct Shape {
    line: Box<[u8]>,
    /// A literal and the hole behind it.
    cuts: Vec<Cut>,
    /// The literal behind the last hole.
    tail: Range<usize>,
}

struct Cut {
    literal: Range<usize>,
    quoted: bool,
}

impl Shape {
    /// The shape of a line with these holes, in their order.
    pub(crate) fn new(line: &[u8], holes: &[Hole]) -> Shape {
        let mut behind = 0;
        let cut = |hole: &Hole| {
            let literal = behind..hole.at.start;
            behind = hole.at.end;
            Cut { literal, quoted: hole.quoted }
        };
        let cuts = holes.iter().map(cut).collect();
        Shape { line: line.into(), cuts, tail: behind..line.len() }
    }

    /// Fits a line from the cut `from` on: what is before it stands in `fillings`, which in the end has one for each hole.
    /// Otherwise tells the cut that does not fit, before which `fillings` is right.
    fn fit(&self, line: &[u8], from: usize, fillings: &mut Vec<Filling>) -> Result<(), usize> {
        fillings.truncate(from);
        let mut at = fillings.last().map_or(0, |filling| filling.behind);
        for cut in self.cuts.get(from..).unwrap_or_default() {
            let rest = self.behind(&cut.literal, line, at).ok_or(fillings.len())?;
            at = line.len() - rest.len();
            let scalar = if cut.quoted { scan::<true>(rest) } else { scan::<false>(rest) };
            let scalar = scalar.ok_or(fillings.len())?;
            let (start, end, behind) = (at + scalar.start, at + scalar.end, at + scalar.length);
            fillings.push(Filling { kind: scalar.kind, start, end, behind });
            at = behind;
        }
        match self.behind(&self.tail, line, at) {
            Some([]) => Ok(()),
            _ => Err(self.cuts.len()),
        }
    }

    /// What of the line is behind a literal at `at`.
    fn behind<'l>(&self, literal: &Range<usize>, line: &'l [u8], at: usize) -> Option<&'l [u8]> {
        line.get(at..)?.strip_prefix(self.line.get(literal.clone())?)
    }

    /// How many cuts two shapes have in common before the first that differs.
    fn shared(&self, other: &Shape) -> usize {
        let text = |shape: &Shape, cut: &Cut| shape.line.get(cut.literal.clone()).map(<[u8]>::to_vec);
        let same = |(mine, its): &(&Cut, &Cut)| mine.quoted == its.quoted && text(self, mine) == text(other, its);
        self.cuts.iter().zip(&other.cuts).take_while(same).count()
    }
}

#[cfg(test)]
mod tests;
