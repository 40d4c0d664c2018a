//! Reading and decoding, beside the dataflow.
//!
//! ```text
//!            block 0, 2, 4 ...  ┌─────────┐  chunk 0, 2, 4 ...
//!  reader ──────────────────────┤decoder 0├─────────────────────> worker 0
//!    │                          └─────────┘ ╲ ╱
//!    │       block 1, 3, 5 ...  ┌─────────┐ ╱ ╲
//!    └──────────────────────────┤decoder 1├─────────────────────> worker 1
//!                               └─────────┘  chunk 1, 3, 5 ...
//! ```
//!
//! Block `n` goes to decoder `n mod D`, and a worker takes chunk `n` from decoder `n mod D`: each worker sees the records
//! of its partitions in the order of the log, whichever decoder is faster. Every channel is bounded; a worker that does
//! not take its chunks stops its decoders, and they stop the reader.
//!
//! The end of the log is said, never concluded from silence: behind the last block the reader sends every decoder an end,
//! and each hands it on to every worker. A channel that closes without one means that a thread failed, and that records
//! may be missing.

use super::Location;
use super::catalog::{Catalog, Partition, Topic};
use super::kcat;
use super::log::{Block, Log, LogError, lines};
use crate::envelope::{BadReason, BadRecord, Decoder, Envelope, RowBuffer};
use crate::error::panic_message;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};

/// Blocks or chunks waiting in one channel.
const QUEUE: usize = 2;

/// A record of a consumed partition, or one that cannot be used.
pub(crate) struct Event {
    /// `None` where the record's own place could not be read.
    pub(crate) partition: Option<Partition>,
    pub(crate) offset: u64,
    pub(crate) body: Result<Envelope, Box<BadRecord>>,
}

/// What one block holds for one worker.
pub(crate) struct Chunk {
    pub(crate) events: Vec<Event>,
    /// For each table, the rows of the row events, in their order.
    pub(crate) buffers: Vec<Box<dyn RowBuffer>>,
    /// Records in the block; counted in the chunk of worker 0 alone.
    pub(crate) records: u64,
    /// Bytes of the log read so far, before decompression.
    pub(crate) bytes_read: u64,
    /// Whether the log stopped inside a line behind this block.
    pub(crate) cut: bool,
    /// All there is was read before this chunk, which is empty, at so many milliseconds.
    pub(crate) all_read: Option<u64>,
}

/// What goes through a channel of the feed: a block to a decoder, a chunk to a worker.
enum Feed<T> {
    /// The next piece of the log.
    Piece(T),
    /// The log cannot be read any further.
    Failed(Arc<LogError>),
    /// The log was read to its end.
    End,
}

/// The message of the first panic of a reading thread.
type Panic = Arc<OnceLock<String>>;

/// The end of the feed that a worker holds.
pub(crate) struct Inlet {
    channels: Vec<Receiver<Feed<Chunk>>>,
    next: usize,
    reader: Arc<OnceLock<Thread>>,
    panic: Panic,
}

/// What a worker finds when it looks.
pub(crate) enum Arrival {
    /// The next chunk of the log.
    Chunk(Chunk),
    /// The log cannot be read any further.
    Failed(Arc<LogError>),
    /// Nothing yet.
    Nothing,
    /// The log was read to its end.
    End,
    /// A thread of the feed failed, and this is what it said: what it was to read is missing.
    Broken(String),
}

impl Inlet {
    /// Names the calling thread as the one to wake when something arrives.
    pub(crate) fn wake_this_thread(&self) {
        let _named_before = self.reader.set(thread::current());
    }

