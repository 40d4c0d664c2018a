//! Logs that grow while everything else goes on: at a pace, and not beyond a limit.
//!
//! # Notes
//! A log that stands still ends inside a line: so nothing settles before all of it is there, and what is shown rests on proofs.

use super::follower::Follower;
use anyhow::Result;
use fastrand::Rng;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(20);
/// A share of 1.
const WHOLE: f64 = 1e6;

/// How far the logs have grown, and how far they may.
#[derive(Default)]
pub(super) struct Growth {
    share: AtomicU64,
    limit: AtomicU64,
    over: AtomicBool,
}

/// One log of several.
pub(super) struct Growing<'a> {
    file: File,
    lines: &'a [u8],
    written: usize,
    /// Above 1: late in coming. Below: early.
    bend: f64,
}

impl Growth {
    /// From 0 to 1.
    pub(super) fn share(&self) -> f64 {
        self.share.load(Relaxed) as f64 / WHOLE
    }

    /// They may grow so far.
    pub(super) fn allow(&self, share: f64) {
        self.limit.store((share.clamp(0.0, 1.0) * WHOLE) as u64, Relaxed);
    }

    /// They grow no more.
    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// Has them grow, to their ends in so many seconds if nothing limits them.
    pub(super) fn grow(&self, mut logs: Vec<Growing<'_>>, seconds: f64) -> Result<()> {
        let step = (STEP.as_secs_f64() / seconds * WHOLE) as u64;
        while !self.over.load(Relaxed) && self.share() < 1.0 {
            thread::sleep(STEP);
            let share = (self.share.load(Relaxed) + step).min(self.limit.load(Relaxed));
            let share = share.max(self.share.load(Relaxed));
            for log in &mut logs {
                log.grow_to(share as f64 / WHOLE)?;
            }
            self.share.store(share, Relaxed);
        }
        Ok(())
    }
}

impl<'a> Growing<'a> {
    pub(super) fn of(follower: &Follower<'a>, rng: &mut Rng) -> Result<Growing<'a>> {
        let (file, lines) = follower.log()?;
        Ok(Growing { file, lines, written: 0, bend: 0.6 + rng.f64() })
    }

    fn grow_to(&mut self, share: f64) -> Result<()> {
        let end = place(self.lines, share.powf(self.bend)).max(self.written);
        self.file.write_all(self.lines.get(self.written..end).unwrap_or_default())?;
        self.written = end;
        Ok(())
    }
}

/// Where a share of a log ends: inside a line, unless that is all of it.
fn place(lines: &[u8], share: f64) -> usize {
    let end = (lines.len() as f64 * share) as usize;
    if share >= 1.0 {
        return lines.len();
    }
    let ends_line = end.checked_sub(1).and_then(|last| lines.get(last)) == Some(&b'\n');
    (end + usize::from(ends_line)).min(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_ends_inside_a_line() {
        let lines = b"abc\ndef\n";
        let places = [0.0, 0.1, 0.5, 0.6, 0.99, 1.0].map(|share| place(lines, share));
        assert_eq!(places, [0, 0, 5, 5, 7, 8]);
    }
}
