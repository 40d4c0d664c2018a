//! What can be wrong with a configuration, in the words in which it is told. All mistakes are told at once, in the order
//! of the file's lines; none shows the value of a secret.

use super::variables::VariableError;
use std::fmt;
use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {path}: {error}", path = path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error(transparent)]
    Mistakes(Mistakes),
}

/// At least one mistake, sorted by place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Mistakes(pub(crate) Vec<Mistake>);

/// One mistake.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) place: Place,
    pub(crate) wrong: Wrong,
}

/// Where a value, or a mistake, comes from; in the order of telling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Default,
    /// Lines and columns are counted from 1.
    Line {
        line: usize,
        column: usize,
        file: String,
    },
    /// What stands nowhere in the file.
    File(String),
    Set,
    /// An option of the command, without its dashes.
    Flag(&'static str),
}

/// What is wrong there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The message of the TOML parser.
    Syntax(String),
    /// `what` is a key, a section or a table; `nearest` is what may be meant, `known` what there is.
    Unknown {
        what: &'static str,
        name: String,
        nearest: Option<String>,
        known: String,
    },
    /// `shown` is the value as it was written, unless it is a secret.
    Value {
        key: String,
        shown: Option<String>,
        expected: String,
    },
    Variable {
        key: String,
        error: VariableError,
    },
    /// The key's section is in the file at this place, or not at all.
    Missing {
        key: String,
        heading: String,
    },
    /// `needs` is what made the key necessary.
    Needed {
        key: String,
        needs: String,
    },
    /// A value that another rule forbids.
    Rule {
        key: String,
        rule: String,
    },
    /// A `--set` that names no key, or no value.
    Set {
        rule: String,
    },
}

impl Mistakes {
    /// By place; those of one place as they were found. A key that is missing because its name is misspelt is told once.
    pub(crate) fn sorted(mut mistakes: Vec<Mistake>) -> Mistakes {
        let misspelt: Vec<String> = mistakes.iter().filter_map(|mistake| mistake.wrong.nearest().cloned()).collect();
        mistakes.retain(|mistake| match &mistake.wrong {
            Wrong::Missing { key, .. } | Wrong::Needed { key, .. } => !misspelt.contains(key),
            _ => true,
        });
        mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        Mistakes(mistakes)
    }
}

impl Wrong {
    fn nearest(&self) -> Option<&String> {
        match self {
            Wrong::Unknown { nearest, .. } => nearest.as_ref(),
            _ => None,
        }
    }
}

impl Mistake {
    pub(crate) fn is_syntax(&self) -> bool {
        matches!(self.wrong, Wrong::Syntax(_))
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [mistake] => write!(f, "{mistake}"),
            mistakes => {
                write!(f, "{} mistakes in the configuration:", mistakes.len())?;
                mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("by default"),
            Place::Line { line, file, .. } => write!(f, "at {file}:{line}"),
            Place::File(file) => write!(f, "in {file}"),
            Place::Set => f.write_str("in --set"),
            Place::Flag(flag) => write!(f, "in --{flag}"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match (&self.wrong, place) {
            (Wrong::Syntax(message), Place::Line { line, column, file }) => {
                write!(f, "not TOML at {file}:{line}:{column}: {message}")
            }
            (Wrong::Syntax(message), place) => write!(f, "not TOML {place}: {message}"),
            (Wrong::Unknown { what, name, nearest: Some(nearest), .. }, place) => {
                write!(f, "unknown {what} `{name}` {place}; did you mean `{nearest}`?")
            }
            (Wrong::Unknown { what, name, nearest: None, known }, place) => {
                write!(f, "unknown {what} `{name}` {place}; {known}")
            }
            (Wrong::Value { key, shown: Some(shown), expected }, place) => {
                write!(f, "`{key}` {place} is `{shown}`; expected {expected}")
            }
            (Wrong::Value { key, shown: None, expected }, place) => {
                write!(f, "`{key}` {place} is wrong (a secret, so it is not shown); expected {expected}")
            }
            (Wrong::Variable { key, error }, place) => write!(f, "`{key}` {place} {error}"),
            (Wrong::Missing { key, heading }, Place::File(file)) => {
                write!(f, "missing key `{key}`: {file} has no section {heading}")
            }
            (Wrong::Missing { key, heading }, place) => write!(f, "missing key `{key}` in {heading} {place}"),
            (Wrong::Needed { key, needs }, place) => write!(f, "missing key `{key}`: {needs} {place} needs it"),
            (Wrong::Rule { key, rule }, place) => write!(f, "`{key}` {place}: {rule}"),
            (Wrong::Set { rule }, _) => f.write_str(rule),
        }
    }
}
