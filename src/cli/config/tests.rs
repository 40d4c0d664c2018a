//! The configuration from text to meaning. The table of keys is the real one, and one secret key that every sink has.

#[cfg(feature = "elasticsearch")]
mod elasticsearch;
mod help;
#[cfg(feature = "kafka")]
mod kafka;
mod layers;
mod meaning;
mod mistakes;
mod secrets;

use super::definition::{Definition, Fallback, Kind, Section};
use super::flags::Flags;
use super::kafka::Built;
use super::mistake::Mistakes;
use super::schema::{Home, Key, Schema};
use super::settings::Settings;
use super::table::DEFINITIONS;
use super::value::Value;
use super::variables::Outside;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The least that a file must say.
const LEAST: &str = "\
[source]
kind = \"log\"
files = [\"log.jsonl\"]
[view]
name = \"conversation_search\"
[[sink]]
kind = \"jsonl\"
path = \"-\"
";

/// A secret of every kind of sink.
const PASSPHRASE: Definition = Definition {
    section: Section::Sink,
    name: "passphrase",
    kind: Kind::Text,
    unit: None,
    fallback: Fallback::Unset("none"),
    flag: None,
    only: &[],
    aliases: &[],
    secret: true,
    about: "The server's passphrase.",
};

/// Of a build with Kafka and without TLS, whatever this one has.
fn schema() -> Schema {
    let definitions: Vec<Definition> = DEFINITIONS.iter().copied().chain([PASSPHRASE]).collect();
    let tables = ["users", "conversations"].map(str::to_owned).to_vec();
    Schema { definitions: definitions.leak(), tables, built: Built { kafka: true, tls: false, elasticsearch: true } }
}

/// What everybody must not see.
const HIDDEN: &str = "xyzzy";

fn environment(name: &str) -> Option<OsString> {
    match name {
        "PASSWORD" => Some(HIDDEN.into()),
        "WORKERS" => Some("4".into()),
        "DIR" => Some("/data".into()),
        "EMPTY" => Some("".into()),
        "BYTES" => Some(OsStr::from_bytes(b"\xff").into()),
        _ => None,
    }
}

/// The files there are.
fn files(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("dir/secret" | "/run/secret") => Ok(format!("{HIDDEN}\n")),
        Some("dir/two-lines") => Ok(format!("{HIDDEN}\r\n\r\n")),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Settles `text` as the file `dir/podium.toml`.
fn settle(text: &str, set: &[&str], flags: &[(&'static str, &str)]) -> Result<Settings, Mistakes> {
    settle_in(schema(), text, set, flags)
}

fn settle_in(schema: Schema, text: &str, set: &[&str], flags: &[(&'static str, &str)]) -> Result<Settings, Mistakes> {
    let set: Vec<String> = set.iter().map(|set| (*set).to_owned()).collect();
    let flags = Flags(flags.iter().map(|(flag, value)| (*flag, (*value).to_owned())).collect());
    let outside = Outside { environment: &environment, files: &files };
    super::settle(schema, Path::new("dir/podium.toml"), text, &set, &flags, outside)
}

/// The mistakes, a line each.
fn mistakes(text: &str, set: &[&str], flags: &[(&'static str, &str)]) -> Vec<String> {
    match settle(text, set, flags) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
    }
}

fn value(settings: &Settings, home: &Home, name: &str) -> Value {
    settings.get(home, name).unwrap_or_else(|| panic!("{home}.{name}")).value.clone()
}

#[test]
fn every_default_fits_its_key() {
    for definition in DEFINITIONS {
        if let Fallback::Is(written) = definition.fallback {
            let home = Home::only(definition.section).unwrap();
            // It panics where the default is wrong.
            super::settings::default(Key::new(home, definition), written);
        }
    }
}

#[test]
fn every_key_is_there_once_and_every_flag_too() {
    for (at, one) in DEFINITIONS.iter().enumerate() {
        for other in &DEFINITIONS[at + 1..] {
            assert!((one.section, one.name) != (other.section, other.name), "{}", one.path());
            assert!(one.flag.is_none() || one.flag != other.flag, "{}", one.path());
        }
        assert!(one.about.ends_with('.'), "{}", one.path());
        // The last word of a name is its unit.
        let unit_in_name = one.name.ends_with("_ms") || one.name.ends_with("_bytes");
        assert!(!unit_in_name || one.unit.is_some(), "{}", one.path());
    }
}
