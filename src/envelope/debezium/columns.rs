//! The wanted columns of a row or a key, from their JSON.

use super::parse::{framed, parse_seed};
use crate::envelope::{BadReason, cell};
use dataflows::{BadValue, Column, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use sonic_rs::LazyValue;
use std::borrow::Cow;
use std::fmt;

/// Space for the wanted columns of a row, used again for the next one.
#[derive(Default)]
pub(super) struct Cells {
    values: Vec<Value>,
    /// Whether the record has the column.
    seen: Vec<bool>,
}

impl Cells {
    /// The values, in the order of the columns.
    pub(super) fn values(&mut self) -> &mut [Value] {
        &mut self.values
    }

    /// Space for so many values, which are unknown.
    pub(super) fn cleared(&mut self, columns: usize) -> &mut [Value] {
        self.clear(columns);
        &mut self.values
    }

    fn clear(&mut self, columns: usize) {
        self.values.clear();
        self.values.resize(columns, Value::Unknown);
        self.seen.clear();
        self.seen.resize(columns, false);
    }
}

/// Reads a key's columns `into` the space for them.
pub(super) fn read_key<'v>(
    part: &'static str,
    json: &[u8],
    columns: &[Column],
    into: &'v mut Cells,
) -> Result<&'v mut [Value], BadReason> {
    framed(part, json)?;
    let mut seed = CellsSeed::new(columns, false, into);
    let found = parse_seed(part, json, KeySeed(&mut seed))?;
    let bad = seed.bad();
    if !found {
        return Err(BadReason::Missing("the record's key"));
    }
    match bad {
        Some(bad) => Err(bad.into()),
        None => Ok(into.values()),
    }
}

/// Reads the wanted columns of a row; true unless the row is null. Values it cannot use do not stop it.
pub(super) struct CellsSeed<'c> {
    columns: &'c [Column],
    may_omit: bool,
    cells: &'c mut Cells,
    bad: Option<BadValue>,
}

impl<'c> CellsSeed<'c> {
    /// Reads `columns` into `cells`.
    pub(super) fn new(columns: &'c [Column], may_omit: bool, cells: &'c mut Cells) -> CellsSeed<'c> {
        cells.clear(columns.len());
        CellsSeed { columns, may_omit, cells, bad: None }
    }

    /// What is wrong with the row that was read: a value, or a column that the record lacks.
    pub(super) fn bad(self) -> Option<BadValue> {
        let unseen = || {
            let (column, _) = self.columns.iter().zip(&self.cells.seen).find(|(_, seen)| !**seen)?;
            Some(BadValue::new(column.name.clone(), "missing from the record"))
        };
        self.bad.or_else(unseen)
    }
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
        let cells = &mut *self.cells;
        let (Some(column), Some(into), Some(seen)) =
            (self.columns.get(at), cells.values.get_mut(at), cells.seen.get_mut(at))
        else {
            return Err(A::Error::custom("a value for each column"));
        };
        *seen = true;
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

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::Kind;
    use std::collections::BTreeMap;

    /// Reads a row of 200 columns that lacks one.
    fn without(lacking: usize) -> Result<Vec<Value>, String> {
        let columns: Vec<Column> = (0..200).map(|at| Column::required(format!("c{at}"), Kind::Integer)).collect();
        let row: BTreeMap<String, usize> =
            (0..200).filter(|at| *at != lacking).map(|at| (format!("c{at}"), at)).collect();
        let json = serde_json::to_vec(&row).unwrap();
        let mut cells = Cells::default();
        read_key("key", &json, &columns, &mut cells).map(|values| values.to_vec()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_missing_column_is_told_however_many_there_are() {
        for lacking in [0, 1, 63, 64, 65, 127, 128, 199] {
            assert_eq!(without(lacking), Err(format!("column `c{lacking}`: missing from the record")));
        }
        assert_eq!(without(200), Ok((0..200).map(Value::Integer).collect()));
    }

    #[test]
    fn the_space_of_one_row_holds_nothing_of_it_for_the_next() {
        let columns = [Column::required("a", Kind::Integer), Column::required("b", Kind::Integer)];
        let mut cells = Cells::default();
        assert!(read_key("key", br#"{"a":1,"b":2}"#, &columns, &mut cells).is_ok());
        let second = read_key("key", br#"{"b":3}"#, &columns, &mut cells).map_err(|bad| bad.to_string());
        assert_eq!(second, Err("column `a`: missing from the record".to_owned()));
        assert_eq!(cells.values, [Value::Unknown, Value::Integer(3)]);
    }
}
