//! The values of all keys, from everybody who may set one.
//!
//! ```text
//!   option of the command  >  --set  >  file  >  default
//! ```
//!
//! Whoever is overruled must still make sense: a mistake in a file is told though `--set` gives another value.

use super::definition::{Definition, Fallback, Section};
use super::given::{Given, Raw};
use super::mistake::{Mistake, Place, Wrong};
use super::schema::{Home, Key, Schema};
use super::table::KAFKA;
use super::value::{self, Value};
use super::variables::Outside;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

/// What a key is set to, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// The values of a whole configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) schema: Schema,
    /// The sections there are, in order, and where they begin.
    pub(crate) homes: BTreeMap<Home, Place>,
    values: BTreeMap<Home, BTreeMap<Cow<'static, str>, Setting>>,
    /// The keys that somebody set, rightly or wrongly.
    named: BTreeSet<(Home, Cow<'static, str>)>,
}

impl Settings {
    /// Settles every key. `homes` are the file's sections, `given` goes from the weakest to the strongest. A key whose
    /// value is wrong is left out, and the mistake noted.
    pub(crate) fn settle(
        schema: Schema,
        file: &str,
        homes: Vec<(Home, Place)>,
        given: Vec<Given>,
        outside: Outside<'_>,
        mistakes: &mut Vec<Mistake>,
    ) -> Settings {
        let homes: BTreeMap<Home, Place> = homes.into_iter().collect();
        let mut settings = Settings { schema, homes, values: BTreeMap::new(), named: BTreeSet::new() };
        // What must be there, be it empty.
        for home in [Home::Source, Home::View, Home::Sink(0), Home::Engine] {
            settings.homes.entry(home).or_insert_with(|| Place::File(file.to_owned()));
        }
        for given in given {
            let (home, name) = (given.key.home.clone(), given.key.name.clone());
            settings.named.insert((home.clone(), name.clone()));
            settings.homes.entry(home.clone()).or_insert_with(|| Place::File(file.to_owned()));
            match value::read(&given, outside) {
                Ok(value) => settings.set(home, name, Setting { value, place: given.place }),
                Err(wrong) => mistakes.push(Mistake { place: given.place, wrong }),
            }
        }
        if settings.kind(&Home::Source) == Some(KAFKA) {
            settings.homes.entry(Home::Kafka).or_insert_with(|| Place::File(file.to_owned()));
        }
        settings.only(mistakes);
        settings.fall_back(mistakes);
        settings
    }

    /// Keys that this kind of source or sink does not have.
    fn only(&self, mistakes: &mut Vec<Mistake>) {
        for home in self.homes.keys() {
            let Some(kind) = self.kind(home) else { continue };
            let what = if home.section() == Section::Sink { "sink" } else { "source" };
            for (name, setting) in self.all(home) {
                let key = match home {
                    Home::Kafka => Ok(self.schema.property(name.to_owned())),
                    _ => self.schema.key(home, name),
                };
                if let Ok(key) = key
                    && let Some(only) = key.definition.only.first().filter(|_| !key.definition.is_of(kind))
                {
                    let rule = format!("a {what} of kind \"{kind}\" has no such key; one of kind \"{only}\" has");
                    let wrong = Wrong::Rule { key: key.to_string(), rule };
                    mistakes.push(Mistake { place: setting.place.clone(), wrong });
                }
            }
        }
    }

    fn fall_back(&mut self, mistakes: &mut Vec<Mistake>) {
        for (home, place) in self.homes.clone() {
            for definition in self.schema.of(home.section()) {
                if self.is_named(&home, definition.name) || !self.has(&home, definition) {
                    continue;
                }
                let key = Key::new(home.clone(), definition);
                match definition.fallback {
                    Fallback::Unset(_) => {}
                    Fallback::Required => {
                        let wrong = Wrong::Missing { key: key.to_string(), heading: home.heading() };
                        mistakes.push(Mistake { place: place.clone(), wrong });
                    }
                    Fallback::Is(written) => {
                        let value = default(key, written);
                        self.set(
                            home.clone(),
                            Cow::Borrowed(definition.name),
                            Setting { value, place: Place::Default },
                        );
                    }
                }
            }
        }
    }

    /// The kind of the sink that `home` is, or of the source that it is about.
    pub(crate) fn kind(&self, home: &Home) -> Option<&str> {
        let of = match home.section() {
            Section::Source | Section::Kafka | Section::Tables => &Home::Source,
            Section::Sink => home,
            Section::View | Section::Engine => return None,
        };
        match self.get(of, "kind")? {
            Setting { value: Value::Text(kind), .. } => Some(kind),
            _ => None,
        }
    }

    /// Whether `home` has the key, being of its kind.
    pub(crate) fn has(&self, home: &Home, definition: &Definition) -> bool {
        definition.only.is_empty() || self.kind(home).is_some_and(|kind| definition.is_of(kind))
    }

    /// What the keys of the section are set to, by name.
    pub(crate) fn all(&self, home: &Home) -> impl Iterator<Item = (&str, &Setting)> {
        self.values.get(home).into_iter().flatten().map(|(name, setting)| (&**name, setting))
    }

    /// What the key is set to, if it has a value.
    pub(crate) fn get(&self, home: &Home, name: &str) -> Option<&Setting> {
        self.values.get(home)?.get(name)
    }

    /// Whether somebody set the key, be it to a wrong value.
    pub(crate) fn is_named(&self, home: &Home, name: &'static str) -> bool {
        self.named.contains(&(home.clone(), Cow::Borrowed(name)))
    }

    fn set(&mut self, home: Home, name: Cow<'static, str>, setting: Setting) {
        self.values.entry(home).or_default().insert(name, setting);
    }
}

/// The value of a default, which is TOML that the table holds.
pub(crate) fn default(key: Key, written: &'static str) -> Value {
    let raw = Raw::parse(written).unwrap_or(Raw::Other);
    let place = Place::Default;
    let spelt = key.name.to_string();
    let given = Given { key, spelt, raw, written: written.to_owned(), place, folder: PathBuf::new() };
    let outside = Outside { environment: &|_| None, files: &|_| Err(io::ErrorKind::NotFound.into()) };
    value::read(&given, outside).expect("the table's defaults fit their kinds, as a test checks")
}
