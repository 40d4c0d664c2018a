//! `deltaic rebuild`: another index is filled beside the one that is read, and takes its place.

use super::config::{self, Config, ConfigArgs, ConfigError, Flags, Reads, RunPlan, SinkConfig};
use super::{output, wrong_usage};
use anyhow::Result;
use clap::Args;
use deltaic::{Engine, Log};
use std::process::ExitCode;

/// What was typed.
#[derive(Args)]
#[command(after_long_help = config::explained())]
pub(super) struct Rebuild {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    flags: Flags,
}

impl Rebuild {
    /// Fills another index from all that the source holds now. A configuration that cannot be used is wrong usage.
    pub(super) fn run(&self) -> Result<ExitCode> {
        let RunPlan { view, reads, options, sink } = match self.plan() {
            Ok(plan) => plan,
            Err(error) => return Ok(wrong_usage("rebuild", &error)),
        };
        if let SinkConfig::JsonLines { .. } = sink {
            return Ok(wrong_usage("rebuild", &"JSON lines are no index: `deltaic run` writes them anew"));
        }
        let engine = match reads {
            Reads::Log(log) => Engine::replay(view, Log { follow: false, ..log }),
            #[cfg(feature = "kafka")]
            Reads::Kafka(kafka) => Engine::kafka(view, deltaic::Kafka { to_the_end: true, ..kafka }),
        };
        output::rebuild(engine.options(options), &sink)?;
        Ok(ExitCode::SUCCESS)
    }

    fn plan(&self) -> Result<RunPlan, ConfigError> {
        Ok(Config::read(&self.config, &self.flags)?.plan())
    }
}
