//! What is measured, in order: a snapshot, then stretches of changes in steps of a given size. The same for all who run it.

use harness::{LargeLog, LargeLogSizes};
use std::io;
use std::sync::mpsc::sync_channel;
use std::thread;

const SEED: u64 = 1;
/// Rows of the snapshot in one piece.
const SNAPSHOT_PIECE: u64 = 10_000;
/// Transactions behind the snapshot that let every partition show that the snapshot is over.
const STILL: u64 = 40;

/// A stretch of changes.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    /// Rows of a step, rounded up to whole transactions.
    pub(crate) step: u64,
    /// Rows of the stretch, as many or a few more.
    pub(crate) rows: u64,
}

/// Which changes follow the snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// Those of a large log.
    Mixed,
    /// Items come and go, one a transaction, and their number stays.
    Replacements,
}

#[derive(Clone)]
pub(crate) struct Course {
    pub(crate) sizes: LargeLogSizes,
    pub(crate) changes: Changes,
    pub(crate) stretches: Vec<Stretch>,
}

impl Course {
    /// All that the dataflow is compared by, over so many conversations.
    pub(crate) fn whole(conversations: u64) -> Course {
        let sizes = LargeLogSizes { users: (conversations / 10).max(1), conversations, items_each: 5, partitions: 3 };
        let rows = |share: f64| (conversations as f64 * share) as u64;
        let stretch = |step: u64, share: f64| Stretch { step, rows: rows(share).max(step) };
        let stretches =
            vec![stretch(1, 0.3), stretch(100, 1.0), stretch(1_000, 1.5), stretch(10_000, 2.0), stretch(100_000, 3.0)];
        Course { sizes, changes: Changes::Mixed, stretches }
    }

    /// Changes of one conversation of so many items.
    pub(crate) fn hot(items: u64, changes: u64) -> Course {
        let sizes = LargeLogSizes { users: 1, conversations: 1, items_each: items, partitions: 1 };
        Course { sizes, changes: Changes::Replacements, stretches: vec![Stretch { step: 1_000, rows: changes }] }
    }

    /// A snapshot alone.
    pub(crate) fn snapshot(users: u64, conversations: u64, items_each: u64) -> Course {
        let sizes = LargeLogSizes { users, conversations, items_each, partitions: 1 };
        Course { sizes, changes: Changes::Mixed, stretches: Vec::new() }
    }

    /// Makes the lines of the log on a thread of its own and gives them to `take`, piece by piece, each with the number of
    /// its part: 0 for the snapshot, then those of the stretches.
    pub(crate) fn run(&self, mut take: impl FnMut(usize, Vec<u8>)) {
        let (piece_in, pieces) = sync_channel(8);
        thread::scope(|scope| {
            scope.spawn(move || {
                self.write(|part, lines| piece_in.send((part, lines)).map_err(io::Error::other))
                    .expect("pieces are written to memory, and taken to the last");
            });
            pieces.iter().for_each(|(part, lines)| take(part, lines));
        });
    }

    fn write(&self, send: impl Fn(usize, Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let mut log = LargeLog::new(Vec::new(), self.sizes, SEED);
        while log.snapshot(SNAPSHOT_PIECE)? > 0 {
            send(0, std::mem::take(log.out()))?;
        }
        for number in 0..STILL {
            log.still(number)?;
        }
        if self.sizes.items_each == 0 {
            // There is none to update, and the partition must show something.
            log.replacement()?;
            log.replacement()?;
        }
        send(0, std::mem::take(log.out()))?;
        for (part, stretch) in self.stretches.iter().enumerate() {
            let mut written = 0;
            while written < stretch.rows {
                let mut step = 0;
                while step < stretch.step {
                    step += match self.changes {
                        Changes::Mixed => log.transaction(u64::MAX)?,
                        Changes::Replacements => log.replacement()?,
                    };
                }
                written += step;
                send(part + 1, std::mem::take(log.out()))?;
            }
        }
        Ok(())
    }
}
