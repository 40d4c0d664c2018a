//! The replay log: files or standard input, plain, gzip or zstd (told by their first bytes), read as blocks of whole lines.

mod follow;

pub(crate) use follow::Tailing;

use super::kcat;
use follow::{Tail, Waited};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of lines in a block, about, unless the options say otherwise.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// The longest line that is read, in bytes. Kafka's own limit on a record is far below it.
const LINE_BYTES_MAX: usize = 256 << 20;

/// Where a log comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogInput {
    /// A file.
    File(PathBuf),
    /// Standard input; it can be read once, so nothing is known of it before.
    Stdin,
}

impl LogInput {
    fn name(&self) -> String {
        match self {
            LogInput::File(path) => path.display().to_string(),
            LogInput::Stdin => "standard input".to_owned(),
        }
    }
}

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {error}")]
pub struct LogError {
    name: String,
    #[source]
    error: io::Error,
}

/// Whole lines of one input.
pub(crate) struct Block {
    /// The lines, each with its newline but perhaps the last.
    pub(crate) lines: Vec<u8>,
    /// The input.
    pub(crate) name: Arc<str>,
    /// The number of the first line, counted from 1.
    pub(crate) first_line: u64,
    /// Bytes of all inputs read when the block was complete, before decompression.
    pub(crate) bytes_read: u64,
    /// Whether the input stopped inside a line or a compressed frame behind this block.
    pub(crate) cut: bool,
    /// All there is was read before this block, which is empty, at so many milliseconds: only of a log that is followed.
    pub(crate) all_read: Option<u64>,
}

/// A log, and how it is read.
pub(crate) struct LogReader {
    /// Its parts, in order.
    pub(crate) inputs: Vec<LogInput>,
    /// Bytes of lines in a block, about.
    pub(crate) block_bytes: usize,
    /// The last part grows.
    pub(crate) tailing: Option<Tailing>,
}

/// The size of all inputs in bytes, if they are files.
pub(crate) fn total_bytes(inputs: &[LogInput]) -> Option<u64> {
    inputs
        .iter()
        .map(|input| match input {
            LogInput::File(path) => std::fs::metadata(path).ok().map(|file| file.len()),
            LogInput::Stdin => None,
        })
        .sum()
}

/// Reads all there is of `inputs`, as [`LogReader::read`].
pub(crate) fn read_all(inputs: &[LogInput], each: impl FnMut(Block) -> bool) -> Result<(), LogError> {
    LogReader { inputs: inputs.to_vec(), block_bytes: BLOCK_BYTES, tailing: None }.read(each)
}

impl LogReader {
    /// Reads the inputs one behind the other, handing each block to `each` until it answers false.
    pub(crate) fn read(&self, mut each: impl FnMut(Block) -> bool) -> Result<(), LogError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        for (at, input) in self.inputs.iter().enumerate() {
            let last = at + 1 == self.inputs.len();
            let tailing = self.tailing.as_ref().filter(|_| last);
            let failed = |error| LogError { name: input.name(), error };
            match self.read_one(input, last, tailing, &bytes_read, &mut each) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Reads one input; false when no more is wanted.
    fn read_one(
        &self,
        input: &LogInput,
        last: bool,
        tailing: Option<&Tailing>,
        bytes_read: &Arc<AtomicU64>,
        each: &mut impl FnMut(Block) -> bool,
    ) -> io::Result<bool> {
        let mut tail = tailing.map(|tailing| Tail::of(input, tailing)).transpose()?;
        let before = bytes_read.load(Relaxed);
        let raw: Box<dyn Read> = match input {
            LogInput::File(path) => Box::new(File::open(path)?),
            LogInput::Stdin => Box::new(io::stdin()),
        };
        let raw = Counted { inner: raw, count: Arc::clone(bytes_read) };
        let mut reader = decompressed(raw, self.block_bytes, tail.is_none())?;
        let name: Arc<str> = input.name().into();
        let (mut first_line, mut unfinished) = (1, Vec::new());
        loop {
            let mut lines = std::mem::take(&mut unfinished);
            lines.reserve(self.block_bytes.saturating_sub(lines.len()));
            let mut block =
                Block { lines, name: Arc::clone(&name), first_line, bytes_read: 0, cut: false, all_read: None };
            let more = fill(&mut *reader, &mut block, self.block_bytes)?;
            if !more && tail.is_some() {
                // Its rest is being written.
                unfinished = split_whole_lines(&mut block);
            }
            first_line += memchr::memchr_iter(b'\n', &block.lines).count() as u64;
            block.bytes_read = bytes_read.load(Relaxed);
            if block.cut && !last {
                // What is missing has later records behind it, which would make it seem to have been read.
                let problem = "it stops inside a line or a compressed frame, and another part of the log follows";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
            }
            if (!block.lines.is_empty() || block.cut) && !each(block) {
                return Ok(false);
            }
            if more {
                continue;
            }
            let Some(tail) = &mut tail else { return Ok(true) };
            loop {
                let read = bytes_read.load(Relaxed);
                match tail.wait(read - before, unfinished.is_empty())? {
                    Waited::Grown => break,
                    Waited::AllRead { ms } => {
                        let all_read = Some(ms);
                        let name = Arc::clone(&name);
                        let block =
                            Block { lines: Vec::new(), name, first_line, bytes_read: read, cut: false, all_read };
                        if !each(block) {
                            return Ok(false);
                        }
                    }
                    Waited::Stopped => return Ok(true),
                }
            }
        }
    }
}

/// The lines of a block without their newlines. What is behind the last newline is a line too, if an empty one.
pub(crate) fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', block).chain(std::iter::once(block.len()));
    ends.map(move |end| {
        let line = block.get(start..end).unwrap_or_default();
        start = end + 1;
        line
    })
}

