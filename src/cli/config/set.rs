//! `--set KEY=VALUE`. The value is TOML; what is no TOML, and what is none of the right form for a text, is taken as a
//! bare text. `sink.path` is `sink.0.path` where there is one sink.

use super::definition::Kind;
use super::given::{Given, Raw};
use super::mistake::{Place, Wrong};
use super::schema::{Home, Key, Schema};
use super::table::KAFKA;
use std::path::PathBuf;

/// Reads one `--set`, for a file that has this many sinks. Its paths are relative to the current folder.
pub(crate) fn parse(schema: &Schema, sinks: usize, text: &str) -> Result<Given, Wrong> {
    let Some((path, value)) = text.split_once('=') else { return Err(no_value(schema, sinks, text)) };
    let (key, spelt) = key(schema, sinks, path.trim())?;
    let written = value.trim().to_owned();
    let raw = raw(key.definition.kind, &written);
    let (key, raw) = of_file(schema, key, raw);
    Ok(Given { key, spelt, raw, written, place: Place::Set, folder: PathBuf::new() })
}

/// Shows nothing but a key: the text may be a value whose key was forgotten.
fn no_value(schema: &Schema, sinks: usize, text: &str) -> Wrong {
    match key(schema, sinks, text.trim()) {
        Ok((key, _)) => rule(&key.to_string(), format!("no value; write --set {key}=VALUE")),
        Err(_) => Wrong::Set { rule: "a --set has no `=`; write --set KEY=VALUE".to_owned() },
    }
}

fn raw(kind: Kind, text: &str) -> Raw {
    let bare = || Raw::Text(text.to_owned());
    match (kind, Raw::parse(text)) {
        (Kind::Property | Kind::Secret, Some(file @ Raw::File(_))) => file,
        (Kind::Addresses, Some(texts @ Raw::Texts(_))) => texts,
        (
            Kind::Text | Kind::Path | Kind::Choice(_) | Kind::Property | Kind::Secret | Kind::Addresses,
            Some(Raw::Text(text)),
        ) => Raw::Text(text),
        (Kind::Text | Kind::Path | Kind::Choice(_) | Kind::Property | Kind::Secret | Kind::Addresses, _) => bare(),
        // One text is a list of one.
        (Kind::Texts | Kind::Paths, Some(Raw::Text(text))) => Raw::Texts(vec![text]),
        (Kind::Texts | Kind::Paths, None) if !text.starts_with('[') => Raw::Texts(vec![text.to_owned()]),
        (_, parsed) => parsed.unwrap_or_else(bare),
    }
}

/// `sasl.password.file=PATH` is what it is in a file: `sasl.password={ file = "PATH" }`.
fn of_file(schema: &Schema, key: Key, raw: Raw) -> (Key, Raw) {
    let property = key.name.strip_suffix(".file").filter(|_| key.definition.kind == Kind::Property);
    match (property.map(|name| schema.property(name.to_owned())), raw) {
        (Some(property), Raw::Text(path)) => (property, Raw::File(path)),
        (_, raw) => (key, raw),
    }
}

/// The key, and its name as it is spelt there.
fn key(schema: &Schema, sinks: usize, path: &str) -> Result<(Key, String), Wrong> {
    let parts: Vec<&str> = path.split('.').map(str::trim).collect();
    let of = |home: &Home, name: &str| Ok((schema.key(home, name)?, name.to_owned()));
    match parts[..] {
        ["source", KAFKA] => Err(rule(path, "write --set source.kafka.PROPERTY=VALUE".to_owned())),
        ["source", name] => of(&Home::Source, name),
        ["source", KAFKA, ref name @ ..] => {
            let name = name.join(".");
            Ok((schema.property(name.clone()), name))
        }
        ["view", name] => of(&Home::View, name),
        ["engine", name] => of(&Home::Engine, name),
        ["tables", table, name] => of(&schema.table(table)?, name),
        ["sink", at, ref name @ ..] if !name.is_empty() && at.parse::<usize>().is_ok() => {
            match at.parse::<usize>().unwrap_or(usize::MAX) {
                at if at < sinks.max(1) => of(&Home::Sink(at), &name.join(".")),
                at => Err(rule(path, format!("there is no sink {at}; they are counted from 0, and there are {sinks}"))),
            }
        }
        ["sink", at, name] if schema.key(&Home::Sink(0), &format!("{at}.{name}")).is_err() => {
            Err(rule(path, format!("`{at}` is no sink's number; write `sink.0.{name}`")))
        }
        ["sink", ref name @ ..] if !name.is_empty() => {
            let name = name.join(".");
            let found = of(&Home::Sink(0), &name)?;
            if sinks <= 1 {
                return Ok(found);
            }
            Err(rule(path, format!("there are {sinks} sinks; say which, as in `sink.0.{name}`")))
        }
        ["source" | "view" | "engine" | "tables" | "sink", ..] => {
            Err(rule(path, "expected SECTION.KEY, source.kafka.PROPERTY, tables.NAME.KEY or sink.N.KEY".to_owned()))
        }
        [section, ..] => Err(schema.no_section(section, parts.len() > 1)),
        [] => Err(schema.no_section("", false)),
    }
}

fn rule(key: &str, rule: String) -> Wrong {
    Wrong::Rule { key: key.to_owned(), rule }
}
