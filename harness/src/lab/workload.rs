//! Seeded SQL: three sessions that really interleave, driven by one thread, so that what commits when is known.
//!
//! A session never touches a row that another open one holds, so nothing ever waits.

#![expect(clippy::indexing_slicing, reason = "there are three tables, and what is indexed has a place for each")]

use super::truth::{Truth, position};
use anyhow::{Context, Result};
use fastrand::Rng;
use postgres::Client;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The rows of a transaction that is large.
const LARGE: usize = 2_000;
/// Items that stand, above which more go than come.
const ITEMS_MAX: usize = 1_200;

/// How far a workload is, for those who watch it.
#[derive(Default)]
pub(super) struct Pace {
    pub(super) commits: AtomicUsize,
    /// A large transaction was committed just now.
    pub(super) large: AtomicUsize,
    pub(super) stop: AtomicBool,
}

/// A table's rows, by their keys.
#[derive(Default)]
struct Keys {
    free: Vec<String>,
    /// Keys of rows that were deleted.
    gone: Vec<String>,
}

impl Keys {
    fn any(&self, rng: &mut Rng) -> Option<String> {
        rng.choice(&self.free).cloned()
    }

    /// Takes a row, so that no other session touches it.
    fn take(&mut self, rng: &mut Rng) -> Option<String> {
        (!self.free.is_empty()).then(|| self.free.swap_remove(rng.usize(..self.free.len())))
    }
}

/// A session, and what becomes of the rows that it holds when it ends.
struct Session {
    client: Client,
    /// Statements to come before the end; none if no transaction is open.
    left: usize,
    open: bool,
    rolls_back: bool,
    /// By table: keys that stand after a commit, keys that stand after a rollback, keys that a commit deletes.
    after_commit: [Vec<String>; 3],
    after_rollback: [Vec<String>; 3],
    deleted: [Vec<String>; 3],
}

const USERS: usize = 0;
const CONVERSATIONS: usize = 1;
const ITEMS: usize = 2;

pub(super) struct Workload<'w> {
    rng: Rng,
    keys: [Keys; 3],
    sessions: Vec<Session>,
    asking: Client,
    truth: &'w Truth,
    pace: &'w Pace,
    /// What occurred, for the summary.
    pub(super) kinds: BTreeSet<&'static str>,
    large: usize,
    /// Below so many users there are only new ones.
    pub(super) users_min: usize,
}

impl<'w> Workload<'w> {
    pub(super) fn new(
        seed: u64,
        connect: impl Fn() -> Result<Client>,
        truth: &'w Truth,
        pace: &'w Pace,
    ) -> Result<Self> {
        let session = |client| Session {
            client,
            left: 0,
            open: false,
            rolls_back: false,
            after_commit: Default::default(),
            after_rollback: Default::default(),
            deleted: Default::default(),
        };
        let sessions = (0..3).map(|_| connect().map(session)).collect::<Result<_>>()?;
        let (rng, asking) = (Rng::with_seed(seed), connect()?);
        Ok(Workload {
            rng,
            keys: Default::default(),
            sessions,
            asking,
            truth,
            pace,
            kinds: BTreeSet::new(),
            large: 0,
            users_min: 20,
        })
    }

    /// Notes what Postgres answers now.
    pub(super) fn note(&mut self) -> Result<()> {
        let before = position(&mut self.asking)?;
        self.truth.note(&mut self.asking, before)
    }

    /// Commits so many transactions, about, with pauses of up to `pause` between; no transaction is open at the end.
    pub(super) fn run(&mut self, commits: usize, pause: Duration) -> Result<()> {
        let goal = self.pace.commits.load(Relaxed) + commits;
        while self.pace.commits.load(Relaxed) < goal && !self.pace.stop.load(Relaxed) {
            let at = self.rng.usize(..self.sessions.len());
            self.step(at, pause)?;
        }
        for at in 0..self.sessions.len() {
            while self.sessions.get(at).is_some_and(|session| session.open) {
                self.step(at, Duration::ZERO)?;
            }
        }
        Ok(())
    }

