//! What benches call: the dataflow by itself, on its own worker threads, fed with pieces of a log that were decoded before
//! the clock starts.
//!
//! ```text
//!   lines ──> Decoding ──> Piece, Piece, Piece ...        Dataflow: the one that runs, from `Source` to `Batch`
//!                            │                              ^ offer              │ wait
//!                            └──────────────────────────────┘                    v batches
//! ```
//!
//! Whoever offers the next piece only after the batch of the one before has come out decides how many rows a step has. No
//! part of the stable API: it is there with the feature `internals` only.
//!
//! # Notes
//! The last transaction of a piece closes when the next piece is read: only a later row shows that the connector went past
//! it. So each piece closes as many transactions as it holds, but not quite the same ones.

use crate::align::AlignOptions;
use crate::engine::{BATCHES, EngineOptions, compact_from, load_rows, spill_options};
use crate::envelope::{Body, Decoder, Envelope, Origin, RowBuffer, TypedRows, codecs};
use crate::error::Error;
use crate::hold::Pace;
use crate::queue::{Receiver, queue};
use crate::render::Plan;
use crate::sink::{Batch, History};
use crate::source::catalog::Catalog;
use crate::source::feed::prepared::{self, Outlets};
use crate::source::feed::{self, Chunk};
use crate::source::log::{self, Block, LogError, LogInput};
use crate::source::reader;
use crate::source::survey::Restarts;
use crate::spill::Spill;
use crate::status::Status;
use crate::time::{Epoch, Lsn};
use crate::worker;
use dataflows::{Conversation, Item, Row, User, Uuid, View};
use memchr::memchr_iter;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timely::communication::WorkerGuards;

/// Longer than any step takes: a batch that has not come by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// Decodes pieces of one log, in their order.
pub struct Decoding {
    catalog: Catalog,
    decoder: Decoder,
    workers: usize,
}

/// A piece of a log, decoded.
pub struct Piece {
    /// Of each block, a chunk for each worker.
    blocks: Vec<Vec<Chunk>>,
    rows: u64,
    proven: Lsn,
}

/// One row of [`ConversationSearch`](dataflows::ConversationSearch)'s tables: `None` where it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of `users`.
    User(Uuid, Option<User>),
    /// Of `conversations`.
    Conversation(Uuid, Option<Conversation>),
    /// Of `conversation_items`.
    Item(Uuid, Option<Item>),
}

impl Decoding {
    /// Decodes what `view` reads of the source `prefix`, for `workers` workers.
    pub fn new(view: &impl View, prefix: &str, workers: usize) -> Decoding {
        let catalog = Catalog::new(prefix, codecs(view));
        Decoding { decoder: Decoder::new(catalog.clone()), catalog, workers }
    }

    /// Decodes whole lines, in blocks of as many as a worker takes in one step. A feed's own blocks are smaller, and several of
    /// them make a step.
    pub fn decode(&mut self, lines: Vec<u8>) -> Piece {
        let (mut blocks, mut rest) = (Vec::new(), lines.as_slice());
        while !rest.is_empty() {
            let end = memchr_iter(b'\n', rest).nth(reader::STEP - 1).map_or(rest.len(), |last| last + 1);
            let (block, behind) = rest.split_at(end);
            rest = behind;
            blocks.push(self.decode_block(&Block {
                lines: block.to_vec(),
                name: "".into(),
                first_line: 1,
                bytes_read: 0,
                cut: false,
                all_read: None,
            }));
        }
        let origins = blocks.iter().flatten().flat_map(|chunk| &chunk.events).filter_map(|event| match &event.body {
            Ok(Envelope::Row { origin, .. }) => Some(origin),
            _ => None,
        });
        let (mut rows, mut proven) = (0, Lsn(0));
        for origin in origins {
            rows += 1;
            proven = proven.max(origin.previous());
        }
        Piece { blocks, rows, proven }
    }

    fn decode_block(&mut self, block: &Block) -> Vec<Chunk> {
        feed::decode(&self.catalog, &mut self.decoder, block, self.workers)
    }
}

/// Reads and decodes a whole log on the calling thread, and answers how many records it has. Nothing is kept.
///
/// # Errors
/// If the log cannot be read.
pub fn decode_all(view: &impl View, prefix: &str, inputs: &[LogInput]) -> Result<u64, LogError> {
    let mut decoding = Decoding::new(view, prefix, 1);
    let mut records = 0;
    log::read_all(inputs, |block| {
        records += decoding.decode_block(&block).iter().map(|chunk| chunk.records).sum::<u64>();
        true
    })?;
    Ok(records)
}

