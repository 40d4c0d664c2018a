//! What is said at the end of a run.

use deltaic::dataflows::Value;
use deltaic::{Document, DocumentId, Report};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How many open transactions and inexact keys are named.
const NAMED: usize = 20;

/// How many documents a sink has at the end of a run.
pub(super) struct Shown {
    pub(super) documents: u64,
    /// By step, where the sink knows.
    pub(super) by_step: BTreeMap<String, u64>,
}

impl Shown {
    /// Counts these.
    pub(super) fn of(documents: &BTreeMap<DocumentId, Document>) -> Shown {
        let mut by_step: BTreeMap<String, u64> = BTreeMap::new();
        for document in documents.values() {
            if let Some(Value::Text(step)) = document.get("step") {
                *by_step.entry(step.to_string()).or_default() += 1;
            }
        }
        Shown { documents: documents.len() as u64, by_step }
    }
}

/// Writes the summary of a run that left `shown` behind.
pub(super) fn write(out: &mut impl Write, report: &Report, shown: &Shown) -> io::Result<()> {
    writeln!(out, "documents     {}", shown.documents)?;
    for (step, count) in &shown.by_step {
        writeln!(out, "  {step:<22} {count}")?;
    }
    match report.exact_at {
        Some(lsn) if report.partial_base => {
            writeln!(out, "as of LSN     {lsn}; rows from before the log are missing (--allow-partial-base)")?
        }
        Some(lsn) => writeln!(out, "exact at LSN  {lsn}")?,
        None => writeln!(out, "exact at LSN  none: nothing was shown")?,
    }
    writeln!(
        out,
        "transactions  {} ({} closed by counts, {} by progress)",
        report.transactions(),
        report.closed_by_counts,
        report.closed_by_progress
    )?;
    writeln!(
        out,
        "records       {} ({} re-deliveries, {} late rows, {} bad)",
        report.records, report.redelivered, report.late, report.bad
    )?;
    open(out, report)?;
    inexact(out, report)?;
    if report.late > 0 {
        writeln!(out, "torn          {} rows came after their transaction had closed without them", report.late)?;
    }
    if report.unapplied > 0 {
        writeln!(
            out,
            "unapplied     {} rows of incremental snapshots, delivered behind a restart that their partition did not get past",
            report.unapplied
        )?;
    }
    if report.cut {
        writeln!(out, "cut           the log stops inside a line or a compressed frame; what is whole was used")?;
    }
    if report.interrupted {
        writeln!(out, "stopped       by a signal, before the end of the log")?;
    }
    writeln!(out, "seconds       {:.2}", report.elapsed.as_secs_f64())
}

fn open(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(out, "open          {} transactions", report.open.len())?;
    for transaction in report.open.iter().take(NAMED) {
        writeln!(out, "  {} (END {}) misses: {}", transaction.txid, transaction.end, transaction.missing.join("; "))?;
    }
    more(out, report.open.len())?;
    if report.unended.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = report.unended.iter().take(NAMED).map(u64::to_string).collect();
    writeln!(out, "no END        {} transactions of which rows were read: {}", report.unended.len(), ids.join(", "))?;
    more(out, report.unended.len())
}

fn inexact(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.inexact.is_empty() {
        return Ok(());
    }
    let count = report.inexact.len() + report.inexact_more as usize;
    writeln!(out, "inexact       {count} keys")?;
    for inexact in report.inexact.iter().take(NAMED) {
        let table = inexact.table.as_deref().unwrap_or("unknown table");
        let key = inexact.key.as_deref().unwrap_or("unknown key");
        writeln!(out, "  {table} {key}, after LSN {}: {}", inexact.after, inexact.cause)?;
    }
    more(out, count)
}

fn more(out: &mut impl Write, count: usize) -> io::Result<()> {
    if count > NAMED { writeln!(out, "  and {} more", count - NAMED) } else { Ok(()) }
}
