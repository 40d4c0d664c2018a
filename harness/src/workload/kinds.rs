//! The kinds of transactions. Each is one function that issues statements; which one runs is drawn by weight.
//!
//! # Notes
//! A kind that finds nothing to work on (no user yet, everything truncated) inserts instead, so that no history starves.

use super::options::{Weights, WorkloadOptions};
use super::rows::{Cell, Row, Table};
use super::transaction::Database;
use super::values::words;

type Kind = fn(&mut Database);

/// Issues one transaction's statements; none for a transaction of an uncaptured table.
pub(super) fn write_transaction(database: &mut Database, options: &WorkloadOptions) {
    if let Some((table, from)) = database.chain.take()
        && database.tables.of(table).contains_key(&from)
    {
        let to = database.free_key(table);
        return database.change_keys(table, &[(from, to)]);
    }
    let table = weighted(&options.weights, options);
    let total: u32 = table.iter().map(|(weight, _)| weight).sum();
    let mut ticket = database.rng.u32(..total.max(1));
    for (weight, kind) in table {
        if ticket < weight {
            return kind(database);
        }
        ticket -= weight;
    }
}

fn weighted(weights: &Weights, options: &WorkloadOptions) -> [(u32, Kind); 17] {
    let keys = |weight: u32| if options.allow_key_changes { weight } else { 0 };
    let truncate = if options.allow_truncate { weights.truncate } else { 0 };
    [
        (weights.single, single),
        (weights.family, family),
        (weights.same_row, same_row),
        (weights.copy, copy),
        (keys(weights.key_change), key_change),
        (keys(weights.key_chain), key_chain),
        (keys(weights.chain_across), chain_across),
        (keys(weights.swap), swap),
        (keys(weights.cycle), cycle),
        (truncate, truncation),
        (weights.reparent, reparent),
        (weights.close_reopen, close_reopen),
        (weights.user, user),
        (weights.hot, hot),
        (weights.big, big),
        (weights.empty, empty),
        (weights.signal, signal),
    ]
}

/// One insert, update or delete of any table.
pub(super) fn single(database: &mut Database) {
    let table = database.some_table();
    let key = database.some_key(table);
    match (database.rng.u8(..10), key) {
        (0..=3, Some(key)) => update_some(database, table, &key),
        (4..=5, Some(key)) => database.delete(table, &key),
        _ => insert_some(database, table),
    }
}

fn insert_some(database: &mut Database, table: Table) {
    let key = database.free_key(table);
    let row = database.draw_row(table, key);
    database.insert(row);
}

fn update_some(database: &mut Database, table: Table, key: &str) {
    if let Some(row) = database.tables.of(table).get(key).cloned() {
        let new = database.mutated(&row);
        database.update(new);
    }
}

fn family(database: &mut Database) {
    if database.rng.bool() {
        return (0..database.rng.usize(2..12)).for_each(|_| single(database));
    }
    let user = database.free_key(Table::Users);
    let row = database.draw_row(Table::Users, user.clone());
    database.insert(row);
    for _ in 0..database.rng.usize(1..3) {
        let conversation = database.free_key(Table::Conversations);
        let row = database.draw_row(Table::Conversations, conversation.clone());
        database.insert(row.with("user_uid", Cell::Text(user.clone())));
        for _ in 0..database.rng.usize(..4) {
            insert_item(database, &conversation);
        }
    }
}

fn insert_item(database: &mut Database, conversation: &str) {
    let key = database.free_key(Table::Items);
    let row = database.draw_row(Table::Items, key);
    database.insert(row.with("conversation_uid", Cell::Text(conversation.to_owned())));
}

/// Insert, update, delete and insert again, all of one key.
fn same_row(database: &mut Database) {
    let table = database.some_table();
    let key = match database.some_key(table) {
        Some(key) if database.rng.bool() => key,
        _ => database.free_key(table),
    };
    for _ in 0..database.rng.usize(2..7) {
        match database.tables.of(table).contains_key(&key) {
            true if database.rng.u8(..3) == 0 => database.delete(table, &key),
            true => update_some(database, table, &key),
            false => {
                let row = database.draw_row(table, key.clone());
                database.insert(row);
            }
        }
        if database.rng.u8(..4) == 0 {
            single(database);
        }
    }
}

/// Rows by the dozen; each WAL record holds a handful.
fn copy(database: &mut Database) {
    let table = database.some_table();
    copy_rows(database, table, 4, 40);
}

fn copy_rows(database: &mut Database, table: Table, least: usize, most: usize) {
    for _ in 0..database.rng.usize(least..most) {
        let key = database.free_key(table);
        let row = database.draw_row(table, key);
        database.insert_in_record(row);
        if database.rng.u8(..10) == 0 {
            database.next_record();
        }
    }
    database.next_record();
}

fn key_change(database: &mut Database) {
    let table = database.some_table();
    match database.some_key(table) {
        Some(from) => {
            let to = database.free_key(table);
            database.change_keys(table, &[(from, to)]);
        }
        None => insert_some(database, table),
    }
    if database.rng.u8(..3) == 0 {
        single(database);
    }
}

/// A to B to C, sometimes with updates on the way, sometimes back to A.
fn key_chain(database: &mut Database) {
    let table = database.some_table();
    let Some(first) = database.some_key(table) else { return insert_some(database, table) };
    let mut from = first.clone();
    for step in 0..database.rng.usize(2..5) {
        let back = step > 0 && database.rng.u8(..4) == 0 && !database.tables.of(table).contains_key(&first);
        let to = if back { first.clone() } else { database.free_key(table) };
        database.change_keys(table, &[(from, to.clone())]);
        if database.rng.u8(..3) == 0 {
            update_some(database, table, &to);
        }
        from = to;
    }
}