    /// One statement of a session.
    fn step(&mut self, at: usize, pause: Duration) -> Result<()> {
        let Some(session) = self.sessions.get_mut(at) else { return Ok(()) };
        if !session.open {
            session.client.batch_execute("BEGIN")?;
            session.open = true;
            session.left = self.rng.usize(1..6);
            session.rolls_back = self.rng.u8(..) < 12;
            return Ok(());
        }
        if session.left == 0 {
            return self.end(at, pause);
        }
        session.left -= 1;
        let statement = self.statement(at);
        let session = self.sessions.get_mut(at).context("a session")?;
        session.client.batch_execute(&statement).with_context(|| statement.chars().take(400).collect::<String>())
    }

    fn end(&mut self, at: usize, pause: Duration) -> Result<()> {
        let Some(session) = self.sessions.get_mut(at) else { return Ok(()) };
        let commits = !session.rolls_back;
        let before = position(&mut self.asking)?;
        session.client.batch_execute(if commits { "COMMIT" } else { "ROLLBACK" })?;
        session.open = false;
        for (table, keys) in self.keys.iter_mut().enumerate() {
            let take = |of: &mut [Vec<String>; 3]| of.get_mut(table).map(std::mem::take).unwrap_or_default();
            let (stand, stood, deleted) =
                (take(&mut session.after_commit), take(&mut session.after_rollback), take(&mut session.deleted));
            keys.free.extend(if commits { stand } else { stood });
            keys.gone.extend(deleted.into_iter().filter(|_| commits));
        }
        if !commits {
            self.kinds.insert("rollback");
            return Ok(());
        }
        self.truth.note(&mut self.asking, before)?;
        self.pace.commits.fetch_add(1, Relaxed);
        self.pace.large.store(self.large, Relaxed);
        let pause = pause.as_micros() as u64;
        std::thread::sleep(Duration::from_micros(self.rng.u64(..=pause)));
        Ok(())
    }

    fn statement(&mut self, at: usize) -> String {
        let few = |keys: &Keys, count: usize| keys.free.len() < count;
        if few(&self.keys[USERS], self.users_min) {
            return self.insert_user(at);
        }
        if few(&self.keys[CONVERSATIONS], 60) {
            return self.insert_conversation(at);
        }
        let many = self.keys[ITEMS].free.len() > ITEMS_MAX;
        match self.rng.u8(..100) {
            0..3 => self.insert_user(at),
            3..9 => self.insert_conversation(at),
            9..34 if !many => self.insert_items(at, 1),
            34..42 if !many => self.insert_items(at, 5),
            9..42 => self.delete(at, ITEMS),
            42..52 => self.delete(at, ITEMS),
            52..54 => self.delete(at, CONVERSATIONS),
            54..55 => self.delete(at, USERS),
            55..65 => self.update(at, CONVERSATIONS, "close", "closed_at = now()"),
            65..72 => self.update(at, CONVERSATIONS, "reopen", "closed_at = NULL"),
            72..76 => {
                let user = self.keys[USERS].any(&mut self.rng).unwrap_or_default();
                self.update(at, CONVERSATIONS, "another user", &format!("user_uid = '{user}'"))
            }
            76..80 => {
                let bio = self.rng.alphanumeric().to_string().repeat(4_000);
                self.update(at, USERS, "a large value", &format!("bio = '{bio}'"))
            }
            80..83 => self.update(at, USERS, "a value beside a large one", "name = name || '.'"),
            83..87 => {
                let conversation = self.keys[CONVERSATIONS].any(&mut self.rng).unwrap_or_default();
                self.update(at, ITEMS, "an item moves", &format!("conversation_uid = '{conversation}'"))
            }
            87..90 => self.update(at, ITEMS, "an item's time", "created_at = created_at + interval '1 microsecond'"),
            90..93 => self.change_key(at),
            93..96 => {
                self.kinds.insert("savepoint");
                let uid = self.uid();
                format!("SAVEPOINT a; INSERT INTO users VALUES ('{uid}', 'never', NULL); ROLLBACK TO SAVEPOINT a")
            }
            96..98 => {
                self.kinds.insert("a table that is not captured");
                "INSERT INTO noise (text) VALUES ('x')".to_owned()
            }
            98 if self.rng.u8(..8) == 0 => self.many_items(),
            _ => self.insert_items(at, 2),
        }
    }

