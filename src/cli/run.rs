//! `deltaic run`: what was typed, the run that it asks for, and the sink that it runs into.

use super::config::{self, Config, ConfigArgs, ConfigError, Flags, Reads, RunPlan};
use super::{output, wrong_usage};
use anyhow::Result;
use clap::Args;
use deltaic::Engine;
use std::process::ExitCode;

/// What was typed.
#[derive(Args)]
#[command(after_long_help = config::explained())]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    flags: Flags,
}

impl Run {
    /// Runs the configuration. One that cannot be used is wrong usage.
    pub(super) fn run(&self) -> Result<ExitCode> {
        let RunPlan { view, reads, options, sink } = match self.plan() {
            Ok(plan) => plan,
            Err(error) => return Ok(wrong_usage("run", &error)),
        };
        let engine = match reads {
            Reads::Log(log) => Engine::replay(view, log),
            #[cfg(feature = "kafka")]
            Reads::Kafka(kafka) => Engine::kafka(view, kafka),
        };
        output::run(engine.options(options), &sink)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Reads the configuration and says what to run.
    fn plan(&self) -> Result<RunPlan, ConfigError> {
        Ok(Config::read(&self.config, &self.flags)?.plan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};
    use deltaic::{Log, LogInput, Lsn};

    fn run(args: &[&str]) -> Result<Run, clap::Error> {
        let command = Run::augment_args(Command::new("run"));
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/podium.toml");
        Run::from_arg_matches(&command.try_get_matches_from([&["run", example], args].concat())?)
    }

    fn plan(args: &[&str]) -> RunPlan {
        run(args).unwrap().plan().unwrap()
    }

    fn log_of(plan: &RunPlan) -> &Log {
        match &plan.reads {
            Reads::Log(log) => log,
            #[cfg(feature = "kafka")]
            Reads::Kafka(kafka) => panic!("{kafka:?}"),
        }
    }

    #[test]
    fn the_example_is_a_run() {
        let plan = plan(&[]);
        let log = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/podium/log.jsonl.zst");
        assert_eq!(log_of(&plan).inputs, [LogInput::File(log.into())]);
        assert!(!log_of(&plan).follow);
    }

    #[test]
    fn options_and_set_go_over_the_file() {
        let partitions =
            ["users", "conversations", "conversation_items"].map(|table| format!("tables.{table}.partitions=3"));
        let partitions: Vec<&str> = partitions.iter().flat_map(|set| ["--set", set]).collect();
        let over = ["--follow", "--workers", "3", "--until=9", "--set", "engine.workers=2"];
        let over = plan(&[&over[..], &partitions].concat());
        assert_eq!((over.options.workers, over.options.until, log_of(&over).follow), (3, Some(Lsn(9)), true));
        let over = plan(&["--follow=false", "--set", "source.follow=true", "--set", "source.prefix=a"]);
        assert_eq!((over.options.prefix.as_deref(), log_of(&over).follow), (Some("a"), false));
        let over = plan(&["--prefix", "2024", "--snapshot-complete", "--allow-partial-base"]);
        assert_eq!(over.options.prefix.as_deref(), Some("2024"));
        assert!(over.options.snapshot_complete && over.options.allow_partial_base);
    }

    #[test]
    fn what_an_option_may_not_be_is_told_as_of_every_key() {
        let error = run(&["--workers", "0"]).unwrap().plan().unwrap_err().to_string();
        assert_eq!(error, "`engine.workers` in --workers is `0`; expected a whole number from 1 to 256");
        assert!(run(&["--no-such-flag"]).is_err());
    }
}
