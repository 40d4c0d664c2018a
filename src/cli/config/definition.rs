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
    /// The kind of source or sink that has this key, if not all have it.
    pub(crate) only: Option<&'static str>,
    /// Its value is shown to nobody: not in an error, not by `deltaic config`, not in a log line.
    pub(crate) secret: bool,
    /// One or two sentences for the help.
    pub(crate) about: &'static str,
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

impl Kind {
    /// What to call the value of an option on the command line.
    pub(crate) fn value_name(self) -> &'static str {
        match self {
            Kind::Text | Kind::Texts | Kind::Choice(_) | Kind::Start | Kind::Property => "TEXT",
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