    fn uid(&mut self) -> String {
        let n = self.rng.u128(..);
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            (n >> 96) as u32,
            (n >> 80) as u16,
            (n >> 68) & 0xfff,
            (n >> 56) & 0xfff,
            n & 0xffff_ffff_ffff
        )
    }

    /// A key for a new row: now and then that of one that is gone.
    fn new_key(&mut self, at: usize, table: usize) -> String {
        let again = self.rng.u8(..) < 40;
        let gone = self.keys.get_mut(table).filter(|_| again).and_then(|keys| keys.gone.pop());
        let uid = gone.clone().unwrap_or_else(|| self.uid());
        if let Some(session) = self.sessions.get_mut(at) {
            session.after_commit[table].push(uid.clone());
            if gone.is_some() {
                self.kinds.insert("a key comes back");
            }
        }
        uid
    }

    fn insert_user(&mut self, at: usize) -> String {
        let uid = self.new_key(at, USERS);
        format!("INSERT INTO users VALUES ('{uid}', 'Zoë \"quoted\" \\ {}', NULL)", self.rng.u8(..))
    }

    fn insert_conversation(&mut self, at: usize) -> String {
        let user = self.keys[USERS].any(&mut self.rng).unwrap_or_default();
        let uid = self.new_key(at, CONVERSATIONS);
        format!("INSERT INTO conversations VALUES ('{uid}', '{user}', 'about', NULL)")
    }

    fn insert_items(&mut self, at: usize, count: usize) -> String {
        let rows: Vec<String> = (0..count)
            .map(|_| {
                let conversation = self.keys[CONVERSATIONS].any(&mut self.rng).unwrap_or_default();
                let uid = self.new_key(at, ITEMS);
                let kind = ["message", "message", "review_invite", "review"][self.rng.usize(..4)];
                let seconds = self.rng.u32(..100_000);
                format!(
                    "('{uid}', '{conversation}', '{kind}', NULL, timestamptz '2026-03-01' + interval '{seconds} s')"
                )
            })
            .collect();
        format!("INSERT INTO conversation_items VALUES {}", rows.join(", "))
    }

    /// Many rows in one statement, which nothing touches afterwards.
    fn many_items(&mut self) -> String {
        self.kinds.insert("a large transaction");
        self.large += 1;
        let (conversation, salt) = (self.keys[CONVERSATIONS].any(&mut self.rng).unwrap_or_default(), self.uid());
        format!(
            "INSERT INTO conversation_items SELECT md5('{salt}' || n)::uuid, '{conversation}', 'message', NULL, \
             timestamptz '2026-04-01' + n * interval '1 s' FROM generate_series(1, {LARGE}) n"
        )
    }

    fn name(table: usize) -> &'static str {
        ["users", "conversations", "conversation_items"][table]
    }

    fn delete(&mut self, at: usize, table: usize) -> String {
        let Some(uid) = self.keys[table].take(&mut self.rng) else { return "SELECT 1".to_owned() };
        if let Some(session) = self.sessions.get_mut(at) {
            session.after_rollback[table].push(uid.clone());
            session.deleted[table].push(uid.clone());
        }
        self.kinds.insert(["a user goes", "a conversation goes", "an item goes"][table]);
        format!("DELETE FROM {} WHERE uid = '{uid}'", Self::name(table))
    }

    fn update(&mut self, at: usize, table: usize, kind: &'static str, set: &str) -> String {
        let Some(uid) = self.keys[table].take(&mut self.rng) else { return "SELECT 1".to_owned() };
        if let Some(session) = self.sessions.get_mut(at) {
            session.after_commit[table].push(uid.clone());
            session.after_rollback[table].push(uid.clone());
        }
        self.kinds.insert(kind);
        format!("UPDATE {} SET {set} WHERE uid = '{uid}'", Self::name(table))
    }

    fn change_key(&mut self, at: usize) -> String {
        let table = [USERS, CONVERSATIONS, ITEMS][self.rng.usize(..3)];
        let Some(old) = self.keys[table].take(&mut self.rng) else { return "SELECT 1".to_owned() };
        let new = self.uid();
        if let Some(session) = self.sessions.get_mut(at) {
            session.after_commit[table].push(new.clone());
            session.after_rollback[table].push(old.clone());
            session.deleted[table].push(old.clone());
        }
        self.kinds.insert("a key changes");
        format!("UPDATE {} SET uid = '{new}' WHERE uid = '{old}'", Self::name(table))
    }
}
