//! The command line: what was typed, made into what it means. Standard output carries data only.

mod config;
mod logging;
mod manual;
mod progress;
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
    /// Replay a log of Debezium records (`kcat -C -J` lines; plain, gzip or zstd) and print the documents as JSON lines.
    Replay(replay::Replay),
    /// Run a configuration: the log that it names, through its view, into its sink.
    Run(run::Run),
    /// Print what a configuration file and --set come to, as TOML: every key, with its default where nobody set it.
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
        Command::Replay(replay) => replay.run(),
        Command::Run(run) => run.run(),
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
