//! The end of a log that grows: waiting for more, and saying when nothing has come for a while.

use super::LogInput;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a log is looked at for more.
const POLL: Duration = Duration::from_millis(10);

/// How the end of a log is waited at.
pub(crate) struct Follow {
    /// After so long without anything new the log is *quiet*, and again after as long; never if it is `None`.
    pub(crate) settle: Option<Duration>,
    /// Whether to go on waiting.
    pub(crate) goes_on: Box<dyn Fn() -> bool + Send>,
}

/// The end of the file that grows.
pub(super) struct Tail<'a> {
    path: PathBuf,
    follow: &'a Follow,
    /// Which file it was at first, whatever its name names by now.
    file: (u64, u64),
    /// When something was last added, or the log was last said to be quiet.
    since: Instant,
}

/// What came of waiting.
pub(super) enum Waited {
    /// There is more.
    Grown,
    /// Nothing has come for a while.
    Quiet,
    /// It is waited no longer.
    Stopped,
}

impl Tail<'_> {
    pub(super) fn of<'a>(input: &LogInput, follow: &'a Follow) -> io::Result<Tail<'a>> {
        let LogInput::File(path) = input else {
            let problem = "it is read until its writer ends; it needs no `follow`";
            return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
        };
        let metadata = fs::metadata(path)?;
        Ok(Tail { path: path.clone(), follow, file: (metadata.dev(), metadata.ino()), since: Instant::now() })
    }

    /// Waits until the file has more than the `read` bytes that were read of it.
    pub(super) fn wait(&mut self, read: u64) -> io::Result<Waited> {
        while (self.follow.goes_on)() {
            let metadata = fs::metadata(&self.path)?;
            if (metadata.dev(), metadata.ino()) != self.file || metadata.len() < read {
                // What its old end would have said is lost, and where the new file begins nobody knows.
                let problem = "it was replaced or cut while it was followed; give all of its parts to a new run";
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            if metadata.len() > read {
                self.since = Instant::now();
                return Ok(Waited::Grown);
            }
            if self.follow.settle.is_some_and(|settle| self.since.elapsed() >= settle) {
                self.since = Instant::now();
                return Ok(Waited::Quiet);
            }
            std::thread::sleep(POLL);
        }
        Ok(Waited::Stopped)
    }
}
