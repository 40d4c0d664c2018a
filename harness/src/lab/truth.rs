//! What Postgres itself answered after each commit.

use anyhow::{Context, Result};
use postgres::Client;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The answers, by an LSN at or behind the END of the commit that they follow, and before the next commit's.
#[derive(Default)]
pub(super) struct Truth(Mutex<BTreeMap<u64, String>>);

impl Truth {
    /// Asks for the answer now, when nothing commits beside.
    pub(super) fn note(&self, client: &mut Client) -> Result<()> {
        let row = client.query_one(
            "SELECT coalesce(string_agg(uid || '|' || user_uid || '|' || step, E'\\n' ORDER BY uid), ''), \
             (pg_current_wal_insert_lsn() - '0/0')::bigint FROM answer",
            &[],
        )?;
        let (answer, lsn): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(u64::try_from(lsn).context("an LSN below zero")?, answer);
        Ok(())
    }

    /// The answer in the state that the END `lsn` ends with; `None` if it was not asked for yet.
    pub(super) fn at(&self, lsn: u64) -> Option<String> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.range(lsn..).next().map(|(_, answer)| answer.clone())
    }

    /// The last one, and its LSN.
    pub(super) fn last(&self) -> Option<(u64, String)> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.last_key_value().map(|(lsn, answer)| (*lsn, answer.clone()))
    }
}
