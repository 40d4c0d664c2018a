//! What Postgres itself answered after each commit.

use anyhow::{Context, Result};
use postgres::Client;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The answers, by an LSN at or behind the END of the commit that they follow, and before the next commit's; each with an LSN
/// before that END, at or behind the one of the answer before.
#[derive(Default)]
pub(super) struct Truth(Mutex<BTreeMap<u64, (u64, String)>>);

/// Where the log of Postgres ends now.
pub(super) fn position(client: &mut Client) -> Result<u64> {
    let row = client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[])?;
    u64::try_from(row.try_get::<_, i64>(0)?).context("an LSN below zero")
}

impl Truth {
    /// Asks for the answer now, when nothing commits beside, and the last commit began to be written behind `before`.
    pub(super) fn note(&self, client: &mut Client, before: u64) -> Result<()> {
        let row = client.query_one(
            "SELECT coalesce(string_agg(uid || '|' || user_uid || '|' || step, E'\\n' ORDER BY uid), ''), \
             (pg_current_wal_insert_lsn() - '0/0')::bigint FROM answer",
            &[],
        )?;
        let (answer, lsn): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(u64::try_from(lsn).context("an LSN below zero")?, (before, answer));
        Ok(())
    }

    /// The answer at an LSN: an END, or where a snapshot was taken; `None` if it was not asked for yet.
    pub(super) fn at(&self, lsn: u64) -> Option<String> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, (before, answer)) = answers.range(lsn..).next()?;
        if lsn > *before {
            return Some(answer.clone());
        }
        answers.range(..lsn).next_back().map(|(_, (_, answer))| answer.clone())
    }

    /// The LSNs of the answers before and at or behind `lsn`, for whoever must find out what is wrong.
    pub(super) fn around(&self, lsn: u64) -> (Option<u64>, Option<u64>) {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lsn_of = |entry: Option<(&u64, &(u64, String))>| entry.map(|(lsn, _)| *lsn);
        (lsn_of(answers.range(..lsn).next_back()), lsn_of(answers.range(lsn..).next()))
    }

    /// The last one, and its LSN.
    pub(super) fn last(&self) -> Option<(u64, String)> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.last_key_value().map(|(lsn, (_, answer))| (*lsn, answer.clone()))
    }
}
