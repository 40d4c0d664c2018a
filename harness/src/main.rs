//! Heavy proofs and tools, run by hand: what CI runs a small share of.

#![expect(clippy::print_stdout, reason = "a command that prints its findings")]

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use deltaic::dataflows::ConversationSearch;
use deltaic::mutant::Mutant;
use deltaic::{Engine, IndexOptions, Log, TantivySink};
use harness::{Case, KillOptions, LabPart, Life, Oddities, Passage, Scenario, SpeedPart, check, smallest_failure};
use std::path::{Path, PathBuf};
use std::process::Command as Process;

// That of the command `deltaic`, whose speed is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "harness", about = "Deltaic's proofs and tools")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay generated logs and compare every state with the oracle; prints what occurred in them.
    Seeds {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many seeds.
        #[arg(long, default_value_t = 1000)]
        count: u64,
        /// Worker threads, each in turn.
        #[arg(long, default_values_t = [1, 2, 4])]
        workers: Vec<usize>,
        /// Cut every log off at a random place.
        #[arg(long)]
        cut: bool,
    },
    /// Write a large, plain, realistic log (zstd).
    Generate {
        /// The file.
        out: PathBuf,
        /// Rows in it, snapshot included.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Fill indexes in a process that is killed again and again, and compare all that it leaves with the oracle.
    Kill {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How often to kill.
        #[arg(long, default_value_t = 100)]
        kills: u64,
        /// Transactions of each log.
        #[arg(long, default_value_t = 1_500)]
        transactions: usize,
        /// The program to kill, run as `PROGRAM replay LOG --index DIR ...` [default: the engine in a process of this one].
        #[arg(long)]
        program: Option<PathBuf>,
    },
    /// Run the tests against each deliberate breakage of the engine; prints the test that caught it.
    Mutants {
        /// Only these, by name.
        only: Vec<String>,
    },
    /// Start Postgres, Kafka, Connect and Debezium, and compare an index that is filled from them with Postgres's own
    /// answers, while they and it are killed; and search servers, whose indexes are compared with what their logs give.
    Lab {
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Transactions beside the faults.
        #[arg(long, default_value_t = 1_200)]
        transactions: usize,
        /// Moments at which the index is compared, at least.
        #[arg(long, default_value_t = 100)]
        moments: u64,
        /// The `deltaic` command [default: the one beside this program].
        #[arg(long)]
        program: Option<PathBuf>,
        /// The same, built with the feature `tls`: without it nothing is read over TLS.
        #[arg(long)]
        tls_program: Option<PathBuf>,
        /// Only this part: index, topics, snapshots, secured or search.
        #[arg(long, value_parser = lab_part)]
        only: Option<LabPart>,
        /// Search servers: `all`, or those whose name and version begin so, as `opensearch-2` [default: those that run on Java 17].
        #[arg(long, default_value = "", hide_default_value = true)]
        servers: String,
        /// How often each search server is gone through.
        #[arg(long, default_value_t = 2)]
        rounds: u64,
        /// The folder of all that is installed and written [default: `lab` in the target folder].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Measure with real servers: reading topics against a log, broker to searchable, commit to broker, and how fast search
    /// servers are filled.
    Speed {
        /// Rows of the log that is read.
        #[arg(long, default_value_t = 560_000)]
        rows: u64,
        /// How often each way of reading is taken.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// For how many seconds transactions are written for the time from broker to searchable.
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
        /// At which share of the peak they are.
        #[arg(long, default_value_t = 0.5)]
        share: f64,
        /// Only this part: read, searchable, commits or search.
        #[arg(long, value_parser = speed_part)]
        only: Option<SpeedPart>,
        /// Search servers: as of `lab`.
        #[arg(long, default_value = "", hide_default_value = true)]
        servers: String,
        /// The folder of all that is installed and written [default: `lab` in the target folder].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Start each search server, and write down what it answers to many requests.
    Responses {
        /// The folder of the files, one for each server.
        #[arg(long)]
        out: PathBuf,
        /// Only servers whose name and version begin so, as `opensearch-2`.
        #[arg(long, default_value = "")]
        only: String,
        /// The folder of all that is installed and written [default: `lab` in the target folder].
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// What `kill` kills.
    #[command(hide = true)]
    IndexChild {
        /// The log.
        log: PathBuf,
        /// The index.
        dir: PathBuf,
        /// Columns that documents carry.
        #[arg(long)]
        include: Vec<String>,
        /// Worker threads.
        #[arg(long, default_value_t = 1)]
        workers: usize,
        /// Milliseconds between commits.
        #[arg(long, default_value_t = 0)]
        commit_interval_ms: u64,
        /// Bytes of the log that are decoded at once.
        #[arg(long, default_value_t = 1_000)]
        block_bytes: usize,
    },
}

/// Failures of one run that are made smaller; more have the same cause most of the time.
const SHRUNK_MAX: u64 = 5;

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Seeds { from, count, workers, cut } => seeds(from..from + count, &workers, cut),
        Command::Generate { out, rows, seed } => {
            let summary = harness::write_large(&out, rows, seed)?;
            println!("{summary:?}");
            Ok(())
        }
        Command::Kill { from, kills, transactions, program } => {
            let own = std::env::current_exe()?;
            let options = KillOptions { seed: from, kills, transactions };
            let summary = harness::kill(&options, &|life| match &program {
                Some(program) => replay(program, life),
                None => index_child(&own, life),
            })?;
            println!("{summary:#?}");
            Ok(())
        }
        Command::Mutants { only } => mutants(&only),
        Command::Lab { seed, transactions, moments, program, tls_program, only, servers, rounds, dir } => {
            let own = std::env::current_exe()?;
            let folder = own.parent().unwrap_or(Path::new("."));
            let program = program.unwrap_or_else(|| folder.join("deltaic"));
            let dir = dir.unwrap_or_else(|| folder.join("../lab"));
            let options =
                harness::LabOptions { dir, seed, transactions, moments, program, tls_program, only, servers, rounds };
            let summary = harness::lab(&options)?;
            println!("{summary:#?}");
            Ok(())
        }
        Command::Speed { rows, rounds, seconds, share, only, servers, dir } => {
            let own = std::env::current_exe()?;
            let dir = dir.unwrap_or_else(|| own.parent().unwrap_or(Path::new(".")).join("../lab"));
            let options = harness::SpeedOptions { dir, rows, rounds, seconds, share, only, servers };
            println!("{:#?}", harness::speed(&options)?);
            Ok(())
        }
        Command::Responses { out, only, dir } => {
            let own = std::env::current_exe()?;
            let dir = dir.unwrap_or_else(|| own.parent().unwrap_or(Path::new(".")).join("../lab"));
            println!("{:#?}", harness::record(&harness::ResponsesOptions { dir, out, only })?);
            Ok(())
        }
        Command::IndexChild { log, dir, include, workers, commit_interval_ms, block_bytes } => {
            fill(&Life { log, dir, include, workers, commit_interval_ms, block_bytes })
        }
    }
}

fn lab_part(text: &str) -> Result<LabPart, String> {
    match text {
        "index" => Ok(LabPart::Index),
        "topics" => Ok(LabPart::Topics),
        "snapshots" => Ok(LabPart::Snapshots),
        "secured" => Ok(LabPart::Secured),
        "search" => Ok(LabPart::Search),
        _ => Err("expected index, topics, snapshots, secured or search".to_owned()),
    }
}

fn speed_part(text: &str) -> Result<SpeedPart, String> {
    match text {
        "read" => Ok(SpeedPart::Read),
        "searchable" => Ok(SpeedPart::Searchable),
        "commits" => Ok(SpeedPart::Commits),
        "search" => Ok(SpeedPart::Search),
        _ => Err("expected read, searchable, commits or search".to_owned()),
    }
}

fn mutants(only: &[String]) -> Result<()> {
    let known: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no breakage `{unknown}`; known: {}", known.join(", "));
    }
    let chosen = |mutant: &Mutant| only.is_empty() || only.iter().any(|name| name == mutant.name());
    let mutants: Vec<Mutant> = Mutant::ALL.iter().copied().filter(chosen).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let verdicts = harness::mutants(root, &mutants, |verdict| {
        let name = verdict.mutant.map_or("the engine as it is", Mutant::name);
        println!("{name:<28} {}", verdict.caught_by.as_deref().unwrap_or("passes"));
    })?;
    let alive = verdicts.iter().filter(|verdict| verdict.caught_by.is_none()).count();
    println!("{} breakages, {} caught, {alive} not", verdicts.len(), verdicts.len() - alive);
    if alive > 0 { bail!("{alive} breakages pass every test") } else { Ok(()) }
}

