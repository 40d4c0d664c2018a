//! A value as somebody gave it, in a file or on the command line, before anybody has looked at what it means. It may be a secret:
//! these types cannot be printed.

use super::mistake::Place;
use super::schema::Key;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

/// A key and the value it was given.
pub(crate) struct Given {
    pub(crate) key: Key,
    /// The key's name as it was written: it may have several.
    pub(crate) spelt: String,
    pub(crate) raw: Raw,
    /// The value as it was written.
    pub(crate) written: String,
    pub(crate) place: Place,
    /// What relative paths are relative to.
    pub(crate) folder: PathBuf,
}

/// A value by its form alone.
#[derive(Clone)]
pub(crate) enum Raw {
    Text(String),
    Integer(i64),
    /// The number as it was written.
    Float(String),
    Boolean(bool),
    Datetime(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A table with the key `file` alone.
    File(String),
    /// What no key takes.
    Other,
}

impl Raw {
    /// Of a parsed value.
    pub(crate) fn of(value: &DeValue<'_>) -> Raw {
        match value {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Boolean(boolean) => Raw::Boolean(*boolean),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Raw::Other, Raw::Integer)
            }
            DeValue::Array(values) => {
                let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or(Raw::Other, Raw::Texts)
            }
            DeValue::Float(float) => Raw::Float(float.as_str().to_owned()),
            DeValue::Datetime(datetime) => Raw::Datetime(datetime.to_string()),
            DeValue::Table(table) => file(table).map_or(Raw::Other, |path| Raw::File(path.to_owned())),
        }
    }

    /// Of a value's TOML, if it is TOML.
    pub(crate) fn parse(text: &str) -> Option<Raw> {
        DeValue::parse(text).ok().map(|value| Raw::of(value.get_ref()))
    }
}

/// The path of a table that has the key `file` alone.
pub(crate) fn file<'a>(table: &'a DeTable<'_>) -> Option<&'a str> {
    table.get("file").filter(|_| table.len() == 1)?.get_ref().as_str()
}

/// The longest piece of a value that an error shows, in characters.
const SHOWN_MAX: usize = 80;

/// A value's source, short enough for one line.
pub(crate) fn shown(written: &str) -> String {
    let line = written.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN_MAX {
        return line;
    }
    line.chars().take(SHOWN_MAX).chain("...".chars()).collect()
}
