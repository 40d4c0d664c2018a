//! From names, as people write them, to keys: what there is, and what comes nearest to a name that there is not.

use super::confluent;
use super::definition::{Definition, Kind, Section};
use super::kafka::{self, Built};
use super::mistake::Wrong;
use super::table::{KAFKA, PROPERTY};
use std::borrow::Cow;
use std::fmt;

/// The keys there are, and what their values are checked against.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) definitions: &'static [Definition],
    pub(crate) tables: Vec<String>,
    /// What the build can do.
    pub(crate) built: Built,
}

/// One section of one configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Home {
    Source,
    Kafka,
    Table(String),
    View,
    /// The sink at this place, counted from 0.
    Sink(usize),
    Engine,
}

/// A key of one section: `tables.users.partitions`, `sink.0.path`.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) home: Home,
    /// The definition's, or a property's own.
    pub(crate) name: Cow<'static, str>,
    pub(crate) definition: &'static Definition,
}

impl Home {
    /// The section itself, or its first, unless it is named by the user.
    pub(crate) fn only(section: Section) -> Option<Home> {
        match section {
            Section::Source => Some(Home::Source),
            Section::Kafka => Some(Home::Kafka),
            Section::Tables => None,
            Section::View => Some(Home::View),
            Section::Sink => Some(Home::Sink(0)),
            Section::Engine => Some(Home::Engine),
        }
    }

    /// Its heading in a file.
    pub(crate) fn heading(&self) -> String {
        match self {
            Home::Table(table) => format!("[tables.{table}]"),
            other => other.section().heading().to_owned(),
        }
    }

    pub(crate) fn section(&self) -> Section {
        match self {
            Home::Source => Section::Source,
            Home::Kafka => Section::Kafka,
            Home::Table(_) => Section::Tables,
            Home::View => Section::View,
            Home::Sink(_) => Section::Sink,
            Home::Engine => Section::Engine,
        }
    }
}

/// The start of its keys.
impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Home::Table(table) => write!(f, "tables.{table}"),
            Home::Sink(at) => write!(f, "sink.{at}"),
            other => f.write_str(other.section().name()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.home, self.name)
    }
}

impl Key {
    /// The key that is defined so.
    pub(crate) fn new(home: Home, definition: &'static Definition) -> Key {
        Key { home, name: Cow::Borrowed(definition.name), definition }
    }

    /// Whether its value is shown to nobody.
    pub(crate) fn is_secret(&self) -> bool {
        self.definition.secret || self.definition.kind == Kind::Property && kafka::is_secret(&self.name)
    }
}

impl Schema {
    /// The keys of a section, in order.
    pub(crate) fn of(&self, section: Section) -> impl Iterator<Item = &'static Definition> + use<> {
        let definitions: &'static [Definition] = self.definitions;
        definitions.iter().filter(move |definition| definition.section == section)
    }

    /// The key called `name` in `home`.
    pub(crate) fn key(&self, home: &Home, name: &str) -> Result<Key, Wrong> {
        let found = self.of(home.section()).find(|definition| definition.is_called(name));
        if let (None, Section::Sink, Some(why)) = (found, home.section(), confluent::no_counterpart(name)) {
            return Err(Wrong::Rule { key: format!("{home}.{name}"), rule: format!("no such key: {why}") });
        }
        found.map(|definition| Key::new(home.clone(), definition)).ok_or_else(|| {
            let mut names: Vec<&str> = self.of(home.section()).map(|definition| definition.name).collect();
            names.extend((*home == Home::Source).then_some(KAFKA));
            Wrong::Unknown {
                what: "key",
                name: format!("{home}.{name}"),
                nearest: self.nearest_key(Some(home), name),
                known: format!("{} has {}", home.heading(), names.join(", ")),
            }
        })
    }

    /// The property of librdkafka called `name`: there is one of every name, and the client knows which are right.
    pub(crate) fn property(&self, name: String) -> Key {
        let of = |known: &str| self.of(Section::Kafka).find(|definition| definition.name == known);
        let definition = of(&name).or_else(|| of(PROPERTY)).expect("the table has an entry for every other property");
        Key { home: Home::Kafka, name: Cow::Owned(name), definition }
    }

    /// The section of the table called `name`.
    pub(crate) fn table(&self, name: &str) -> Result<Home, Wrong> {
        if self.tables.iter().any(|table| table == name) {
            return Ok(Home::Table(name.to_owned()));
        }
        Err(Wrong::Unknown {
            what: "table",
            name: format!("tables.{name}"),
            nearest: nearest(name, self.tables.iter().map(String::as_str)).map(|table| format!("tables.{table}")),
            known: format!("the view's tables are {}", self.tables.join(", ")),
        })
    }

    /// What to say of a word at the top of a file that is no section.
    pub(crate) fn no_section(&self, name: &str, is_table: bool) -> Wrong {
        let sections = Section::ALL.iter().map(|section| section.name());
        let near = match name {
            KAFKA => Some(Section::Kafka.name().to_owned()),
            _ if is_table => nearest(name, sections).map(str::to_owned),
            _ => self.nearest_key(None, name),
        };
        Wrong::Unknown {
            what: if is_table { "section" } else { "key" },
            name: name.to_owned(),
            nearest: near,
            known: format!("there are {}", Section::ALL.map(Section::heading).join(", ")),
        }
    }

    /// The nearest key: of the same section if one is near, else of any.
    fn nearest_key(&self, home: Option<&Home>, name: &str) -> Option<String> {
        if home == Some(&Home::Source) && distance(name, KAFKA).is_some() {
            return Some(Section::Kafka.name().to_owned());
        }
        // Of properties there are more than these.
        let keys = self.definitions.iter().filter(|definition| definition.section != Section::Kafka);
        let near = keys.filter_map(|definition| {
            let here = home.filter(|home| home.section() == definition.section);
            Some(((here.is_none(), distance(name, definition.name)?), here, definition))
        });
        let (_, here, definition) = near.min_by_key(|(rank, ..)| *rank)?;
        Some(here.map_or_else(|| definition.path(), |home| format!("{home}.{}", definition.name)))
    }
}

impl Definition {
    /// The key as the help names it.
    pub(crate) fn path(&self) -> String {
        match self.section {
            Section::Tables => format!("tables.NAME.{}", self.name),
            Section::Sink => format!("sink.0.{}", self.name),
            section => format!("{}.{}", section.name(), self.name),
        }
    }
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.filter_map(|known| Some((distance(name, known)?, known))).min().map(|(_, known)| known)
}

/// How many edits lead from one to the other, if so few that the one may be meant for the other.
fn distance(name: &str, known: &str) -> Option<usize> {
    let edits = strsim::damerau_levenshtein(name, known);
    (edits <= name.len().max(known.len()).div_ceil(3)).then_some(edits)
}
