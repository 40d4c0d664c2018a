//! A document as the JSON object that an index holds.

use dataflows::{Document, Value};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Serializes a document. A field whose value is unknown is left out, never invented.
#[derive(Clone, Copy, Debug)]
pub struct DocumentJson<'a>(pub &'a Document);

impl Serialize for DocumentJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in self.0.schema.fields.iter().zip(&self.0.values) {
            if *value != Value::Unknown {
                map.serialize_entry(&field.name, &ValueJson(value))?;
            }
        }
        map.end()
    }
}

struct ValueJson<'a>(&'a Value);

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Unknown => Err(S::Error::custom("an unknown value has no JSON form")),
            Value::Null => serializer.serialize_none(),
            Value::Bool(bool) => serializer.serialize_bool(*bool),
            Value::Integer(integer) | Value::Timestamp(integer) => serializer.serialize_i64(*integer),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Uuid(uuid) => serializer.serialize_str(uuid.encode(&mut [0; 36])),
            Value::Number(text) | Value::Json(text) => {
                RawValue::from_string(text.to_string()).map_err(S::Error::custom)?.serialize(serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::{Field, Kind, Schema, Uuid};
    use std::sync::Arc;

    #[test]
    fn a_document_is_a_json_object_without_its_unknown_fields() {
        let names = ["id", "unknown", "text", "number", "json", "null"];
        let fields = names.map(|name| Field { name: name.into(), kind: Kind::Any }).to_vec();
        let values = [
            Value::Uuid(Uuid([0xab; 16])),
            Value::Unknown,
            Value::Text("a\n\"é\"".into()),
            Value::Number("1.50".into()),
            Value::Json("{\"a\":[1]}".into()),
            Value::Null,
        ];
        let document = Document { schema: Arc::new(Schema { fields }), values: values.into() };
        assert_eq!(
            serde_json::to_string(&DocumentJson(&document)).unwrap(),
            r#"{"id":"abababab-abab-abab-abab-abababababab","text":"a\n\"é\"","number":1.50,"json":{"a":[1]},"null":null}"#
        );
    }
}
