//! What kinds of transactions a history holds, and how often.

use fastrand::Rng;

/// How often each kind of transaction is drawn, relative to the sum of all. 0 turns a kind off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// One insert, update or delete.
    pub single: u32,
    /// A user, conversations and items together, or a mix of changes in all tables.
    pub family: u32,
    /// Several changes of one row, among them delete and reinsert.
    pub same_row: u32,
    /// A COPY: many rows, few LSNs.
    pub copy: u32,
    /// A row gets another primary key.
    pub key_change: u32,
    /// A to B to C in one transaction.
    pub key_chain: u32,
    /// A to B, and B to C in the next transaction.
    pub chain_across: u32,
    /// A and B exchange their keys in one statement.
    pub swap: u32,
    /// A to B to C to A in one statement.
    pub cycle: u32,
    /// TRUNCATE of one or more tables, alone or between rows.
    pub truncate: u32,
    /// Items and conversations move to another parent.
    pub reparent: u32,
    /// Conversations close and open again.
    pub close_reopen: u32,
    /// A user is deleted, or comes back.
    pub user: u32,
    /// Items of one conversation, again and again.
    pub hot: u32,
    /// Hundreds of rows.
    pub big: u32,
    /// Only an uncaptured table.
    pub empty: u32,
    /// Rows of Debezium's signal table.
    pub signal: u32,
}

impl Weights {
    /// No kind at all: every transaction is empty.
    pub const NONE: Weights = Weights {
        single: 0,
        family: 0,
        same_row: 0,
        copy: 0,
        key_change: 0,
        key_chain: 0,
        chain_across: 0,
        swap: 0,
        cycle: 0,
        truncate: 0,
        reparent: 0,
        close_reopen: 0,
        user: 0,
        hot: 0,
        big: 0,
        empty: 0,
        signal: 0,
    };
}

impl Default for Weights {
    fn default() -> Self {
        Weights {
            single: 30,
            family: 14,
            same_row: 6,
            copy: 5,
            key_change: 5,
            key_chain: 2,
            chain_across: 2,
            swap: 3,
            cycle: 1,
            truncate: 1,
            reparent: 6,
            close_reopen: 6,
            user: 4,
            hot: 8,
            big: 0,
            empty: 4,
            signal: 2,
        }
    }
}

/// What a [`History`](super::History) is to contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadOptions {
    /// Transactions above L0.
    pub transactions: usize,
    /// Transactions below L0; needed for aborted snapshots and overlaps.
    pub earlier_transactions: usize,
    /// Users before the first transaction.
    pub initial_users: usize,
    /// Conversations before the first transaction.
    pub initial_conversations: usize,
    /// Items before the first transaction.
    pub initial_items: usize,
    /// The mix of transactions.
    pub weights: Weights,
    /// Whether TRUNCATE may occur, whatever its weight.
    pub allow_truncate: bool,
    /// Whether primary keys may change, whatever the weights.
    pub allow_key_changes: bool,
    /// How many transactions have hundreds of rows.
    pub big_transactions: usize,
    /// The first transaction id; near 2^32 they wrap through 3, as Postgres's do.
    pub xid_start: u32,
    /// Whether one more transaction ends the history, with so many inserts in every table that all partitions show progress past
    /// everything before it.
    pub finale: bool,
    /// Whether a transaction id may come again once some thirty others were used, as after a wrap.
    pub reuse_txids: bool,
}

impl Default for WorkloadOptions {
    fn default() -> Self {
        WorkloadOptions {
            transactions: 100,
            earlier_transactions: 0,
            initial_users: 10,
            initial_conversations: 20,
            initial_items: 60,
            weights: Weights::default(),
            allow_truncate: true,
            allow_key_changes: true,
            big_transactions: 0,
            xid_start: 700,
            finale: false,
            reuse_txids: false,
        }
    }
}

impl WorkloadOptions {
    /// A small history of 30 to 200 transactions; each a little different, some without the stranger kinds.
    pub fn random(rng: &mut Rng) -> Self {
        let empty_start = rng.u8(..12) == 0;
        let size = |rng: &mut Rng, most: usize| if empty_start { 0 } else { rng.usize(..=most) };
        WorkloadOptions {
            transactions: rng.usize(30..=200),
            earlier_transactions: if rng.u8(..3) == 0 { rng.usize(1..=20) } else { 0 },
            initial_users: size(rng, 15),
            initial_conversations: size(rng, 40),
            initial_items: size(rng, 120),
            weights: random_weights(rng),
            allow_truncate: rng.bool(),
            allow_key_changes: rng.u8(..5) != 0,
            big_transactions: usize::from(rng.u8(..6) == 0),
            xid_start: if rng.u8(..5) == 0 { u32::MAX - rng.u32(..150) } else { rng.u32(700..1_000_000) },
            finale: rng.u8(..3) != 0,
            reuse_txids: rng.u8(..5) == 0,
        }
    }
}

/// The default mix; one history in four leans on key changes, one in six on bulk loads.
fn random_weights(rng: &mut Rng) -> Weights {
    let mut weights = Weights::default();
    if rng.u8(..4) == 0 {
        weights.key_change *= 4;
        weights.key_chain *= 6;
        weights.chain_across *= 6;
        weights.swap *= 5;
        weights.cycle *= 6;
    }
    if rng.u8(..6) == 0 {
        weights.copy *= 5;
    }
    if rng.u8(..4) == 0 {
        weights.truncate *= 5;
    }
    if rng.u8(..4) == 0 {
        weights.same_row *= 4;
    }
    weights
}
