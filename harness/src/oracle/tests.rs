//! The oracle by cases small enough to be worked out by hand, and by the generator's histories.

use std::sync::Arc;

use super::*;
use crate::scenario::Scenario;

fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

fn row(table: Table, cells: Vec<Cell>) -> (String, SharedRow) {
    let row = Row { table, cells };
    (row.key().to_owned(), Arc::new(row))
}

type Item<'a> = (&'a str, &'a str, i64);

/// A user `u`, a conversation `c` of theirs, and items as (uid, type, created_at).
fn tables(closed_at: Cell, items: &[Item]) -> Tables {
    let mut tables = Tables::default();
    tables.of_mut(Table::Users).extend([row(Table::Users, vec![text("u"), text("Ada"), Cell::Null, Cell::Zoned(0)])]);
    let conversation = vec![text("c"), text("u"), text("hello"), closed_at, Cell::Zoned(0)];
    tables.of_mut(Table::Conversations).extend([row(Table::Conversations, conversation)]);
    for (uid, kind, at) in items {
        let item = vec![text(uid), text("c"), text(kind), Cell::Null, Cell::Zoned(*at)];
        tables.of_mut(Table::Items).extend([row(Table::Items, item)]);
    }
    tables
}

fn step_of(items: &[Item]) -> Option<String> {
    let documents = documents(&tables(Cell::Null, items), &OracleOptions::default());
    documents.get("c").map(|document| document["step"].as_str().unwrap().to_owned())
}

#[test]
fn steps_follow_the_newest_items() {
    let cases: [(&[Item], Option<&str>); 9] = [
        (&[], None),
        (&[("1", "message", 1)], Some("needs_review_invite")),
        (&[("1", "review_invite", 1)], Some("needs_review")),
        (&[("1", "review", 1)], Some("needs_review_response")),
        (&[("1", "review", 1), ("2", "message", 2)], Some("finished")),
        (&[("1", "review", 2), ("2", "message", 1)], Some("needs_review_response")),
        (&[("1", "review", -5), ("2", "review_invite", -5), ("0", "message", 9)], Some("needs_review")),
        (&[("2", "review", 1), ("1", "review_invite", 1), ("3", "message", 1)], Some("finished")),
        (&[("2", "review", 1), ("1", "message", 1)], Some("needs_review_response")),
    ];
    for (items, expected) in cases {
        assert_eq!(step_of(items).as_deref(), expected, "{items:?}");
    }
}

#[test]
fn closed_conversations_and_missing_users_have_no_document() {
    let items = [("1", "message", 1)];
    let options = OracleOptions::default();
    assert!(documents(&tables(Cell::Local(-1), &items), &options).is_empty());
    let mut without_user = tables(Cell::Null, &items);
    without_user.of_mut(Table::Users).clear();
    assert!(documents(&without_user, &options).is_empty());
}

#[test]
fn options_add_columns_and_empty_conversations() {
    let include = ["users.name", "users.bio", "conversations.subject"].map(str::to_owned).to_vec();
    let options = OracleOptions { zero_items_needs_invite: true, include };
    let expected = serde_json::json!({"user_uid": "u", "conversation_uid": "c", "step": "needs_review_invite",
        "name": "Ada", "bio": null, "subject": "hello"});
    assert_eq!(documents(&tables(Cell::Null, &[]), &options).get("c"), Some(&expected));
}

/// The same view in one pass over the items, sorted, the last of each type winning.
fn by_sorting(rows: &TableRows) -> Documents {
    let mut items: Vec<&Value> = rows.items.values().collect();
    // Before year 10000 and after year 0, timestamps of one length compare as their texts do.
    items.sort_by_key(|item| {
        (item["created_at"].as_str().unwrap().to_owned(), item["uid"].as_str().unwrap().to_owned())
    });
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for item in items {
        seen.entry(item["conversation_uid"].as_str().unwrap()).or_default().push(item["type"].as_str().unwrap());
    }
    let mut documents = Documents::new();
    for (uid, conversation) in &rows.conversations {
        let user = conversation["user_uid"].as_str().unwrap();
        let Some(types) = seen.get(uid.as_str()) else { continue };
        if conversation["closed_at"].is_null() && rows.users.contains_key(user) {
            let last = |kind: &str| types.iter().rposition(|other| *other == kind);
            let step = match (last("message"), last("review_invite"), last("review")) {
                (_, None, None) => "needs_review_invite",
                (_, _, None) => "needs_review",
                (_, Some(invite), Some(review)) if invite > review => "needs_review",
                (Some(message), _, Some(review)) if message > review => "finished",
                _ => "needs_review_response",
            };
            documents.insert(uid.clone(), serde_json::json!({"user_uid": user, "conversation_uid": uid, "step": step}));
        }
    }
    documents
}

#[test]
fn a_second_formulation_agrees() {
    for seed in 0..15 {
        let scenario = Scenario::random(seed);
        let oracle = Oracle::new(&scenario.history);
        for (lsn, documents) in oracle.states().step_by(7) {
            assert_eq!(documents, by_sorting(&oracle.tables_at(lsn)), "seed {seed} at {lsn}");
            assert_eq!(documents, oracle.at(lsn), "seed {seed} at {lsn}");
        }
    }
}
