//! The wanted columns of a row or a key, from their JSON.

use super::parse::{framed, parse_seed};
use crate::envelope::{BadReason, cell};
use dataflows::{BadValue, Column, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use sonic_rs::LazyValue;
use std::borrow::Cow;
use std::fmt;

/// Reads a key's columns `into` the space for them.
pub(super) fn read_key<'v>(
    part: &'static str,
    json: &[u8],
    columns: &[Column],
    into: &'v mut Vec<Value>,
) -> Result<&'v mut [Value], BadReason> {
    framed(part, json)?;
    into.clear();
    into.resize(columns.len(), Value::Unknown);
    let mut seed = CellsSeed { columns, may_omit: false, values: into, bad: None, missing: u64::MAX };
    let found = parse_seed(part, json, KeySeed(&mut seed))?;
    let CellsSeed { bad, missing, .. } = seed;
    if !found {
        return Err(BadReason::Missing("the record's key"));
    }
    match bad.or_else(|| first_missing(columns, missing)) {
        Some(bad) => Err(bad.into()),
        None => Ok(into),
    }
}

/// The first column that was not seen.
pub(super) fn first_missing(columns: &[Column], missing: u64) -> Option<BadValue> {
    let unseen = columns.iter().take(64).enumerate().find(|(at, _)| missing & (1 << at) != 0)?;
    Some(BadValue::new(unseen.1.name.clone(), "missing from the record"))
}

/// Reads the wanted columns of a row; true unless the row is null. Values it cannot use do not stop it.
pub(super) struct CellsSeed<'c> {
    pub(super) columns: &'c [Column],
    pub(super) may_omit: bool,
    pub(super) values: &'c mut Vec<Value>,
    pub(super) bad: Option<BadValue>,
    /// A bit for each of the first 64 columns, set until the column is seen.
    pub(super) missing: u64,
}

impl<'de> DeserializeSeed<'de> for &mut CellsSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut CellsSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row or null")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            self.column(&name, &mut map)?;
        }
        Ok(true)
    }
}

impl CellsSeed<'_> {
    /// True if the column is a wanted one.
    fn column<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let Some(at) = self.columns.iter().position(|column| column.name == name) else {
            map.next_value::<IgnoredAny>()?;
            return Ok(false);
        };
        let json: LazyValue<'de> = map.next_value()?;
        let (Some(column), Some(into)) = (self.columns.get(at), self.values.get_mut(at)) else {
            return Err(A::Error::custom("a value for each column"));
        };
        if at < 64 {
            self.missing &= !(1 << at);
        }
        match cell::read(column, self.may_omit, &json) {
            Ok(value) => *into = value,
            Err(bad) => self.bad = Some(bad),
        }
        Ok(true)
    }
}

/// Reads a key: its columns bare, or inside a wrapper.
struct KeySeed<'s, 'c>(&'s mut CellsSeed<'c>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let key = self.0;
        let (mut bare, mut wrapped) = (false, false);
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                // A wrapper, unless the key has a column of that name.
                "payload" if !key.columns.iter().any(|column| column.name == "payload") => {
                    if wrapped {
                        return Err(A::Error::duplicate_field("payload"));
                    }
                    wrapped = map.next_value_seed(&mut *key)?;
                }
                _ => bare |= key.column(&name, &mut map)?,
            }
        }
        if bare && wrapped { Err(A::Error::custom("a key both bare and in a wrapper")) } else { Ok(bare || wrapped) }
    }
}
