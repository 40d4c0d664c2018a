//! A view that mirrors tables: a document for each row of the three tables, with every column. It shows that the engine
//! knows no view, and lets tests compare whole tables.

use deltaic::View;
use deltaic::dataflows::{
    BadValue, Collections, Column, Document, DocumentId, Field, Kind, Row, Schema, Table, Time, ToDocument, Uuid,
    Value, differential_dataflow::VecCollection,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `public.users`, `public.conversations` and `public.conversation_items`.
#[derive(Clone)]
pub struct Mirror;

/// A row, whatever its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AnyRow(Vec<Value>);

/// A row with its table and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MirrorDocument {
    table: u8,
    key: Uuid,
    columns: Vec<Value>,
}

pub const TABLES: [&str; 3] = ["users", "conversations", "conversation_items"];

impl Row for AnyRow {
    type Key = Uuid;

    fn read_key(values: &mut [Value]) -> Result<Uuid, BadValue> {
        values[0].take_uuid("uid")
    }

    fn read(values: &mut [Value]) -> Result<AnyRow, BadValue> {
        Ok(AnyRow(values.iter_mut().map(std::mem::take).collect()))
    }

    fn is_whole(&self) -> bool {
        !self.0.contains(&Value::Unknown)
    }

    fn fill(&mut self, stored: &AnyRow) {
        for (value, stored) in self.0.iter_mut().zip(&stored.0) {
            if *value == Value::Unknown {
                value.clone_from(stored);
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.0.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum()
    }
}

impl ToDocument for MirrorDocument {
    type Id = (u8, Uuid);

    fn id(&self) -> (u8, Uuid) {
        (self.table, self.key)
    }

    fn document_id((table, key): &(u8, Uuid)) -> DocumentId {
        DocumentId(format!("{}/{key}", TABLES[usize::from(*table)]).into())
    }

    fn document(&self, schema: &Arc<Schema>) -> Document {
        let table = Value::Text(TABLES[usize::from(self.table)].into());
        let mut values = vec![table, Value::Uuid(self.key)];
        // Each table's columns stand in the place the schema has for them.
        let before: usize = (0..self.table).map(|table| columns(table).len()).sum();
        values.extend(std::iter::repeat_n(Value::Unknown, before));
        values.extend(self.columns.iter().cloned());
        values.resize(schema.fields.len(), Value::Unknown);
        Document { schema: Arc::clone(schema), values: values.into() }
    }
}

fn columns(table: u8) -> Vec<Column> {
    let created_at = Column::required("created_at", Kind::Timestamp);
    match table {
        0 => vec![Column::required("name", Kind::Text), Column::nullable("bio", Kind::Any), created_at],
        1 => vec![
            Column::required("user_uid", Kind::Uuid),
            Column::nullable("subject", Kind::Any),
            Column::nullable("closed_at", Kind::Any),
            created_at,
        ],
        _ => vec![
            Column::required("conversation_uid", Kind::Uuid),
            Column::required("type", Kind::Text),
            Column::nullable("body", Kind::Any),
            created_at,
        ],
    }
}

impl View for Mirror {
    type Tables = (AnyRow, AnyRow, AnyRow);
    type Output = MirrorDocument;

    fn name(&self) -> &str {
        "mirror"
    }

    fn tables(&self) -> Vec<Table> {
        (0..3)
            .map(|table| Table {
                name: format!("public.{}", TABLES[usize::from(table)]),
                key: vec![Column::required("uid", Kind::Uuid)],
                columns: columns(table),
                may_omit: true,
            })
            .collect()
    }

    fn schema(&self) -> Schema {
        let mut fields =
            vec![Field { name: "table".into(), kind: Kind::Text }, Field { name: "uid".into(), kind: Kind::Uuid }];
        for table in 0..3 {
            let own = columns(table).into_iter();
            fields
                .extend(own.map(|column| Field { name: format!("{table}.{}", column.name).into(), kind: column.kind }));
        }
        Schema { fields }
    }

    fn build<'scope>(&self, tables: Collections<'scope, Self>) -> VecCollection<'scope, Time, MirrorDocument> {
        let (users, conversations, items) = tables;
        let document = |table| move |(key, row): (Uuid, AnyRow)| MirrorDocument { table, key, columns: row.0 };
        users.map(document(0)).concat(conversations.map(document(1))).concat(items.map(document(2)))
    }
}
