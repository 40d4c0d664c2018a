//! The effective configuration as TOML: what every key is set to, defaults among them. It is itself a configuration
//! that means the same, wherever the file is put; only secrets are not in it.

use super::definition::{Definition, Fallback};
use super::schema::Home;
use super::settings::Settings;
use super::value::{DASH, REDACTED, Value};
use super::variables::escape;
use std::fmt;
use std::path::{Path, absolute};

/// The settings, printed.
pub(crate) struct Effective<'a>(pub(crate) &'a Settings);

impl fmt::Display for Effective<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, home) in self.0.homes.keys().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", home.heading())?;
            if *home == Home::Kafka {
                self.properties(f)?;
                continue;
            }
            for definition in self.0.schema.of(home.section()) {
                self.key(f, home, definition)?;
            }
        }
        Ok(())
    }
}

impl Effective<'_> {
    fn key(&self, f: &mut fmt::Formatter<'_>, home: &Home, definition: &Definition) -> fmt::Result {
        let name = definition.name;
        match (self.0.get(home, name), definition.fallback) {
            (Some(setting), _) => writeln!(f, "{name} = {}", toml(&setting.value)),
            (None, Fallback::Unset(instead)) if self.0.has(home, definition) => {
                writeln!(f, "# {name} is not set: {instead}")
            }
            // Of another kind of source or sink.
            (None, _) => Ok(()),
        }
    }

    /// Those that somebody set; the others are librdkafka's. A name with dots is quoted: it is one name.
    fn properties(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.all(&Home::Kafka).try_for_each(|(name, setting)| {
            write!(f, "{}", toml::Table::from_iter([(name.to_owned(), toml(&setting.value))]))
        })
    }
}

fn toml(value: &Value) -> toml::Value {
    match value {
        Value::Text(text) => text_toml(text),
        Value::Texts(texts) => toml::Value::Array(texts.iter().map(|text| text_toml(text)).collect()),
        Value::Path(path) => path_toml(path),
        Value::Paths(paths) => toml::Value::Array(paths.iter().map(|path| path_toml(path)).collect()),
        Value::Boolean(boolean) => toml::Value::Boolean(*boolean),
        Value::Integer(integer) => toml::Value::Integer(*integer),
        Value::Secret(_) => toml::Value::String(REDACTED.to_owned()),
    }
}

fn text_toml(text: &str) -> toml::Value {
    toml::Value::String(escape(text))
}

fn path_toml(path: &Path) -> toml::Value {
    let whole = if path.as_os_str() == DASH { path.to_owned() } else { absolute(path).unwrap_or(path.to_owned()) };
    text_toml(&whole.display().to_string())
}
