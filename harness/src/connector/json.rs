//! JSON written by hand, because the order of fields matters: real records keep Debezium's, and a test may shuffle it.

use std::fmt::Write as _;

use fastrand::Rng;

use crate::workload::{Cell, zoned_text};

/// An object whose values are JSON text already.
#[derive(Default)]
pub(super) struct Object {
    fields: Vec<(&'static str, String)>,
}

impl Object {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn with_text(self, name: &'static str, value: &str) -> Self {
        self.with(name, text(value))
    }

    pub(super) fn with_number(self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.with(name, value.to_string())
    }

    /// The fields of both.
    pub(super) fn and(mut self, other: Object) -> Self {
        self.fields.extend(other.fields);
        self
    }

    /// The same object with its fields in another order.
    pub(super) fn shuffled(mut self, rng: &mut Rng) -> Self {
        rng.shuffle(&mut self.fields);
        self
    }

    /// The same object without some fields, each dropped for itself one time in three.
    pub(super) fn without_some(mut self, rng: &mut Rng, optional: &[&str]) -> Self {
        self.fields.retain(|(name, _)| !optional.contains(name) || rng.u8(..3) != 0);
        self
    }

    pub(super) fn finish(self) -> String {
        let mut json = String::from("{");
        for (at, (name, value)) in self.fields.iter().enumerate() {
            json.push_str(if at == 0 { "\"" } else { ",\"" });
            json.push_str(name);
            json.push_str("\":");
            json.push_str(value);
        }
        json + "}"
    }
}

/// A JSON string as Connect's converter writes it: characters beyond the first plane as two escaped surrogates.
pub(super) fn text(value: &str) -> String {
    let mut json = String::with_capacity(value.len() + 16);
    push_text(&mut json, value, true);
    json
}

/// Appends a JSON string, with or without surrogates. Whatever needs no escape is copied in runs.
pub(crate) fn push_text(json: &mut String, value: &str, surrogates: bool) {
    json.push('"');
    let mut rest = value;
    let special = |character: char| matches!(character, '"' | '\\' | '\0'..=' ') && character != ' ';
    while let Some(at) = rest.find(|character| special(character) || (surrogates && character > '\u{ffff}')) {
        let (plain, from) = rest.split_at(at);
        json.push_str(plain);
        let mut characters = from.chars();
        match characters.next() {
            Some('"') => json.push_str("\\\""),
            Some('\\') => json.push_str("\\\\"),
            Some('\n') => json.push_str("\\n"),
            Some('\t') => json.push_str("\\t"),
            Some(other) => other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escape(json, *unit)),
            None => {}
        }
        rest = characters.as_str();
    }
    json.push_str(rest);
    json.push('"');
}

fn escape(json: &mut String, unit: u16) {
    write!(json, "\\u{unit:04X}").expect("a String takes every write");
}

/// The value of a column.
pub(super) fn cell(value: &Cell) -> String {
    match value {
        Cell::Null => "null".to_owned(),
        Cell::Text(value) => text(value),
        Cell::Zoned(micros) => text(&zoned_text(*micros)),
        Cell::Local(micros) => micros.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back() {
        for value in ["", "plain", "emoji😀 東京 \"q\" back\\slash tab\t nl\n \u{1}"] {
            assert_eq!(serde_json::from_str::<String>(&text(value)).unwrap(), value);
        }
        assert_eq!(text("😀"), "\"\\uD83D\\uDE00\"");
    }
}
