//! A line of a replay log: exactly what `kcat -C -J` prints for a record.
//!
//! ```json
//! {"topic":"podium.public.users","partition":1,"offset":0,"tstype":"create","ts":1795449766771,"broker":1,
//!  "headers":["name","value"],"key":"{\"uid\":...}","payload":"{\"before\":null,...}"}
//! ```

mod parts;

pub(crate) use parts::{Part, parts};

use super::SourceRecord;
use crate::envelope::strict;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// Not a JSON object of the expected shape.
    #[error("not a line of `kcat -C -J`: {0}")]
    Shape(String),
    /// Key or payload was written as base64, as some tools do with binary formats.
    #[error(
        "key or payload is base64: Avro and other binary formats are not supported yet; use Debezium's JSON converter"
    )]
    Base64,
    /// No topic has such a partition; taken for one, it would make the topic have all partitions below it.
    #[error(
        "topic {topic}, partition {partition}, offset {offset}: partition numbers above {PARTITION_MAX} are not supported"
    )]
    Partition {
        /// The topic.
        topic: String,
        /// The number.
        partition: u64,
        /// The offset.
        offset: u64,
    },
}

/// The greatest partition number. Whole clusters have not many times as many partitions, and what is kept for each
/// partition of a topic is kept for all numbers below the greatest.
pub(crate) const PARTITION_MAX: u32 = 65_535;

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

/// The fields of a line. `payload` and `payload_b64` tell a field that is null from one that is not there.
#[derive(Default)]
struct Line<'a> {
    topic: Option<Text<'a>>,
    partition: Option<u64>,
    offset: Option<u64>,
    headers: Option<Vec<Option<Text<'a>>>>,
    key: Option<Option<Text<'a>>>,
    payload: Option<Option<Text<'a>>>,
    base64: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Line<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LineVisitor;
        impl<'de> Visitor<'de> for LineVisitor {
            type Value = Line<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
                let mut line = Line::default();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    match name.0.as_ref() {
                        "topic" => once(&mut line.topic, "topic", map.next_value()?)?,
                        "partition" => once(&mut line.partition, "partition", map.next_value()?)?,
                        "offset" => once(&mut line.offset, "offset", map.next_value()?)?,
                        "headers" => line.headers = map.next_value()?,
                        "key" => once(&mut line.key, "key", map.next_value()?)?,
                        "payload" => once(&mut line.payload, "payload", map.next_value()?)?,
                        "key_b64" | "payload_b64" => {
                            line.base64 |= map.next_value::<Option<Text<'_>>>()?.is_some();
                            if name.0 == "payload_b64" {
                                line.payload.get_or_insert_default();
                            }
                        }
                        _ => {
                            map.next_value_seed(Skip(SKIP_LEVELS))?;
                        }
                    }
                }
                Ok(line)
            }
        }
        deserializer.deserialize_map(LineVisitor)
    }
}

fn once<T, E: de::Error>(field: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    if field.replace(value).is_some() { Err(E::duplicate_field(name)) } else { Ok(()) }
}

/// Reads any value and forgets it, down to so many levels. Not serde's `IgnoredAny`: sonic-rs skips that by recursion
/// without a limit and checks less of it.
#[derive(Clone, Copy)]
struct Skip(u32);

/// How deep a value that is skipped may nest; kcat writes one level.
const SKIP_LEVELS: u32 = 32;

impl Skip {
    fn deeper<E: de::Error>(self) -> Result<Skip, E> {
        self.0.checked_sub(1).map(Skip).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.deeper()?;
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// Reads a line. Never panics, whatever the bytes.
pub(crate) fn parse(line: &[u8]) -> Result<SourceRecord<'_>, BadLine> {
    // The parser skips what is not of the expected type by recursion without a limit.
    if strict::too_deep(line) {
        return Err(BadLine::Shape("nested too deep".to_owned()));
    }
    let line: Line<'_> = sonic_rs::from_slice(line).map_err(|error| BadLine::Shape(first_line(&error.to_string())))?;
    if line.base64 {
        return Err(BadLine::Base64);
    }
    let missing = |name| BadLine::Shape(format!("`{name}` is missing"));
    let mut headers = Vec::new();
    let mut flat = line.headers.unwrap_or_default().into_iter();
    while let Some(name) = flat.next() {
        let value = flat.next().flatten().unwrap_or_default();
        headers.push((name.unwrap_or_default().0, value.0));
    }
    // A line without a payload is not taken for a tombstone: another tool may give the value another name.
    let payload = line.payload.ok_or_else(|| missing("payload"))?;
    let topic = line.topic.ok_or_else(|| missing("topic"))?.0;
    let partition = line.partition.ok_or_else(|| missing("partition"))?;
    let offset = line.offset.ok_or_else(|| missing("offset"))?;
    let Some(partition) = possible(partition) else {
        return Err(BadLine::Partition { topic: topic.into_owned(), partition, offset });
    };
    Ok(SourceRecord {
        topic,
        partition,
        offset,
        headers,
        key: line.key.flatten().map(|text| bytes(text.0)),
        value: payload.map(|text| bytes(text.0)),
    })
}

/// The line that holds `record`: what [`parse`] reads as it, unless a key or a value is no text, which a line can only
/// hold as base64.
pub(crate) fn line(record: &SourceRecord<'_>) -> Vec<u8> {
    let mut fields = serde_json::Map::new();
    let headers = record.headers.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]);
    fields.insert("topic".to_owned(), record.topic.as_ref().into());
    fields.insert("partition".to_owned(), record.partition.into());
    fields.insert("offset".to_owned(), record.offset.into());
    fields.insert("headers".to_owned(), headers.collect::<Vec<_>>().into());
    for (name, bytes) in [("key", &record.key), ("payload", &record.value)] {
        match bytes.as_deref().map(|bytes| (std::str::from_utf8(bytes), bytes)) {
            None => fields.insert(name.to_owned(), serde_json::Value::Null),
            Some((Ok(text), _)) => fields.insert(name.to_owned(), text.into()),
            Some((Err(_), bytes)) => fields.insert(format!("{name}_b64"), BASE64_STANDARD.encode(bytes).into()),
        };
    }
    serde_json::Value::Object(fields).to_string().into_bytes()
}

