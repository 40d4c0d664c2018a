//! A big, plain log for benchmarks, written as a stream: a snapshot, then small transactions, one run, three partitions a table.
//!
//! | part | content |
//! |---|---|
//! | snapshot, 55 % of the rows | C conversations, C/10 users, 5 items each |
//! | changes, 45 % | 80 % new items, 10 % item updates, 2 % item deletes, 5 % close or reopen, 2 % users deleted, re-created or new, 1 % renames |
//!
//! Transactions have one to five rows. Half of the conversations are drawn evenly, half by Zipf's law (exponent 1).
//!
//! # Notes
//! Nothing but counters and a few sets of changed keys is held: every row is a function of the seed and its number, so an update
//! can write the whole row of an item that was written a gigabyte ago.

mod lines;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fastrand::Rng;

use lines::Lines;

use crate::workload::{Cell, Row, Table, uuid_text};

/// Level of the written zstd stream.
const ZSTD_LEVEL: i32 = 3;
/// 2026-03-01, in microseconds.
const FIRST_MOMENT: i64 = 1_772_323_200_000_000;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines: rows, tombstones, BEGINs and ENDs.
    pub records: u64,
    /// Row records, of the snapshot and of transactions.
    pub rows: u64,
    /// Rows of the snapshot.
    pub snapshot_rows: u64,
    /// Transactions.
    pub transactions: u64,
    /// L0.
    pub base_lsn: u64,
    /// The last END.
    pub last_end_lsn: u64,
    /// Bytes before compression.
    pub bytes: u64,
}

/// Writes a log of `rows` row records to `path`, compressed with zstd. The same arguments give the same lines.
///
/// # Errors
/// Whatever creating and writing the file gives.
pub fn write_large(path: &Path, rows: u64, seed: u64) -> io::Result<Summary> {
    let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
    let summary = write_lines(&mut encoder, rows, seed)?;
    encoder.finish()?.flush()?;
    Ok(summary)
}

/// The same, to any writer and uncompressed.
///
/// # Errors
/// Whatever writing gives.
pub fn write_lines(out: impl Write, rows: u64, seed: u64) -> io::Result<Summary> {
    let mut log = LargeLog::new(out, LargeLogSizes::of_rows(rows), seed);
    log.snapshot(rows)?;
    while log.summary().rows < rows {
        log.transaction(rows - log.summary().rows)?;
    }
    Ok(log.summary())
}

/// What the snapshot of a large log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeLogSizes {
    /// Users, each of which may have conversations.
    pub users: u64,
    /// Conversations.
    pub conversations: u64,
    /// Items of each conversation.
    pub items_each: u64,
    /// Partitions of each table's topic.
    pub partitions: u32,
}

impl LargeLogSizes {
    /// The sizes for a log of `rows` rows, of which the snapshot is a good half.
    pub fn of_rows(rows: u64) -> LargeLogSizes {
        let conversations = (rows * 55 / 610).max(1);
        LargeLogSizes { users: (conversations / 10).max(1), conversations, items_each: 5, partitions: 3 }
    }

    /// Rows of the snapshot.
    pub fn rows(&self) -> u64 {
        self.users + self.conversations * (1 + self.items_each)
    }
}

/// A large log that is written piece by piece, for as long as it is asked for more.
pub struct LargeLog<W> {
    bench: Bench,
    lines: Lines<W>,
}

impl<W: Write> LargeLog<W> {
    /// A log to `out`, of which nothing is written yet.
    pub fn new(out: W, sizes: LargeLogSizes, seed: u64) -> LargeLog<W> {
        LargeLog { bench: Bench::new(seed, sizes), lines: Lines::new(out, sizes.partitions as i32) }
    }

    /// Writes the next rows of the snapshot, `most` at most, and answers how many: 0 when it is complete.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn snapshot(&mut self, most: u64) -> io::Result<u64> {
        self.bench.snapshot(&mut self.lines, most)
    }

    /// Writes a transaction of one to five rows, `most` at most, and answers how many.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn transaction(&mut self, most: u64) -> io::Result<u64> {
        let size = self.bench.rng.u64(1..=5).min(most);
        self.bench.transaction(&mut self.lines, size)?;
        Ok(size)
    }

    /// Writes a transaction that updates one row of each table and nothing that a view reads of it, and answers how many
    /// rows that is. The rows are those of the `number`, counted around.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn still(&mut self, number: u64) -> io::Result<u64> {
        self.bench.still(&mut self.lines, number)
    }

    /// Writes a transaction of one row that leaves the number of items as it is, with the next: an item comes, one goes.
    /// Of those that go one is the newest and the next is the oldest.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn replacement(&mut self) -> io::Result<u64> {
        self.bench.replacement(&mut self.lines)
    }

    /// What was written so far.
    pub fn summary(&self) -> Summary {
        self.lines.summary
    }

    /// What is written to, between two pieces.
    pub fn out(&mut self) -> &mut W {
        self.lines.out()
    }
}

