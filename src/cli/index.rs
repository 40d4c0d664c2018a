//! `deltaic search`, `get`, `dump` and `index show`: what stands in an index, at the LSN of its last commit. They may run
//! while the index is written.

use super::printed;
use super::summary::{Standing, as_of};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use deltaic::{Index, Snapshot, Stored};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The folder of an index.
#[derive(Args)]
struct Dir {
    /// The index's folder.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Dir {
    fn snapshot(&self) -> Result<Arc<Snapshot>> {
        Ok(Index::open(&self.dir)?.snapshot())
    }
}

/// The documents that a query finds.
#[derive(Args)]
pub(super) struct Search {
    #[command(flatten)]
    dir: Dir,

    /// The query, in tantivy's language: words, all of which must be there, `field:word`, `"a phrase"`, `OR`, `-word`, or `*`
    /// for every document.
    #[arg(allow_hyphen_values = true)]
    query: String,

    /// At most so many documents, the best first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
}

impl Search {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let snapshot = self.dir.snapshot()?;
        let found = snapshot.search(&self.query, self.limit)?;
        lines(found.hits.map(|hit| Ok(hit?.document)))?;
        eprintln!("{} of {} documents, {}", found.total, snapshot.documents(), lsn(&snapshot));
        Ok(ExitCode::SUCCESS)
    }
}

/// One document.
#[derive(Args)]
pub(super) struct Get {
    #[command(flatten)]
    dir: Dir,

    /// The document's id.
    #[arg(allow_hyphen_values = true)]
    id: String,
}

impl Get {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let snapshot = self.dir.snapshot()?;
        match snapshot.get(&self.id)? {
            Some(document) => {
                printed(format!("{}\n", document.json).as_bytes())?;
                eprintln!("{}", lsn(&snapshot));
                Ok(ExitCode::SUCCESS)
            }
            None => bail!("there is no document {} in {}, {}", self.id, self.dir.dir.display(), lsn(&snapshot)),
        }
    }
}

/// All documents.
#[derive(Args)]
pub(super) struct Dump {
    #[command(flatten)]
    dir: Dir,
}

impl Dump {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let snapshot = self.dir.snapshot()?;
        lines(snapshot.dump()?.map(|document| Ok(document?)))?;
        eprintln!("{} documents, {}", snapshot.documents(), lsn(&snapshot));
        Ok(ExitCode::SUCCESS)
    }
}

/// Commands about an index as a whole.
#[derive(Subcommand)]
pub(super) enum About {
    /// Print what an index is and has: view, options, LSN, documents by step, segments, bytes.
    Show(Show),
}

impl About {
    pub(super) fn run(&self) -> Result<ExitCode> {
        match self {
            About::Show(show) => show.run(),
        }
    }
}

/// An index to describe.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    dir: Dir,
}

impl Show {
    fn run(&self) -> Result<ExitCode> {
        let stats = self.dir.snapshot()?.stats()?;
        let mut text = format!("view          {}\n", stats.view);
        for (option, value) in &stats.options {
            let value = if value.is_empty() { "none" } else { value };
            text += &format!("  {option:<22} {value}\n");
        }
        let standing = Standing::of(stats.partial_from.is_some(), stats.unaligned);
        text += &format!("source        {}\n{}\n", stats.prefix, as_of(stats.lsn, standing));
        text += &format!("documents     {}\n", stats.documents);
        for (step, count) in &stats.steps {
            text += &format!("  {step:<22} {count}\n");
        }
        text += &format!("records       {}\ncommits       {}\n", stats.records, stats.commits);
        text += &format!("segments      {} ({} deleted documents in them)\n", stats.segments, stats.deleted);
        text += &format!("bytes         {}\n", stats.bytes);
        printed(text.as_bytes())
    }
}

/// Writes documents to standard output, a line each. A reader of a pipe that has seen enough is no failure of ours.
fn lines(documents: impl Iterator<Item = Result<Stored>>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    for document in documents {
        let document = document?;
        match writeln!(out, "{}", document.json) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

fn lsn(snapshot: &Snapshot) -> String {
    match snapshot.lsn() {
        Some(lsn) if !snapshot.is_aligned() => format!("unaligned, at LSN {lsn}"),
        Some(lsn) if snapshot.partial_from().is_some() => {
            format!("as of LSN {lsn}; rows from before the log are missing")
        }
        Some(lsn) => format!("exact at LSN {lsn}"),
        None => "before the first state".to_owned(),
    }
}
