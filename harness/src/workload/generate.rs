//! From options and a seed to a history.

use std::sync::Arc;

use fastrand::Rng;

use super::History;
use super::kinds::{big, finale, write_transaction};
use super::options::WorkloadOptions;
use super::rows::Table;
use super::schedule::schedule;
use super::transaction::{Database, Draft};

impl History {
    /// A history drawn by seed: the same seed and options give the same history.
    pub fn generate(seed: u64, options: &WorkloadOptions) -> History {
        let mut database = Database::new(Rng::with_seed(seed ^ 0x5eed_0001));
        fill(&mut database, options);
        let initial = database.tables.clone();
        let transactions = write(&mut database, options);
        let wal = schedule(&mut database.rng, options, transactions, options.earlier_transactions);
        let mut earlier = wal.commits;
        let commits = earlier.split_off(options.earlier_transactions);
        History {
            initial,
            earlier,
            start_lsn: wal.start_lsn,
            base_lsn: wal.base_lsn,
            base_ms: wal.base_ms,
            base_txid: wal.base_txid,
            commits,
        }
    }
}

/// The rows that stand before the first transaction.
fn fill(database: &mut Database, options: &WorkloadOptions) {
    let sizes = [
        (Table::Users, options.initial_users),
        (Table::Conversations, options.initial_conversations),
        (Table::Items, options.initial_items),
    ];
    for (table, size) in sizes {
        for _ in 0..size {
            let key = database.free_key(table);
            let row = database.draw_row(table, key);
            database.tables.of_mut(table).insert(row.key().to_owned(), Arc::new(row));
        }
    }
}

/// The statements of every transaction, in commit order; the big ones at drawn places.
fn write(database: &mut Database, options: &WorkloadOptions) -> Vec<Vec<Draft>> {
    let count = options.earlier_transactions + options.transactions;
    let big_at: Vec<usize> = (0..options.big_transactions).map(|_| database.rng.usize(..count.max(1))).collect();
    let mut transactions = Vec::with_capacity(count);
    for at in 0..count {
        if big_at.contains(&at) {
            big(database);
        } else {
            write_transaction(database, options);
        }
        transactions.push(commit(database));
    }
    if options.finale {
        finale(database);
        transactions.push(commit(database));
    }
    transactions
}

fn commit(database: &mut Database) -> Vec<Draft> {
    database.record = 0;
    std::mem::take(&mut database.drafts)
}
