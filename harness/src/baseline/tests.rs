//! The baseline shows what the oracle shows, at every END of generated histories, and tells of each change once.

use std::collections::{BTreeMap, BTreeSet};

use deltaic::dataflows::Uuid;
use serde_json::json;

use super::*;
use crate::workload::{self, Cell, ChangeOp, Commit, Row, Table, Tables};
use crate::{Documents, Oracle, Scenario};

#[test]
fn it_equals_the_oracle_at_every_end() {
    let (mut changed, mut deleted) = (0, 0);
    for seed in 0..60 {
        let history = Scenario::random(seed).history;
        let mut tables = history.base();
        let transactions =
            std::iter::once(difference(&Tables::default(), &tables)).chain(history.commits.iter().map(|commit| {
                let before = tables.clone();
                tables.apply(commit);
                in_order(commit).unwrap_or_else(|| difference(&before, &tables))
            }));
        let (mut baseline, mut found) = (Baseline::default(), Documents::new());
        for (transaction, (lsn, expected)) in transactions.zip(Oracle::new(&history).states()) {
            let mut told = BTreeSet::new();
            baseline.apply(&transaction, |uid, shown| {
                assert!(told.insert(uid), "seed {seed}, LSN {lsn}: {uid} is told twice");
                let before = found.get(&text(uid)).cloned();
                match shown {
                    Some((user, step)) => {
                        let fields = [
                            ("user_uid", text(user)),
                            ("conversation_uid", text(uid)),
                            ("step", step.name().to_owned()),
                        ];
                        found.insert(text(uid), json!(BTreeMap::from(fields)));
                    }
                    None => deleted += usize::from(found.remove(&text(uid)).is_some()),
                }
                assert_ne!(before, found.get(&text(uid)).cloned(), "seed {seed}, LSN {lsn}: nothing changed");
                changed += 1;
            });
            assert_eq!(found, expected, "seed {seed}, LSN {lsn}");
            assert_eq!(found.len() as u64, baseline.documents());
        }
    }
    assert!(changed > 2_000 && deleted > 200, "{changed} changes, {deleted} deletes");
}

#[test]
fn nothing_is_kept_of_what_went() {
    let (user, conversation) = (1, 2);
    let item = |number| Item { conversation, kind: ItemType::Message, created_at: number };
    let mut baseline = Baseline::default();
    let mut told = Vec::new();
    let mut transactions = vec![vec![
        Change::User(user, Some(())),
        Change::Conversation(conversation, Some(Conversation { user, closed: false })),
    ]];
    transactions.extend((0..100).map(|number| vec![Change::Item(1_000 + number as Uid, Some(item(number)))]));
    transactions.extend((0..100).rev().map(|number| vec![Change::Item(1_000 + number as Uid, None)]));
    transactions.push(vec![Change::Conversation(conversation, None), Change::User(user, None)]);
    for transaction in transactions {
        baseline.apply(&transaction, |uid, shown| told.push((uid, shown)));
    }
    assert_eq!(told, [(conversation, Some((user, Step::NeedsReviewInvite))), (conversation, None)]);
    assert!(baseline.users.is_empty() && baseline.conversations.is_empty() && baseline.items.is_empty());
}

/// The commit's changes in their order; `None` where a key changes or a table is truncated, which the baseline does not know.
fn in_order(commit: &Commit) -> Option<Vec<Change>> {
    let known = |change: &workload::Change| !matches!(change.op, ChangeOp::KeyChange | ChangeOp::Truncate);
    let rows = commit.changes.iter().filter(|change| change.table != Table::Signal);
    rows.map(|change| {
        let row = change.new.as_deref().or(change.old.as_deref())?;
        known(change).then(|| typed(row, change.new.is_some()))
    })
    .collect()
}

/// What leads from one state of the tables to another.
fn difference(before: &Tables, after: &Tables) -> Vec<Change> {
    Table::VIEW
        .into_iter()
        .flat_map(|table| {
            let (before, after) = (before.of(table), after.of(table));
            let gone = before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, row)| typed(row, false));
            gone.chain(after.values().map(|row| typed(row, true))).collect::<Vec<_>>()
        })
        .collect()
}

fn typed(row: &Row, stands: bool) -> Change {
    let key = uid(row.key());
    let kind = |name| match name {
        "message" => ItemType::Message,
        "review" => ItemType::Review,
        _ => ItemType::ReviewInvite,
    };
    match row.table {
        Table::Users => Change::User(key, stands.then_some(())),
        Table::Conversations => {
            let closed = row.get("closed_at") != Some(&Cell::Null);
            Change::Conversation(key, stands.then(|| Conversation { user: uid(row.text("user_uid")), closed }))
        }
        Table::Items | Table::Signal => {
            let Some(Cell::Zoned(created_at)) = row.get("created_at") else { panic!("{row:?}") };
            let conversation = uid(row.text("conversation_uid"));
            Change::Item(
                key,
                stands.then(|| Item { conversation, kind: kind(row.text("type")), created_at: *created_at }),
            )
        }
    }
}

fn uid(text: &str) -> Uid {
    Uid::from_be_bytes(Uuid::parse(text).unwrap().0)
}

fn text(uid: Uid) -> String {
    Uuid(uid.to_be_bytes()).to_string()
}
