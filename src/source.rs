//! Where records come from. Every source gives the same [`SourceRecord`]; what follows cannot tell them apart.
//!
//! ```text
//!  files, stdin ──> lines ──> decoders (threads) ──> chunks ──> one worker each partition
//!  (log)            (kcat)    (envelope)             (feed)
//! ```

pub(crate) mod by_partition;
pub(crate) mod catalog;
pub(crate) mod clients;
pub(crate) mod feed;
pub(crate) mod input;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
pub(crate) mod kcat;
pub(crate) mod log;
pub(crate) mod offsets;
pub(crate) mod packed;
pub(crate) mod reader;
pub(crate) mod records;
pub(crate) mod shape;
pub(crate) mod survey;

use catalog::Partition;
use std::borrow::Cow;
use std::fmt;

/// What is known at a place of the input, beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Mark {
    /// All there is was read, at so many milliseconds.
    AllRead { ms: u64 },
    /// A partition is read, from this offset on; `added` while others of its topic were read already.
    Partition { partition: Partition, first: u64, added: bool },
    /// Where the partitions end is looked up now, for the n-th time.
    Asked { look_up: u64 },
    /// It is known which partitions there were at the n-th time: those that are new have been told.
    Known { look_up: u64 },
    /// Everything up to those ends was read, at so many milliseconds.
    Reached { look_up: u64, ms: u64 },
}

/// A record as its topic holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceRecord<'a> {
    /// The topic.
    pub topic: Cow<'a, str>,
    /// The partition of the topic.
    pub partition: u32,
    /// The position in the partition.
    pub offset: u64,
    /// Header names and values, in order.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The key's bytes, if there is a key.
    pub key: Option<Cow<'a, [u8]>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
}

impl SourceRecord<'_> {
    /// The value of the first header called `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_ref())
    }
}

/// Where a record stood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The topic, or empty where not even that could be read.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
    /// File and line of the replay log.
    pub line: Option<(String, u64)>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.topic.is_empty() {
            write!(f, "topic {}, partition {}, offset {}", self.topic, self.partition, self.offset)?;
        }
        match &self.line {
            Some((file, line)) if self.topic.is_empty() => write!(f, "{file}, line {line}"),
            Some((file, line)) => write!(f, " ({file}, line {line})"),
            None => Ok(()),
        }
    }
}