    /// The next chunk, if it is there.
    pub(crate) fn poll(&mut self) -> Arrival {
        let Some(channel) = self.channels.get(self.next) else {
            return Arrival::End;
        };
        match channel.try_recv() {
            Ok(Feed::Piece(chunk)) => {
                self.next = (self.next + 1) % self.channels.len();
                Arrival::Chunk(chunk)
            }
            Ok(Feed::Failed(error)) => Arrival::Failed(error),
            Ok(Feed::End) => {
                self.channels.clear();
                Arrival::End
            }
            Err(TryRecvError::Empty) => Arrival::Nothing,
            Err(TryRecvError::Disconnected) => {
                let said = self.panic.get().cloned();
                Arrival::Broken(said.unwrap_or_else(|| "it ended before the log did".to_owned()))
            }
        }
    }
}

/// One decoder's way to one worker.
struct Outlet {
    channel: SyncSender<Feed<Chunk>>,
    reader: Arc<OnceLock<Thread>>,
}

impl Outlet {
    /// False when the worker has gone.
    fn send(&self, chunk: Feed<Chunk>) -> bool {
        let sent = self.channel.send(chunk).is_ok();
        self.wake();
        sent
    }

    fn wake(&self) {
        if let Some(thread) = self.reader.get() {
            thread.unpark();
        }
    }
}

/// The worker must also see that nothing more comes.
impl Drop for Outlet {
    fn drop(&mut self) {
        let (closed, _) = sync_channel(0);
        self.channel = closed;
        self.wake();
    }
}

/// Starts reading `log` with `decoders` threads for `workers` workers. The threads end when the log or the workers do.
pub(crate) fn start(log: Log, catalog: &Catalog, decoders: usize, workers: usize) -> Vec<Inlet> {
    let wakers: Vec<Arc<OnceLock<Thread>>> = (0..workers).map(|_| Arc::default()).collect();
    let panic = Panic::default();
    let inlet = |reader: &Arc<OnceLock<Thread>>| Inlet {
        channels: Vec::new(),
        next: 0,
        reader: Arc::clone(reader),
        panic: Arc::clone(&panic),
    };
    let mut inlets: Vec<Inlet> = wakers.iter().map(inlet).collect();
    let mut blocks = Vec::new();
    for _ in 0..decoders {
        let (block_in, block_out) = sync_channel(QUEUE);
        blocks.push(block_in);
        let mut outlets = Vec::new();
        for (inlet, reader) in inlets.iter_mut().zip(&wakers) {
            let (channel, receiver) = sync_channel(QUEUE);
            inlet.channels.push(receiver);
            outlets.push(Outlet { channel, reader: Arc::clone(reader) });
        }
        let (catalog, panic) = (catalog.clone(), Arc::clone(&panic));
        thread::spawn(move || telling(&panic, || decode_all(catalog, &block_out, &outlets)));
    }
    thread::spawn(move || telling(&panic, || read_all(&log, &blocks)));
    inlets
}

/// Does the work of a thread. The message of a panic is there before the thread's channels close: they are only borrowed.
fn telling(panic: &Panic, work: impl FnOnce()) {
    // Whatever the work left half done is seen by nobody.
    if let Err(cause) = catch_unwind(AssertUnwindSafe(work)) {
        let _first_counts = panic.set(panic_message(&*cause));
    }
}

fn read_all(log: &Log, blocks: &[SyncSender<Feed<Block>>]) {
    let mut turns = blocks.iter().cycle();
    let mut listened = true;
    let read = log.read(|block| {
        listened = turns.next().is_some_and(|decoder| decoder.send(Feed::Piece(block)).is_ok());
        listened
    });
    // Where a decoder has gone, either the workers have too, or it failed and they are told so by its silence.
    match read {
        Ok(()) if !listened => {}
        Ok(()) => blocks.iter().for_each(|decoder| {
            let _nobody_listens = decoder.send(Feed::End);
        }),
        Err(error) => {
            let error = Arc::new(error);
            blocks.iter().for_each(|decoder| {
                let _nobody_listens = decoder.send(Feed::Failed(Arc::clone(&error)));
            });
        }
    }
}

