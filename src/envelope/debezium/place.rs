//! Where a record of any table, consumed or not, stands in its connector's stream.

use super::change::previous;
use crate::source::SourceRecord;
use crate::time::Lsn;
use serde::Deserialize;
use std::borrow::Cow;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the initial snapshot.
    Snapshot,
    /// Behind this END; zero where there was none.
    After(Lsn),
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow, default)]
    payload: Option<Box<Value<'a>>>,
    #[serde(borrow, default)]
    op: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Source<'a>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    /// Text, or a boolean in old versions.
    #[serde(default)]
    snapshot: serde_json::Value,
    #[serde(borrow, default)]
    sequence: Option<Cow<'a, str>>,
}

impl Place {
    /// `None` for a record that does not tell.
    pub(crate) fn of(record: &SourceRecord<'_>) -> Option<Place> {
        let value: Value<'_> = serde_json::from_slice(record.value.as_deref()?).ok()?;
        let value = match value.payload {
            Some(payload) => *payload,
            None => value,
        };
        let source = value.source?;
        let named = previous(source.sequence.as_deref()?).ok()?;
        match (value.op.as_deref()?, named) {
            ("r", None) if source.snapshot != "incremental" => Some(Place::Snapshot),
            (_, named) => Some(Place::After(named.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(value: &str) -> Option<Place> {
        Place::of(&SourceRecord { value: Some(value.as_bytes().into()), ..SourceRecord::default() })
    }

    #[test]
    fn a_record_of_any_table_tells_where_it_stands() {
        let row = |op: &str, previous: &str| {
            format!(r#"{{"op":"{op}","after":{{"id":1}},"source":{{"sequence":"[{previous},\"9\"]"}}}}"#)
        };
        let wrapped = format!(r#"{{"schema":{{}},"payload":{}}}"#, row("u", r#"\"7\""#));
        for (value, expected) in [
            (row("c", r#"\"7\""#), Some(Place::After(Lsn(7)))),
            (wrapped, Some(Place::After(Lsn(7)))),
            (row("c", "null"), Some(Place::After(Lsn(0)))),
            (row("r", "null"), Some(Place::Snapshot)),
            // A snapshot in mid-stream.
            (row("r", r#"\"7\""#), Some(Place::After(Lsn(7)))),
            (r#"{"ts_ms":1}"#.to_owned(), None),
            ("{".to_owned(), None),
        ] {
            assert_eq!(place(&value), expected, "{value}");
        }
    }
}
