//! The command line: what was typed, made into what it means. Standard output carries data only.

#[cfg(feature = "kafka")]
mod capture;
mod config;
mod index;
mod logging;
mod manual;
mod output;
mod progress;
mod rebuild;
mod replay;
mod run;
mod summary;
mod supervise;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use logging::Level;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// A search index that is a query over your Postgres tables, at one committed transaction at every moment.
#[derive(Parser)]
#[command(name = "deltaic", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// What to log on standard error: this level and those before it.
    #[arg(
        long,
        global = true,
        // Behind the options of each command.
        display_order = 100,
        value_name = "LEVEL",
        default_value = "warn",
        env = "DELTAIC_LOG",
        hide_env_values = true
    )]
    log: Level,
}

#[derive(Subcommand)]
enum Command {
    /// Run a configuration: the source that it names, through its view, into its sink.
    Run(run::Run),
    /// Fill another index from all that a configuration's source holds, beside the one that is read, which it then replaces in
    /// one step. Broken off, it can be run again.
    Rebuild(rebuild::Rebuild),
    /// Replay a log of Debezium records (`kcat -C -J` lines; plain, gzip or zstd) and print the documents as JSON lines,
    /// or keep them in an index.
    Replay(replay::Replay),
    /// Copy the topics that a configuration names from Kafka into a log that `deltaic replay` takes.
    #[cfg(feature = "kafka")]
    Capture(capture::CaptureTopics),
    /// Print the documents of an index that a query finds, as JSON lines.
    Search(index::Search),
    /// Print one document of an index.
    Get(index::Get),
    /// Print all documents of an index as JSON lines, sorted by id.
    Dump(index::Dump),
    /// Commands about an index as a whole.
    #[command(subcommand)]
    Index(index::About),
    /// Print what a configuration file, --set and options come to, as TOML: every key, with its default where nobody set it.
    #[command(after_long_help = config::explained())]
    Config(config::command::Print),
    /// Print the completions of a shell.
    Completions(manual::Completions),
    /// Print a manual page, or write the pages of all commands to a folder.
    Man(manual::Man),
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.log);
    match run_command(&cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("deltaic: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run_command(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Run(run) => run.run(),
        Command::Rebuild(rebuild) => rebuild.run(),
        Command::Replay(replay) => replay.run(),
        #[cfg(feature = "kafka")]
        Command::Capture(capture) => capture.run(),
        Command::Search(search) => search.run(),
        Command::Get(get) => get.run(),
        Command::Dump(dump) => dump.run(),
        Command::Index(about) => about.run(),
        Command::Config(print) => print.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

fn wrong_usage(command: &str, problem: &dyn Display) -> ExitCode {
    eprintln!("deltaic: {problem}\n\nFor more information, try 'deltaic {command} --help'.");
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

/// Writes to standard output. A reader of a pipe that has seen enough is no failure of ours.
fn printed(data: &[u8]) -> Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_fit_together() {
        Cli::command().debug_assert();
    }
}

/// What the fuzz target `config` calls.
#[cfg(fuzzing)]
pub(crate) use config::fuzzing::file as fuzz_config;
