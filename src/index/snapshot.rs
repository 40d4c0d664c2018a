//! One commit of an index: its documents and its LSN are of one instant.

use super::dump::Dump;
use super::error::{IndexError, failed};
use super::fields::Fields;
use super::payload::Payload;
use crate::sink::Identity;
use crate::time::{Lsn, Time};
use dataflows::DocumentId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{AllQuery, EmptyQuery, Query, QueryParser};
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{DocAddress, DocSet, InvertedIndexReader, Searcher, TERMINATED, TantivyDocument};

/// The field that documents are counted by.
const STEP: &str = "step";

/// The documents of an index at one LSN. Cheap to hold; whatever is committed later is not seen.
pub struct Snapshot {
    dir: PathBuf,
    searcher: Searcher,
    fields: Fields,
    /// The ids of each segment.
    ids: Vec<Arc<InvertedIndexReader>>,
    payload: Payload,
    opstamp: u64,
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: DocumentId,
    /// Its JSON, as the JSON lines sink writes it, without the line's end.
    pub json: String,
}

/// A document that a query found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// How well it fits: BM25, more is better.
    pub score: f32,
    /// The document.
    pub document: Stored,
}

/// What a query found.
pub struct Found<'a> {
    /// Documents that fit, the ones that are not shown too.
    pub total: u64,
    /// The best of them.
    pub hits: Hits<'a>,
}

/// What a query found, best first, read as it is asked for.
pub struct Hits<'a> {
    snapshot: &'a Snapshot,
    left: std::vec::IntoIter<(f32, DocAddress)>,
}

