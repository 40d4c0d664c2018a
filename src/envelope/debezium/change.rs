//! The value of a change record: the envelope around a row, inside a `schema` wrapper or bare.

use super::columns::{Cells, CellsSeed};
use super::parse::field;
use crate::envelope::{BadReason, Codec, Op, Origin};
use crate::mutant::Mutant;
use crate::time::Lsn;
use dataflows::BadValue;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What of a change record's value is used; `after` is in the decoder's space.
#[derive(Default)]
pub(super) struct Payload<'a> {
    pub(super) op: Option<Cow<'a, str>>,
    pub(super) source: Option<Source<'a>>,
    pub(super) transaction: Option<Transaction<'a>>,
    pub(super) after: bool,
    pub(super) bad_value: Option<BadValue>,
}

impl Payload<'_> {
    /// `None` for what changes no row.
    pub(super) fn op(&self) -> Result<Option<Op>, BadReason> {
        let Some(op) = self.op.as_deref() else {
            return Err(if self.source.is_none() { BadReason::Flattened } else { BadReason::Missing("op") });
        };
        Ok(Some(match op {
            "c" => Op::Create,
            "u" => Op::Update,
            "d" => Op::Delete,
            "r" => Op::Read,
            "t" => Op::Truncate,
            "m" => return Ok(None),
            other => return Err(field("op", other, "expected c, u, d, r, t or m")),
        }))
    }

    /// Where the row belongs among transactions and snapshots.
    pub(super) fn origin(&self, op: Op) -> Result<Origin, BadReason> {
        let source = self.source.as_ref().ok_or(BadReason::Missing("source"))?;
        let sequence = match source.sequence.as_deref() {
            Some(text) => Some(previous(text)?),
            None => None,
        };
        self.origin_behind(op, sequence)
    }

    /// The row as one that stands for itself.
    pub(super) fn arrival(&self, op: Op) -> Result<Origin, BadReason> {
        let source = self.source.as_ref().ok_or(BadReason::Missing("source"))?;
        // Rows of an incremental snapshot have none.
        let lsn = if op == Op::Read && source.lsn.is_none() { Lsn(0) } else { source.lsn()? };
        Ok(Origin::Arrival { lsn })
    }

    /// The same as [`origin`](Self::origin) with what `source.sequence` says of the END before it, if it is there.
    pub(super) fn origin_behind(&self, op: Op, sequence: Option<Option<Lsn>>) -> Result<Origin, BadReason> {
        let source = self.source.as_ref().ok_or(BadReason::Missing("source"))?;
        let lsn = || source.lsn();
        if op != Op::Read {
            let block = self.transaction.as_ref().ok_or(BadReason::NoTransaction)?;
            let whole = Mutant::WholeTransactionId.lives().then(|| block.id.replace(':', ""));
            let txid = whole.as_deref().or_else(|| block.id.split(':').next()).unwrap_or_default();
            return Ok(Origin::Stream {
                txid: txid.parse().map_err(|_| field("transaction.id", &block.id, "expected TXID:LSN"))?,
                lsn: lsn()?,
                previous: sequence.ok_or(BadReason::Missing("source.sequence"))?.unwrap_or_default(),
                order: block.data_collection_order,
            });
        }
        let marker = match &source.snapshot {
            Some(Snapshot::Marker(marker)) => marker.as_ref(),
            Some(Snapshot::Flag(_)) | None => "true",
        };
        match (marker, sequence.flatten()) {
            ("incremental", previous) => Ok(Origin::Incremental { previous: previous.unwrap_or_default() }),
            (_, None) => Ok(Origin::Initial { lsn: lsn()?, last: marker == "last" }),
            (_, Some(previous)) => {
                Ok(Origin::Blocking { previous, ts_ms: source.ts_ms.ok_or(BadReason::Missing("source.ts_ms"))? })
            }
        }
    }
}

impl Source<'_> {
    fn lsn(&self) -> Result<Lsn, BadReason> {
        match self.lsn.map(Lsn) {
            Some(lsn) if lsn.fits() => Ok(lsn),
            Some(lsn) => Err(field("source.lsn", &lsn.to_string(), "expected a position below 2^55")),
            None => Err(BadReason::Missing("source.lsn")),
        }
    }
}

/// The first element of `["<END of the previous transaction>","<own LSN>"]`.
pub(super) fn previous(sequence: &str) -> Result<Option<Lsn>, BadReason> {
    let problem = "expected [previous, own] with text or null inside";
    let (previous, _own): (Option<Cow<'_, str>>, Option<Cow<'_, str>>) =
        sonic_rs::from_str(sequence).map_err(|_| field("source.sequence", sequence, problem))?;
    match previous {
        None => Ok(None),
        Some(text) => match text.parse().map(Lsn) {
            Ok(lsn) if lsn.fits() => Ok(Some(lsn)),
            _ => Err(field("source.sequence", sequence, problem)),
        },
    }
}

#[derive(Default, Deserialize)]
pub(super) struct Source<'a> {
    #[serde(default)]
    pub(super) lsn: Option<u64>,
    #[serde(borrow, default)]
    pub(super) sequence: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) snapshot: Option<Snapshot<'a>>,
    #[serde(default)]
    pub(super) ts_ms: Option<i64>,
}

/// The snapshot marker: text, or a boolean in old versions.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Snapshot<'a> {
    #[serde(borrow)]
    Marker(Cow<'a, str>),
    Flag(#[expect(dead_code, reason = "its presence tells it from a marker")] bool),
}

#[derive(Deserialize)]
pub(super) struct Transaction<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    pub(super) data_collection_order: u64,
}

/// Reads a change record's value, inside a wrapper or bare; `None` is a tombstone spelled as JSON.
pub(super) struct PayloadSeed<'c> {
    pub(super) codec: &'c Codec,
    pub(super) after: &'c mut Cells,
}

impl<'de> DeserializeSeed<'de> for PayloadSeed<'_> {
    type Value = Option<Payload<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PayloadSeed<'_> {
    type Value = Option<Payload<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change record or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut payload = Payload::default();
        let mut wrapped = None;
        let mut schema = false;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "op" => payload.op = map.next_value()?,
                "source" => payload.source = map.next_value()?,
                "transaction" => payload.transaction = map.next_value()?,
                "after" => {
                    let table = &self.codec.table;
                    let mut seed = CellsSeed::new(&table.columns, table.may_omit, self.after);
                    payload.after = map.next_value_seed(&mut seed)?;
                    payload.bad_value = seed.bad().filter(|_| payload.after);
                }
                "schema" => {
                    map.next_value::<IgnoredAny>()?;
                    schema = true;
                }
                "payload" => {
                    let seed = PayloadSeed { codec: self.codec, after: self.after };
                    wrapped = Some(map.next_value_seed(seed)?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match wrapped {
            Some(inner) if schema && payload.op.is_none() => Ok(inner),
            // The inner row stands where the outer one did: neither can be trusted.
            Some(_) if payload.op.is_some() => Err(A::Error::custom("a record both bare and in a wrapper")),
            _ => Ok(Some(payload)),
        }
    }
}
