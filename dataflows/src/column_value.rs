//! Types that a column of a row can have, and values that a field of a document can be made of.
//!
//! With them [`row!`](crate::row) declares a table as a struct, and a document is `(id, (field, field, ...))`.

use crate::document::{Document, DocumentId, Schema, ToDocument};
use crate::value::{BadValue, Kind, Uuid, Value};
use differential_dataflow::{ExchangeData, Hashable};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

/// What a column can be read as. To be implemented for key types of one's own.
pub trait ColumnValue: Sized {
    /// What is asked of the decoder.
    const KIND: Kind;
    /// Whether null is a value.
    const NULLABLE: bool = false;
    /// Whether Postgres may leave the value out of an update, since it is large and did not change. Default: text, and what
    /// may be text, may be.
    const MAY_OMIT: bool = matches!(Self::KIND, Kind::Text | Kind::Any);

    /// Takes the value of `column`.
    ///
    /// # Errors
    /// It is none of this type.
    fn take(value: &mut Value, column: &'static str) -> Result<Self, BadValue>;

    /// Whether the value is known.
    fn is_known(&self) -> bool {
        true
    }

    /// Takes the value that is stored, if this one is not known.
    fn fill(&mut self, _stored: &Self) {}

    /// The bytes that the value has in memory besides its own size: see [`Row::heap_bytes`](crate::Row::heap_bytes). A type
    /// with text inside says how much it is, or the memory budget counts too little.
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl ColumnValue for Uuid {
    const KIND: Kind = Kind::Uuid;

    fn take(value: &mut Value, column: &'static str) -> Result<Uuid, BadValue> {
        value.take_uuid(column)
    }
}

impl ColumnValue for i64 {
    const KIND: Kind = Kind::Integer;

    fn take(value: &mut Value, column: &'static str) -> Result<i64, BadValue> {
        value.take_integer(column)
    }
}

impl ColumnValue for bool {
    const KIND: Kind = Kind::Any;
    const MAY_OMIT: bool = false;

    fn take(value: &mut Value, column: &'static str) -> Result<bool, BadValue> {
        value.take_bool(column)
    }
}

/// Short text, which Postgres always sends. Where text may be long, ask for a [`Value`].
impl ColumnValue for String {
    const KIND: Kind = Kind::Text;

    fn take(value: &mut Value, column: &'static str) -> Result<String, BadValue> {
        if *value == Value::Unknown {
            let problem =
                "Postgres left the value out, since it is large and did not change; read the column as a `Value`";
            return Err(BadValue::new(column, problem));
        }
        value.take_text(column).map(String::from)
    }

    fn heap_bytes(&self) -> usize {
        // As of the same text in a `Value`.
        self.capacity() + 16
    }
}

/// Whatever the column holds; one that Postgres left out is filled from the stored row.
impl ColumnValue for Value {
    const KIND: Kind = Kind::Any;
    const NULLABLE: bool = true;

    fn take(value: &mut Value, _column: &'static str) -> Result<Value, BadValue> {
        Ok(std::mem::take(value))
    }

    fn is_known(&self) -> bool {
        *self != Value::Unknown
    }

    fn fill(&mut self, stored: &Value) {
        if *self == Value::Unknown {
            self.clone_from(stored);
        }
    }

    fn heap_bytes(&self) -> usize {
        Value::heap_bytes(self)
    }
}

impl<T: ColumnValue> ColumnValue for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;
    const MAY_OMIT: bool = T::MAY_OMIT;

    fn take(value: &mut Value, column: &'static str) -> Result<Option<T>, BadValue> {
        if *value == Value::Null { Ok(None) } else { T::take(value, column).map(Some) }
    }

    fn is_known(&self) -> bool {
        self.as_ref().is_none_or(T::is_known)
    }

    fn fill(&mut self, stored: &Option<T>) {
        match (self.as_mut(), stored) {
            (Some(value), Some(stored)) => value.fill(stored),
            // What was left out has not changed: it is null still.
            (Some(value), None) if !value.is_known() => *self = None,
            _ => {}
        }
    }

    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl From<Uuid> for Value {
    fn from(uuid: Uuid) -> Value {
        Value::Uuid(uuid)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Value {
        Value::Integer(integer)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Value {
        Value::Bool(bool)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// The fields of a document: a tuple of what can be made a [`Value`], in the order of the view's schema.
pub trait Fields: ExchangeData + Hash {
    /// The values.
    fn values(&self) -> Box<[Value]>;
}

macro_rules! fields {
    ($($field:ident $index:tt),+) => {
        impl<$($field: ExchangeData + Hash + Into<Value>),+> Fields for ($($field,)+) {
            fn values(&self) -> Box<[Value]> {
                [$(self.$index.clone().into()),+].into()
            }
        }
    };
}

fields!(A 0);
fields!(A 0, B 1);
fields!(A 0, B 1, C 2);
fields!(A 0, B 1, C 2, D 3);
fields!(A 0, B 1, C 2, D 3, E 4);
fields!(A 0, B 1, C 2, D 3, E 4, F 5);
fields!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
fields!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// A document as its id, which an index spells as it is displayed, and its fields.
impl<K: ExchangeData + Hashable<Output = u64> + Hash + Display, F: Fields> ToDocument for (K, F) {
    type Id = K;

    fn id(&self) -> K {
        self.0.clone()
    }

    fn document_id(id: &K) -> DocumentId {
        DocumentId(id.to_string().into())
    }

    fn document(&self, schema: &Arc<Schema>) -> Document {
        Document { schema: Arc::clone(schema), values: self.1.values() }
    }
}

/// Declares a table as a struct: its name, its key, and the columns that the view reads. The struct is a
/// [`Row`](crate::Row), and `Struct::table()` is its [`Table`](crate::Table). Needs `serde` in the crate that uses it.
///
/// A key of several columns is a tuple. A field whose column has another name says so behind it.
///
/// ```
/// dataflows::row! {
///     /// A line of an order.
///     pub struct Line in "public.order_lines" (order_id: i64, number: i64) {
///         sku: String,
///         kind: String = "type",
///         discount: Option<i64>,
///     }
/// }
/// assert_eq!(Line::table().columns[1].name, "type");
/// ```
#[macro_export]
macro_rules! row {
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident in $table:literal ($($key:ident: $key_type:ty),+ $(,)?) {
            $($(#[$field_meta:meta])* $field:ident: $type:ty $(= $column:literal)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        $visibility struct $name {
            $($(#[$field_meta])* $visibility $field: $type,)*
        }

        impl $name {
            /// The table, as a view asks for it.
            $visibility fn table() -> $crate::Table {
                $crate::Table {
                    name: $table.to_owned(),
                    key: vec![$($crate::row!(@column stringify!($key), $key_type)),+],
                    columns: vec![$($crate::row!(@column $crate::row!(@name $field $($column)?), $type)),*],
                    may_omit: false $(|| <$type as $crate::ColumnValue>::MAY_OMIT)*,
                }
            }
        }

        impl $crate::Row for $name {
            type Key = $crate::row!(@key $($key_type),+);

            fn read_key(values: &mut [$crate::Value]) -> Result<Self::Key, $crate::BadValue> {
                let mut values = values.iter_mut();
                Ok(($($crate::row!(@take values, stringify!($key), $key_type)),+))
            }

            fn read(values: &mut [$crate::Value]) -> Result<Self, $crate::BadValue> {
                let mut _values = values.iter_mut();
                Ok($name { $($field: $crate::row!(@take _values, $crate::row!(@name $field $($column)?), $type)),* })
            }

            fn is_whole(&self) -> bool {
                true $(&& $crate::ColumnValue::is_known(&self.$field))*
            }

            fn fill(&mut self, _stored: &Self) {
                $($crate::ColumnValue::fill(&mut self.$field, &_stored.$field);)*
            }

            fn heap_bytes(&self) -> usize {
                0 $(+ $crate::ColumnValue::heap_bytes(&self.$field))*
            }

            fn key_heap_bytes(key: &Self::Key) -> usize {
                $crate::row!(@key_heap_bytes key, $($key),+)
            }
        }
    };
    (@key $type:ty) => { $type };
    (@key $($type:ty),+) => { ($($type),+) };
    (@key_heap_bytes $value:ident, $key:ident) => { $crate::ColumnValue::heap_bytes($value) };
    (@key_heap_bytes $value:ident, $($key:ident),+) => {{
        let ($($key),+) = $value;
        0 $(+ $crate::ColumnValue::heap_bytes($key))+
    }};
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $column:literal) => { $column };
    (@column $name:expr, $type:ty) => {
        $crate::Column {
            name: $name.into(),
            kind: <$type as $crate::ColumnValue>::KIND,
            nullable: <$type as $crate::ColumnValue>::NULLABLE,
        }
    };
    (@take $values:ident, $name:expr, $type:ty) => {
        <$type as $crate::ColumnValue>::take(
            $values.next().ok_or_else(|| $crate::BadValue::new($name, "missing"))?,
            $name,
        )?
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Row;

    crate::row! {
        /// A line of an order.
        struct Line in "public.order_lines" (order_id: i64, number: i64) {
            sku: String,
            kind: Value = "type",
            discount: Option<i64>,
        }
    }

    crate::row! {
        /// One that may be null, and may be left out.
        struct Note in "public.notes" (name: String) { body: Option<Value> }
    }

    #[test]
    fn what_may_be_null_is_filled_too() {
        let note = |body: Value| Note::read(&mut [body]).unwrap();
        let text = || Value::from("text".to_owned());
        for (stored, expected) in [(text(), Some(text())), (Value::Null, None)] {
            let mut changed = note(Value::Unknown);
            assert!(!changed.is_whole());
            changed.fill(&note(stored));
            assert_eq!((changed.is_whole(), changed.body), (true, expected));
        }
        assert!(Note::table().may_omit);
    }

    #[test]
    fn text_counts_in_memory() {
        let long = Value::from("x".repeat(1_000));
        assert!(Note::read(&mut [long]).unwrap().heap_bytes() >= 1_000);
        assert!(Note::key_heap_bytes(&"x".repeat(500)) >= 500);
        assert_eq!(Line::key_heap_bytes(&(1, 2)), 0);
    }

    fn line(values: [Value; 3]) -> Result<Line, String> {
        Line::read(&mut { values }).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_row_is_read_by_its_types() {
        let table = Line::table();
        let columns: Vec<_> = table.columns.iter().map(|c| (c.name.as_ref(), c.kind, c.nullable)).collect();
        let expected = [("sku", Kind::Text, false), ("type", Kind::Any, true), ("discount", Kind::Integer, true)];
        assert_eq!((columns.as_slice(), table.may_omit), (expected.as_slice(), true));
        assert_eq!(table.key.len(), 2);
        assert_eq!(Line::read_key(&mut [Value::Integer(7), Value::Integer(1)]), Ok((7, 1)));

        let text = |text: &str| Value::from(text.to_owned());
        let read = line([text("a"), text("b"), Value::Null]).unwrap();
        assert_eq!(read, Line { sku: "a".to_owned(), kind: text("b"), discount: None });
        assert_eq!(
            line([text("a"), text("b"), text("c")]).unwrap_err(),
            "column `discount`: expected a whole number, found Text(\"c\")"
        );
    }

    #[test]
    fn what_was_left_out_is_filled_or_refused() {
        let text = |text: &str| Value::from(text.to_owned());
        let stored = line([text("a"), text("b"), Value::Integer(1)]).unwrap();
        let mut changed = line([text("c"), Value::Unknown, Value::Integer(2)]).unwrap();
        assert!(!changed.is_whole());
        changed.fill(&stored);
        assert!(changed.is_whole());
        assert_eq!(changed, Line { sku: "c".to_owned(), kind: text("b"), discount: Some(2) });
        assert!(line([Value::Unknown, text("b"), Value::Null]).unwrap_err().contains("read the column as a `Value`"));
    }

    #[test]
    fn a_pair_is_a_document() {
        let schema = Arc::new(Schema::from([("sku", Kind::Text), ("sold", Kind::Integer)]));
        let pair = (7_i64, ("a".to_owned(), Some(3_i64)));
        assert_eq!(<(i64, (String, Option<i64>))>::document_id(&pair.id()).to_string(), "7");
        assert_eq!(pair.document(&schema).get("sold"), Some(&Value::Integer(3)));
    }
}
