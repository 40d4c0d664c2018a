//! What of a document can be searched, and how.
//!
//! | field of the view | in the index | a query |
//! |---|---|---|
//! | uuid, text | one term, as it stands; text is sorted and counted by it too | `step:needs_review` |
//! | whole number, timestamp (microseconds), present or not | a number, a boolean | `open:[3 TO *]` |
//! | anything (a column that is passed on) | its words, in lower case | `name:smith`, `subject:"late booking"` |
//!
//! The document itself is stored once, as the JSON line that the JSON lines sink would write.

use super::error::IndexError;
use dataflows::{Document, DocumentId, Kind, Value};
use tantivy::schema::{FAST, Field, FieldType, INDEXED, STORED, STRING, Schema, TEXT, TextOptions};
use tantivy::{TantivyDocument, Term};

/// The document's id.
const ID: &str = "_id";
/// The document as JSON.
const SOURCE: &str = "_source";

/// The fields of an index.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) id: Field,
    pub(crate) source: Field,
    /// Those of the view, in its order.
    columns: Vec<Field>,
}

/// The index's schema for documents of a view.
pub(crate) fn schema(view: &dataflows::Schema) -> Result<Schema, IndexError> {
    let mut builder = Schema::builder();
    builder.add_text_field(ID, STRING | STORED);
    builder.add_text_field(SOURCE, TextOptions::default().set_stored());
    for field in &view.fields {
        let refused = |reason| IndexError::Field { name: field.name.to_string(), reason };
        if [ID, SOURCE].contains(&field.name.as_ref()) {
            return Err(refused("the index has a field of that name itself"));
        }
        if field.name.is_empty() || field.name.starts_with('-') {
            return Err(refused("a name is not empty and does not begin with `-`"));
        }
        match field.kind {
            Kind::Uuid => builder.add_text_field(&field.name, STRING),
            Kind::Text => builder.add_text_field(&field.name, STRING | FAST),
            Kind::Integer | Kind::Timestamp => builder.add_i64_field(&field.name, INDEXED | FAST),
            Kind::Present => builder.add_bool_field(&field.name, INDEXED | FAST),
            Kind::Any => builder.add_text_field(&field.name, TEXT),
        };
    }
    Ok(builder.build())
}

impl Fields {
    /// The fields of an existing index; `None` if it is not one of ours.
    pub(crate) fn of(schema: &Schema) -> Option<Fields> {
        let id = schema.get_field(ID).ok()?;
        let source = schema.get_field(SOURCE).ok()?;
        let columns = schema.fields().map(|(field, _)| field).filter(|field| ![id, source].contains(field)).collect();
        Some(Fields { id, source, columns })
    }

    /// What finds the document `id`.
    pub(crate) fn term(&self, id: &DocumentId) -> Term {
        Term::from_field_text(self.id, &id.0)
    }

    /// What a query is searched in when it names no field: ids and everything that is text.
    pub(crate) fn searched(&self, schema: &Schema) -> Vec<Field> {
        let text = |field: &Field| matches!(schema.get_field_entry(*field).field_type(), FieldType::Str(_));
        std::iter::once(self.id).chain(self.columns.iter().copied().filter(text)).collect()
    }

    /// The document as the index takes it; `source` is its JSON.
    pub(crate) fn document(&self, id: &DocumentId, document: &Document, source: &str) -> TantivyDocument {
        let mut made = TantivyDocument::default();
        made.add_text(self.id, &id.0);
        made.add_text(self.source, source);
        let columns = self.columns.iter().zip(&document.schema.fields).zip(&document.values);
        for ((field, described), value) in columns {
            match (described.kind, value) {
                (_, Value::Unknown | Value::Null) => {}
                (Kind::Integer | Kind::Timestamp, Value::Integer(number) | Value::Timestamp(number)) => {
                    made.add_i64(*field, *number);
                }
                (Kind::Present, Value::Bool(present)) => made.add_bool(*field, *present),
                // A view that answers otherwise than it says: what it says can be searched, and all is stored.
                (Kind::Integer | Kind::Timestamp | Kind::Present, _) => {}
                (_, Value::Text(text) | Value::Number(text) | Value::Json(text)) => made.add_text(*field, text),
                (_, Value::Uuid(uuid)) => made.add_text(*field, uuid.to_string()),
                (_, Value::Integer(number) | Value::Timestamp(number)) => made.add_text(*field, number.to_string()),
                (_, Value::Bool(bool)) => made.add_text(*field, bool.to_string()),
            }
        }
        made
    }
}