/// The engine in a process of its own.
fn index_child(own: &Path, life: &Life) -> Process {
    let mut process = Process::new(own);
    process.arg("index-child").arg(&life.log).arg(&life.dir);
    process.arg(format!("--workers={}", life.workers)).arg(format!("--block-bytes={}", life.block_bytes));
    process.arg(format!("--commit-interval-ms={}", life.commit_interval_ms));
    process.args(life.include.iter().map(|column| format!("--include={column}")));
    process
}

/// The command line as a user runs it; it has no option for the size of blocks.
fn replay(program: &Path, life: &Life) -> Process {
    let mut process = Process::new(program);
    process.arg("replay").arg(&life.log).arg("--index").arg(&life.dir).arg("--snapshot-complete");
    process.arg(format!("--workers={}", life.workers));
    process.arg(format!("--commit-interval-ms={}", life.commit_interval_ms));
    process.args(life.include.iter().map(|column| format!("--include={column}")));
    process
}

fn fill(life: &Life) -> Result<()> {
    let view = life.include.iter().try_fold(ConversationSearch::default(), |view, column| view.include(column))?;
    let log = Log { block_bytes: life.block_bytes, ..Log::file(&life.log) };
    let engine = Engine::replay(view, log).workers(life.workers).snapshot_complete(true);
    let index = IndexOptions { commit_interval_ms: life.commit_interval_ms, ..IndexOptions::default() };
    engine.run(&mut TantivySink::open(&life.dir, index)?)?;
    Ok(())
}

