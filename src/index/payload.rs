//! What each commit says of itself: of what the index is, up to where, and how many documents there are.

use super::error::IndexError;
use crate::sink::{Identity, KeptIdentity};
use crate::time::{Epoch, Lsn, Time};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The format of what this version writes. It rises when an index of an older version could be misread.
const FORMAT: u64 = 1;

/// Stored inside tantivy's commit, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) format: u64,
    #[serde(flatten)]
    pub(crate) of: KeptIdentity,
    epoch: u8,
    /// The log that fills it has no initial snapshot and begins behind this END: rows from before it are missing.
    pub(crate) partial_from: Option<u64>,
    /// The END of the last transaction that is in; `None` before the first commit of a run.
    lsn: Option<u64>,
    pub(crate) documents: u64,
    /// Records of the source that had been read when the commit was made.
    pub(crate) records: u64,
    /// Commits of documents so far.
    pub(crate) commits: u64,
}

/// What is read before anything else can be trusted.
#[derive(Deserialize)]
struct Head {
    format: u64,
}

impl Payload {
    /// Of an index that holds nothing yet.
    pub(crate) fn new(identity: &Identity) -> Payload {
        Payload {
            format: FORMAT,
            of: KeptIdentity::of(identity),
            epoch: Epoch::default().0,
            partial_from: None,
            lsn: None,
            documents: 0,
            records: 0,
            commits: 0,
        }
    }

    /// Reads what stands in a commit of the index in `dir`.
    pub(crate) fn read(dir: &Path, text: Option<&str>) -> Result<Payload, IndexError> {
        let foreign = |reason: String| IndexError::Foreign { dir: dir.to_owned(), reason };
        let text = text.ok_or_else(|| foreign("its last commit does not say up to where it goes".to_owned()))?;
        let head: Head = serde_json::from_str(text).map_err(|error| foreign(error.to_string()))?;
        if head.format != FORMAT {
            return Err(IndexError::Format { dir: dir.to_owned(), found: head.format, expected: FORMAT });
        }
        serde_json::from_str(text).map_err(|error| foreign(error.to_string()))
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts have a JSON form")
    }

    /// The last transaction that is in.
    pub(crate) fn lsn(&self) -> Option<Lsn> {
        self.lsn.map(Lsn)
    }

    /// Everything below this time is in.
    pub(crate) fn upper(&self) -> Time {
        self.lsn.map_or(0, |lsn| Lsn(lsn).time(Epoch(self.epoch)) + 1)
    }

    pub(crate) fn set_upper(&mut self, upper: Time) {
        let last = upper.checked_sub(1);
        self.epoch = last.map_or_else(Epoch::default, Epoch::of_time).0;
        self.lsn = last.map(|last| Lsn::of_time(last).0);
    }

    /// Refuses an index that holds another number of documents than its last commit counted.
    pub(crate) fn check_count(&self, dir: &Path, found: u64) -> Result<(), IndexError> {
        if found == self.documents {
            return Ok(());
        }
        let reason = format!("it holds {found} documents, and its last commit counted {}", self.documents);
        Err(IndexError::Damaged { dir: dir.to_owned(), reason })
    }

    /// Refuses a run of something else, and says in what it differs.
    pub(crate) fn check(&self, dir: &Path, identity: &Identity) -> Result<(), IndexError> {
        let differences = self.of.differences(identity);
        if differences.is_empty() { Ok(()) } else { Err(IndexError::Identity { dir: dir.to_owned(), differences }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::{ConversationSearch, ZeroItems};

    fn identity(view: &ConversationSearch, prefix: &str) -> Identity {
        Identity::new(view, prefix)
    }

    #[test]
    fn a_payload_is_read_as_it_was_written() {
        let mut payload = Payload::new(&identity(&ConversationSearch::default(), "podium"));
        assert_eq!((payload.upper(), payload.lsn()), (0, None));
        for upper in [1, 17, Lsn(5).time(Epoch(3)) + 1] {
            payload.set_upper(upper);
            assert_eq!(payload.upper(), upper);
            assert_eq!(Payload::read(Path::new("i"), Some(&payload.write())).unwrap(), payload);
        }
    }

    #[test]
    fn what_differs_is_told() {
        let plain = ConversationSearch::default();
        let payload = Payload::new(&identity(&plain, "podium"));
        let named = plain.clone().include("users.name").unwrap();
        let zero = plain.clone().zero_items(ZeroItems::NeedsReviewInvite);
        for (identity, expected) in [
            (identity(&plain, "podium"), None),
            (identity(&plain, "other"), Some("the source's prefix is `podium` in the index and `other` in this run")),
            (
                identity(&zero, "podium"),
                Some("the option zero_items is `absent` in the index and `needs_review_invite` in this run"),
            ),
            (identity(&named, "podium"), Some("the option include is none in the index and `users.name` in this run")),
            (
                Identity { view: "mine".to_owned(), ..identity(&plain, "podium") },
                Some("the view is `conversation_search` in the index and `mine` in this run"),
            ),
        ] {
            let told = payload.check(Path::new("i"), &identity).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(told, None),
                Some(expected) => assert!(told.as_ref().unwrap().contains(expected), "{told:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let read = |text| Payload::read(Path::new("i"), text);
        assert!(matches!(read(None), Err(IndexError::Foreign { .. })));
        assert!(matches!(read(Some("hello")), Err(IndexError::Foreign { .. })));
        assert!(matches!(read(Some(r#"{"format":1}"#)), Err(IndexError::Foreign { .. })));
        assert!(matches!(
            read(Some(r#"{"format":2,"new":[]}"#)),
            Err(IndexError::Format { found: 2, expected: 1, .. })
        ));
    }
}
