//! The end of a log that grows: waiting for more, and saying now and then that all there is was read.

use super::LogInput;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a log is looked at for more.
const POLL: Duration = Duration::from_millis(10);

/// The longest between two words that all was read.
const SAY_EVERY_MAX: Duration = Duration::from_secs(1);

/// How the end of an input that may always have more is waited at.
pub(crate) struct Tailing {
    /// For how long a transaction must have been there, with all that was there read, before it is settled: it is said
    /// several times in that time that all was read. Never if it is `None`.
    pub(crate) settle: Option<Duration>,
    /// Whether to go on waiting.
    pub(crate) goes_on: Box<dyn Fn() -> bool + Send>,
}

impl Tailing {
    /// Whether it is to be said again that all was read, when it was last said at `said`.
    pub(crate) fn is_due(&self, said: Instant) -> bool {
        self.settle.is_some_and(|settle| said.elapsed() >= (settle / 4).min(SAY_EVERY_MAX))
    }
}

/// The end of the file that grows.
pub(super) struct Tail<'a> {
    path: PathBuf,
    tailing: &'a Tailing,
    /// Which file it was at first, whatever its name names by now.
    file: (u64, u64),
    begun: Instant,
    /// When it was last said that all was read.
    said: Instant,
    /// When the file last grew.
    grown: Instant,
    warned: bool,
}

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// There is more.
    Grown,
    /// All there is was read, so many milliseconds after the beginning.
    AllRead { ms: u64 },
    /// It is waited no longer.
    Stopped,
}

impl Tail<'_> {
    pub(super) fn of<'a>(input: &LogInput, tailing: &'a Tailing) -> io::Result<Tail<'a>> {
        let LogInput::File(path) = input else {
            let problem = "it is read until its writer ends; it needs no `follow`";
            return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
        };
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            let problem = "it is no regular file, and only such a file is known to grow at its end";
            return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
        }
        let (file, now) = ((metadata.dev(), metadata.ino()), Instant::now());
        Ok(Tail { path: path.clone(), tailing, file, begun: now, said: now, grown: now, warned: false })
    }

    /// Waits until the file has more than the `read` bytes that were read of it; `whole` says that they end a line.
    pub(super) fn wait(&mut self, read: u64, whole: bool) -> io::Result<Waited> {
        while (self.tailing.goes_on)() {
            let metadata = match fs::metadata(&self.path) {
                Ok(metadata) => Some(metadata),
                // Between its removal and the making of another one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let same =
                |metadata: &fs::Metadata| (metadata.dev(), metadata.ino()) == self.file && metadata.len() >= read;
            let Some(metadata) = metadata.filter(same) else {
                // What its old end would have said is lost, and where the new file begins nobody knows.
                let problem = "it was replaced or cut while it was followed; give all of its parts to a new run";
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            };
            if metadata.len() > read {
                (self.grown, self.warned) = (Instant::now(), false);
                return Ok(Waited::Grown);
            }
            if let Some(settle) = self.tailing.settle {
                if whole && self.tailing.is_due(self.said) {
                    self.said = Instant::now();
                    return Ok(Waited::AllRead { ms: self.begun.elapsed().as_millis() as u64 });
                }
                if !whole && !self.warned && self.grown.elapsed() >= settle {
                    self.warned = true;
                    tracing::warn!(
                        "the log has ended inside a line for a while, so nothing settles; does its writer keep lines back?"
                    );
                }
            }
            std::thread::sleep(POLL);
        }
        Ok(Waited::Stopped)
    }
}
