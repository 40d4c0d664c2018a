//! Where the documents of a run go: an embedded index, a search server, or JSON lines.

use super::config::SinkConfig;
use super::summary::{Shown, Standing};
use super::{summary, supervise};
use anyhow::{Context, Result};
#[cfg(feature = "elasticsearch")]
use deltaic::ElasticsearchSink;
use deltaic::dataflows::ConversationSearch;
use deltaic::{ChangeLines, Engine, FinalLines, Index, Report, TantivySink};
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Runs the engine into the sink, with progress and summary on standard error.
pub(super) fn run(engine: Engine<ConversationSearch>, sink: &SinkConfig) -> Result<()> {
    let handle = engine.handle();
    supervise::stop_on_signal(handle.clone())?;
    let (report, shown) = match sink {
        SinkConfig::Tantivy(config) => {
            let mut sink = TantivySink::open(&config.path, config.options)?;
            let report = supervise::watched(&handle, || engine.run(&mut sink))?;
            // The lock goes with the sink; a reader needs none.
            drop(sink);
            let stats = Index::open(&config.path)?.snapshot().stats()?;
            let standing = Standing::of(stats.partial_from.is_some(), stats.unaligned);
            let (documents, steps) = (stats.documents, stats.steps);
            (report, Shown { lsn: stats.lsn, standing, documents, steps, notes: Vec::new() })
        }
        #[cfg(feature = "elasticsearch")]
        SinkConfig::Elasticsearch(config) => {
            let mut sink = ElasticsearchSink::new(config.read()?)?;
            let report = supervise::watched(&handle, || engine.run(&mut sink))?;
            let shown = Shown::on_server(&sink.status(), &report);
            (report, shown)
        }
        SinkConfig::JsonLines { path, changes } => {
            let out: Box<dyn Write + Send> = match path {
                None => Box::new(io::stdout()),
                Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
            };
            let out = BufWriter::with_capacity(1 << 16, out);
            if *changes {
                let mut sink = ChangeLines::new(out);
                let report = supervise::watched(&handle, || engine.run(&mut sink))?;
                let shown = Shown::of(sink.documents(), &report);
                (report, shown)
            } else {
                let mut sink = FinalLines::new(out);
                let report = supervise::watched(&handle, || engine.run(&mut sink))?;
                let shown = Shown::of(sink.documents(), &report);
                (report, shown)
            }
        }
    };
    finish(&report, &shown)
}

fn finish(report: &Report, shown: &Shown) -> Result<()> {
    let mut stderr = io::stderr().lock();
    summary::write(&mut stderr, report, shown).and_then(|()| stderr.flush()).context("cannot write the summary")
}