impl Piece {
    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The last END that the piece proves to be complete.
    pub fn proven(&self) -> Lsn {
        self.proven
    }

    /// Its rows in their order, each with its transaction's id, 0 for the snapshot. Only of a piece for one worker.
    ///
    /// # Panics
    /// If it is of another view, if a record is bad, or if a key changes: large logs have none of these.
    pub fn changes(self) -> Vec<(u64, Change)> {
        let mut changes = Vec::with_capacity(self.rows as usize);
        for Chunk { events, buffers, .. } in self.blocks.into_iter().flatten() {
            let mut buffers = buffers.into_iter();
            let mut users = typed(buffers.next(), Change::User);
            let mut conversations = typed(buffers.next(), Change::Conversation);
            let mut items = typed(buffers.next(), Change::Item);
            for event in events {
                let Envelope::Row { table, origin, .. } = event.body.expect("a good record") else { continue };
                let change = match table {
                    0 => users.next(),
                    1 => conversations.next(),
                    _ => items.next(),
                };
                let transaction = if let Origin::Stream { txid, .. } = origin { txid } else { 0 };
                changes.push((transaction, change.expect("a row for each event of a row")));
            }
        }
        changes
    }
}

/// The rows of one table, as changes.
fn typed<R: Row<Key = Uuid>>(
    buffer: Option<Box<dyn RowBuffer>>,
    change: fn(Uuid, Option<R>) -> Change,
) -> impl Iterator<Item = Change> {
    let rows = buffer.expect("three tables").into_any().downcast::<TypedRows<R>>().expect("tables of the view");
    rows.0.into_iter().map(move |(key, body)| match (key.expect("no table is truncated"), body) {
        (key, Body::Put { row, from: None }) => change(key, Some(row)),
        (key, Body::Delete { to: None }) => change(key, None),
        _ => panic!("no key changes"),
    })
}

/// A dataflow that runs.
pub struct Dataflow {
    outlets: Outlets,
    batches: Receiver<Batch>,
    guards: WorkerGuards<()>,
    status: Arc<Status>,
}

impl Dataflow {
    /// Starts `view` on the workers that `decoding` decodes for; each table's topic has so many `partitions`.
    ///
    /// # Errors
    /// If a worker cannot be started.
    pub fn start<V: View>(view: V, decoding: &Decoding, partitions: u32) -> Result<Dataflow, Error> {
        let (status, options) = (Arc::new(Status::default()), EngineOptions::default());
        let plan = Plan {
            view,
            catalog: decoding.catalog.clone(),
            status: Arc::clone(&status),
            align: AlignOptions {
                epoch: Epoch::default(),
                load_rows: load_rows(options.memory_budget),
                ..AlignOptions::default()
            },
            partitions: Some(vec![partitions; decoding.catalog.codecs.len()]),
            restarts: Restarts::Known { last_start: None },
            history: History::Latest,
            spill: Spill::new(&spill_options(&options), decoding.workers * decoding.catalog.codecs.len()),
            pace: Pace::new(decoding.workers * decoding.catalog.codecs.len()),
            compact_from: compact_from(options.memory_budget),
        };
        let (outlets, inlets) = prepared::start(decoding.workers);
        let (batches_in, batches) = queue(BATCHES);
        let guards = worker::start(plan, inlets, batches_in)?;
        Ok(Dataflow { outlets, batches, guards, status })
    }

    /// Gives the workers a piece of the log.
    pub fn offer(&self, piece: Piece) {
        piece.blocks.into_iter().for_each(|chunks| self.outlets.send(chunks));
    }

    /// Takes batches, as a sink that only counts, until everything up to `end` has come out.
    ///
    /// # Panics
    /// If the run ends before, by an error, or does not get there.
    pub fn wait(&self, end: Lsn) {
        loop {
            let Ok(batch) = self.batches.recv_until(Some(Instant::now() + PATIENCE)) else {
                panic!("nothing shown up to {end}: {:?}, {:?}", self.status.take_error(), self.status.align());
            };
            if batch.upper > end.time(Epoch::default()) {
                return;
            }
        }
    }

    /// Ends the log, waits for the workers, and answers how many documents stand.
    ///
    /// # Errors
    /// What ended the run before.
    pub fn end(self) -> Result<u64, Error> {
        self.outlets.end();
        let documents = std::iter::from_fn(|| self.batches.recv()).map(|batch| batch.documents).last();
        worker::join(self.guards, &self.status)?;
        self.status.take_error().map_or(Ok(documents.unwrap_or_default()), Err)
    }
}
