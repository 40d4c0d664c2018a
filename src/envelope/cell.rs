//! One column: from its JSON, as a converter wrote it, to the value a view asks for.

use crate::mutant::Mutant;
use dataflows::{BadValue, Column, Kind, Uuid, Value};
use serde_json::value::RawValue;
use sonic_rs::{JsonValueTrait, LazyValue};
use std::collections::BTreeMap;

/// What Debezium writes for an unchanged TOAST value.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// The same where the value is a list.
const UNAVAILABLE_LIST: &str = "[\"__debezium_unavailable_value\"]";

/// A scalar without escapes.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    /// The text between the quotes.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Other(&'a str),
}

impl<'a> Scalar<'a> {
    /// `None` for text with escapes, and for what is no scalar.
    fn of(raw: &'a str) -> Option<Scalar<'a>> {
        match raw.as_bytes().first()? {
            b'"' => {
                let text = raw.strip_prefix('"')?.strip_suffix('"')?;
                memchr::memchr(b'\\', text.as_bytes()).is_none().then_some(Scalar::Text(text))
            }
            b'{' | b'[' => None,
            _ => Some(Scalar::Other(raw)),
        }
    }
}

/// Reads the value of `column`. `may_omit` says whether the table's large values may be left out of a record.
pub(super) fn read(column: &Column, may_omit: bool, json: &LazyValue<'_>) -> Result<Value, BadValue> {
    let raw = json.as_raw_str();
    let value = match Scalar::of(raw) {
        Some(scalar) => read_scalar(column, may_omit, scalar),
        None => read_other(column, may_omit, json),
    };
    value.ok_or_else(|| {
        let reason = match column.kind {
            _ if raw == "null" => "null, where a value is needed".to_owned(),
            Kind::Uuid => format!("expected a uuid, found {}", shortened(raw)),
            Kind::Text => format!("expected text, found {}", shortened(raw)),
            Kind::Integer => format!("expected a whole number, found {}", shortened(raw)),
            Kind::Timestamp => format!("expected an ISO-8601 time or whole microseconds, found {}", shortened(raw)),
            Kind::Present | Kind::Any => format!("cannot be read: {}", shortened(raw)),
        };
        BadValue::new(column.name.clone(), reason)
    })
}

/// Reads the value of `column`, if the scalar is one of its kind. A number keeps its own text unless it is whole and short.
pub(super) fn read_scalar(column: &Column, may_omit: bool, scalar: Scalar<'_>) -> Option<Value> {
    match (column.kind, scalar) {
        (_, Scalar::Text(UNAVAILABLE)) if may_omit && Mutant::PlaceholderAsNull.lives() => Some(Value::Null),
        (_, Scalar::Text(UNAVAILABLE)) if may_omit => Some(Value::Unknown),
        (Kind::Present, scalar) => Some(Value::Bool(!matches!(scalar, Scalar::Other("null")))),
        (_, Scalar::Other("null")) => column.nullable.then_some(Value::Null),
        (Kind::Uuid, Scalar::Text(text)) => Uuid::parse(text).map(Value::Uuid),
        (Kind::Text | Kind::Any, Scalar::Text(text)) => Some(Value::Text(text.into())),
        (Kind::Integer, Scalar::Other(raw)) => raw.parse().ok().map(Value::Integer),
        (Kind::Timestamp, Scalar::Text(text)) => micros(text).map(Value::Timestamp),
        (Kind::Timestamp, Scalar::Other(raw)) => raw.parse().ok().map(Value::Timestamp),
        (Kind::Any, Scalar::Other(raw)) => Some(match raw {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => raw.parse().map(Value::Integer).unwrap_or_else(|_| Value::Number(raw.into())),
        }),
        (Kind::Uuid | Kind::Text, Scalar::Other(_)) | (Kind::Integer, Scalar::Text(_)) => None,
    }
}

/// Reads text with escapes, an object or an array.
fn read_other(column: &Column, may_omit: bool, json: &LazyValue<'_>) -> Option<Value> {
    match column.kind {
        _ if may_omit && json.as_raw_str() == UNAVAILABLE_LIST => Some(Value::Unknown),
        Kind::Present => Some(Value::Bool(true)),
        Kind::Text => Some(Value::Text(json.as_str()?.into())),
        Kind::Timestamp => micros(json.as_str()?).map(Value::Timestamp),
        Kind::Any => any(json),
        Kind::Uuid | Kind::Integer => None,
    }
}

/// Any JSON that is no plain scalar, in one spelling for each value: an escaped letter and the letter are one text, and
/// fields are sorted. A number keeps its own text, at whatever depth: parsed, one that is long would lose digits.
fn any(json: &LazyValue<'_>) -> Option<Value> {
    let raw = json.as_raw_str();
    if raw.starts_with('"') {
        return Some(Value::Text(json.as_str()?.into()));
    }
    let mut text = String::with_capacity(raw.len());
    nested(raw, &mut text)?;
    Some(Value::Json(text.into()))
}

/// Appends a JSON value to `into` without spaces. Its depth is bounded: see `strict`.
fn nested(raw: &str, into: &mut String) -> Option<()> {
    match raw.as_bytes().first()? {
        b'{' => {
            // Of two fields of one name the last one counts, as with every parser.
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw).ok()?;
            into.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                into.push_str(&serde_json::to_string(name).ok()?);
                into.push(':');
                nested(value.get(), into)?;
            }
            into.push('}');
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            into.push('[');
            for (at, value) in elements.iter().enumerate() {
                if at > 0 {
                    into.push(',');
                }
                nested(value.get(), into)?;
            }
            into.push(']');
        }
        b'"' => into.push_str(&serde_json::to_string(&serde_json::from_str::<String>(raw).ok()?).ok()?),
        _ => into.push_str(raw),
    }
    Some(())
}

