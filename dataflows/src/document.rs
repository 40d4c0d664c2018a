//! Documents: what a view keeps, in a form every sink understands.

use crate::value::{Kind, Value};
use differential_dataflow::{ExchangeData, Hashable};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// What identifies a document in an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub Box<str>);

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field of a view's documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Cow<'static, str>,
    /// What its values are.
    pub kind: Kind,
}

/// The fields of a view's documents, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The fields.
    pub fields: Vec<Field>,
}

impl<const N: usize> From<[(&'static str, Kind); N]> for Schema {
    fn from(fields: [(&'static str, Kind); N]) -> Schema {
        Schema { fields: fields.into_iter().map(|(name, kind)| Field { name: name.into(), kind }).collect() }
    }
}

/// One document: the values of its schema's fields. A field whose value is unknown is left out, never invented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The fields, shared by all documents of a view.
    pub schema: Arc<Schema>,
    /// A value for each field.
    pub values: Box<[Value]>,
}

/// The compact form in which a dataflow keeps a document.
///
/// Two forms with one id never stand at one time: the id is the document's key in every index.
pub trait ToDocument: ExchangeData + Hashable<Output = u64> {
    /// The id, cheap to hash and compare.
    type Id: ExchangeData + Hashable<Output = u64>;

    /// The id.
    fn id(&self) -> Self::Id;

    /// How an index spells the id.
    fn document_id(id: &Self::Id) -> DocumentId;

    /// The document as sinks see it; `schema` is the view's.
    fn document(&self, schema: &Arc<Schema>) -> Document;
}

impl Document {
    /// The value of the field `name`, if the document has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.schema.fields.iter().position(|field| field.name == name)?;
        self.values.get(at)
    }
}
