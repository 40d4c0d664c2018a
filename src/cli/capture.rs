//! `deltaic capture`: topics in Kafka to a log that `deltaic replay` takes.

use super::config::{Config, ConfigArgs, ConfigError, Flags, Reads, RunPlan};
use super::{supervise, wrong_usage};
use anyhow::{Context, Result};
use clap::Args;
use deltaic::Capture;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What was typed.
#[derive(Args)]
pub(super) struct CaptureTopics {
    #[command(flatten)]
    config: ConfigArgs,

    /// The file of the log: zstd if its name ends with `.zst`, else plain; `-` for standard output.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// Go on when everything is copied that was there at first, until a signal comes.
    #[arg(long)]
    follow: bool,
}

/// zstd's own default.
const LEVEL: i32 = 3;

impl CaptureTopics {
    /// Copies the topics. A configuration that cannot be used, or that is of no Kafka, is wrong usage.
    pub(super) fn run(&self) -> Result<ExitCode> {
        let RunPlan { view, reads, options, .. } = match self.plan() {
            Ok(plan) => plan,
            Err(error) => return Ok(wrong_usage("capture", &error)),
        };
        let Reads::Kafka(plan) = reads else {
            return Ok(wrong_usage("capture", &"`source.kind` is not \"kafka\": a log needs no capturing"));
        };
        let capture = Capture::new(&view, plan.kafka, options.prefix.unwrap_or_default()).follow(self.follow);
        supervise::stop_on_signal(capture.handle())?;
        let cannot = || format!("cannot write {}", self.out.display());
        let captured = if self.out == Path::new("-") {
            capture.run(&mut BufWriter::new(io::stdout().lock()))?
        } else {
            let file = BufWriter::new(File::create(&self.out).with_context(cannot)?);
            if self.out.extension().is_some_and(|extension| extension == "zst") {
                let mut out = zstd::Encoder::new(file, LEVEL).with_context(cannot)?;
                let captured = capture.run(&mut out)?;
                out.finish().and_then(|mut file| file.flush()).with_context(cannot)?;
                captured
            } else {
                let mut file = file;
                capture.run(&mut file)?
            }
        };
        eprintln!("{} records, {} bytes of lines", captured.records, captured.bytes);
        Ok(ExitCode::SUCCESS)
    }

    fn plan(&self) -> Result<RunPlan, ConfigError> {
        Ok(Config::read(&self.config, &Flags::default())?.plan())
    }
}
