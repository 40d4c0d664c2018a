//! The schema wrapper of Connect's JSON converter, and the spellings of a tombstone.
//!
//! The schemas name every column with its type, but leave out the long tail of `source`'s fields: no reader that goes by
//! `payload` should care.

use crate::workload::{Column, ColumnType, Table};

/// Schema and payload of a record key.
pub(super) fn wrap_key(table: Table, payload: &str) -> String {
    let fields = table.columns().iter().take(1).map(field).collect::<Vec<_>>().join(",");
    wrap(
        &format!("{{\"type\":\"struct\",\"fields\":[{fields}],\"optional\":false,\"name\":\"{}.Key\"}}", table.topic()),
        payload,
    )
}

/// Schema and payload of a change record.
pub(super) fn wrap_value(table: Table, payload: &str) -> String {
    wrap(&value_schema(table), payload)
}

fn value_schema(table: Table) -> String {
    let fields = table.columns().iter().map(field).collect::<Vec<_>>().join(",");
    let row = |name: &str| {
        let topic = table.topic();
        format!(
            "{{\"type\":\"struct\",\"fields\":[{fields}],\"optional\":true,\"name\":\"{topic}.Value\",\"field\":\"{name}\"}}"
        )
    };
    let source = "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"version\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"lsn\"}],\"optional\":false,\"name\":\"io.debezium.connector.postgresql.Source\",\"version\":1,\"field\":\"source\"}";
    let op = "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}";
    let (before, after, topic) = (row("before"), row("after"), table.topic());
    format!(
        "{{\"type\":\"struct\",\"fields\":[{before},{after},{source},{op}],\"optional\":false,\"name\":\"{topic}.Envelope\",\"version\":2}}"
    )
}

/// Schema and payload of a key or value of the transaction topic or the heartbeat topic.
pub(super) fn wrap_plain(name: &str, payload: &str) -> String {
    let fields = "[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"}]";
    wrap(
        &format!("{{\"type\":\"struct\",\"fields\":{fields},\"optional\":false,\"name\":\"{name}\",\"version\":1}}"),
        payload,
    )
}

fn wrap(schema: &str, payload: &str) -> String {
    format!("{{\"schema\":{schema},\"payload\":{payload}}}")
}

fn field(column: &Column) -> String {
    let (kind, name) = match column.kind {
        ColumnType::Uuid => ("string", "\"name\":\"io.debezium.data.Uuid\",\"version\":1,"),
        ColumnType::Text => ("string", ""),
        ColumnType::Zoned => ("string", "\"name\":\"io.debezium.time.ZonedTimestamp\",\"version\":1,"),
        ColumnType::Local => ("int64", "\"name\":\"io.debezium.time.MicroTimestamp\",\"version\":1,"),
    };
    format!("{{\"type\":\"{kind}\",\"optional\":{},{name}\"field\":\"{}\"}}", column.nullable, column.name)
}

/// A tombstone's value: Kafka's null, the text `null`, or a wrapped null.
pub(super) fn tombstone(table: Table, spelling: u8) -> Option<String> {
    match spelling {
        0 => None,
        1 => Some("null".to_owned()),
        2 => Some("{\"schema\":null,\"payload\":null}".to_owned()),
        _ => Some(wrap_value(table, "null")),
    }
}