fn decode_all(catalog: Catalog, blocks: &Receiver<Feed<Block>>, outlets: &[Outlet]) {
    let mut decoder = Decoder::new(catalog.clone());
    let send_all = |piece: &dyn Fn() -> Feed<Chunk>| {
        outlets.iter().for_each(|outlet| {
            outlet.send(piece());
        });
    };
    while let Ok(piece) = blocks.recv() {
        match piece {
            Feed::Piece(block) => {
                let chunks = decode(&catalog, &mut decoder, &block, outlets.len());
                let send = |sent, (outlet, chunk): (&Outlet, Chunk)| outlet.send(Feed::Piece(chunk)) && sent;
                if !outlets.iter().zip(chunks).fold(true, send) {
                    return;
                }
            }
            Feed::Failed(error) => return send_all(&|| Feed::Failed(Arc::clone(&error))),
            Feed::End => return send_all(&|| Feed::End),
        }
    }
}

/// Decodes a block into one chunk for each worker.
pub(crate) fn decode(catalog: &Catalog, decoder: &mut Decoder, block: &Block, workers: usize) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = (0..workers)
        .map(|_| Chunk {
            // Most lines are longer than that; shorter ones make it grow.
            events: Vec::with_capacity(block.lines.len() / 1_024 / workers.max(1)),
            buffers: catalog.codecs.iter().map(|codec| codec.buffer()).collect(),
            records: 0,
            bytes_read: block.bytes_read,
            cut: block.cut,
            all_read: block.all_read,
        })
        .collect();
    let mut records = 0;
    for (at, line) in lines(&block.lines).enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let whole = !block.cut || line.as_ptr_range().end != block.lines.as_ptr_range().end;
        let event = decode_line(catalog, decoder, line, &mut chunks);
        // A line that the end of the log cut off is no bad record: it is told as a cut.
        let Some(mut event) = event.filter(|event| whole || event.partition.is_some()) else {
            records += u64::from(whole);
            continue;
        };
        records += 1;
        if let Err(bad) = &mut event.body {
            bad.line = line.into();
            bad.location.line = Some((block.name.to_string(), block.first_line + at as u64));
        }
        let worker = event.partition.map_or(0, |partition| partition.worker(workers));
        if let Some(chunk) = chunks.get_mut(worker) {
            chunk.events.push(event);
        }
    }
    if let Some(chunk) = chunks.first_mut() {
        chunk.records = records;
    }
    chunks
}

/// `None` for a record of a topic that is not consumed.
fn decode_line(catalog: &Catalog, decoder: &mut Decoder, line: &[u8], chunks: &mut [Chunk]) -> Option<Event> {
    let workers = chunks.len();
    let by_shape = decoder.by_shape(line, |partition| {
        let chunk = chunks.get_mut(partition.worker(workers))?;
        Some(&mut chunk.buffers)
    });
    if let Some((partition, offset, envelope)) = by_shape {
        return Some(Event { partition: Some(partition), offset, body: Ok(envelope) });
    }
    let record = match kcat::parse(line) {
        Ok(record) => record,
        Err(bad) => {
            let location = Location { topic: String::new(), partition: 0, offset: 0, line: None };
            let bad = BadRecord {
                location,
                reason: BadReason::Line(bad),
                key: None,
                line: Box::default(),
                table: None,
                origin: None,
            };
            return Some(Event { partition: None, offset: 0, body: Err(Box::new(bad)) });
        }
    };
    let topic = catalog.topic(&record.topic);
    if topic == Topic::Other {
        return None;
    }
    let partition = Catalog::partition(topic, record.partition)?;
    let chunk = chunks.get_mut(partition.worker(workers))?;
    let body = decoder.decode(&record, topic, &mut chunk.buffers);
    if let Ok(envelope) = &body {
        decoder.learn(line, &record, topic, envelope);
    }
    Some(Event { partition: Some(partition), offset: record.offset, body })
}

#[cfg(test)]
mod tests;
