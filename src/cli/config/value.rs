//! A given value to what its key takes: variables filled in, paths made relative to the right folder, limits checked.
//! From here on a secret is a [`Secret`], which nothing prints.

use super::definition::Kind;
use super::given::{Given, Raw, shown};
use super::mistake::Wrong;
use super::variables::{Environment, VariableError, substitute};
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
}

impl From<VariableError> for Unfit {
    fn from(error: VariableError) -> Unfit {
        Unfit::Variable(error)
    }
}

/// Reads what was given to a key.
pub(crate) fn read(given: &Given, environment: Environment<'_>) -> Result<Value, Wrong> {
    let definition = given.key.definition;
    let key = given.key.to_string();
    let value = fill_in(&given.raw, definition.kind, environment)
        .and_then(|(raw, filled)| fit(raw, definition.kind, &given.folder).ok_or(Unfit::Kind(filled)));
    match value {
        Ok(Value::Text(text)) if definition.secret => Ok(Value::Secret(Secret(text))),
        Ok(value) => Ok(value),
        Err(Unfit::Variable(error)) => Err(Wrong::Variable { key, error }),
        Err(Unfit::Kind(filled)) => {
            let written = shown(filled.as_deref().unwrap_or(&given.written));
            let shown = (!definition.secret).then_some(written);
            Err(Wrong::Value { key, shown, expected: definition.kind.to_string() })
        }
    }
}

/// The value with its variables, and its text if it had any. For a number and a boolean, which are no texts, a text
/// that had a variable is read once more.
fn fill_in(raw: &Raw, kind: Kind, environment: Environment<'_>) -> Result<(Raw, Option<String>), Unfit> {
    match raw {
        Raw::Text(text) => {
            let (text, any) = substitute(text, environment)?;
            let parsed = match kind {
                Kind::Integer { .. } | Kind::Boolean if any => Raw::parse(&text),
                _ => None,
            };
            Ok((parsed.unwrap_or_else(|| Raw::Text(text.clone())), any.then_some(text)))
        }
        Raw::Texts(texts) => {
            let texts: Result<_, VariableError> =
                texts.iter().map(|text| Ok(substitute(text, environment)?.0)).collect();
            Ok((Raw::Texts(texts?), None))
        }
        Raw::Integer(_) | Raw::Boolean(_) | Raw::Other => Ok((raw.clone(), None)),
    }
}

fn fit(raw: Raw, kind: Kind, folder: &Path) -> Option<Value> {
    match (kind, raw) {
        (Kind::Text, Raw::Text(text)) if !text.is_empty() => Some(Value::Text(text)),
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