fn seeds(seeds: std::ops::Range<u64>, workers: &[usize], cut: bool) -> Result<()> {
    let (mut oddities, mut totals, mut failed) = (Oddities::default(), Totals::default(), 0);
    for seed in seeds.clone() {
        let scenario = Scenario::random(seed);
        oddities += scenario.oddities;
        for &workers in workers {
            let mut passage = Passage::random(seed, workers);
            if cut {
                passage = passage.cut_off();
            }
            match check(&scenario, &passage) {
                Ok(checked) => totals.add(&checked),
                Err(divergence) if failed < SHRUNK_MAX => {
                    println!("{}\n", smallest_failure(&Case::of(&scenario, &passage), &divergence));
                    failed += 1;
                }
                Err(divergence) => {
                    println!("{divergence}\n");
                    failed += 1;
                }
            }
        }
    }
    println!("per 1,000 seeds:");
    let per_thousand = |count: u64| count as f64 * 1000.0 / (seeds.end - seeds.start) as f64;
    for (name, count) in oddities.rows() {
        println!("  {name:<32} {:>12.0}", per_thousand(count));
    }
    println!("runs: {totals:?}");
    if failed > 0 {
        bail!("{failed} runs showed something that is not true");
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    refused: u64,
    states: u64,
    closed_by_counts: u64,
    closed_by_progress: u64,
    left_open: u64,
    wholly_closed: u64,
    redelivered: u64,
    late: u64,
}

impl Totals {
    fn add(&mut self, checked: &harness::Checked) {
        self.runs += 1;
        self.states += checked.states;
        let Some(report) = &checked.report else {
            self.refused += 1;
            return;
        };
        self.closed_by_counts += report.closed_by_counts;
        self.closed_by_progress += report.closed_by_progress;
        self.left_open += report.open.len() as u64;
        self.wholly_closed += u64::from(report.open.is_empty());
        self.redelivered += report.redelivered;
        self.late += report.late;
    }
}
