//! Reading and decoding, beside the dataflow.
//!
//! ```text
//!            piece 0, 2, 4 ...  ┌─────────┐  chunk 0, 2, 4 ...
//!  reader ──────────────────────┤decoder 0├─────────────────────> worker 0
//!    │                          └─────────┘ ╲ ╱
//!    │       piece 1, 3, 5 ...  ┌─────────┐ ╱ ╲
//!    └──────────────────────────┤decoder 1├─────────────────────> worker 1
//!                               └─────────┘  chunk 1, 3, 5 ...
//! ```
//!
//! A piece is a block of lines of a log, or some records of a source. Piece `n` goes to decoder `n mod D`, and a worker takes chunk `n` from decoder `n mod D`: each worker sees the records
//! of its partitions in the order of the log, whichever decoder is faster. Every channel is bounded; a worker that does
//! not take its chunks stops its decoders, and they stop the reader.
//!
//! The end of the log is said, never concluded from silence: behind the last block the reader sends every decoder an end,
//! and each hands it on to every worker. A channel that closes without one means that a thread failed, and that records
//! may be missing.

#[cfg(feature = "internals")]
pub(crate) mod prepared;

use super::Location;
use super::Mark;
use super::catalog::{Catalog, Partition, Topic};
use super::input::{Input, InputError, Piece, Records};
use super::kcat::{self, BadLine};
use super::log::{Block, lines};
#[cfg(any(test, feature = "fuzzing"))]
use super::packed::Packed;
use super::packed::PackedRecord;
use crate::envelope::{BadRecord, Decoder, Envelope, RowBuffer};
use crate::error::{Error, panic_message};
use crate::queue::{Bound, Empty, Receiver, Sender, Weight, queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};

/// What may wait for one decoder: pieces, and bytes of their text.
const PIECES: Bound = Bound { items: 2, bytes: 4 << 20 };
/// What may wait for one worker of each decoder: chunks, and bytes of their text. A worker takes many at a time.
const CHUNKS: Bound = Bound { items: 16, bytes: 4 << 20 };

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
    /// What is known behind these events.
    pub(crate) marks: Vec<Mark>,
    /// Bytes of the text that it was made of, as far as they are this worker's share.
    bytes: usize,
}

/// What goes through a channel of the feed: a piece to a decoder, a chunk to a worker.
enum Feed<T> {
    /// The next part of the input.
    Part(T),
    /// The input cannot be read any further.
    Failed(InputError),
    /// The input was read to its end.
    End,
}

impl Weight for Chunk {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<T: Weight> Weight for Feed<T> {
    fn bytes(&self) -> usize {
        match self {
            Feed::Part(part) => part.bytes(),
            Feed::Failed(_) | Feed::End => 0,
        }
    }
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
    /// The input cannot be read any further.
    Failed(InputError),
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
            Ok(Feed::Part(chunk)) => {
                self.next = (self.next + 1) % self.channels.len();
                Arrival::Chunk(chunk)
            }
            Ok(Feed::Failed(error)) => Arrival::Failed(error),
            Ok(Feed::End) => {
                self.channels.clear();
                Arrival::End
            }
            Err(Empty::Nothing) => Arrival::Nothing,
            Err(Empty::Ended) => {
                let said = self.panic.get().cloned();
                Arrival::Broken(said.unwrap_or_else(|| "it ended before the log did".to_owned()))
            }
        }
    }
}

/// One decoder's way to one worker.
struct Outlet {
    channel: Option<Sender<Feed<Chunk>>>,
    reader: Arc<OnceLock<Thread>>,
}

impl Outlet {
    /// False when the worker has gone.
    fn send(&self, chunk: Feed<Chunk>) -> bool {
        let sent = self.channel.as_ref().is_some_and(|channel| channel.send(chunk).is_ok());
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
        self.channel = None;
        self.wake();
    }
}

