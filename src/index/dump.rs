//! All documents sorted by id: the sorted ids of the segments, merged.
//!
//! Only ids at the front of each segment are in memory. Documents are fetched one by one, in an order that is not the
//! order they are stored in, which the cache of the store makes bearable.

use super::error::{IndexError, failed};
use super::snapshot::{Snapshot, Stored};
use tantivy::DocAddress;
use tantivy::termdict::TermStreamer;

/// The documents of a snapshot, by id. After an error it is at its end.
pub struct Dump<'a> {
    snapshot: &'a Snapshot,
    segments: Vec<Ids<'a>>,
    failed: bool,
}

/// The ids of one segment that are left, and the first of them.
struct Ids<'a> {
    segment: usize,
    left: TermStreamer<'a>,
    first: Option<(Vec<u8>, DocAddress)>,
}

impl<'a> Dump<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Result<Dump<'a>, IndexError> {
        let failed = |error: std::io::Error| failed(snapshot.dir(), error.into());
        let mut segments = Vec::with_capacity(snapshot.ids().len());
        for (segment, ids) in snapshot.ids().iter().enumerate() {
            let mut ids = Ids { segment, left: ids.terms().stream().map_err(failed)?, first: None };
            ids.advance(snapshot).map_err(failed)?;
            segments.push(ids);
        }
        Ok(Dump { snapshot, segments, failed: false })
    }

    fn next_document(&mut self) -> Result<Option<Stored>, IndexError> {
        let fronts = self.segments.iter().enumerate().filter_map(|(at, ids)| Some((ids.first.as_ref()?, at)));
        let Some(((id, address), at)) = fronts.min() else { return Ok(None) };
        let (id, address) = (id.clone(), *address);
        let same = |ids: &Ids<'_>| ids.first.as_ref().is_some_and(|(other, _)| *other == id);
        if self.segments.iter().filter(|ids| same(ids)).count() > 1 {
            let reason = format!("document {} is there twice", String::from_utf8_lossy(&id));
            return Err(IndexError::Damaged { dir: self.snapshot.dir().to_owned(), reason });
        }
        if let Some(ids) = self.segments.get_mut(at) {
            ids.advance(self.snapshot).map_err(|error| failed(self.snapshot.dir(), error.into()))?;
        }
        self.snapshot.stored(address).map(Some)
    }
}

impl Ids<'_> {
    /// Goes to the next id that has a document.
    fn advance(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
        self.first = None;
        while self.left.advance() {
            if let Some(address) = snapshot.alive(self.segment, self.left.value())? {
                self.first = Some((self.left.key().to_vec(), address));
                break;
            }
        }
        Ok(())
    }
}

impl Iterator for Dump<'_> {
    type Item = Result<Stored, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_document();
        self.failed = next.is_err();
        next.transpose()
    }
}
