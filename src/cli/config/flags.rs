//! The options of `deltaic run` that set a key. They are made from the table, and what is typed behind them goes the way
//! of every other value: one check, one message.

use super::definition::{Definition, Kind};
use super::given::{Given, Raw};
use super::mistake::Place;
use super::schema::{Home, Key};
use super::table::DEFINITIONS;
use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;

/// What was typed, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) Vec<(&'static str, String)>);

fn flagged() -> impl Iterator<Item = (&'static str, &'static Definition)> {
    DEFINITIONS.iter().filter_map(|definition| Some((definition.flag?, definition)))
}

fn arg(flag: &'static str, definition: &Definition) -> Arg {
    let value_name = match definition.unit {
        Some("LSN") => "LSN",
        _ => definition.kind.value_name(),
    };
    let arg = Arg::new(flag).long(flag).value_name(value_name).help(definition.about.trim_end_matches('.'));
    match definition.kind {
        // `--follow` alone is `--follow=true`; with `=`, or it would take the next word for its value.
        Kind::Boolean => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg,
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(flagged().map(|(flag, definition)| arg(flag, definition)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, Error> {
        let typed = flagged().filter_map(|(flag, _)| Some((flag, matches.get_one::<String>(flag)?.clone())));
        Ok(Flags(typed.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Flags {
    /// What was typed, as values of keys.
    pub(super) fn given(&self) -> impl Iterator<Item = Given> {
        self.0.iter().filter_map(|(flag, written)| {
            let (flag, definition) = flagged().find(|(known, _)| known == flag)?;
            let key = Key::new(Home::only(definition.section)?, definition);
            let raw = match definition.kind {
                Kind::Integer { .. } | Kind::Boolean | Kind::Start => Raw::parse(written).unwrap_or(Raw::Other),
                Kind::Texts | Kind::Paths => Raw::Texts(vec![written.clone()]),
                Kind::Text | Kind::Path | Kind::Choice(_) | Kind::Property | Kind::Addresses | Kind::Secret => {
                    Raw::Text(written.clone())
                }
            };
            let spelt = key.name.to_string();
            Some(Given { key, spelt, raw, written: written.clone(), place: Place::Flag(flag), folder: PathBuf::new() })
        })
    }
}