/// Starts reading `input` with `decoders` threads for `workers` workers. The threads end when the input or the workers do.
pub(crate) fn start(input: Input, catalog: &Catalog, decoders: usize, workers: usize) -> Result<Vec<Inlet>, Error> {
    let wakers: Vec<Arc<OnceLock<Thread>>> = (0..workers).map(|_| Arc::default()).collect();
    let panic = Panic::default();
    let inlet = |reader: &Arc<OnceLock<Thread>>| Inlet {
        channels: Vec::new(),
        next: 0,
        reader: Arc::clone(reader),
        panic: Arc::clone(&panic),
    };
    let mut inlets: Vec<Inlet> = wakers.iter().map(inlet).collect();
    let mut pieces = Vec::new();
    for number in 0..decoders {
        let (piece_in, piece_out) = queue(PIECES);
        pieces.push(piece_in);
        let mut outlets = Vec::new();
        for (inlet, reader) in inlets.iter_mut().zip(&wakers) {
            let (channel, receiver) = queue(CHUNKS);
            inlet.channels.push(receiver);
            outlets.push(Outlet { channel: Some(channel), reader: Arc::clone(reader) });
        }
        let catalog = catalog.clone();
        spawn(format!("decoder-{number}"), &panic, move || decode_all(&catalog, &piece_out, &outlets))?;
    }
    let mut input = Some(input);
    let read = move || input.take().into_iter().for_each(|input| read_all(input, &pieces));
    spawn("reader".to_owned(), &panic, read)?;
    Ok(inlets)
}

/// Starts a thread whose panic is told. The channels that `work` owns close after that: it is only borrowed.
fn spawn(name: String, panic: &Panic, mut work: impl FnMut() + Send + 'static) -> Result<(), Error> {
    let panic = Arc::clone(panic);
    let started = thread::Builder::new().name(name).spawn(move || telling(&panic, &mut work));
    started.map(drop).map_err(Error::Thread)
}

/// Does the work of a thread. The message of a panic is there before the thread's channels close: they are only borrowed.
fn telling(panic: &Panic, work: impl FnOnce()) {
    // Whatever the work left half done is seen by nobody.
    if let Err(cause) = catch_unwind(AssertUnwindSafe(work)) {
        let _first_counts = panic.set(panic_message(&*cause));
    }
}

fn read_all(input: Input, pieces: &[Sender<Feed<Piece>>]) {
    let mut turns = pieces.iter().cycle();
    let mut listened = true;
    let read = input.read(|piece| {
        listened = turns.next().is_some_and(|decoder| decoder.send(Feed::Part(piece)).is_ok());
        listened
    });
    // Where a decoder has gone, either the workers have too, or it failed and they are told so by its silence.
    match read {
        Ok(()) if !listened => {}
        Ok(()) => pieces.iter().for_each(|decoder| {
            let _nobody_listens = decoder.send(Feed::End);
        }),
        Err(error) => pieces.iter().for_each(|decoder| {
            let _nobody_listens = decoder.send(Feed::Failed(error.clone()));
        }),
    }
}

fn decode_all(catalog: &Catalog, pieces: &Receiver<Feed<Piece>>, outlets: &[Outlet]) {
    let mut decoder = Decoder::new(catalog.clone());
    let send_all = |last: &dyn Fn() -> Feed<Chunk>| {
        outlets.iter().for_each(|outlet| {
            outlet.send(last());
        });
    };
    while let Some(piece) = pieces.recv() {
        match piece {
            Feed::Part(piece) => {
                let chunks = match piece {
                    Piece::Lines(block) => decode(catalog, &mut decoder, &block, outlets.len()),
                    Piece::Records { records, bytes_read, marks } => {
                        let chunks = chunks(catalog, outlets.len(), bytes_read, &marks);
                        decode_records(catalog, &mut decoder, &records, chunks)
                    }
                };
                let send = |sent, (outlet, chunk): (&Outlet, Chunk)| outlet.send(Feed::Part(chunk)) && sent;
                if !outlets.iter().zip(chunks).fold(true, send) {
                    return;
                }
            }
            Feed::Failed(error) => return send_all(&|| Feed::Failed(error.clone())),
            Feed::End => return send_all(&|| Feed::End),
        }
    }
}

