//! The replay log: files or standard input, plain, gzip or zstd (told by their first bytes), read as blocks of whole lines.

use super::kcat;
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

/// Reads the inputs one behind the other, handing each block to `each` until it answers false.
pub(crate) fn read(
    inputs: &[LogInput],
    block_bytes: usize,
    mut each: impl FnMut(Block) -> bool,
) -> Result<(), LogError> {
    let bytes_read = Arc::new(AtomicU64::new(0));
    for (at, input) in inputs.iter().enumerate() {
        let failed = |error| LogError { name: input.name(), error };
        let raw: Box<dyn Read> = match input {
            LogInput::File(path) => Box::new(File::open(path).map_err(failed)?),
            LogInput::Stdin => Box::new(io::stdin()),
        };
        let mut reader =
            decompressed(Counted { inner: raw, count: Arc::clone(&bytes_read) }, block_bytes).map_err(failed)?;
        let name: Arc<str> = input.name().into();
        let mut first_line = 1;
        loop {
            let mut block = Block {
                lines: Vec::with_capacity(block_bytes),
                name: Arc::clone(&name),
                first_line,
                bytes_read: 0,
                cut: false,
            };
            let more = fill(&mut *reader, &mut block, block_bytes).map_err(failed)?;
            first_line += memchr::memchr_iter(b'\n', &block.lines).count() as u64;
            block.bytes_read = bytes_read.load(Relaxed);
            if block.cut && at + 1 < inputs.len() {
                // What is missing has later records behind it, which would make it seem to have been read.
                let problem = "it stops inside a line or a compressed frame, and another part of the log follows";
                return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, problem)));
            }
            if (!block.lines.is_empty() || block.cut) && !each(block) {
                return Ok(());
            }
            if !more {
                break;
            }
        }
    }
    Ok(())
}

/// Fills a block; false at the end of the input.
fn fill(reader: &mut dyn BufRead, block: &mut Block, block_bytes: usize) -> io::Result<bool> {
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A dump may stop inside a compressed frame: what was whole before it is used, and the cut is told.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                block.cut = true;
                keep_whole_lines(block);
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

fn keep_whole_lines(block: &mut Block) {
    let whole = memchr::memrchr(b'\n', &block.lines).map_or(0, |at| at + 1);
    block.lines.truncate(whole);
}

fn decompressed(raw: impl Read + 'static, block_bytes: usize) -> io::Result<Box<dyn BufRead>> {
    let mut raw = BufReader::with_capacity(block_bytes.max(16), raw);
    let head = raw.fill_buf()?;
    Ok(if head.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(block_bytes, flate2::bufread::MultiGzDecoder::new(raw)))
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || head.get(1..4) == Some(&[0x2a, 0x4d, 0x18]) {
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
        read(&[LogInput::File(file.path().to_owned())], BLOCK_BYTES, |block| {
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
