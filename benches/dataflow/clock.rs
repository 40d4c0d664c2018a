//! What something took: wall and CPU seconds of the whole process, and how long its steps took.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// What was done in a part of a measurement, and what it took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Took {
    pub(crate) rows: u64,
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    /// Microseconds of a step.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Took {
    /// Runs `work`, which answers with its rows and the time of each step.
    pub(crate) fn of(work: impl FnOnce() -> (u64, Vec<Duration>)) -> Took {
        let (started, cpu) = (Instant::now(), cpu_seconds());
        let (rows, mut steps) = work();
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        steps.sort_unstable();
        let at = |share: usize| steps.get(steps.len() * share / 100).map_or(0.0, |step| step.as_secs_f64() * 1e6);
        Took { rows, wall, cpu, p50: at(50), p99: at(99) }
    }

    /// The median of each figure, of runs of one thing.
    pub(crate) fn median<'a>(runs: impl Iterator<Item = &'a Took> + Clone) -> Took {
        let of = |figure: fn(&Took) -> f64| {
            let mut figures: Vec<f64> = runs.clone().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().unwrap_or_default()
        };
        Took {
            rows: runs.clone().map(|took| took.rows).next().unwrap_or_default(),
            wall: of(|took| took.wall),
            cpu: of(|took| took.cpu),
            p50: of(|took| took.p50),
            p99: of(|took| took.p99),
        }
    }

    pub(crate) fn rows_per_cpu_second(&self) -> f64 {
        self.rows as f64 / self.cpu
    }

    /// As a line that [`Took::read`] reads.
    pub(crate) fn line(&self) -> String {
        let Took { rows, wall, cpu, p50, p99 } = self;
        format!("{rows} {wall} {cpu} {p50} {p99}")
    }

    pub(crate) fn read(line: &str) -> Option<Took> {
        let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>().ok()?;
        let [rows, wall, cpu, p50, p99] = numbers[..] else { return None };
        Some(Took { rows: rows as u64, wall, cpu, p50, p99 })
    }
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