/// The rows as functions of their numbers, and what has changed since.
struct Bench {
    rng: Rng,
    seed: u64,
    /// The snapshot's; its users are the owners of conversations.
    sizes: LargeLogSizes,
    /// Rows of the snapshot that were written.
    written: u64,
    users: u64,
    items: u64,
    /// No item below this stands, once there were replacements.
    oldest: u64,
    replaced: u64,
    gone_users: BTreeSet<u64>,
    gone_items: BTreeSet<u64>,
    closed: BTreeSet<u64>,
}

impl Bench {
    fn new(seed: u64, sizes: LargeLogSizes) -> Self {
        Bench {
            rng: Rng::with_seed(seed ^ 0x5eed_0004),
            seed,
            sizes,
            written: 0,
            users: sizes.users,
            items: sizes.conversations * sizes.items_each,
            oldest: 0,
            replaced: 0,
            gone_users: BTreeSet::new(),
            gone_items: BTreeSet::new(),
            closed: BTreeSet::new(),
        }
    }

    fn snapshot<W: Write>(&mut self, lines: &mut Lines<W>, most: u64) -> io::Result<u64> {
        let LargeLogSizes { users, conversations, items_each, .. } = self.sizes;
        let tables =
            [(Table::Users, users), (Table::Conversations, conversations), (Table::Items, conversations * items_each)];
        let (total, before) = (self.sizes.rows(), self.written);
        let mut start = 0;
        for (table, size) in tables {
            while self.written < start + size && self.written - before < most {
                let number = self.written - start;
                let marker = match (self.written, number) {
                    (written, _) if written + 1 == total => "last",
                    (0, _) => "first",
                    _ if number + 1 == size => "last_in_data_collection",
                    (_, 0) => "first_in_data_collection",
                    _ => "true",
                };
                lines.snapshot_row(&self.row(table, number), marker)?;
                self.written += 1;
            }
            start += size;
        }
        Ok(self.written - before)
    }

    fn transaction<W: Write>(&mut self, lines: &mut Lines<W>, size: u64) -> io::Result<()> {
        lines.begin()?;
        for _ in 0..size {
            self.change(lines)?;
        }
        lines.end()
    }

    fn still<W: Write>(&mut self, lines: &mut Lines<W>, number: u64) -> io::Result<u64> {
        let LargeLogSizes { users, conversations, items_each, .. } = self.sizes;
        let sizes = [users, conversations, conversations * items_each];
        let mut rows = 0;
        lines.begin()?;
        for (table, size) in Table::VIEW.into_iter().zip(sizes) {
            if let Some(number) = number.checked_rem(size) {
                lines.row('u', &self.row(table, number))?;
                rows += 1;
            }
        }
        lines.end()?;
        Ok(rows)
    }

    fn replacement<W: Write>(&mut self, lines: &mut Lines<W>) -> io::Result<u64> {
        let turn = self.replaced % 4;
        self.replaced += 1;
        lines.begin()?;
        if matches!(turn, 0 | 2) {
            self.new_item(lines)?;
        } else {
            while self.gone_items.remove(&self.oldest) {
                self.oldest += 1;
            }
            let item = if turn == 1 { self.items - 1 } else { self.oldest };
            self.gone_items.insert(item);
            lines.row('d', &self.row(Table::Items, item))?;
        }
        lines.end()?;
        Ok(1)
    }

    fn change<W: Write>(&mut self, lines: &mut Lines<W>) -> io::Result<()> {
        match self.rng.u8(..100) {
            80..=89 => match self.some_item() {
                Some(item) => {
                    let body = self.text(100);
                    lines.row('u', &self.row(Table::Items, item).with("body", body))
                }
                None => self.new_item(lines),
            },
            90..=91 => match self.some_item() {
                Some(item) => {
                    self.gone_items.insert(item);
                    lines.row('d', &self.row(Table::Items, item))
                }
                None => self.new_item(lines),
            },
            92..=96 => {
                let conversation = self.some_conversation();
                if !self.closed.remove(&conversation) {
                    self.closed.insert(conversation);
                }
                lines.row('u', &self.row(Table::Conversations, conversation))
            }
            97..=98 => self.change_user(lines),
            99 => {
                let user = self.rng.u64(..self.users);
                if self.gone_users.contains(&user) {
                    return self.new_item(lines);
                }
                let name = self.text(12);
                lines.row('u', &self.row(Table::Users, user).with("name", name))
            }
            _ => self.new_item(lines),
        }
    }

