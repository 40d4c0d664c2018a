//! The truth: the view over the tables at a committed transaction, recomputed as a whole from the history alone.
//!
//! ```sql
//! SELECT c.user_uid, c.uid AS conversation_uid, step(c)
//! FROM conversations c JOIN users u ON u.uid = c.user_uid
//! WHERE c.closed_at IS NULL AND EXISTS (SELECT FROM conversation_items i WHERE i.conversation_uid = c.uid);
//! ```
//!
//! with m, i, r the greatest `(created_at, uid)` among the conversation's messages, review invites and reviews:
//!
//! | first that holds | step |
//! |---|---|
//! | no i and no r | `needs_review_invite` |
//! | no r, or i > r | `needs_review` |
//! | m > r | `finished` |
//! | otherwise | `needs_review_response` |
//!
//! It is slow and keeps no state between transactions but the tables: nothing in it can be stale.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::workload::{Cell, Commit, History, Row, SharedRow, Table, Tables};

/// Documents by conversation.
pub type Documents = BTreeMap<String, Value>;

/// The options of the view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OracleOptions {
    /// Whether a conversation without items has a document, with step `needs_review_invite`.
    pub zero_items_needs_invite: bool,
    /// Extra columns as `table.column` with table `users` or `conversations`; the field is named as the column.
    pub include: Vec<String>,
}

/// Answers what the view holds at a transaction.
#[derive(Clone, Debug)]
pub struct Oracle<'a> {
    history: &'a History,
    options: OracleOptions,
}

/// The rows of the three tables as Debezium's JSON shows them, by uid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableRows {
    /// `users`
    pub users: BTreeMap<String, Value>,
    /// `conversations`
    pub conversations: BTreeMap<String, Value>,
    /// `conversation_items`
    pub items: BTreeMap<String, Value>,
}

impl<'a> Oracle<'a> {
    /// The plain view over a history.
    pub fn new(history: &'a History) -> Self {
        Oracle::with_options(history, OracleOptions::default())
    }

    /// The view with options.
    pub fn with_options(history: &'a History, options: OracleOptions) -> Self {
        Oracle { history, options }
    }

    /// L0, the moment of the initial snapshot.
    pub fn base_lsn(&self) -> u64 {
        self.history.base_lsn
    }

    /// The END LSNs above L0, rising.
    pub fn ends(&self) -> Vec<u64> {
        self.history.commits.iter().map(|commit| commit.end_lsn).collect()
    }

    /// The documents after the last transaction with END at or below `lsn`; the snapshot's for anything below the first END.
    pub fn at(&self, lsn: u64) -> Documents {
        documents(&self.tables(lsn), &self.options)
    }

    /// The tables at that moment.
    pub fn tables_at(&self, lsn: u64) -> TableRows {
        let tables = self.tables(lsn);
        let rows = |table| tables.of(table).iter().map(|(key, row)| (key.clone(), row.to_json())).collect();
        TableRows { users: rows(Table::Users), conversations: rows(Table::Conversations), items: rows(Table::Items) }
    }

    /// The documents at L0 and after each transaction above it, each with its LSN.
    pub fn states(&self) -> impl Iterator<Item = (u64, Documents)> + '_ {
        let mut tables = self.history.base();
        let first = (self.base_lsn(), documents(&tables, &self.options));
        let later = self.history.commits.iter().map(move |commit: &Commit| {
            tables.apply(commit);
            (commit.end_lsn, documents(&tables, &self.options))
        });
        std::iter::once(first).chain(later)
    }

    fn tables(&self, lsn: u64) -> Tables {
        let mut tables = self.history.base();
        self.history.commits.iter().take_while(|commit| commit.end_lsn <= lsn).for_each(|commit| tables.apply(commit));
        tables
    }
}

/// The view over these tables.
pub fn documents(tables: &Tables, options: &OracleOptions) -> Documents {
    let mut items: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for item in tables.of(Table::Items).values() {
        items.entry(item.text("conversation_uid")).or_default().push(item);
    }
    let conversations = tables.of(Table::Conversations).iter();
    conversations
        .filter_map(|(uid, conversation)| {
            let items = items.get(uid.as_str()).map_or(&[][..], Vec::as_slice);
            Some((uid.clone(), document(tables, conversation, items, options)?))
        })
        .collect()
}

fn document(tables: &Tables, conversation: &SharedRow, items: &[&Row], options: &OracleOptions) -> Option<Value> {
    let user = tables.of(Table::Users).get(conversation.text("user_uid"))?;
    let open = conversation.get("closed_at") == Some(&Cell::Null);
    if !open || (items.is_empty() && !options.zero_items_needs_invite) {
        return None;
    }
    let mut fields = Map::new();
    fields.insert("user_uid".to_owned(), Value::from(user.key()));
    fields.insert("conversation_uid".to_owned(), Value::from(conversation.key()));
    fields.insert("step".to_owned(), Value::from(step(items)));
    for wanted in &options.include {
        let (table, column) = wanted.split_once('.').expect("an included column is written table.column");
        let row = if table == "users" { user } else { conversation };
        let value = row.get(column).expect("an included column exists");
        fields.insert(column.to_owned(), value.to_json());
    }
    Some(Value::Object(fields))
}

fn step(items: &[&Row]) -> &'static str {
    let newest = |kind: &str| items.iter().filter(|item| item.text("type") == kind).map(|item| moment(item)).max();
    let (message, invite, review) = (newest("message"), newest("review_invite"), newest("review"));
    // `None` is less than every moment, which is what each comparison wants of a missing item.
    if invite.is_none() && review.is_none() {
        "needs_review_invite"
    } else if review.is_none() || invite > review {
        "needs_review"
    } else if message > review {
        "finished"
    } else {
        "needs_review_response"
    }
}

/// Postgres compares uuids by their bytes, which is how their lower-case texts compare.
fn moment(item: &Row) -> (i64, &str) {
    match item.get("created_at") {
        Some(Cell::Zoned(micros)) => (*micros, item.key()),
        _ => (i64::MIN, item.key()),
    }
}

#[cfg(test)]
mod tests;