/// An empty chunk for each worker.
fn chunks(catalog: &Catalog, workers: usize, bytes_read: u64, marks: &[Mark]) -> Vec<Chunk> {
    let chunk = |_| Chunk {
        events: Vec::new(),
        buffers: catalog.codecs.iter().map(|codec| codec.buffer()).collect(),
        records: 0,
        bytes_read,
        cut: false,
        marks: marks.to_vec(),
        bytes: 0,
    };
    (0..workers).map(chunk).collect()
}

/// Decodes a block into one chunk for each worker.
pub(crate) fn decode(catalog: &Catalog, decoder: &mut Decoder, block: &Block, workers: usize) -> Vec<Chunk> {
    let marks: Vec<Mark> = block.all_read.map(|ms| Mark::AllRead { ms }).into_iter().collect();
    let mut chunks = chunks(catalog, workers, block.bytes_read, &marks);
    for chunk in &mut chunks {
        (chunk.cut, chunk.bytes) = (block.cut, block.lines.len() / workers);
        // Most lines are longer than that; shorter ones make it grow.
        chunk.events.reserve(block.lines.len() / 1_024 / workers.max(1));
    }
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
            let bad = BadRecord::unread(location, bad);
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

/// Decodes records that never were lines into the chunks of their workers.
fn decode_records(catalog: &Catalog, decoder: &mut Decoder, records: &Records, mut chunks: Vec<Chunk>) -> Vec<Chunk> {
    let workers = chunks.len();
    if let Some(chunk) = chunks.first_mut() {
        chunk.records = records.len() as u64;
    }
    for chunk in &mut chunks {
        chunk.events.reserve(records.len() / workers.max(1));
        chunk.bytes = records.bytes() / workers.max(1);
    }
    records.for_each(|record| {
        let Some(mut event) = decode_record(catalog, decoder, record, &mut chunks) else { return };
        if let Err(bad) = &mut event.body {
            bad.line = kcat::line(&record.record()).into();
        }
        let worker = event.partition.map_or(0, |partition| partition.worker(workers));
        if let Some(chunk) = chunks.get_mut(worker) {
            chunk.events.push(event);
        }
    });
    chunks
}

/// The same into chunks that are made for them.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode_packed(catalog: &Catalog, decoder: &mut Decoder, records: Packed, workers: usize) -> Vec<Chunk> {
    decode_records(catalog, decoder, &records.into(), chunks(catalog, workers, 0, &[]))
}

/// `None` for a record of a topic that is not consumed.
fn decode_record(
    catalog: &Catalog,
    decoder: &mut Decoder,
    packed: PackedRecord<'_>,
    chunks: &mut [Chunk],
) -> Option<Event> {
    let topic = catalog.topic(packed.topic());
    let offset = packed.offset();
    let Some(number) = kcat::possible(u64::from(packed.partition())) else {
        if topic == Topic::Other {
            return None;
        }
        let (topic, partition) = (packed.topic().to_owned(), packed.partition());
        let location = Location { topic: topic.clone(), partition, offset, line: None };
        let bad = BadRecord::unread(location, BadLine::Partition { topic, partition: partition.into(), offset });
        return Some(Event { partition: None, offset, body: Err(Box::new(bad)) });
    };
    let partition = Catalog::partition(topic, number)?;
    let worker = partition.worker(chunks.len());
    let chunk = chunks.get_mut(worker)?;
    let body = match decoder.packed_by_shape(packed, topic, &mut chunk.buffers) {
        Some(envelope) => Ok(envelope),
        None => {
            let record = packed.record();
            let body = decoder.decode(&record, topic, &mut chunk.buffers);
            if let Ok(envelope) = &body {
                decoder.learn_packed(packed, &record, topic, envelope);
            }
            body
        }
    };
    Some(Event { partition: Some(partition), offset, body })
}

#[cfg(test)]
mod tests;
