//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use deltaic::{Progress, RunHandle};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at a terminal, and between two lines elsewhere.
const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar that is drawn on the terminal, if any is.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// Writes something else to standard error: the bar is cleared away before, and drawn again below it.
pub(super) fn beside_bar<T>(write: impl FnOnce() -> T) -> T {
    BARS.suspend(write)
}

/// Shows the progress of a run until it is stopped.
pub(super) struct Watch {
    done: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(handle: RunHandle) -> Watch {
        let (done, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let terminal = std::io::stderr().is_terminal();
            let bar = terminal.then(|| BARS.add(bar()));
            let every = if terminal { BAR_EVERY } else { LINE_EVERY };
            let started = Instant::now();
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let progress = handle.progress();
                let waits = handle.waits_for().map(|why| format!(" ({why})")).unwrap_or_default();
                let text = text(&progress, started.elapsed()) + &waits;
                match &bar {
                    Some(bar) => {
                        bar.set_position((progress.share.unwrap_or_default() * 1000.0) as u64);
                        bar.set_message(text);
                    }
                    None => eprintln!("{text}"),
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        Watch { done, thread }
    }

    pub(super) fn stop(self) {
        drop(self.done);
        // A panic in it has been printed and concerns nothing but the display.
        let _shown = self.thread.join();
    }
}

fn bar() -> ProgressBar {
    // What does not fit one line of the terminal is cut off.
    let style = ProgressStyle::with_template("[{bar:30}] {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::hidden()).with_style(style.progress_chars("=> "))
}

fn text(progress: &Progress, elapsed: Duration) -> String {
    let share =
        progress.share.map(|share| format!("{:.0} % of the log, ", (share * 100.0).min(100.0))).unwrap_or_default();
    let rate = progress.records as f64 / elapsed.as_secs_f64().max(0.001);
    let at = match (progress.exact_at, progress.held) {
        (at, Some(held)) if at < Some(held) => format!(", on the way to LSN {held}, where the index is"),
        (Some(lsn), _) => format!(", exact at LSN {lsn}"),
        (None, _) => progress.unaligned_at.map(|lsn| format!(", unaligned at LSN {lsn}")).unwrap_or_default(),
    };
    let settled = match progress.settled {
        0 => String::new(),
        settled => format!(" ({settled} settled)"),
    };
    format!(
        "{share}{} records, {rate:.0} records/s, {} transactions{settled}, {} open, {} documents{at}",
        progress.records, progress.transactions, progress.open_transactions, progress.documents,
    )
}