/// Enough of a value to recognise it in a message, and no more of what may be private.
fn shortened(raw: &str) -> String {
    match raw.char_indices().nth(40) {
        Some((at, _)) => format!("{}...", raw.get(..at).unwrap_or_default()),
        None => raw.to_owned(),
    }
}

/// Microseconds since 1970 of `YYYY-MM-DDThh:mm:ss[.ffffff](Z|+hh:mm)`, in the proleptic Gregorian calendar. Our own,
/// since it runs for every item and a calendar library's parser costs several times as much.
fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let (negative, date) = match date.as_bytes().first()? {
        b'-' => (true, date.get(1..)?),
        b'+' => (false, date.get(1..)?),
        _ => (false, date),
    };
    let mut parts = date.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4..=6)?, digits(parts.next()?, 2..=2)?, digits(parts.next()?, 2..=2)?);
    let year = if negative { -year } else { year };
    let zone_at = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut clocks = clock.split(':');
    let (hour, minute, second) =
        (digits(clocks.next()?, 2..=2)?, digits(clocks.next()?, 2..=2)?, digits(clocks.next()?, 2..=2)?);
    let real = parts.next().is_none() && clocks.next().is_none() && hour <= 23 && minute <= 59 && second <= 59;
    if !real || !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds(zone)?;
    seconds.checked_mul(1_000_000)?.checked_add(fraction.map_or(Some(0), fraction_micros)?)
}

fn digits(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<i64> {
    (length.contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A fraction of up to six digits; more are refused unless they are zeros, since Postgres has no more to give.
fn fraction_micros(fraction: &str) -> Option<i64> {
    let (kept, rest) = fraction.split_at_checked(6).unwrap_or((fraction, ""));
    let micros = digits(kept, 1..=6)?;
    let scale = 10_i64.pow(6 - u32::try_from(kept.len()).ok()?);
    rest.bytes().all(|c| c == b'0').then_some(micros * scale)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, clock) = match zone.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = clock.split_once(':').unwrap_or((clock, "00"));
    let (hours, minutes) = (digits(hours, 2..=2)?, digits(minutes, 2..=2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Kind, json: &str) -> Result<Value, String> {
        let lazy = sonic_rs::from_str::<LazyValue<'_>>(json).unwrap();
        read(&Column::required("c", kind), true, &lazy).map_err(|bad| bad.to_string())
    }

    #[test]
    fn times_are_microseconds_since_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-03-19T03:09:42.000000Z", 1_773_889_782_000_000),
            ("2026-03-19T03:09:42.5Z", 1_773_889_782_500_000),
            ("2026-03-19T05:09:42.5+02:00", 1_773_889_782_500_000),
            ("1969-03-30T18:19:29.547659Z", -23_866_830_452_341),
            ("2000-02-29T00:00:00.123456000Z", 951_782_400_123_456),
            ("-0044-03-15T12:00:00Z", -63_549_316_800_000_000),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "infinity",
            "2026-03-19",
            "2026-03-19-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-03-19T25:00:00Z",
            "2026-03-19T03:09:42",
            "2026-03-19T03:09:42.Z",
            "2026-03-19T03:09:42.1234567Z",
            "2026-03-19T03:09:42.12345éZ",
            "2026-03-19T03:09:42Z05",
            "2026-03-19T03:09:42+24:00",
            "999999-01-01T00:00:00Z",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn nested_json_has_one_spelling_and_keeps_every_digit() {
        for (json, expected) in [
            (r#"{"n":123456789012345678901234567890}"#, r#"{"n":123456789012345678901234567890}"#),
            ("[18446744073709551616, -9223372036854775809]", "[18446744073709551616,-9223372036854775809]"),
            (r#"{"a":[{"b":[1.2345678901234567890123,1.50]}]}"#, r#"{"a":[{"b":[1.2345678901234567890123,1.50]}]}"#),
            (r#"{ "b" : [ ] , "a" : { } }"#, r#"{"a":{},"b":[]}"#),
            (r#"{"\u0061":"\u00e9\n\"","b":[true,false,null]}"#, r#"{"a":"é\n\"","b":[true,false,null]}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ] {
            assert_eq!(value(Kind::Any, json), Ok(Value::Json(expected.into())), "{json}");
        }
        // A surrogate that stands alone is no text, at whatever depth.
        assert!(value(Kind::Any, r#"{"a":["\ud800"]}"#).is_err());
    }

    #[test]
    fn a_value_is_read_by_what_the_view_asks() {
        assert_eq!(value(Kind::Timestamp, "-42"), Ok(Value::Timestamp(-42)));
        assert_eq!(value(Kind::Present, "17"), Ok(Value::Bool(true)));
        assert_eq!(value(Kind::Present, "null"), Ok(Value::Bool(false)));
        assert_eq!(value(Kind::Any, r#""\u00e9""#), Ok(Value::Text("é".into())));
        assert_eq!(value(Kind::Any, "1.50"), Ok(Value::Number("1.50".into())));
        assert_eq!(value(Kind::Any, r#"{ "a": [1, 2] }"#), Ok(Value::Json(r#"{"a":[1,2]}"#.into())));
        assert_eq!(value(Kind::Any, &format!("\"{UNAVAILABLE}\"")), Ok(Value::Unknown));
        assert_eq!(value(Kind::Text, "null"), Err("column `c`: null, where a value is needed".to_owned()));
        assert_eq!(value(Kind::Uuid, "\"x\""), Err("column `c`: expected a uuid, found \"x\"".to_owned()));
    }
}
