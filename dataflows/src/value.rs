//! Column values as they come out of a change record, and what a view asks of a column.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A uuid as its 16 bytes: a third of the text's size, and ordered as Postgres orders uuids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uuid(pub [u8; 16]);

impl Hash for Uuid {
    /// As one number, which takes a hasher less than as many bytes do.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.0));
    }
}

impl Uuid {
    /// Reads the 36-character hyphenated form, in either case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Uuid> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let (mut bytes, mut at) = ([0u8; 16], 0);
        // What is no digit is seen once, in the end.
        let mut seen = 0;
        for (number, byte) in bytes.iter_mut().enumerate() {
            if matches!(number, 4 | 6 | 8 | 10) {
                if text.get(at) != Some(&b'-') {
                    return None;
                }
                at += 1;
            }
            let [high, low] = *text.get(at..at + 2)?.first_chunk()?;
            let (high, low) = (digit(high), digit(low));
            seen |= high | low;
            *byte = high << 4 | low & 0xf;
            at += 2;
        }
        (seen < 16).then_some(Uuid(bytes))
    }

    /// Writes the 36-character hyphenated form, in lower case.
    pub fn encode(self, text: &mut [u8; 36]) -> &str {
        *text = [b'-'; 36];
        let mut at = 0;
        for (number, byte) in self.0.into_iter().enumerate() {
            at += usize::from(matches!(number, 4 | 6 | 8 | 10));
            if let Some(place) = text.get_mut(at..at + 2) {
                place.copy_from_slice(&[byte >> 4, byte & 15].map(spelled));
            }
            at += 2;
        }
        std::str::from_utf8(text).expect("digits and hyphens are UTF-8")
    }
}

/// The hexadecimal digit of a value below 16.
const fn spelled(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// The value of a hexadecimal digit; above 15 for what is none.
const fn digit(c: u8) -> u8 {
    match c {
        b'0'..=b'9' => c - b'0',
        b'a'..=b'f' => c - b'a' + 10,
        b'A'..=b'F' => c - b'A' + 10,
        _ => 0xff,
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; 36]))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a view needs of a column; the decoder turns the record's spelling into it or refuses the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A uuid: [`Value::Uuid`].
    Uuid,
    /// Text: [`Value::Text`].
    Text,
    /// A whole number: [`Value::Integer`].
    Integer,
    /// An instant, as microseconds since 1970 UTC: [`Value::Timestamp`]. Accepts ISO-8601 text (`timestamptz`) and
    /// whole microseconds (`timestamp`).
    Timestamp,
    /// Only whether the column is null: [`Value::Bool`], true when it is not.
    Present,
    /// Whatever JSON the record holds, for columns that are only passed on to the document.
    Any,
}

/// A column a view reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name in the source table.
    pub name: Cow<'static, str>,
    /// What its values must be.
    pub kind: Kind,
    /// Whether null is a value of it; elsewhere null is a bad record.
    pub nullable: bool,
}

impl Column {
    /// A column that is never null.
    pub fn required(name: impl Into<Cow<'static, str>>, kind: Kind) -> Column {
        Column { name: name.into(), kind, nullable: false }
    }

    /// A column that may be null.
    pub fn nullable(name: impl Into<Cow<'static, str>>, kind: Kind) -> Column {
        Column { name: name.into(), kind, nullable: true }
    }
}

/// One column's value. The order is only there so that rows can be sorted and consolidated.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Value {
    /// Postgres did not send it (an unchanged TOAST value). Never null, never shown: it is filled from the stored row.
    #[default]
    Unknown,
    /// SQL null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Integer(i64),
    /// Any other number, by its JSON text.
    Number(Box<str>),
    /// Text.
    Text(Box<str>),
    /// A uuid.
    Uuid(Uuid),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// An array or object, by its JSON text without spaces.
    Json(Box<str>),
}

/// Why a row could not be made of the values of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    /// The column.
    pub column: Cow<'static, str>,
    /// What is wrong with it, in words.
    pub reason: String,
}

impl BadValue {
    /// A bad value of `column`.
    pub fn new(column: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> BadValue {
        BadValue { column: column.into(), reason: reason.into() }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column `{}`: {}", self.column, self.reason)
    }
}

impl std::error::Error for BadValue {}

impl Value {
    /// The bytes that it has in memory besides its own size.
    pub fn heap_bytes(&self) -> usize {
        match self {
            // An allocator rounds up, and keeps a word or two for itself.
            Value::Number(text) | Value::Text(text) | Value::Json(text) => text.len() + 16,
            _ => 0,
        }
    }

    fn expected(&self, column: &'static str, what: &str) -> BadValue {
        BadValue::new(column, format!("expected {what}, found {self:?}"))
    }

    /// Takes the uuid out of the value of `column`.
    pub fn take_uuid(&mut self, column: &'static str) -> Result<Uuid, BadValue> {
        match self {
            Value::Uuid(uuid) => Ok(*uuid),
            other => Err(other.expected(column, "a uuid")),
        }
    }

    /// Takes the instant out of the value of `column`, in microseconds since 1970 UTC.
    pub fn take_timestamp(&mut self, column: &'static str) -> Result<i64, BadValue> {
        match self {
            Value::Timestamp(micros) => Ok(*micros),
            other => Err(other.expected(column, "a timestamp")),
        }
    }

    /// Takes the boolean out of the value of `column`.
    pub fn take_bool(&mut self, column: &'static str) -> Result<bool, BadValue> {
        match self {
            Value::Bool(bool) => Ok(*bool),
            other => Err(other.expected(column, "a boolean")),
        }
    }

    /// Takes the whole number out of the value of `column`.
    pub fn take_integer(&mut self, column: &'static str) -> Result<i64, BadValue> {
        match self {
            Value::Integer(integer) => Ok(*integer),
            other => Err(other.expected(column, "a whole number")),
        }
    }

    /// Takes the text out of the value of `column`.
    pub fn take_text(&mut self, column: &'static str) -> Result<Box<str>, BadValue> {
        match std::mem::take(self) {
            Value::Text(text) => Ok(text),
            other => Err(other.expected(column, "text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_and_prints_the_hyphenated_form() {
        let text = "ef810ecd-ea7d-452d-a884-ace91ac23627";
        let uuid = Uuid::parse(text).unwrap();
        assert_eq!(uuid.to_string(), text);
        assert_eq!(Uuid::parse(&text.to_uppercase()), Some(uuid));
    }

    #[test]
    fn anything_else_is_no_uuid() {
        for text in [
            "",
            "ef810ecd",
            "ef810ecdea7d452da884ace91ac23627",
            "ef810ecd-ea7d-452d-a884-ace91ac2362g",
            "ef810ecd-ea7d-452d-a884+ace91ac23627",
        ] {
            assert_eq!(Uuid::parse(text), None, "{text}");
        }
    }
}
