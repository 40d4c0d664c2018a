//! JSON into what is asked for, or into the reason why not.

use crate::envelope::{BadReason, strict};
use crate::source::kcat::first_line;
use serde::Deserialize;
use serde::de::DeserializeSeed;
use std::marker::PhantomData;

pub(super) fn parse<'a, T: Deserialize<'a>>(part: &'static str, json: &'a [u8]) -> Result<T, BadReason> {
    framed(part, json)?;
    parse_seed(part, json, PhantomData)
}

pub(super) fn parse_seed<'a, S: DeserializeSeed<'a>>(
    part: &'static str,
    json: &'a [u8],
    seed: S,
) -> Result<S::Value, BadReason> {
    strict::refuse(json).map_err(|error| BadReason::Json { part, error: error.to_owned() })?;
    let text = std::str::from_utf8(json).map_err(|error| BadReason::Json { part, error: error.to_string() })?;
    let mut deserializer = sonic_rs::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).map_err(|error| unread(part, &error))?;
    deserializer.end().map_err(|error| unread(part, &error))?;
    Ok(value)
}

fn unread(part: &'static str, error: &sonic_rs::Error) -> BadReason {
    let words = first_line(&error.to_string());
    if error.is_unmatched_type() {
        BadReason::Shape { part, error: words }
    } else {
        BadReason::Json { part, error: words }
    }
}

pub(super) fn field(field: &'static str, value: &str, problem: &'static str) -> BadReason {
    BadReason::Field { field, value: value.chars().take(80).collect(), problem }
}

/// Refuses the framing of a schema registry: a zero byte, which no JSON starts with.
pub(super) fn framed(part: &'static str, bytes: &[u8]) -> Result<(), BadReason> {
    if bytes.first() == Some(&0) { Err(BadReason::Framed { part }) } else { Ok(()) }
}
