//! Where the documents of a run go: an embedded index, a search server, or JSON lines.

use super::config::SinkConfig;
use super::summary::Shown;
use super::{summary, supervise};
use anyhow::{Context, Result};
#[cfg(feature = "elasticsearch")]
use deltaic::ElasticsearchSink;
use deltaic::dataflows::ConversationSearch;
use deltaic::{ChangeLines, Engine, FinalLines, Index, Rebuild, Report, Successor, TantivySink};
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
            (report, Shown::in_index(&Index::open(&config.path)?.snapshot().stats()?))
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

/// Runs the engine into an index beside the one that is read, which it then replaces.
pub(super) fn rebuild(engine: Engine<ConversationSearch>, sink: &SinkConfig) -> Result<()> {
    let handle = engine.handle();
    supervise::stop_on_signal(handle.clone())?;
    let (report, shown) = match sink {
        SinkConfig::Tantivy(config) => {
            let mut sink = TantivySink::rebuild(&config.path, config.options)?;
            let report = supervise::watched(&handle, || engine.run(&mut sink))?;
            complete(&mut sink, &report)?;
            drop(sink);
            (report, Shown::in_index(&Index::open(&config.path)?.snapshot().stats()?))
        }
        #[cfg(feature = "elasticsearch")]
        SinkConfig::Elasticsearch(config) => {
            let mut sink = ElasticsearchSink::rebuild(config.read()?)?;
            let report = supervise::watched(&handle, || engine.run(&mut sink))?;
            complete(&mut sink, &report)?;
            let shown = Shown::on_server(&sink.filled().status(), &report);
            (report, shown)
        }
        SinkConfig::JsonLines { .. } => anyhow::bail!("JSON lines are no index"),
    };
    finish(&report, &shown)
}

/// Has the index take its place, unless it was filled in part.
fn complete(sink: &mut Rebuild<impl Successor>, report: &Report) -> Result<()> {
    anyhow::ensure!(
        !report.interrupted,
        "stopped by a signal before the end of the source: the index that is read stays; run it again"
    );
    Ok(sink.complete()?)
}

fn finish(report: &Report, shown: &Shown) -> Result<()> {
    let mut stderr = io::stderr().lock();
    summary::write(&mut stderr, report, shown).and_then(|()| stderr.flush()).context("cannot write the summary")
}
