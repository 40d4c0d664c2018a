//! A given value to what its key takes: variables filled in, paths made relative to the right folder, limits checked.
//! From here on a secret is a [`Secret`], which nothing prints; what a file holds is one, whatever it is for.

use super::definition::Kind;
use super::given::{Given, Raw, shown};
use super::mistake::Wrong;
use super::moment;
use super::table::BEGINNING;
use super::variables::{Environment, Outside, VariableError, substitute};
use std::fmt;
use std::path::{Path, PathBuf};

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
    Path(PathBuf),
    Paths(Vec<PathBuf>),
    Boolean(bool),
    Integer(i64),
    Secret(Secret),
}

impl Value {
    /// The text, be it a secret.
    #[cfg(feature = "kafka")]
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Value::Text(text) | Value::Secret(Secret(text)) => Some(text),
            _ => None,
        }
    }
}

/// What stands where a secret would.
pub(crate) const REDACTED: &str = "<redacted>";

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The path that stands for standard input or output.
pub(crate) const DASH: &str = "-";

/// Why a value is none.
enum Unfit {
    /// It is not of the kind; this is what it looks like with its variables filled in, if it had any.
    Kind(Option<String>),
    Variable(VariableError),
    /// Its file cannot be read.
    File(String),
}

impl From<VariableError> for Unfit {
    fn from(error: VariableError) -> Unfit {
        Unfit::Variable(error)
    }
}

/// Reads what was given to a key.
pub(crate) fn read(given: &Given, outside: Outside<'_>) -> Result<Value, Wrong> {
    let definition = given.key.definition;
    let key = given.key.to_string();
    let value = match (definition.kind, &given.raw) {
        (Kind::Property | Kind::Secret, Raw::File(path)) => file(path, &given.folder, outside),
        (kind, raw) => fill_in(raw, kind, outside.environment)
            .and_then(|(raw, filled)| fit(meant(given, raw), kind, &given.folder).ok_or(Unfit::Kind(filled))),
    };
    match value {
        Ok(Value::Text(text)) if given.key.is_secret() => Ok(Value::Secret(Secret(text))),
        Ok(value) => Ok(value),
        Err(Unfit::Variable(error)) => Err(Wrong::Variable { key, error }),
        Err(Unfit::File(rule)) => Err(Wrong::Rule { key, rule }),
        // Whether it is a secret, its name may not tell.
        Err(Unfit::Kind(_)) if definition.kind == Kind::Property => {
            Err(Wrong::Rule { key, rule: format!("expected {}", definition.kind) })
        }
        Err(Unfit::Kind(filled)) => {
            let written = shown(filled.as_deref().unwrap_or(&given.written));
            let shown = (!definition.secret).then_some(written);
            Err(Wrong::Value { key, shown, expected: definition.kind.to_string() })
        }
    }
}

/// What a file holds, without the newline at its end.
fn file(path: &str, folder: &Path, outside: Outside<'_>) -> Result<Value, Unfit> {
    let (filled, any) = substitute(path, outside.environment)?;
    let whole = folder.join(filled);
    let text = (outside.files)(&whole).map_err(|error| {
        // A variable may hold the secret itself, by mistake.
        let shown = if any { path.to_owned() } else { whole.display().to_string() };
        Unfit::File(format!("cannot read {shown}: {error}"))
    })?;
    let secret = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
    Ok(Value::Secret(Secret(secret.to_owned())))
}

/// The value with its variables, and its text if it had any. For a number and a boolean, which are no texts, a text
/// that had a variable is read once more.
fn fill_in(raw: &Raw, kind: Kind, environment: Environment<'_>) -> Result<(Raw, Option<String>), Unfit> {
    match raw {
        Raw::Text(text) => {
            let (text, any) = substitute(text, environment)?;
            let parsed = match kind {
                Kind::Integer { .. } | Kind::Boolean | Kind::Start if any => Raw::parse(&text),
                _ => None,
            };
            Ok((parsed.unwrap_or_else(|| Raw::Text(text.clone())), any.then_some(text)))
        }
        Raw::Texts(texts) => {
            let texts: Result<_, VariableError> =
                texts.iter().map(|text| Ok(substitute(text, environment)?.0)).collect();
            Ok((Raw::Texts(texts?), None))
        }
        Raw::Integer(_) | Raw::Float(_) | Raw::Boolean(_) | Raw::Datetime(_) | Raw::File(_) | Raw::Other => {
            Ok((raw.clone(), None))
        }
    }
}

/// The value in our words: a name that another program has may have words of its own.
fn meant(given: &Given, raw: Raw) -> Raw {
    match raw {
        Raw::Text(text) => Raw::Text(given.key.definition.meant(&given.spelt, &text).to_owned()),
        other => other,
    }
}

fn fit(raw: Raw, kind: Kind, folder: &Path) -> Option<Value> {
    match (kind, raw) {
        (Kind::Text | Kind::Secret, Raw::Text(text)) if !text.is_empty() => Some(Value::Text(text)),
        (Kind::Addresses, Raw::Text(text)) if !text.is_empty() => {
            Some(Value::Texts(text.split(',').map(|address| address.trim().to_owned()).collect()))
        }
        (Kind::Addresses, Raw::Texts(texts)) if !texts.is_empty() => Some(Value::Texts(texts)),
        (Kind::Choice(texts), Raw::Text(text)) if texts.contains(&text.as_str()) => Some(Value::Text(text)),
        (Kind::Texts, Raw::Texts(texts)) => Some(Value::Texts(texts)),
        (Kind::Path, Raw::Text(text)) => path(&text, folder).map(Value::Path),
        (Kind::Paths, Raw::Texts(texts)) if !texts.is_empty() => {
            texts.iter().map(|text| path(text, folder)).collect::<Option<_>>().map(Value::Paths)
        }
        (Kind::Boolean, Raw::Boolean(boolean)) => Some(Value::Boolean(boolean)),
        (Kind::Integer { min, max }, Raw::Integer(integer)) if (min..=max).contains(&integer) => {
            Some(Value::Integer(integer))
        }
        (Kind::Start, Raw::Text(text)) if text == BEGINNING => Some(Value::Text(text)),
        (Kind::Start, Raw::Text(moment) | Raw::Datetime(moment)) => moment::milliseconds(&moment).map(Value::Integer),
        (Kind::Start, Raw::Integer(moment)) if moment >= 0 => Some(Value::Integer(moment)),
        (Kind::Property, Raw::Text(text) | Raw::Float(text)) => Some(Value::Text(text)),
        (Kind::Property, Raw::Integer(integer)) => Some(Value::Text(integer.to_string())),
        (Kind::Property, Raw::Boolean(boolean)) => Some(Value::Text(boolean.to_string())),
        _ => None,
    }
}

fn path(text: &str, folder: &Path) -> Option<PathBuf> {
    match text {
        "" => None,
        DASH => Some(DASH.into()),
        text => Some(folder.join(text)),
    }
}
