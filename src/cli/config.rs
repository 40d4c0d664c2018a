//! The configuration of a run. There is one table of keys; reading a file, `--set`, the options of `deltaic run`, the
//! help and `deltaic config` follow from it.
//!
//! ```text
//!   table ──> schema: names to keys
//!               │
//!   file   ─────┤
//!   --set  ─────┼──> given ──> value ──> settings ──> rules ──> Config ──> RunPlan
//!   option ─────┘    form      kind,     strongest    keys      typed      view, options, sink
//!                              ${ENV}    one wins     together
//! ```
//!
//! Read [`table`] first. Mistakes are gathered all along the way and told at once.

pub(crate) mod command;
mod confluent;
mod definition;
mod file;
mod flags;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod given;
mod help;
mod kafka;
mod meaning;
mod mistake;
mod moment;
mod print;
mod properties;
mod rules;
mod schema;
mod set;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod variables;

pub(crate) use flags::Flags;
pub(crate) use meaning::{Config, Reads, RunPlan, SinkConfig, TantivyConfig};
pub(crate) use mistake::ConfigError;

use clap::Args;
use deltaic::dataflows::ConversationSearch;
use kafka::Built;
use mistake::{Mistake, Mistakes, Place};
use schema::{Home, Schema};
use settings::Settings;
use std::path::{Path, PathBuf};
use variables::Outside;

/// Which file, and what is set over it.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigArgs {
    /// The configuration file (TOML).
    #[arg(value_name = "CONFIG")]
    pub(crate) file: PathBuf,

    /// Set a key over the file, as in --set engine.workers=4. May be given often; the last one counts.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// The help's explanation of all keys.
pub(crate) fn explained() -> String {
    help::keys(&schema())
}

impl Config {
    /// Reads the configuration with the process's environment.
    pub(crate) fn read(args: &ConfigArgs, flags: &Flags) -> Result<Config, ConfigError> {
        Ok(Config::of(&settings(args, flags)?))
    }
}

fn schema() -> Schema {
    let tables = meaning::tables_of(&ConversationSearch::default());
    Schema { definitions: table::DEFINITIONS, tables, built: Built::HERE }
}

/// Settings without mistakes.
fn settings(args: &ConfigArgs, flags: &Flags) -> Result<Settings, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { path: args.file.clone(), error };
    let text = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    let outside = Outside { environment: &|name| std::env::var_os(name), files: &|path| std::fs::read_to_string(path) };
    settle(schema(), &args.file, &text, &args.set, flags, outside).map_err(ConfigError::Mistakes)
}

fn settle(
    schema: Schema,
    path: &Path,
    text: &str,
    set: &[String],
    flags: &Flags,
    outside: Outside<'_>,
) -> Result<Settings, Mistakes> {
    let name = path.display().to_string();
    let parsed = file::parse(&schema, &name, path.parent().unwrap_or(Path::new("")), text);
    let (mut given, mut mistakes) = (parsed.given, parsed.mistakes);
    if mistakes.iter().any(Mistake::is_syntax) {
        return Err(Mistakes::sorted(mistakes));
    }
    let sinks = parsed.homes.iter().filter(|(home, _)| matches!(home, Home::Sink(_))).count();
    for text in set {
        match set::parse(&schema, sinks, text) {
            Ok(set) => given.push(set),
            Err(wrong) => mistakes.push(Mistake { place: Place::Set, wrong }),
        }
    }
    given.extend(flags.given());
    let settings = Settings::settle(schema, &name, parsed.homes, given, outside, &mut mistakes);
    rules::check(&settings, &mut mistakes);
    if mistakes.is_empty() { Ok(settings) } else { Err(Mistakes::sorted(mistakes)) }
}