fn chain_across(database: &mut Database) {
    let table = database.some_table();
    let Some(from) = database.some_key(table) else { return insert_some(database, table) };
    let to = database.free_key(table);
    database.change_keys(table, &[(from, to.clone())]);
    database.chain = Some((table, to));
}

fn swap(database: &mut Database) {
    rotate(database, 2);
}

fn cycle(database: &mut Database) {
    rotate(database, 3);
}

/// One statement under a deferrable primary key: each row takes the next one's key.
fn rotate(database: &mut Database, length: usize) {
    let table = database.some_table();
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..length * 3 {
        if let Some(key) = database.some_key(table)
            && !keys.contains(&key)
            && keys.len() < length
        {
            keys.push(key);
        }
    }
    if keys.len() < length {
        return copy_rows(database, table, length, length + 1);
    }
    if database.rng.u8(..3) == 0 {
        let key = keys.first().cloned().unwrap_or_default();
        update_some(database, table, &key);
    }
    let next = keys.iter().cycle().skip(1);
    let moves: Vec<_> = keys.iter().zip(next).map(|(from, to)| (from.clone(), to.clone())).collect();
    database.change_keys(table, &moves);
    if database.rng.u8(..3) == 0 {
        let key = keys.last().cloned().unwrap_or_default();
        update_some(database, table, &key);
    }
}

fn truncation(database: &mut Database) {
    (0..database.rng.usize(..3)).for_each(|_| single(database));
    let first = database.some_table();
    let mut tables = vec![first];
    if database.rng.u8(..3) == 0 {
        tables.extend(Table::VIEW.into_iter().filter(|table| *table != first && database.rng.bool()));
    }
    database.truncate(&tables);
    for table in tables {
        match database.rng.u8(..3) {
            0 => {}
            1 => insert_some(database, table),
            _ => copy_rows(database, table, 3, 12),
        }
    }
    (0..database.rng.usize(..3)).for_each(|_| single(database));
}

fn reparent(database: &mut Database) {
    for _ in 0..database.rng.usize(1..5) {
        let (table, column, parents) = if database.rng.u8(..3) == 0 {
            (Table::Conversations, "user_uid", Table::Users)
        } else {
            (Table::Items, "conversation_uid", Table::Conversations)
        };
        let parent = database.some_parent(parents);
        match database.some_key(table).and_then(|key| database.tables.of(table).get(&key).cloned()) {
            Some(row) => database.update(Row::clone(&row).with(column, Cell::Text(parent))),
            None => insert_some(database, table),
        }
    }
}

fn close_reopen(database: &mut Database) {
    for _ in 0..database.rng.usize(1..4) {
        let key = database.some_key(Table::Conversations);
        let row = key.and_then(|key| database.tables.of(Table::Conversations).get(&key).cloned());
        let Some(row) = row else { return insert_some(database, Table::Conversations) };
        let closed = match row.get("closed_at") {
            Some(Cell::Null) => database.draw_closed(1),
            _ => Cell::Null,
        };
        database.update(Row::clone(&row).with("closed_at", closed));
    }
}

/// Deletes a user who has conversations, or brings one back.
fn user(database: &mut Database) {
    let owner = database.some_key(Table::Conversations);
    let owner = owner.and_then(|key| database.tables.of(Table::Conversations).get(&key).cloned());
    let Some(conversation) = owner else { return insert_some(database, Table::Users) };
    let key = conversation.text("user_uid").to_owned();
    if database.tables.of(Table::Users).contains_key(&key) {
        database.delete(Table::Users, &key);
    } else {
        let row = database.draw_row(Table::Users, key);
        database.insert(row);
    }
}

fn hot(database: &mut Database) {
    let known = database.hot.clone().filter(|key| database.tables.of(Table::Conversations).contains_key(key));
    let key = known.or_else(|| database.some_key(Table::Conversations));
    let Some(key) = key else { return insert_some(database, Table::Conversations) };
    database.hot = Some(key.clone());
    (0..database.rng.usize(1..6)).for_each(|_| insert_item(database, &key));
}

/// Hundreds of rows, partly by COPY.
pub(super) fn big(database: &mut Database) {
    copy_rows(database, Table::Items, 100, 300);
    (0..database.rng.usize(100..300)).for_each(|_| single(database));
}

/// Enough inserts of every table to meet each of up to four partitions, almost surely.
pub(super) fn finale(database: &mut Database) {
    Table::VIEW.into_iter().for_each(|table| copy_rows(database, table, 30, 31));
}

fn empty(_: &mut Database) {}

/// Rows of the signal table, as an operator or Debezium itself writes them.
fn signal(database: &mut Database) {
    database.signals += 1;
    let id = format!("signal-{}", database.signals);
    let snapshot = |kind: &str| {
        format!(
            "{{\"data-collections\": [\"public.users\", \"public.conversations\", \"public.conversation_items\"], \"type\": \"{kind}\"}}"
        )
    };
    let (kind, data) = match database.rng.u8(..6) {
        0..=1 => ("execute-snapshot", Some(snapshot("blocking"))),
        2 => ("execute-snapshot", Some(snapshot("incremental"))),
        3..=4 => ("snapshot-window-close", None),
        _ => ("log", Some(words(&mut database.rng, 3))),
    };
    if kind == "snapshot-window-close" {
        let open = vec![Cell::Text(format!("{id}-open")), Cell::Text("snapshot-window-open".to_owned()), Cell::Null];
        database.insert(Row { table: Table::Signal, cells: open });
    }
    let cells = vec![Cell::Text(id), Cell::Text(kind.to_owned()), data.map_or(Cell::Null, Cell::Text)];
    database.insert(Row { table: Table::Signal, cells });
}
