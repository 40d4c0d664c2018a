//! What is said at the end of a run.

use deltaic::dataflows::Value;
use deltaic::{Document, DocumentId, IndexStats, Lsn, Report};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// How many open transactions and inexact keys are named.
const NAMED: usize = 20;

/// What documents are of.
#[derive(Clone, Copy)]
pub(super) enum Standing {
    /// Of one commit.
    Exact,
    /// Of one commit, without the rows from before the log, by permission.
    Partial,
    /// Of whatever rows there were: each was shown by itself.
    Unaligned,
    /// Each of some commit from the one on to this one.
    #[cfg_attr(not(feature = "elasticsearch"), expect(dead_code, reason = "only a server has such"))]
    Between(Lsn),
}

impl Standing {
    pub(super) fn of(partial: bool, unaligned: bool) -> Standing {
        match (partial, unaligned) {
            (_, true) => Standing::Unaligned,
            (true, false) => Standing::Partial,
            (false, false) => Standing::Exact,
        }
    }
}

/// What stands when a run ends.
pub(super) struct Shown {
    /// The documents are those of this LSN.
    pub(super) lsn: Option<Lsn>,
    pub(super) standing: Standing,
    pub(super) documents: u64,
    /// How many are at each step.
    pub(super) steps: BTreeMap<String, u64>,
    /// What else there is to say of where they are.
    pub(super) notes: Vec<String>,
}

impl Shown {
    /// The documents that a run has shown.
    pub(super) fn of(documents: &BTreeMap<DocumentId, Document>, report: &Report) -> Shown {
        let mut steps: BTreeMap<String, u64> = BTreeMap::new();
        for document in documents.values() {
            if let Some(Value::Text(step)) = document.get("step") {
                *steps.entry(step.to_string()).or_default() += 1;
            }
        }
        let standing = Standing::of(report.partial_base, report.unaligned_at.is_some());
        let lsn = report.exact_at.or(report.unaligned_at);
        Shown { lsn, standing, documents: documents.len() as u64, steps, notes: Vec::new() }
    }

    /// The documents in an embedded index.
    pub(super) fn in_index(stats: &IndexStats) -> Shown {
        let standing = Standing::of(stats.partial_from.is_some(), stats.unaligned);
        let (documents, steps) = (stats.documents, stats.steps.clone());
        Shown { lsn: stats.lsn, standing, documents, steps, notes: Vec::new() }
    }

    /// The documents on a search server.
    #[cfg(feature = "elasticsearch")]
    pub(super) fn on_server(status: &deltaic::ElasticsearchStatus, report: &Report) -> Shown {
        let standing = match status.attempted {
            Some(attempted) if status.lsn < Some(attempted) => Standing::Between(attempted),
            _ => Standing::of(report.partial_base, false),
        };
        let mut notes = vec![format!("index         {}", status.index)];
        if status.bulks > 0 {
            notes.push(format!(
                "sent          {} documents in {} bulks ({} again, {} of which the index had a newer state)",
                status.operations + status.newer,
                status.bulks,
                status.again,
                status.newer
            ));
        }
        if status.bad > 0 {
            notes.push(format!("refused       {} documents, of this and earlier runs: they are in the dead letters, and the index has older states of them", status.bad));
        }
        Shown { lsn: status.lsn, standing, documents: status.documents, steps: BTreeMap::new(), notes }
    }
}

/// Writes the summary of a run.
pub(super) fn write(out: &mut impl Write, report: &Report, shown: &Shown) -> io::Result<()> {
    writeln!(out, "documents     {}", shown.documents)?;
    for (step, count) in &shown.steps {
        writeln!(out, "  {step:<22} {count}")?;
    }
    resumed(out, report)?;
    writeln!(out, "{}", as_of(shown.lsn, shown.standing))?;
    shown.notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
    if report.unaligned_at.is_none() {
        transactions(out, report)?;
    }
    writeln!(
        out,
        "records       {} ({} re-deliveries, {} late rows, {} bad)",
        report.records, report.redelivered, report.late, report.bad
    )?;
    if report.unaligned_at.is_none() {
        open(out, report)?;
    }
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
    if report.spilled_bytes > 0 {
        writeln!(out, "spilled       {} bytes of rows waited on disk", report.spilled_bytes)?;
    }
    if report.cut {
        writeln!(out, "cut           the log stops inside a line or a compressed frame; what is whole was used")?;
    }
    if report.interrupted {
        writeln!(out, "stopped       by a signal")?;
    }
    writeln!(out, "seconds       {:.2}", report.elapsed.as_secs_f64())
}

/// How many transactions closed, and by what.
fn transactions(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let settled = match report.settled {
        0 => String::new(),
        settled => format!(", {settled} settled, which is no proof"),
    };
    writeln!(
        out,
        "transactions  {} ({} closed by counts, {} by progress{settled})",
        report.transactions(),
        report.closed_by_counts,
        report.closed_by_progress,
    )
}

/// Up to where documents go.
pub(super) fn as_of(lsn: Option<Lsn>, standing: Standing) -> String {
    match (lsn, standing) {
        (Some(lsn), Standing::Partial) => {
            format!("as of LSN     {lsn}; rows from before the log are missing (allow_partial_base)")
        }
        (Some(lsn), Standing::Unaligned) => {
            format!("unaligned     at LSN {lsn}: each row was shown by itself (alignment = \"none\")")
        }
        (Some(lsn), Standing::Exact) => format!("exact at LSN  {lsn}"),
        (lsn, Standing::Between(attempted)) => {
            let from = lsn.map_or("none".to_owned(), |lsn| lsn.to_string());
            format!(
                "between LSN   {from} and {attempted}: each document is of a state from the one to the other; run on to be exact"
            )
        }
        (None, _) => "exact at LSN  none: nothing was shown".to_owned(),
    }
}

/// What an index held before the run.
fn resumed(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let Some(held) = report.resumed_at else { return Ok(()) };
    match report.exact_at {
        at if report.nothing_new && at < Some(held) => {
            let why = if report.interrupted { "the run was stopped before it" } else { "the log ends before it" };
            writeln!(out, "nothing new   the index is at LSN {held}, {why}; it was not changed")
        }
        _ if report.nothing_new => writeln!(out, "nothing new   the index was at LSN {held}; it was not changed"),
        _ => writeln!(out, "continued     from LSN {held}: {} changes of documents", report.touched),
    }
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
