//! What a run reads: a log, or a source of records. Either comes in pieces, on the reader thread.

use super::Mark;
#[cfg(feature = "kafka")]
use super::kafka::{FetchedRecords, KafkaError, KafkaReader};
use super::log::{Block, LogError, LogReader, Tailing};
use super::packed::{Packed, PackedRecord};
use super::records::{Next, Source};
use crate::error::Error;
use crate::queue::Weight;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most of a source's records that are one piece.
const PIECE_RECORDS: usize = 1_024;

/// The most bytes of records in one piece, unless it is only one.
const PIECE_BYTES: usize = 256 << 10;

/// How long a source is waited for before it is looked whether the run goes on.
const WAIT: Duration = Duration::from_millis(20);

/// What is read.
pub(crate) enum Input {
    /// The lines of a log.
    Log(LogReader),
    /// Records of a source, which may always have more.
    Source { source: Box<dyn Source>, tailing: Tailing },
    /// Topics in Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaReader>),
}

/// A part of the input, in its order.
pub(crate) enum Piece {
    /// Of a log.
    Lines(Block),
    /// Of a source.
    Records {
        records: Records,
        /// Bytes of all records up to here; of Kafka's, of their keys and values.
        bytes_read: u64,
        /// What is known behind these records.
        marks: Vec<Mark>,
    },
}

/// Records that never were lines.
pub(crate) enum Records {
    Packed(Packed),
    /// As Kafka's client holds them.
    #[cfg(feature = "kafka")]
    Fetched(FetchedRecords),
}

impl Records {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Records::Packed(records) => records.len(),
            #[cfg(feature = "kafka")]
            Records::Fetched(records) => records.len(),
        }
    }

    /// Roughly the bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Records::Packed(records) => records.bytes(),
            #[cfg(feature = "kafka")]
            Records::Fetched(records) => records.bytes(),
        }
    }

    /// Gives each to `each`, in their order.
    pub(crate) fn for_each(&self, each: impl FnMut(PackedRecord<'_>)) {
        match self {
            Records::Packed(records) => records.iter().for_each(each),
            #[cfg(feature = "kafka")]
            Records::Fetched(records) => records.for_each(each),
        }
    }
}

impl From<Packed> for Records {
    fn from(records: Packed) -> Records {
        Records::Packed(records)
    }
}

impl Weight for Piece {
    fn bytes(&self) -> usize {
        match self {
            Piece::Lines(block) => block.lines.len(),
            Piece::Records { records, .. } => records.bytes(),
        }
    }
}

/// Why an input cannot be read any further. Every worker is told.
#[derive(Clone)]
pub(crate) enum InputError {
    Log(Arc<LogError>),
    Source(Arc<dyn std::error::Error + Send + Sync>),
    #[cfg(feature = "kafka")]
    Kafka(KafkaError),
}

impl From<InputError> for Error {
    fn from(error: InputError) -> Error {
        match error {
            InputError::Log(error) => Error::Log(error),
            InputError::Source(error) => Error::Source(error),
            #[cfg(feature = "kafka")]
            InputError::Kafka(error) => Error::Kafka(error),
        }
    }
}

impl Input {
    /// Reads all of it, handing each piece to `each` until it answers false.
    pub(super) fn read(self, mut each: impl FnMut(Piece) -> bool) -> Result<(), InputError> {
        match self {
            Input::Log(log) => {
                log.read(|block| each(Piece::Lines(block))).map_err(|error| InputError::Log(Arc::new(error)))
            }
            Input::Source { source, tailing } => read_source(source, &tailing, each),
            #[cfg(feature = "kafka")]
            Input::Kafka(reader) => reader.read(&mut each).map(drop).map_err(InputError::Kafka),
        }
    }
}

fn read_source(
    mut source: Box<dyn Source>,
    tailing: &Tailing,
    mut each: impl FnMut(Piece) -> bool,
) -> Result<(), InputError> {
    let begun = Instant::now();
    let (mut said, mut bytes_read) = (begun, 0);
    while (tailing.goes_on)() {
        let (mut records, mut bytes) = (Packed::default(), 0);
        let asked = Instant::now();
        let stopped_by = loop {
            if records.len() >= PIECE_RECORDS || bytes >= PIECE_BYTES {
                break None;
            }
            // The first one is waited for; the others go with it if they are there.
            let wait = if records.is_empty() { WAIT } else { Duration::ZERO };
            match source.next(wait) {
                Ok(Next::Record(record)) => {
                    let headers = record.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                    let (key, value) = (record.key.as_deref(), record.value.as_deref());
                    records.push(&record.topic, (record.partition, record.offset), key, value, headers);
                    bytes += record.bytes();
                }
                other => break Some(other),
            }
        };
        bytes_read += bytes as u64;
        let nothing = records.is_empty();
        if !nothing && !each(Piece::Records { records: records.into(), bytes_read, marks: Vec::new() }) {
            return Ok(());
        }
        match stopped_by {
            None | Some(Ok(Next::Record(_))) => {}
            Some(Err(error)) => return Err(InputError::Source(error.into())),
            Some(Ok(Next::End)) => return Ok(()),
            Some(Ok(Next::Nothing)) if tailing.is_due(said) => {
                said = Instant::now();
                let marks = vec![Mark::AllRead { ms: begun.elapsed().as_millis() as u64 }];
                if !each(Piece::Records { records: Packed::default().into(), bytes_read, marks }) {
                    return Ok(());
                }
            }
            Some(Ok(Next::Nothing)) => {}
        }
        if nothing {
            // A source may answer before its time.
            std::thread::sleep(WAIT.saturating_sub(asked.elapsed()));
        }
    }
    Ok(())
}
