//! A configuration file: TOML to given values, each with its line. What is no section or no key is a mistake; whether a
//! value fits its key is not asked here.

use super::given::{Given, Raw};
use super::mistake::{Mistake, Place, Wrong};
use super::properties::properties;
use super::schema::{Home, Key, Schema};
use super::table::KAFKA;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a file says.
#[derive(Default)]
pub(crate) struct Parsed {
    /// The sections it has, and where.
    pub(crate) homes: Vec<(Home, Place)>,
    pub(crate) given: Vec<Given>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// Reads the file called `name`, of this text.
pub(crate) fn parse(schema: &Schema, name: &str, folder: &Path, text: &str) -> Parsed {
    let mut reader = Reader { schema, name, folder, text, parsed: Parsed::default() };
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.document(document.get_ref());
    }
    // What is left of a text with errors is a guess, and so would be what is said of it. A message of the parser's is
    // about the form only: it shows nothing of a value.
    for error in errors {
        let place = reader.place(error.span().map_or(text.len(), |span| span.start));
        let message = error.message().replace('\n', ", ");
        reader.parsed.mistakes.push(Mistake { place, wrong: Wrong::Syntax(message) });
    }
    reader.parsed
}

struct Reader<'a> {
    schema: &'a Schema,
    name: &'a str,
    folder: &'a Path,
    text: &'a str,
    parsed: Parsed,
}

type Name<'a> = Spanned<std::borrow::Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            match &**name.get_ref() {
                "source" => self.section(Home::Source, name, value),
                "view" => self.section(Home::View, name, value),
                "engine" => self.section(Home::Engine, name, value),
                "tables" => self.tables(name, value),
                "sink" => self.sinks(name, value),
                other => {
                    let wrong = self.schema.no_section(other, value.get_ref().is_table());
                    self.mistake(name.span().start, wrong);
                }
            }
        }
    }

    fn tables(&mut self, name: &Name<'_>, value: &Value<'_>) {
        let Some(tables) = value.get_ref().as_table() else {
            return self.no_section("tables", "sections [tables.NAME]", name, value);
        };
        for (name, value) in tables {
            match self.schema.table(name.get_ref()) {
                Ok(home) => self.section(home, name, value),
                Err(wrong) => self.mistake(name.span().start, wrong),
            }
        }
    }

    fn sinks(&mut self, name: &Name<'_>, value: &Value<'_>) {
        let sinks = value.get_ref().as_array().filter(|sinks| sinks.iter().all(|sink| sink.get_ref().is_table()));
        let Some(sinks) = sinks else { return self.no_section("sink", "sections [[sink]]", name, value) };
        for (at, sink) in sinks.iter().enumerate() {
            if let Some(keys) = sink.get_ref().as_table() {
                self.sink(Home::Sink(at), sink.span().start, keys);
            }
        }
    }

    /// A sink's keys may have dots in their names.
    fn sink(&mut self, home: Home, at: usize, keys: &DeTable<'_>) {
        let mut known: BTreeMap<String, Place> = BTreeMap::new();
        for property in properties(keys) {
            match self.schema.key(&home, &property.name) {
                Ok(key) => {
                    if let Some(first) = known.insert(key.name.to_string(), self.place(property.at)) {
                        let rule = format!("is there {first} already, under another of its names");
                        self.mistake(property.at, Wrong::Rule { key: key.to_string(), rule });
                        continue;
                    }
                    self.given(key, &property.name, property.raw, property.written, property.at);
                }
                Err(wrong) => self.mistake(property.at, wrong),
            }
        }
        let place = self.place(at);
        self.parsed.homes.push((home, place));
    }

    fn section(&mut self, home: Home, name: &Name<'_>, value: &Value<'_>) {
        match value.get_ref().as_table() {
            Some(keys) => self.keys(home, name.span().start, keys),
            None => self.no_section(&home.to_string(), &format!("a section {}", home.heading()), name, value),
        }
    }

    fn keys(&mut self, home: Home, at: usize, keys: &DeTable<'_>) {
        let place = self.place(at);
        for (name, value) in keys {
            if home == Home::Source && name.get_ref() == KAFKA {
                self.kafka(name, value);
                continue;
            }
            match self.schema.key(&home, name.get_ref()) {
                Ok(key) => self.given(key, name.get_ref(), Raw::of(value.get_ref()), value.span(), name.span().start),
                Err(wrong) => self.mistake(name.span().start, wrong),
            }
        }
        self.parsed.homes.push((home, place));
    }

    fn kafka(&mut self, name: &Name<'_>, value: &Value<'_>) {
        let Some(section) = value.get_ref().as_table() else {
            return self.no_section(&Home::Kafka.to_string(), "a section [source.kafka]", name, value);
        };
        let mut known: BTreeMap<String, Place> = BTreeMap::new();
        for property in properties(section) {
            let key = self.schema.property(property.name.clone());
            let place = self.place(property.at);
            if let Some(first) = known.get(&property.name) {
                let rule = format!("is there {first} already, spelt in another way");
                self.mistake(property.at, Wrong::Rule { key: key.to_string(), rule });
                continue;
            }
            self.given(key, &property.name, property.raw, property.written, property.at);
            known.insert(property.name, place);
        }
        let place = self.place(name.span().start);
        self.parsed.homes.push((Home::Kafka, place));
    }

    fn given(&mut self, key: Key, spelt: &str, raw: Raw, written: Range<usize>, at: usize) {
        let written = self.text.get(written).unwrap_or_default().to_owned();
        let (spelt, place, folder) = (spelt.to_owned(), self.place(at), self.folder.to_owned());
        self.parsed.given.push(Given { key, spelt, raw, written, place, folder });
    }

    /// A section's name with something else behind it; not shown, as nobody knows whether it is a secret.
    fn no_section(&mut self, key: &str, expected: &str, name: &Name<'_>, value: &Value<'_>) {
        let rule = format!("expected {expected}, found {}", form(value.get_ref()));
        self.mistake(name.span().start, Wrong::Rule { key: key.to_owned(), rule });
    }

    fn mistake(&mut self, at: usize, wrong: Wrong) {
        let place = self.place(at);
        self.parsed.mistakes.push(Mistake { place, wrong });
    }

    fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::Line {
            line: before.matches('\n').count() + 1,
            column: before.chars().count() - before.get(..line_start).unwrap_or_default().chars().count() + 1,
            file: self.name.to_owned(),
        }
    }
}

fn form(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a single section",
    }
}
