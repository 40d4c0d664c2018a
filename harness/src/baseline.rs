//! The bar: what a good engineer writes by hand for this one view, in one thread, and nothing more general than it must be.
//!
//! ```text
//!   changes of one transaction ──> users          uid: exists, its conversations   ──┐
//!                                  conversations  uid: row, its items, its step    ──┼──> touched ──> upserts, deletes
//!                                  items          uid: row                         ──┘    conversations
//! ```
//!
//! Three hash maps with a fast hasher. A transaction notes each conversation it touches, once, with what was shown of it, and
//! at its end gives out those of which something else is shown. It has what the engine has not: it trusts that each
//! transaction arrives whole and in order, it knows its one query, and it needs no exchange between threads.

mod items;

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use deltaic::dataflows::{ItemType, Step};
use foldhash::fast::FixedState;

use items::{Entry, Items};

/// A uuid as a number, so that hashing and comparing it is one step. Big-endian: ordered as Postgres orders uuids.
pub type Uid = u128;

type Map<V> = HashMap<Uid, V, FixedState>;

/// A row of `conversations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its user, who need not exist.
    pub user: Uid,
    /// Whether `closed_at` is set.
    pub closed: bool,
}

/// A row of `conversation_items`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its conversation, which need not exist.
    pub conversation: Uid,
    /// Its `type`.
    pub kind: ItemType,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// What a change makes of one row: `None` where it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of `users`: whether there is such a user.
    User(Uid, Option<()>),
    /// Of `conversations`.
    Conversation(Uid, Option<Conversation>),
    /// Of `conversation_items`.
    Item(Uid, Option<Item>),
}

/// What is shown of a conversation: its user and its step.
pub type Shown = (Uid, Step);

#[derive(Default)]
struct UserState {
    exists: bool,
    conversations: Vec<Uid>,
}

#[derive(Default)]
struct ConversationState {
    row: Option<Conversation>,
    user_exists: bool,
    touched: bool,
    /// `None` without items.
    step: Option<Step>,
    items: Items,
}

impl ConversationState {
    fn shown(&self) -> Option<Shown> {
        let row = self.row.filter(|row| !row.closed && self.user_exists)?;
        Some((row.user, self.step?))
    }
}

/// The view, kept up to date by hand.
#[derive(Default)]
pub struct Baseline {
    users: Map<UserState>,
    conversations: Map<ConversationState>,
    items: Map<Item>,
    /// The conversations of the open transaction, each with what was shown of it before.
    touched: Vec<(Uid, Option<Shown>)>,
}

impl Baseline {
    /// Applies one whole transaction and gives each document that it changed to `emit`: the conversation, and what is shown
    /// of it now.
    pub fn apply(&mut self, transaction: &[Change], mut emit: impl FnMut(Uid, Option<Shown>)) {
        for change in transaction {
            match *change {
                Change::User(uid, row) => self.user(uid, row.is_some()),
                Change::Conversation(uid, row) => self.conversation(uid, row),
                Change::Item(uid, row) => self.item(uid, row),
            }
        }
        for (uid, before) in self.touched.drain(..) {
            let MapEntry::Occupied(mut entry) = self.conversations.entry(uid) else { continue };
            let state = entry.get_mut();
            state.touched = false;
            state.step = state.items.step();
            let now = state.shown();
            if state.row.is_none() && state.step.is_none() {
                entry.remove();
            }
            if now != before {
                emit(uid, now);
            }
        }
    }

    /// How many documents stand.
    pub fn documents(&self) -> u64 {
        self.conversations.values().filter(|state| state.shown().is_some()).count() as u64
    }

    fn item(&mut self, uid: Uid, row: Option<Item>) {
        let old = match row {
            Some(row) => self.items.insert(uid, row),
            None => self.items.remove(&uid),
        };
        if old == row {
            return;
        }
        if let Some(old) = old {
            self.touch(old.conversation).items.remove(&Entry::of(uid, &old));
        }
        if let Some(new) = row {
            self.touch(new.conversation).items.insert(Entry::of(uid, &new));
        }
    }

    fn conversation(&mut self, uid: Uid, row: Option<Conversation>) {
        let old = std::mem::replace(&mut self.touch(uid).row, row).map(|old| old.user);
        let new = row.map(|new| new.user);
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.leave(old, uid);
        }
        let exists = new.is_some_and(|user| {
            let state = self.users.entry(user).or_default();
            state.conversations.push(uid);
            state.exists
        });
        self.touch(uid).user_exists = exists;
    }

    /// Takes a conversation from the user it was of.
    fn leave(&mut self, user: Uid, conversation: Uid) {
        let MapEntry::Occupied(mut entry) = self.users.entry(user) else { return };
        let state = entry.get_mut();
        if let Some(at) = state.conversations.iter().position(|other| *other == conversation) {
            state.conversations.swap_remove(at);
        }
        if !state.exists && state.conversations.is_empty() {
            entry.remove();
        }
    }

    fn user(&mut self, uid: Uid, exists: bool) {
        let state = self.users.entry(uid).or_default();
        if std::mem::replace(&mut state.exists, exists) != exists {
            for conversation in &state.conversations {
                touch(&mut self.conversations, &mut self.touched, *conversation).user_exists = exists;
            }
        }
        if !exists && state.conversations.is_empty() {
            self.users.remove(&uid);
        }
    }

    fn touch(&mut self, uid: Uid) -> &mut ConversationState {
        touch(&mut self.conversations, &mut self.touched, uid)
    }
}

/// The conversation `uid`, noted as touched.
fn touch<'a>(
    conversations: &'a mut Map<ConversationState>,
    touched: &mut Vec<(Uid, Option<Shown>)>,
    uid: Uid,
) -> &'a mut ConversationState {
    let state = conversations.entry(uid).or_default();
    if !std::mem::replace(&mut state.touched, true) {
        touched.push((uid, state.shown()));
    }
    state
}

#[cfg(test)]
mod tests;
