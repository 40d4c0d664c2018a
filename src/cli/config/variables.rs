//! `${NAME}` in texts: the value of an environment variable. `${NAME:-text}` is `text` where the variable is unset or
//! empty, `$$` is a dollar, and a dollar that is neither is refused rather than guessed at.
//!
//! The errors name the variable and nothing of the text around it, which may be a secret.

use std::ffi::OsString;
use std::io;
use std::path::Path;

/// The variables there are; passed, so that tests have their own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Reads the text of a file; passed for the same reason.
pub(crate) type Files<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// What values may refer to outside of the configuration.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    pub(crate) environment: Environment<'a>,
    pub(crate) files: Files<'a>,
}

/// A text whose variables cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableError {
    #[error("needs the environment variable {0}, which is not set; set it, or write ${{{0}:-DEFAULT}}")]
    Unset(String),
    #[error("needs the environment variable {0}, which is not UTF-8")]
    NotText(String),
    #[error("has a `${{` without its `}}`")]
    Unclosed,
    #[error("has a `${{...}}` without a variable's name; write ${{NAME}} or ${{NAME:-DEFAULT}}")]
    Name,
    #[error("has a `$` that begins no ${{NAME}}; write $$ for a dollar")]
    Dollar,
}

/// The text with its variables filled in, and whether it had any.
pub(crate) fn substitute(text: &str, environment: Environment<'_>) -> Result<(String, bool), VariableError> {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut any) = (text, false);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(behind) = after.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some(inside) = after.strip_prefix('{') {
            let (variable, behind) = inside.split_once('}').ok_or(VariableError::Unclosed)?;
            out.push_str(&value(variable, environment)?);
            rest = behind;
            any = true;
        } else {
            return Err(VariableError::Dollar);
        }
    }
    out.push_str(rest);
    Ok((out, any))
}

/// The text that stands for itself.
pub(crate) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

fn value(variable: &str, environment: Environment<'_>) -> Result<String, VariableError> {
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if !is_name {
        return Err(VariableError::Name);
    }
    match (environment(name).filter(|value| default.is_none() || !value.is_empty()), default) {
        (Some(value), _) => value.into_string().map_err(|_| VariableError::NotText(name.to_owned())),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(VariableError::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        match name {
            "HOME" => Some("/home/ada".into()),
            "EMPTY" => Some("".into()),
            "_N2" => Some("2${HOME}".into()),
            #[cfg(unix)]
            "BYTES" => Some(std::os::unix::ffi::OsStringExt::from_vec(vec![0xff])),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, expected) in [
            ("plain", Ok(("plain", false))),
            ("", Ok(("", false))),
            ("${HOME}/log", Ok(("/home/ada/log", true))),
            ("a${HOME}b${HOME}", Ok(("a/home/adab/home/ada", true))),
            ("$$", Ok(("$", false))),
            ("$${HOME}", Ok(("${HOME}", false))),
            ("${NO:-x:-y}", Ok(("x:-y", true))),
            ("${NO:-}", Ok(("", true))),
            ("${HOME:-x}", Ok(("/home/ada", true))),
            ("${EMPTY}", Ok(("", true))),
            ("${EMPTY:-x}", Ok(("x", true))),
            // What a variable holds is taken as it is.
            ("${_N2}", Ok(("2${HOME}", true))),
            ("${NO}", Err(VariableError::Unset("NO".to_owned()))),
            #[cfg(unix)]
            ("${BYTES}", Err(VariableError::NotText("BYTES".to_owned()))),
            ("${HOME", Err(VariableError::Unclosed)),
            ("${}", Err(VariableError::Name)),
            ("${2}", Err(VariableError::Name)),
            ("${a b}", Err(VariableError::Name)),
            ("pa$word", Err(VariableError::Dollar)),
            ("5$", Err(VariableError::Dollar)),
        ] {
            let expected = expected.map(|(text, any)| (text.to_owned(), any));
            assert_eq!(substitute(text, &environment), expected, "{text}");
        }
    }

    #[test]
    fn an_escaped_text_stands_for_itself() {
        for text in ["", "$", "${HOME}", "a$$b"] {
            assert_eq!(substitute(&escape(text), &environment), Ok((text.to_owned(), false)));
        }
    }
}