/// Fills a block; false at the end of the input.
fn fill(reader: &mut dyn BufRead, block: &mut Block, block_bytes: usize) -> io::Result<bool> {
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A dump may stop inside a compressed frame: what was whole before it is used, and the cut is told.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let _cut_off = split_whole_lines(block);
                block.cut = true;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            // The last line may be whole and lack nothing but its newline.
            let last = block.lines.rsplit(|c| *c == b'\n').next().unwrap_or_default();
            block.cut = !last.trim_ascii().is_empty() && kcat::parse(last).is_err();
            return Ok(false);
        }
        let full = block.lines.len() + available.len() >= block_bytes;
        let newline = if full { memchr::memrchr(b'\n', available) } else { None };
        let taken = newline.map_or(available.len(), |at| at + 1);
        block.lines.extend_from_slice(available.get(..taken).unwrap_or(available));
        reader.consume(taken);
        if newline.is_some() {
            return Ok(true);
        }
        if block.lines.len() > LINE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 256 MiB"));
        }
    }
}

/// Takes what stands behind the last newline away from the block.
fn split_whole_lines(block: &mut Block) -> Vec<u8> {
    let whole = memchr::memrchr(b'\n', &block.lines).map_or(0, |at| at + 1);
    block.cut = false;
    block.lines.split_off(whole)
}

fn decompressed(raw: impl Read + 'static, block_bytes: usize, ends: bool) -> io::Result<Box<dyn BufRead>> {
    let mut raw = BufReader::with_capacity(block_bytes.max(16), raw);
    let head = raw.fill_buf()?;
    let gzip = head.starts_with(&[0x1f, 0x8b]);
    let zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || head.get(1..4) == Some(&[0x2a, 0x4d, 0x18]);
    if (gzip || zstd) && !ends {
        let problem = "a compressed file cannot be followed; give its lines plain, or run without `follow`";
        return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
    }
    Ok(if gzip {
        Box::new(BufReader::with_capacity(block_bytes, flate2::bufread::MultiGzDecoder::new(raw)))
    } else if zstd {
        Box::new(BufReader::with_capacity(block_bytes, zstd::stream::read::Decoder::with_buffer(raw)?))
    } else {
        Box::new(BufReader::with_capacity(block_bytes, raw))
    })
}

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines_of(bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let (mut lines, mut cut) = (Vec::new(), false);
        let mut next_line = 1;
        read_all(&[LogInput::File(file.path().to_owned())], |block| {
            assert_eq!(block.first_line, next_line);
            next_line += block.lines.iter().filter(|c| **c == b'\n').count() as u64;
            lines.extend_from_slice(&block.lines);
            cut |= block.cut;
            true
        })
        .unwrap();
        (lines, cut)
    }

    fn text() -> Vec<u8> {
        (0..60_000).flat_map(|n| format!("{{\"line\":{n}}}\n").into_bytes()).collect()
    }

    #[test]
    fn a_block_is_cut_at_its_newlines() {
        for block in ["", "\n", "a", "a\n", "a\n\nb", "\na\r\nb\n"] {
            let cut: Vec<&[u8]> = lines(block.as_bytes()).collect();
            assert_eq!(cut, block.as_bytes().split(|c| *c == b'\n').collect::<Vec<_>>(), "{block:?}");
        }
    }

    #[test]
    fn plain_gzip_and_zstd_give_the_same_lines() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&text()).unwrap();
        let zst = zstd::encode_all(text().as_slice(), 1).unwrap();
        // Two frames behind each other are one log.
        let twice = [zst.clone(), zst.clone()].concat();
        assert_eq!(lines_of(&text()), (text(), false));
        assert_eq!(lines_of(&gz.finish().unwrap()), (text(), false));
        assert_eq!(lines_of(&zst), (text(), false));
        assert_eq!(lines_of(&twice), ([text(), text()].concat(), false));
    }

    #[test]
    fn a_cut_log_gives_its_whole_lines_and_says_so() {
        let zst = zstd::encode_all(text().as_slice(), 1).unwrap();
        let (lines, cut) = lines_of(&zst[..zst.len() - 100]);
        assert!(cut);
        assert!(lines.is_empty() || lines.ends_with(b"}\n"));
        assert!(text().starts_with(&lines));
        assert!(lines_of(b"{\"a\":1}\n{\"b\"").1);
    }
}
