//! A run under the eyes of its user: progress while it lasts, a clean stop on a signal.

use super::progress;
use anyhow::{Context, Result};
use deltaic::{Error, Report, RunHandle, SinkError};
use std::io;

/// Runs it with its progress shown.
pub(super) fn watched(handle: &RunHandle, run: impl FnOnce() -> Result<Report, Error>) -> Result<Report> {
    let watch = progress::Watch::start(handle.clone());
    let report = run();
    watch.stop();
    match report {
        // The reader of a pipe has seen enough: no failure of ours.
        Err(Error::Sink(SinkError::Write(error))) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// SIGINT and SIGTERM end the run at a transaction boundary; a second one ends the process.
pub(super) fn stop_on_signal(handle: RunHandle) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    std::thread::spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if asked {
                // At once: the libraries that are in use are not taken down under those who use them.
                signal_hook::low_level::exit(128 + signal);
            }
            asked = true;
            handle.stop();
        }
    });
    Ok(())
}
