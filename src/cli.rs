//! The command line: what was typed, made into what it means. Standard output carries data only.

mod progress;
mod summary;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use deltaic::dataflows::{ConversationSearch, Document, DocumentId, OptionError};
use deltaic::{
    ChangeLines, Engine, Error, FinalLines, LogInput, Lsn, OnBadRecord, ReplayOptions, Report, RunHandle, SinkError,
};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A search index that is a query over your Postgres tables, at one committed transaction at every moment.
#[derive(Parser)]
#[command(name = "deltaic", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay a log of Debezium records (`kcat -C -J` lines; plain, gzip or zstd) and print the documents as JSON lines.
    Replay(Replay),
}

#[derive(Args)]
struct Replay {
    /// The log's files in order, or - for standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,

    /// Stop at the last transaction that ends at or before this LSN (a number, as in Debezium's records).
    #[arg(long, value_name = "LSN")]
    until: Option<u64>,

    /// Worker threads. The output does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,

    /// Print every change of a document with its LSN, instead of the documents at the end.
    #[arg(long)]
    changes: bool,

    /// The topic prefix of the source [default: the one in the log].
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// How many partitions a topic has, for standard input and for a log that lacks a partition. May be given often.
    #[arg(long, value_name = "TOPIC=N", value_parser = topic_partitions)]
    partitions: Vec<(String, u32)>,

    /// Have documents carry a column (`users.COLUMN` or `conversations.COLUMN`). May be given often.
    #[arg(long, value_name = "COLUMN")]
    include: Vec<String>,

    /// What becomes of an open conversation without items: absent, or needs_review_invite.
    #[arg(long, value_name = "WHAT", default_value = "absent", value_parser = zero_items)]
    zero_items: deltaic::dataflows::ZeroItems,

    /// The log holds all of the initial snapshot, though some partition shows no change after it.
    #[arg(long)]
    snapshot_complete: bool,

    /// Go on without an initial snapshot. Rows from before the log are then missing, and the summary says so.
    #[arg(long)]
    allow_partial_base: bool,

    /// What to do with a record that cannot be used: stop, or dead-letter=FILE to write it there and go on.
    #[arg(long, value_name = "WHAT", default_value = "stop", value_parser = on_bad_record)]
    on_bad_record: OnBadRecord,

    /// How far the stream must be past the reading of a blocking snapshot's row before the row may repair, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    repair_delay_ms: i64,
}

fn topic_partitions(text: &str) -> Result<(String, u32), String> {
    let (topic, count) = text.split_once('=').ok_or("expected TOPIC=N")?;
    let count = count.parse().map_err(|_| format!("`{count}` is no number of partitions"))?;
    Ok((topic.to_owned(), count))
}

fn on_bad_record(text: &str) -> Result<OnBadRecord, String> {
    match text.split_once('=') {
        None if text == "stop" => Ok(OnBadRecord::Stop),
        Some(("dead-letter", file)) if !file.is_empty() => Ok(OnBadRecord::DeadLetter(file.into())),
        _ => Err("expected stop or dead-letter=FILE".to_owned()),
    }
}

fn zero_items(text: &str) -> Result<deltaic::dataflows::ZeroItems, OptionError> {
    text.parse()
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    let Command::Replay(replay) = Cli::parse().command;
    let view = match replay.view() {
        Ok(view) => view,
        Err(error) => return wrong_usage(&error.to_string()),
    };
    let options = replay.options();
    let stdin = options.inputs.contains(&LogInput::Stdin);
    if stdin && options.inputs.len() > 1 {
        return wrong_usage("standard input cannot be one of several logs");
    }
    if stdin && options.prefix.is_none() {
        return wrong_usage("standard input needs --prefix");
    }
    match run(Engine::replay(view, options), replay.changes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deltaic: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn wrong_usage(problem: &str) -> ExitCode {
    eprintln!("deltaic: {problem}\n\nFor more information, try 'deltaic replay --help'.");
    ExitCode::from(2)
}

/// The causes of an error that its own words do not hold already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

impl Replay {
    fn view(&self) -> Result<ConversationSearch, OptionError> {
        let view = ConversationSearch::default().zero_items(self.zero_items);
        self.include.iter().try_fold(view, |view, column| view.include(column))
    }

    fn options(&self) -> ReplayOptions {
        let input =
            |path: &PathBuf| if path.as_os_str() == "-" { LogInput::Stdin } else { LogInput::File(path.clone()) };
        ReplayOptions {
            workers: usize::from(self.workers),
            prefix: self.prefix.clone(),
            partitions: self.partitions.iter().cloned().collect(),
            until: self.until.map(Lsn),
            snapshot_complete: self.snapshot_complete,
            allow_partial_base: self.allow_partial_base,
            on_bad_record: self.on_bad_record.clone(),
            repair_delay_ms: self.repair_delay_ms,
            ..ReplayOptions::new(self.logs.iter().map(input).collect())
        }
    }
}

fn run(engine: Engine<ConversationSearch>, changes: bool) -> Result<()> {
    let handle = engine.handle();
    stop_on_signal(handle.clone())?;
    let out = BufWriter::with_capacity(1 << 16, io::stdout());
    if changes {
        let mut sink = ChangeLines::new(out);
        let report = watched(&handle, || engine.run(&mut sink))?;
        finish(&report, sink.documents())
    } else {
        let mut sink = FinalLines::new(out);
        let report = watched(&handle, || engine.run(&mut sink))?;
        finish(&report, sink.documents())
    }
}

fn watched(handle: &RunHandle, run: impl FnOnce() -> Result<Report, Error>) -> Result<Report> {
    let watch = progress::Watch::start(handle.clone());
    let report = run();
    watch.stop();
    match report {
        // The reader of a pipe has seen enough: no failure of ours.
        Err(Error::Sink(SinkError::Write(error))) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

fn finish(report: &Report, documents: &BTreeMap<DocumentId, Document>) -> Result<()> {
    let mut stderr = io::stderr().lock();
    summary::write(&mut stderr, report, documents).and_then(|()| stderr.flush()).context("cannot write the summary")
}

/// SIGINT and SIGTERM end the run at a transaction boundary; a second one ends the process.
fn stop_on_signal(handle: RunHandle) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    std::thread::spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if asked {
                std::process::exit(128 + signal);
            }
            asked = true;
            handle.stop();
        }
    });
    Ok(())
}
