//! A line of a replay log: exactly what `kcat -C -J` prints for a record.
//!
//! ```json
//! {"topic":"podium.public.users","partition":1,"offset":0,"tstype":"create","ts":1795449766771,"broker":1,
//!  "headers":["name","value"],"key":"{\"uid\":...}","payload":"{\"before\":null,...}"}
//! ```

use super::SourceRecord;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// Not a JSON object of the expected shape.
    #[error("not a line of `kcat -C -J`: {0}")]
    Shape(String),
    /// The payload was written as base64, as some tools do with binary formats.
    #[error("the payload is base64: Avro and other binary formats are not supported yet; use Debezium's JSON converter")]
    Base64,
}

/// Text that borrows from the line unless it has escapes. (serde itself never borrows inside an `Option`.)
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    topic: Text<'a>,
    partition: u32,
    offset: u64,
    #[serde(borrow, default)]
    headers: Option<Vec<Option<Text<'a>>>>,
    #[serde(borrow, default)]
    key: Option<Text<'a>>,
    #[serde(borrow, default)]
    payload: Option<Text<'a>>,
    #[serde(default)]
    payload_b64: Option<de::IgnoredAny>,
}

/// Reads a line. Never panics, whatever the bytes.
pub(crate) fn parse(line: &[u8]) -> Result<SourceRecord<'_>, BadLine> {
    let line: Line<'_> = sonic_rs::from_slice(line).map_err(|error| BadLine::Shape(first_line(&error.to_string())))?;
    if line.payload_b64.is_some() {
        return Err(BadLine::Base64);
    }
    let mut headers = Vec::new();
    let mut flat = line.headers.unwrap_or_default().into_iter();
    while let Some(name) = flat.next() {
        let value = flat.next().flatten().unwrap_or_default();
        headers.push((name.unwrap_or_default().0, value.0));
    }
    Ok(SourceRecord {
        topic: line.topic.0,
        partition: line.partition,
        offset: line.offset,
        headers,
        key: line.key.map(|text| bytes(text.0)),
        value: line.payload.map(|text| bytes(text.0)),
    })
}

/// Topic and partition alone, for a first look at a log: by the head of the line where it is as kcat writes it, else by
/// reading the line.
pub(crate) fn parse_head(line: &[u8]) -> Result<(Cow<'_, str>, u32), BadLine> {
    if let Some(head) = quick_head(line) {
        return Ok(head);
    }
    parse(line).map(|record| (record.topic, record.partition))
}

fn quick_head(line: &[u8]) -> Option<(Cow<'_, str>, u32)> {
    let rest = line.strip_prefix(b"{\"topic\":\"")?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    let (topic, rest) = rest.split_at_checked(end)?;
    let rest = rest.strip_prefix(b"\",\"partition\":")?;
    let digits = rest.iter().position(|c| !c.is_ascii_digit())?;
    let (number, rest) = rest.split_at_checked(digits)?;
    rest.starts_with(b",\"offset\":").then_some(())?;
    let topic = std::str::from_utf8(topic).ok()?;
    Some((Cow::Borrowed(topic), std::str::from_utf8(number).ok()?.parse().ok()?))
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The first line of a parser's message; the rest shows a piece of the input, which may hold private data.
pub(crate) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_record() {
        let line = br#"{"topic":"podium.public.users","partition":2,"offset":62,"tstype":"create","ts":1,"broker":1,"headers":["a","b","c",null],"key":"{\"uid\":1}","payload":null}"#;
        let record = parse(line).unwrap();
        assert_eq!((record.topic.as_ref(), record.partition, record.offset), ("podium.public.users", 2, 62));
        assert_eq!(record.header("a"), Some("b"));
        assert_eq!(record.header("c"), Some(""));
        assert_eq!(record.key.as_deref(), Some(br#"{"uid":1}"#.as_slice()));
        assert_eq!(record.value, None);
        assert_eq!(parse_head(line).unwrap(), ("podium.public.users".into(), 2));
    }

    #[test]
    fn the_head_is_found_in_any_field_order() {
        let line = br#"{ "offset":62, "partition":2, "topic":"a\u002eb", "payload":"x"}"#;
        assert_eq!(parse_head(line).unwrap(), ("a.b".into(), 2));
    }

    #[test]
    fn what_is_not_a_line_is_told() {
        assert!(matches!(parse(b"% Reached end of topic"), Err(BadLine::Shape(_))));
        assert!(matches!(parse(br#"{"topic":"t","partition":-1,"offset":0}"#), Err(BadLine::Shape(_))));
        assert!(matches!(
            parse(br#"{"topic":"t","partition":0,"offset":0,"payload_b64":"AAAA"}"#),
            Err(BadLine::Base64)
        ));
    }
}