/// Topic and partition alone, for a first look at a log: by the head of the line where it is as kcat writes it, else by
/// reading the line.
pub(crate) fn parse_head(line: &[u8]) -> Result<(Cow<'_, str>, u32), BadLine> {
    if let Some((topic, partition, _)) = quick_head(line) {
        return Ok((topic, partition));
    }
    parse(line).map(|record| (record.topic, record.partition))
}

/// The start of a line that is as kcat writes it, up to where its offset stands: the same for every record of a partition.
pub(crate) fn head(line: &[u8]) -> Option<&[u8]> {
    quick_head(line).map(|head| head.2)
}

/// Topic, partition, and the start of the line that names them.
fn quick_head(line: &[u8]) -> Option<(Cow<'_, str>, u32, &[u8])> {
    let rest = line.strip_prefix(b"{\"topic\":\"")?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    let (topic, rest) = rest.split_at_checked(end)?;
    let rest = rest.strip_prefix(b"\",\"partition\":")?;
    let digits = rest.iter().position(|c| !c.is_ascii_digit())?;
    let (number, rest) = rest.split_at_checked(digits)?;
    let rest = rest.strip_prefix(b",\"offset\":")?;
    let topic = std::str::from_utf8(topic).ok()?;
    let partition = possible(std::str::from_utf8(number).ok()?.parse().ok()?)?;
    Some((Cow::Borrowed(topic), partition, line.get(..line.len() - rest.len())?))
}

/// The number, if a partition may have it.
pub(crate) fn possible(partition: u64) -> Option<u32> {
    u32::try_from(partition).ok().filter(|partition| *partition <= PARTITION_MAX)
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The first line of a parser's message; the rest shows a piece of the input, which may hold private data.
pub(crate) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(200).collect()
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
        assert_eq!(head(line), Some(br#"{"topic":"podium.public.users","partition":2,"offset":"#.as_slice()));
    }

    #[test]
    fn a_record_is_a_line_again() {
        let text = |text: &'static str| Some(Cow::Borrowed(text.as_bytes()));
        let record = SourceRecord {
            topic: "podium.public.users".into(),
            partition: 2,
            offset: 62,
            headers: vec![("a".into(), "\"b\"".into())],
            key: text(r#"{"uid":1}"#),
            value: text("{\"name\":\"\u{e9}\\n\"}"),
        };
        assert_eq!(parse(&line(&record)).unwrap(), record);
        assert_eq!(parse(&line(&SourceRecord::default())).unwrap(), SourceRecord::default());
        let binary = SourceRecord { value: Some(Cow::Borrowed(&[0, 0xff])), ..record };
        assert!(String::from_utf8(line(&binary)).unwrap().contains(r#""payload_b64":"AP8=""#));
    }

    #[test]
    fn the_head_is_found_in_any_field_order() {
        let line = br#"{ "offset":62, "partition":2, "topic":"a\u002eb", "payload":"x"}"#;
        assert_eq!(parse_head(line).unwrap(), ("a.b".into(), 2));
    }

    #[test]
    fn a_partition_that_no_topic_has_is_told_with_its_place() {
        let line = |partition: &str| {
            format!(r#"{{"topic":"podium.public.users","partition":{partition},"offset":7,"payload":null}}"#)
        };
        assert_eq!(parse(line("65535").as_bytes()).unwrap().partition, 65_535);
        assert_eq!(parse_head(line("65535").as_bytes()).unwrap().1, 65_535);
        for number in [65_536, 4_294_967_295, 4_294_967_296, u64::MAX] {
            let line = line(&number.to_string());
            for told in [parse(line.as_bytes()).map(drop), parse_head(line.as_bytes()).map(drop)] {
                let Err(BadLine::Partition { topic, partition, offset }) = told else { panic!("{told:?}") };
                assert_eq!((topic.as_str(), partition, offset), ("podium.public.users", number, 7));
            }
        }
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
