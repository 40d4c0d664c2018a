//! What a key of the configuration is. Everything that is said or done about keys follows from these values: see
//! [`table`](super::table) for the keys there are.

use std::fmt;

/// A key: where it stands, what it takes, and what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) section: Section,
    /// Its name in the section.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What its number counts.
    pub(crate) unit: Option<&'static str>,
    pub(crate) fallback: Fallback,
    /// The option of `deltaic run` that sets it, without its dashes.
    pub(crate) flag: Option<&'static str>,
    /// The kinds of sources or sinks that have this key; none of them where all have it.
    pub(crate) only: &'static [&'static str],
    /// What else it may be called.
    pub(crate) aliases: &'static [Alias],
    /// Its value is shown to nobody: not in an error, not by `deltaic config`, not in a log line.
    pub(crate) secret: bool,
    /// One or two sentences for the help.
    pub(crate) about: &'static str,
}

/// Another name of a key, as another program has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    pub(crate) name: &'static str,
    /// What its values are in ours, whatever their case.
    pub(crate) values: &'static [(&'static str, &'static str)],
}

/// The sections of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Source,
    /// What librdkafka is told, within the source.
    Kafka,
    /// One for each table, by its name.
    Tables,
    View,
    /// One behind the other.
    Sink,
    Engine,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Some text, not empty.
    Text,
    /// Any number of texts.
    Texts,
    /// A path. A relative one of a file is relative to the file's folder; `-` is standard input or output.
    Path,
    /// One path or more.
    Paths,
    Boolean,
    /// A whole number between two, both allowed.
    Integer {
        min: i64,
        max: i64,
    },
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// The beginning, or a moment, which becomes milliseconds since 1970.
    Start,
    /// An address, several with commas between, or a list of them.
    Addresses,
    /// A text that is shown to nobody. A table with the key `file` alone is what that file holds.
    Secret,
    /// A text, or what is passed on as text. A table with the key `file` alone is what that file holds, and secret.
    Property,
}

/// What holds where nobody sets the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Somebody must.
    Required,
    /// There is no value; this is what happens then.
    Unset(&'static str),
    /// This value, as TOML.
    Is(&'static str),
}

impl Section {
    pub(crate) const ALL: [Section; 6] =
        [Section::Source, Section::Kafka, Section::Tables, Section::View, Section::Sink, Section::Engine];

    /// The word at the start of its keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Section::Source => "source",
            Section::Kafka => "source.kafka",
            Section::Tables => "tables",
            Section::View => "view",
            Section::Sink => "sink",
            Section::Engine => "engine",
        }
    }

    /// Its heading in a file.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Section::Source => "[source]",
            Section::Kafka => "[source.kafka]",
            Section::Tables => "[tables.NAME]",
            Section::View => "[view]",
            Section::Sink => "[[sink]]",
            Section::Engine => "[engine]",
        }
    }
}

impl Definition {
    /// Whether a source or sink of this kind has it.
    pub(crate) fn is_of(&self, kind: &str) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }

    /// Whether it is called so.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias.name == name)
    }

    /// What a value means that was given under a name: an alias may have words of its own.
    pub(crate) fn meant<'a>(&self, name: &str, value: &'a str) -> &'a str {
        let alias = self.aliases.iter().find(|alias| alias.name == name);
        let values = alias.map_or(&[][..], |alias| alias.values);
        values.iter().find(|(theirs, _)| value.eq_ignore_ascii_case(theirs)).map_or(value, |(_, ours)| ours)
    }
}

impl Kind {
    /// What to call the value of an option on the command line.
    pub(crate) fn value_name(self) -> &'static str {
        match self {
            Kind::Text
            | Kind::Texts
            | Kind::Choice(_)
            | Kind::Start
            | Kind::Property
            | Kind::Addresses
            | Kind::Secret => "TEXT",
            Kind::Path | Kind::Paths => "PATH",
            Kind::Boolean => "BOOLEAN",
            Kind::Integer { .. } => "N",
        }
    }
}

/// What is expected of a value, for errors and the help.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text => f.write_str("a text that is not empty"),
            Kind::Texts => f.write_str("a list of texts"),
            Kind::Addresses => f.write_str("an address, several with commas between, or a list of them"),
            Kind::Secret => f.write_str("a text that is not empty, or { file = \"PATH\" }"),
            Kind::Path => f.write_str("a path"),
            Kind::Paths => f.write_str("a list of one path or more"),
            Kind::Boolean => f.write_str("true or false"),
            Kind::Integer { min, max: i64::MAX } => write!(f, "a whole number from {min} on"),
            Kind::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Kind::Choice(texts) => {
                let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
                f.write_str(&quoted.join(" or "))
            }
            Kind::Start => f.write_str(
                "\"beginning\", or a moment from 1970 on as in 2026-01-31T09:00:00Z, or its milliseconds since 1970",
            ),
            Kind::Property => f.write_str("a text, a number, true or false, or { file = \"PATH\" }"),
        }
    }
}
