//! A record of the transaction topic: BEGIN or END.

use super::parse::{field, parse};
use crate::envelope::{BadReason, End, Envelope};
use crate::source::SourceRecord;
use crate::source::catalog::Catalog;
use crate::time::Lsn;
use serde::Deserialize;
use std::borrow::Cow;

/// Reads a record of the transaction topic; only tables of `catalog` are counted.
pub(super) fn transaction(record: &SourceRecord<'_>, catalog: &Catalog) -> Result<Envelope, BadReason> {
    let Some(value) = record.value.as_deref() else {
        return Ok(Envelope::Tombstone);
    };
    let Some(block): Option<TransactionRecord<'_>> = parse("value", value)? else {
        return Ok(Envelope::Tombstone);
    };
    let block = match block.payload {
        Some(payload) => *payload,
        None => block,
    };
    let collections = block.data_collections.as_deref().unwrap_or_default();
    let counts = collections.iter().map(|counted| (counted.data_collection.as_str(), counted.event_count));
    begin_or_end(block.status.as_deref(), block.id.as_deref(), block.ts_ms, counts, catalog)
}

/// What a record of the transaction topic is, by its fields.
pub(super) fn begin_or_end<'a>(
    status: Option<&str>,
    id: Option<&str>,
    commit_ms: Option<i64>,
    collections: impl Iterator<Item = (&'a str, u64)>,
    catalog: &Catalog,
) -> Result<Envelope, BadReason> {
    match status {
        Some("BEGIN") => return Ok(Envelope::Begin),
        Some("END") => {}
        Some(other) => return Err(field("status", other, "expected BEGIN or END")),
        None => return Err(BadReason::Missing("status")),
    }
    let id = id.ok_or(BadReason::Missing("id"))?;
    let problem = "expected TXID:LSN, as Debezium 2.0 and later write it";
    let (txid, lsn) = id.split_once(':').ok_or_else(|| field("id", id, problem))?;
    let txid = txid.parse().map_err(|_| field("id", id, problem))?;
    let lsn = lsn.parse().map(Lsn).ok().filter(|lsn| lsn.fits()).ok_or_else(|| field("id", id, problem))?;
    let counts = collections.filter_map(|(name, count)| Some((catalog.table(name)?, count))).collect();
    Ok(Envelope::End(End { txid, lsn, counts, commit_ms: commit_ms.unwrap_or_default() }))
}

#[derive(Deserialize)]
struct TransactionRecord<'a> {
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    data_collections: Option<Vec<CollectionCount>>,
    #[serde(default)]
    ts_ms: Option<i64>,
    #[serde(borrow, default)]
    payload: Option<Box<TransactionRecord<'a>>>,
}

#[derive(Deserialize)]
struct CollectionCount {
    data_collection: String,
    event_count: u64,
}
