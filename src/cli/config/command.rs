//! `deltaic config`: what a configuration comes to.

use super::print::Effective;
use super::{ConfigArgs, Flags, settings};
use crate::cli::{printed, wrong_usage};
use anyhow::Result;
use clap::Args;
use std::process::ExitCode;

/// What was typed.
#[derive(Args)]
pub(crate) struct Print {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    flags: Flags,
}

impl Print {
    /// Prints the effective configuration. One that cannot be used is wrong usage.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        match settings(&self.config, &self.flags) {
            Ok(settings) => printed(Effective(&settings).to_string().as_bytes()),
            Err(error) => Ok(wrong_usage("config", &error)),
        }
    }
}
