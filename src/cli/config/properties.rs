//! `[source.kafka]` and `[[sink]]` as a file has them: tables in tables, whose names are the parts of one name.
//!
//! ```text
//!   sasl.username = "ada"            ┐
//!   "sasl.username" = "ada"          ├──> sasl.username, the text "ada"
//!   [source.kafka.sasl]              │
//!   username = "ada"                 ┘
//!   sasl.password = { file = "x" }   ───> sasl.password, what the file x holds
//! ```

use super::given::{Raw, file};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A property as it was written.
pub(crate) struct Property {
    pub(crate) name: String,
    /// Where its name begins, or the last part of it.
    pub(crate) at: usize,
    pub(crate) raw: Raw,
    /// Where its value stands.
    pub(crate) written: Range<usize>,
}

/// The properties of the section, in the order of the file. One name may be there twice.
pub(crate) fn properties(section: &DeTable<'_>) -> Vec<Property> {
    let mut found = Vec::new();
    flatten("", section, &mut found);
    found.sort_by_key(|property| property.at);
    found
}

fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut Vec<Property>) {
    for (part, value) in table {
        let name = format!("{prefix}{}", part.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if file(inner).is_none() => flatten(&format!("{name}."), inner, found),
            of_one => {
                found.push(Property { name, at: part.span().start, raw: Raw::of(of_one), written: value.span() });
            }
        }
    }
}