impl Iterator for Hits<'_> {
    type Item = Result<Hit, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (score, at) = self.left.next()?;
        Some(self.snapshot.stored(at).map(|document| Hit { score, document }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl ExactSizeIterator for Hits<'_> {}

/// What an index is and has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// The view.
    pub view: String,
    /// Its options, as `(option, value)`.
    pub options: Vec<(String, String)>,
    /// The source's topic prefix.
    pub prefix: String,
    /// The index equals the query at this LSN; `None` if nothing was shown yet.
    pub lsn: Option<Lsn>,
    /// The log that filled it has no initial snapshot and begins behind this END: rows from before it are missing.
    pub partial_from: Option<Lsn>,
    /// Each row was shown by itself: the documents are those of no one commit.
    pub unaligned: bool,
    /// Documents.
    pub documents: u64,
    /// Documents by step; empty for a view without steps.
    pub steps: BTreeMap<String, u64>,
    /// Records of the source that had been read when the commit was made.
    pub records: u64,
    /// Commits so far.
    pub commits: u64,
    /// Parts that a search looks into, one after the other.
    pub segments: usize,
    /// Deleted documents that merges have yet to remove.
    pub deleted: u64,
    /// Bytes on disk of this snapshot.
    pub bytes: u64,
}

impl Snapshot {
    pub(super) fn new(dir: &Path, searcher: Searcher, payload: Payload, opstamp: u64) -> Result<Snapshot, IndexError> {
        let fields = Fields::of(searcher.schema())
            .ok_or_else(|| IndexError::Foreign { dir: dir.to_owned(), reason: "it has no ids".to_owned() })?;
        payload.check_count(dir, searcher.num_docs())?;
        let ids = searcher.segment_readers().iter().map(|segment| segment.inverted_index(fields.id));
        let ids = ids.collect::<tantivy::Result<_>>().map_err(|error| failed(dir, error))?;
        Ok(Snapshot { dir: dir.to_owned(), searcher, fields, ids, payload, opstamp })
    }

    /// The documents equal the query at this LSN; `None` before the first state was committed.
    pub fn lsn(&self) -> Option<Lsn> {
        self.payload.lsn()
    }

    /// The END that the log of the index begins behind, if that had no initial snapshot: rows from before it are missing.
    pub fn partial_from(&self) -> Option<Lsn> {
        self.payload.partial_from.map(Lsn)
    }

    /// Whether its documents are those of one commit, the one at [`Snapshot::lsn`]: not so where each row was shown by
    /// itself ([`Alignment::None`](crate::Alignment::None)).
    pub fn is_aligned(&self) -> bool {
        Identity::aligned(&self.payload.of.options)
    }

    /// Everything below this time is in.
    pub(super) fn upper(&self) -> Time {
        self.payload.upper()
    }

    /// The number of the commit: it rises from one commit to the next, and nothing else changes it.
    pub fn commit(&self) -> u64 {
        self.opstamp
    }

    /// How many documents there are.
    pub fn documents(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// The `limit` documents that fit `query` best, best first. `query` is in tantivy's language: words, all of which must
    /// be there, `field:word`, `"a phrase"`, `OR`, `-word` for words that must not, `*` for every document.
    ///
    /// # Errors
    /// The query cannot be read, or the index.
    pub fn search(&self, query: &str, limit: usize) -> Result<Found<'_>, IndexError> {
        let parsed = self.parse(query)?;
        let failed = |error| failed(&self.dir, error);
        let total = self.searcher.search(&*parsed, &Count).map_err(failed)? as u64;
        let best = match limit.min(total as usize) {
            0 => Vec::new(),
            limit => {
                let best = TopDocs::with_limit(limit).order_by_score();
                self.searcher.search(&*parsed, &best).map_err(failed)?
            }
        };
        Ok(Found { total, hits: Hits { snapshot: self, left: best.into_iter() } })
    }

    fn parse(&self, query: &str) -> Result<Box<dyn Query>, IndexError> {
        match query.trim() {
            "" => return Ok(Box::new(EmptyQuery)),
            "*" => return Ok(Box::new(AllQuery)),
            _ => {}
        }
        let searched = self.fields.searched(self.searcher.schema());
        let mut parser = QueryParser::for_index(self.searcher.index(), searched);
        parser.set_conjunction_by_default();
        parser
            .parse_query(query)
            .map_err(|error| IndexError::Query { query: query.to_owned(), reason: error.to_string() })
    }

    /// The document `id`, if there is one.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn get(&self, id: &str) -> Result<Option<Stored>, IndexError> {
        let failed = |error: std::io::Error| failed(&self.dir, error.into());
        let term = self.fields.term(&DocumentId(id.into()));
        for (segment, ids) in self.ids.iter().enumerate() {
            let Some(info) = ids.get_term_info(&term).map_err(failed)? else { continue };
            if let Some(at) = self.alive(segment, &info).map_err(failed)? {
                return self.stored(at).map(Some);
            }
        }
        Ok(None)
    }

    /// All documents, sorted by id, read as they are asked for.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn dump(&self) -> Result<Dump<'_>, IndexError> {
        Dump::new(self)
    }

    /// What the index is and has. Counting documents by step reads a column of all of them.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn stats(&self) -> Result<IndexStats, IndexError> {
        let segments = self.searcher.segment_readers();
        let space = self.searcher.space_usage().map_err(|error| failed(&self.dir, error.into()))?;
        Ok(IndexStats {
            view: self.payload.of.view.clone(),
            options: self.payload.of.options.clone(),
            prefix: self.payload.of.prefix.clone(),
            lsn: self.lsn(),
            partial_from: self.partial_from(),
            unaligned: !self.is_aligned(),
            documents: self.documents(),
            steps: self.steps().map_err(|error| failed(&self.dir, error))?,
            records: self.payload.records,
            commits: self.payload.commits,
            segments: segments.len(),
            deleted: segments.iter().map(|segment| u64::from(segment.num_deleted_docs())).sum(),
            bytes: space.total().get_bytes(),
        })
    }

    fn steps(&self) -> tantivy::Result<BTreeMap<String, u64>> {
        let mut steps = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            let Some(column) = segment.fast_fields().str(STEP)? else { continue };
            let mut counts = vec![0u64; column.num_terms()];
            for document in segment.doc_ids_alive() {
                for step in column.term_ords(document) {
                    if let Some(count) = counts.get_mut(step as usize) {
                        *count += 1;
                    }
                }
            }
            for (step, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                let mut name = String::new();
                column.ord_to_str(step as u64, &mut name)?;
                *steps.entry(name).or_default() += count;
            }
        }
        Ok(steps)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The ids of each segment.
    pub(super) fn ids(&self) -> &[Arc<InvertedIndexReader>] {
        &self.ids
    }

    /// The document of a segment that has this id and was not deleted.
    pub(super) fn alive(
        &self,
        segment: usize,
        id: &tantivy::postings::TermInfo,
    ) -> std::io::Result<Option<DocAddress>> {
        let (Some(ids), Some(reader)) = (self.ids.get(segment), self.searcher.segment_readers().get(segment)) else {
            return Ok(None);
        };
        let mut postings = ids.read_postings_from_terminfo(id, IndexRecordOption::Basic)?;
        let mut document = postings.doc();
        while document != TERMINATED && reader.is_deleted(document) {
            document = postings.advance();
        }
        Ok((document != TERMINATED).then(|| DocAddress::new(segment as u32, document)))
    }

    pub(super) fn stored(&self, at: DocAddress) -> Result<Stored, IndexError> {
        let document: TantivyDocument = self.searcher.doc(at).map_err(|error| failed(&self.dir, error))?;
        let text = |field| document.get_first(field).and_then(|value| value.as_str()).map(str::to_owned);
        match (text(self.fields.id), text(self.fields.source)) {
            (Some(id), Some(json)) => Ok(Stored { id: DocumentId(id.into()), json }),
            _ => {
                Err(IndexError::Foreign { dir: self.dir.clone(), reason: "a document has no id or no JSON".to_owned() })
            }
        }
    }
}
