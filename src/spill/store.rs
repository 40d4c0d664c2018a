//! Blocks of bytes in files, one behind the other, each read as often as need be and then forgotten.
//!
//! A file is a *segment*: when it is full the next one begins, and when none of its blocks is of use any more it goes. So
//! a store has two files open at most, one that it appends to and one that it reads.

use super::folder::SEGMENT;
use super::{Spill, SpillError, io};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Where one segment ends and the next begins.
const SEGMENT_BYTES: u64 = 64 << 20;
/// What is gathered before it is written: blocks may be small.
const BUFFER_BYTES: usize = 256 << 10;
/// A good size for a block.
const BLOCK_BYTES: u64 = 256 << 10;

/// The blocks of one holder.
pub(crate) struct Store {
    spill: Arc<Spill>,
    name: String,
    segments: BTreeMap<u64, Segment>,
    next: u64,
    writing: Option<Writing>,
    reading: Option<(u64, File)>,
}

/// Where a block is. Only the one that is read or forgotten knows it, so it cannot be used twice.
#[derive(Debug)]
pub(crate) struct Block {
    segment: u64,
    at: u64,
    length: u32,
    checksum: u32,
}

impl Block {
    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.length)
    }
}

struct Segment {
    path: PathBuf,
    bytes: u64,
    /// Blocks that are of use.
    live: u64,
}

/// The segment that grows.
struct Writing {
    segment: u64,
    file: File,
    /// Bytes that are in the file.
    written: u64,
    /// Those behind them.
    buffer: Vec<u8>,
}

impl Store {
    pub(super) fn new(spill: Arc<Spill>, name: String) -> Store {
        Store { spill, name, segments: BTreeMap::new(), next: 0, writing: None, reading: None }
    }

    /// How large a block should be.
    pub(crate) fn block_bytes(&self) -> usize {
        self.spill.budget().piece_bytes(BLOCK_BYTES)
    }

    /// Appends a block. Where that fails nothing was appended.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<Block, SpillError> {
        let length = u32::try_from(bytes.len()).map_err(|_| SpillError::Value("it is too large".to_owned()))?;
        let budget = self.spill.budget();
        if !budget.reserve(u64::from(length)) {
            return Err(SpillError::Budget { budget: budget.disk() });
        }
        let block = self.place(bytes, length);
        if block.is_err() {
            self.spill.budget().give_back(u64::from(length));
        }
        block
    }

    fn place(&mut self, bytes: &[u8], length: u32) -> Result<Block, SpillError> {
        if self.writing.as_ref().is_some_and(|writing| writing.end() >= SEGMENT_BYTES) {
            self.flush()?;
            self.writing = None;
        }
        let writing = match &mut self.writing {
            Some(writing) => writing,
            none => {
                let number = self.next;
                let path = self.spill.folder()?.join(format!("{}.{number}{SEGMENT}", self.name));
                let file = File::create_new(&path).map_err(io("create", &path))?;
                self.next += 1;
                self.segments.insert(number, Segment { path, bytes: 0, live: 0 });
                none.insert(Writing { segment: number, file, written: 0, buffer: Vec::new() })
            }
        };
        let (number, at) = (writing.segment, writing.end());
        writing.buffer.extend_from_slice(bytes);
        if writing.buffer.len() >= BUFFER_BYTES
            && let Err(error) = self.flush()
        {
            if let Some(writing) = &mut self.writing {
                writing.buffer.truncate(writing.buffer.len() - bytes.len());
            }
            return Err(error);
        }
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.bytes += u64::from(length);
            segment.live += 1;
        }
        Ok(Block { segment: number, at, length, checksum: crc32fast::hash(bytes) })
    }

    /// Writes what was gathered. What cannot be written stays where it is.
    fn flush(&mut self) -> Result<(), SpillError> {
        let Some(writing) = self.writing.as_mut().filter(|writing| !writing.buffer.is_empty()) else { return Ok(()) };
        // What an earlier attempt may have written of it is written again.
        let write = |writing: &mut Writing| {
            writing.file.seek(SeekFrom::Start(writing.written))?;
            writing.file.write_all(&writing.buffer)
        };
        let path = self.segments.get(&writing.segment).map(|segment| segment.path.clone()).unwrap_or_default();
        write(writing).map_err(io("write", &path))?;
        writing.written += writing.buffer.len() as u64;
        writing.buffer.clear();
        Ok(())
    }

    /// The bytes of a block.
    pub(crate) fn read(&mut self, block: &Block) -> Result<Vec<u8>, SpillError> {
        let of_writing = self.writing.as_ref().is_some_and(|writing| writing.segment == block.segment);
        if of_writing && self.writing.as_ref().is_some_and(|writing| block.at >= writing.written) {
            self.flush()?;
        }
        let path = self.segments.get(&block.segment).map(|segment| segment.path.clone()).unwrap_or_default();
        let file = match &mut self.reading {
            Some((segment, file)) if *segment == block.segment => file,
            reading => &mut reading.insert((block.segment, File::open(&path).map_err(io("open", &path))?)).1,
        };
        let mut bytes = vec![0; block.length as usize];
        file.seek(SeekFrom::Start(block.at)).map_err(io("read", &path))?;
        file.read_exact(&mut bytes).map_err(io("read", &path))?;
        if crc32fast::hash(&bytes) == block.checksum {
            Ok(bytes)
        } else {
            Err(SpillError::Corrupt { path, at: block.at })
        }
    }

    /// Says that a block is of no use any more.
    pub(crate) fn forget(&mut self, block: Block) {
        let Some(segment) = self.segments.get_mut(&block.segment) else { return };
        segment.live -= 1;
        if segment.live > 0 {
            return;
        }
        self.writing.take_if(|writing| writing.segment == block.segment);
        self.reading.take_if(|(segment, _)| *segment == block.segment);
        if let Some(Segment { path, bytes, .. }) = self.segments.remove(&block.segment) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "cannot remove a file of rows that waited");
            }
            self.spill.budget().give_back(bytes);
        }
    }
}

impl Writing {
    fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }
}