    fn new_item<W: Write>(&mut self, lines: &mut Lines<W>) -> io::Result<()> {
        self.items += 1;
        lines.row('c', &self.row(Table::Items, self.items - 1))
    }

    /// Deletes a user, brings a deleted one back, or adds one.
    fn change_user<W: Write>(&mut self, lines: &mut Lines<W>) -> io::Result<()> {
        let back = if self.rng.u8(..3) == 0 { None } else { self.gone_users.first().copied() };
        let user = self.rng.u64(..self.users);
        if let Some(back) = back {
            self.gone_users.remove(&back);
            lines.row('c', &self.row(Table::Users, back))
        } else if self.rng.bool() && self.gone_users.insert(user) {
            lines.row('d', &self.row(Table::Users, user))
        } else {
            self.users += 1;
            lines.row('c', &self.row(Table::Users, self.users - 1))
        }
    }

    /// An item that stands; a few draws find one unless nearly all are gone.
    fn some_item(&mut self) -> Option<u64> {
        (0..8).map(|_| self.rng.u64(..self.items)).find(|item| !self.gone_items.contains(item))
    }

    fn some_conversation(&mut self) -> u64 {
        let drawn = self.rng.u64(..);
        self.conversation_of(drawn)
    }

    /// Half of all draws even, half by Zipf's law: the logarithm of the rank is even.
    fn conversation_of(&self, drawn: u64) -> u64 {
        let fraction = (drawn >> 12) as f64 / (1_u64 << 52) as f64;
        let count = self.sizes.conversations as f64;
        let place = if drawn & 1 == 0 { fraction * count } else { count.powf(fraction) - 1.0 };
        (place as u64).min(self.sizes.conversations - 1)
    }

    fn text(&mut self, length: usize) -> Cell {
        Cell::Text(plain_text(&mut self.rng, length))
    }

    /// The row of a number, as it was inserted; of a conversation, as it stands.
    fn row(&self, table: Table, number: u64) -> Row {
        let mut rng = Rng::with_seed(self.seed ^ mix(number * 4 + table as u64));
        let uid = |table: Table, number| Cell::Text(self.uid(table, number));
        // Every third moment ties with the one before.
        let created_at = Cell::Zoned(FIRST_MOMENT + (number - number % 3) as i64 * 1_009);
        let cells = match table {
            Table::Users => {
                let (name, bio) = (plain_text(&mut rng, 12), plain_text(&mut rng, 60));
                vec![uid(table, number), Cell::Text(name), Cell::Text(bio), created_at]
            }
            Table::Conversations => {
                let user = uid(Table::Users, rng.u64(..self.sizes.users));
                let subject = Cell::Text(plain_text(&mut rng, 30));
                let closed =
                    if self.closed.contains(&number) { Cell::Local(FIRST_MOMENT + number as i64) } else { Cell::Null };
                vec![uid(table, number), user, subject, closed, created_at]
            }
            Table::Items | Table::Signal => {
                let drawn = rng.u64(..);
                let LargeLogSizes { conversations, items_each, .. } = self.sizes;
                let in_snapshot = number < conversations * items_each;
                let parent = if in_snapshot { number / items_each } else { self.conversation_of(drawn) };
                let kind =
                    rng.choice(["message", "message", "message", "review_invite", "review"]).unwrap_or("message");
                let (kind, body) = (Cell::Text(kind.to_owned()), Cell::Text(plain_text(&mut rng, 100)));
                vec![uid(table, number), uid(Table::Conversations, parent), kind, body, created_at]
            }
        };
        Row { table, cells }
    }

    fn uid(&self, table: Table, number: u64) -> String {
        let high = mix(self.seed ^ mix(number * 4 + table as u64));
        uuid_text((u128::from(high) << 64 | u128::from(mix(high))).to_be_bytes())
    }
}

/// SplitMix64's finisher.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Words of plain letters, about `length` bytes.
fn plain_text(rng: &mut Rng, length: usize) -> String {
    const WORDS: [&str; 8] = ["review", "please", "thanks", "again", "the", "booking", "arrived", "yesterday"];
    let mut text = String::with_capacity(length + 12);
    while text.len() < length {
        text.push_str(rng.choice(WORDS).unwrap_or("the"));
        text.push(' ');
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests;
