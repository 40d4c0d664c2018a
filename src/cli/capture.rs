//! `deltaic capture`: topics in Kafka to a log that `deltaic replay` takes.

use super::config::{Config, ConfigArgs, ConfigError, Flags, Reads, RunPlan};
use super::{supervise, wrong_usage};
use anyhow::{Context, Result, ensure};
use clap::Args;
use deltaic::{Capture, Captured};
use std::fs::{self, File};
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
        let Reads::Kafka(kafka) = reads else {
            return Ok(wrong_usage("capture", &"`source.kind` is not \"kafka\": a log needs no capturing"));
        };
        let capture = Capture::new(&view, kafka, options.prefix.unwrap_or_default()).follow(self.follow);
        supervise::stop_on_signal(capture.handle())?;
        let captured = if self.out == Path::new("-") {
            let captured = capture.run(&mut BufWriter::new(io::stdout().lock()))?;
            self.is_whole(&captured, "standard output")?;
            captured
        } else {
            self.write_file(capture)?
        };
        eprintln!("{} records, {} bytes of lines", captured.records, captured.bytes);
        Ok(ExitCode::SUCCESS)
    }

    /// The log gets its name when it is whole; what is there under that name is replaced only then. Where the copy fails, what
    /// there is of it is left beside, as a log that can be read.
    fn write_file(&self, capture: Capture) -> Result<Captured> {
        let cannot = |path: &Path| format!("cannot write {}", path.display());
        let mut part = self.out.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut file = BufWriter::new(File::create(&part).with_context(|| cannot(&part))?);
        let captured = if self.out.extension().is_some_and(|extension| extension == "zst") {
            let mut out = zstd::Encoder::new(file, LEVEL).with_context(|| cannot(&part))?;
            let captured = capture.run(&mut out);
            file = out.finish().with_context(|| cannot(&part))?;
            captured
        } else {
            capture.run(&mut file)
        };
        file.flush().with_context(|| cannot(&part))?;
        let captured = captured.with_context(|| format!("what was copied before is in {}", part.display()))?;
        self.is_whole(&captured, &part.display().to_string())?;
        file.get_ref().sync_all().and_then(|()| fs::rename(&part, &self.out)).with_context(|| cannot(&self.out))?;
        Ok(captured)
    }

    /// Whether it has copied what it was to copy into `out`.
    fn is_whole(&self, captured: &Captured, out: &str) -> Result<()> {
        let records = captured.records;
        ensure!(captured.whole || self.follow, "stopped before everything was copied: {records} records are in {out}");
        Ok(())
    }

    fn plan(&self) -> Result<RunPlan, ConfigError> {
        Ok(Config::read(&self.config, &Flags::default())?.plan())
    }
}
