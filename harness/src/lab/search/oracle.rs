//! What may be in an index: every state that a document ever has, by the engine itself, in this process and without any server.
//!
//! ```text
//!   states of a document:    100 ──── 140 ──── 170 (deleted) ──── 210
//!                                  ↑ durable             ↑ attempted
//!   may be there:            the one that stands below durable (100), or one from there to attempted (140, absent)
//! ```
//!
//! Where both are the same, one state is left for each document: the index is exact.

use anyhow::{Context, Result, bail};
use deltaic::dataflows::ConversationSearch;
use deltaic::{Action, DocumentJson, Engine, Log, Lsn, SinkError, Time};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Documents with their versions, by id.
pub(super) type Found = BTreeMap<String, (Time, String)>;

/// All states of all documents of a log.
pub(super) struct Oracle {
    /// By id, in the order of their times; `None` is a document that was deleted.
    states: BTreeMap<String, Vec<(Time, Option<String>)>>,
    /// Up to where the log goes.
    pub(super) end: Lsn,
    /// How often a document was deleted, and how often one of those came again.
    pub(super) deletes: u64,
    pub(super) returns: u64,
}

/// Below which time everything is in an index, and from which on nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) durable: Time,
    pub(super) attempted: Time,
}

/// The view that all runs are of.
pub(super) fn view() -> Result<ConversationSearch> {
    Ok(ConversationSearch::default().include("users.name")?)
}

/// A document as text, the same for the same document.
pub(super) fn text(document: &Value) -> String {
    document.to_string()
}

impl Oracle {
    /// Of the log in a file.
    pub(super) fn of(log: &Path, prefix: &str) -> Result<Oracle> {
        let mut states: BTreeMap<String, Vec<(Time, Option<String>)>> = BTreeMap::new();
        let (mut deletes, mut returns) = (0, 0);
        let report = Engine::replay(view()?, Log::file(log)).prefix(prefix).for_each(|touch| {
            let document = match &touch.action {
                Action::Delete => None,
                Action::Upsert(document) => {
                    Some(text(&serde_json::to_value(DocumentJson(document)).map_err(SinkError::other)?))
                }
            };
            deletes += u64::from(document.is_none());
            let states = states.entry(touch.id.to_string()).or_default();
            returns += u64::from(document.is_some() && matches!(states.last(), Some((_, None))));
            states.push((touch.time, document));
            Ok(())
        })?;
        let end = report.exact_at.context("a replay is exact at some LSN")?;
        Ok(Oracle { states, end, deletes, returns })
    }

    /// How many documents stand below a time.
    pub(super) fn documents(&self, below: Time) -> u64 {
        let stands = |states: &&Vec<(Time, Option<String>)>| {
            let at = states.partition_point(|(time, _)| *time < below);
            at.checked_sub(1).and_then(|at| states.get(at)).is_some_and(|(_, document)| document.is_some())
        };
        self.states.values().filter(stands).count() as u64
    }

    /// Whether this may be in an index that says so of itself.
    ///
    /// # Errors
    /// The first document that may not be as it is.
    pub(super) fn check(&self, found: &Found, between: Between) -> Result<()> {
        if let Some((id, (version, document))) = found.iter().find(|(id, _)| !self.states.contains_key(*id)) {
            bail!("{id} was never a document, and is there with version {version}: {document}");
        }
        for (id, states) in &self.states {
            let found = found.get(id);
            let may_be = may_be(states, between);
            let is = |state: &Option<(Time, &str)>| *state == found.map(|(version, text)| (*version, text.as_str()));
            if !may_be.iter().any(is) {
                bail!("{id} is {found:?}, and may be {may_be:?} where {between:?}; its states are {states:?}");
            }
        }
        Ok(())
    }
}

/// The states that a document may be in: version and text, or absent.
fn may_be(states: &[(Time, Option<String>)], between: Between) -> Vec<Option<(Time, &str)>> {
    let first = states.partition_point(|(time, _)| *time < between.durable);
    let stands = first.checked_sub(1).and_then(|at| states.get(at));
    let later = states.iter().skip(first).take_while(|(time, _)| *time < between.attempted);
    let mut may_be = vec![stands.and_then(|(time, document)| Some((*time, document.as_deref()?)))];
    may_be.extend(later.map(|(time, document)| document.as_deref().map(|document| (*time, document))));
    may_be
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oracle() -> Oracle {
        let text = |text: &str| Some(text.to_owned());
        let states = vec![(100, text("a")), (140, text("b")), (170, None), (210, text("c"))];
        Oracle { states: BTreeMap::from([("x".to_owned(), states)]), end: Lsn(210), deletes: 1, returns: 1 }
    }

    fn is_right(version: Option<(Time, &str)>, durable: Time, attempted: Time) -> bool {
        let found = version.map(|(version, text)| ("x".to_owned(), (version, text.to_owned())));
        oracle().check(&found.into_iter().collect(), Between { durable, attempted }).is_ok()
    }

    #[test]
    fn a_document_is_at_what_is_durable_or_later() {
        for (version, durable, attempted, right) in [
            (None, 0, 0, true),
            (None, 101, 101, false),
            (Some((100, "a")), 101, 101, true),
            (Some((100, "b")), 101, 101, false),
            (Some((100, "a")), 101, 200, true),
            (Some((140, "b")), 101, 200, true),
            (None, 101, 200, true),
            (None, 101, 170, false),
            (Some((210, "c")), 101, 200, false),
            (Some((100, "a")), 141, 200, false),
            (Some((140, "b")), 171, 171, false),
            (None, 171, 171, true),
            (Some((210, "c")), 300, 300, true),
        ] {
            assert_eq!(is_right(version, durable, attempted), right, "{version:?} {durable} {attempted}");
        }
    }

    #[test]
    fn what_never_was_is_told() {
        let found = Found::from([("y".to_owned(), (1, "a".to_owned()))]);
        assert!(oracle().check(&found, Between { durable: 0, attempted: 0 }).is_err());
    }

    #[test]
    fn documents_are_counted_as_they_stand() {
        let counts = [100, 101, 170, 171, 211].map(|below| oracle().documents(below));
        assert_eq!(counts, [0, 1, 1, 0, 1]);
    }
}
