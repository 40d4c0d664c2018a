//! Delta tables: row changes per time, and the document changes expected of each.

use super::plain::{BITS_PER_ROUND, ROUNDS, bucket};
use super::*;
use crate::row::Row;
use crate::value::Value;
use differential_dataflow::input::InputSession;
use std::sync::{Arc, Mutex};

/// A change of a row by short names: `U` user, `C` conversation of user, `I` item of conversation.
#[derive(Clone, Copy)]
enum Change {
    /// user, name
    U(u8, &'static str),
    /// conversation, user, closed
    C(u8, u8, bool),
    /// item, conversation, type, created at
    I(u8, u8, ItemType, i64),
}
use Change::{C, I, U};
use ItemType::{Message, Review, ReviewInvite};

/// What is expected: document, user, step, name, diff.
type Expected = (u8, u8, Step, &'static str, isize);

fn uid(n: u8) -> Uuid {
    let mut bytes = [0; 16];
    bytes[15] = n;
    Uuid(bytes)
}

/// Which form of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Operators,
    Plain,
}

/// Runs `view` over `steps`, each a time's row changes with their diffs, and returns each time's document changes.
fn run(
    view: ConversationSearch,
    steps: Vec<Vec<(Change, isize)>>,
    workers: usize,
    form: Form,
) -> Vec<Vec<(ConversationDocument, isize)>> {
    let seen = Arc::new(Mutex::new(vec![Vec::new(); steps.len()]));
    let sink = Arc::clone(&seen);
    timely::execute(timely::Config::process(workers), move |worker| {
        let mut users = InputSession::<Time, (Uuid, User), isize>::new();
        let mut conversations = InputSession::<Time, (Uuid, Conversation), isize>::new();
        let mut items = InputSession::<Time, (Uuid, Item), isize>::new();
        let sink = Arc::clone(&sink);
        worker.dataflow::<Time, _, _>(|scope| {
            let tables = (users.to_collection(scope), conversations.to_collection(scope), items.to_collection(scope));
            let documents = match form {
                Form::Operators => view.build(tables),
                Form::Plain => PlainConversationSearch(view.clone()).build(tables),
            };
            let documents = documents.consolidate();
            documents.inspect(move |(document, time, diff)| {
                sink.lock().unwrap()[*time as usize].push((document.clone(), *diff));
            });
        });
        for (time, changes) in steps.iter().enumerate() {
            for (at, (change, diff)) in changes.iter().enumerate() {
                if at % worker.peers() != worker.index() {
                    continue;
                }
                match *change {
                    U(u, name) => users.update((uid(u), User { extra: name_of(&view, name) }), *diff),
                    C(c, u, closed) => conversations
                        .update((uid(c), Conversation { user_uid: uid(u), closed, extra: Extra::default() }), *diff),
                    I(i, c, kind, created_at) => {
                        items.update((uid(i), Item { conversation_uid: uid(c), kind, created_at }), *diff);
                    }
                }
            }
            let next = time as Time + 1;
            users.advance_to(next);
            conversations.advance_to(next);
            items.advance_to(next);
            users.flush();
            conversations.flush();
            items.flush();
        }
    })
    .unwrap();
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.iter_mut().for_each(|step| step.sort());
    seen
}

fn name_of(view: &ConversationSearch, name: &str) -> Extra {
    Extra(view.user_columns.iter().map(|_| Value::Text(name.into())).collect())
}

/// A row of a delta table: the changes of a time, and what they change in the documents.
type Delta = (Vec<(Change, isize)>, Vec<Expected>);

fn check(view: ConversationSearch, table: Vec<Delta>) {
    let (steps, expected): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    for (workers, form) in
        [1, 2, 4].into_iter().flat_map(|workers| [(workers, Form::Operators), (workers, Form::Plain)])
    {
        let seen = run(view.clone(), steps.clone(), workers, form);
        for (time, (seen, expected)) in seen.into_iter().zip(&expected).enumerate() {
            let mut expected: Vec<_> = expected
                .iter()
                .map(|&(c, u, step, name, diff)| {
                    let extra = name_of(&view, name);
                    (ConversationDocument { conversation_uid: uid(c), user_uid: uid(u), step, extra }, diff)
                })
                .collect();
            expected.sort();
            assert_eq!(seen, expected, "at time {time}, {workers} workers, {form:?}");
        }
    }
}

fn plain() -> ConversationSearch {
    ConversationSearch::default()
}

#[test]
fn a_document_stands_while_user_conversation_and_item_do() {
    use Step::NeedsReviewInvite as Invite;
    check(
        plain(),
        vec![
            (vec![(U(1, ""), 1), (C(1, 1, false), 1)], vec![]),
            (vec![(I(1, 1, Message, 10), 1)], vec![(1, 1, Invite, "", 1)]),
            (vec![(U(1, ""), -1)], vec![(1, 1, Invite, "", -1)]),
            (vec![(U(1, ""), 1)], vec![(1, 1, Invite, "", 1)]),
            (vec![(C(1, 1, false), -1), (C(1, 1, true), 1)], vec![(1, 1, Invite, "", -1)]),
            (vec![(C(1, 1, true), -1), (C(1, 1, false), 1)], vec![(1, 1, Invite, "", 1)]),
            (vec![(I(1, 1, Message, 10), -1)], vec![(1, 1, Invite, "", -1)]),
        ],
    );
}

#[test]
fn the_step_follows_the_newest_of_each_type() {
    use Step::*;
    check(
        plain(),
        vec![
            (
                vec![(U(1, ""), 1), (C(1, 1, false), 1), (I(1, 1, Message, 10), 1)],
                vec![(1, 1, NeedsReviewInvite, "", 1)],
            ),
            (vec![(I(2, 1, ReviewInvite, 20), 1)], vec![(1, 1, NeedsReviewInvite, "", -1), (1, 1, NeedsReview, "", 1)]),
            (vec![(I(3, 1, Review, 30), 1)], vec![(1, 1, NeedsReview, "", -1), (1, 1, NeedsReviewResponse, "", 1)]),
            (vec![(I(4, 1, Message, 40), 1)], vec![(1, 1, NeedsReviewResponse, "", -1), (1, 1, Finished, "", 1)]),
            // An older message changes nothing.
            (vec![(I(5, 1, Message, 5), 1)], vec![]),
            (vec![(I(4, 1, Message, 40), -1)], vec![(1, 1, Finished, "", -1), (1, 1, NeedsReviewResponse, "", 1)]),
            (
                vec![(I(6, 1, ReviewInvite, 31), 1)],
                vec![(1, 1, NeedsReviewResponse, "", -1), (1, 1, NeedsReview, "", 1)],
            ),
        ],
    );
}

#[test]
fn equal_times_are_decided_by_the_uid() {
    use Step::*;
    check(
        plain(),
        vec![
            (
                vec![(U(1, ""), 1), (C(1, 1, false), 1), (I(7, 1, ReviewInvite, 10), 1), (I(3, 1, Review, 10), 1)],
                vec![(1, 1, NeedsReview, "", 1)],
            ),
            (vec![(I(9, 1, Review, 10), 1)], vec![(1, 1, NeedsReview, "", -1), (1, 1, NeedsReviewResponse, "", 1)]),
            (vec![(I(8, 1, Message, 10), 1)], vec![]),
            (vec![(I(10, 1, Message, 10), 1)], vec![(1, 1, NeedsReviewResponse, "", -1), (1, 1, Finished, "", 1)]),
        ],
    );
}

#[test]
fn moving_an_item_or_a_conversation_changes_both_ends() {
    use Step::NeedsReviewInvite as Invite;
    check(
        plain(),
        vec![
            (
                vec![(U(1, ""), 1), (U(2, ""), 1), (C(1, 1, false), 1), (C(2, 2, false), 1), (I(1, 1, Message, 10), 1)],
                vec![(1, 1, Invite, "", 1)],
            ),
            (
                vec![(I(1, 1, Message, 10), -1), (I(1, 2, Message, 10), 1)],
                vec![(1, 1, Invite, "", -1), (2, 2, Invite, "", 1)],
            ),
            (vec![(C(2, 2, false), -1), (C(2, 1, false), 1)], vec![(2, 2, Invite, "", -1), (2, 1, Invite, "", 1)]),
        ],
    );
}

#[test]
fn an_included_column_rewrites_the_documents_of_its_user() {
    use Step::NeedsReviewInvite as Invite;
    let view = plain().include("users.name").unwrap();
    check(
        view,
        vec![
            (
                vec![
                    (U(1, "Ada"), 1),
                    (C(1, 1, false), 1),
                    (C(2, 1, false), 1),
                    (I(1, 1, Message, 1), 1),
                    (I(2, 2, Message, 1), 1),
                ],
                vec![(1, 1, Invite, "Ada", 1), (2, 1, Invite, "Ada", 1)],
            ),
            (
                vec![(U(1, "Ada"), -1), (U(1, "Bea"), 1)],
                vec![
                    (1, 1, Invite, "Ada", -1),
                    (1, 1, Invite, "Bea", 1),
                    (2, 1, Invite, "Ada", -1),
                    (2, 1, Invite, "Bea", 1),
                ],
            ),
        ],
    );
}

#[test]
fn conversations_without_items_are_kept_when_asked_for() {
    use Step::*;
    check(
        plain().zero_items(ZeroItems::NeedsReviewInvite),
        vec![
            (vec![(U(1, ""), 1), (C(1, 1, false), 1)], vec![(1, 1, NeedsReviewInvite, "", 1)]),
            (vec![(I(1, 1, ReviewInvite, 1), 1)], vec![(1, 1, NeedsReviewInvite, "", -1), (1, 1, NeedsReview, "", 1)]),
        ],
    );
}

#[test]
fn a_type_that_is_none_of_the_three_is_refused() {
    let mut values = [Value::Uuid(uid(1)), Value::Text("note".into()), Value::Timestamp(0)];
    let refused = Item::read(&mut values).unwrap_err();
    assert_eq!(refused.to_string(), "column `type`: `note` is not message, review_invite or review");
}

#[test]
fn options_say_what_they_may_be() {
    assert!(matches!(plain().include("name"), Err(OptionError::Include(_))));
    assert!(matches!(plain().include("conversation_items.body"), Err(OptionError::Include(_))));
    assert!(matches!(plain().include("users.step"), Err(OptionError::FieldTwice(_))));
    assert!("sometimes".parse::<ZeroItems>().is_err());
}

/// Items whose uids differ in few bits, or in the same ones: no bucket of any round may get many more than its share.
#[test]
fn items_spread_over_the_buckets_whatever_their_uids_have_in_common() {
    const ITEMS: u64 = 1 << 12;
    let counted = |shift: u32| (0..ITEMS).map(move |n| Uuid((u128::from(n) << shift).to_be_bytes()));
    let mut families: Vec<(String, Vec<Uuid>)> =
        (0..=116).step_by(4).map(|shift| (format!("counted at bit {shift}"), counted(shift).collect())).collect();
    // As versions 1, 6 and 7 have it: time in front, and one node, or one sequence, behind.
    families.push((
        "one node".to_owned(),
        (0..ITEMS)
            .map(|n| Uuid(((u128::from(n * 9_973) << 80) | 0x7000_8000_1b3c_5d7e_9f01_u128).to_be_bytes()))
            .collect(),
    ));
    // Only the high bits of each byte differ.
    families.push((
        "high bits".to_owned(),
        (0..ITEMS).map(|n| Uuid(std::array::from_fn(|at| ((n >> at.min(11)) as u8 & 1) << 7))).collect(),
    ));
    for (family, uids) in families {
        for round in 1..ROUNDS {
            let buckets = 1u64 << (BITS_PER_ROUND * round);
            let mut counts = std::collections::HashMap::new();
            uids.iter().for_each(|uid| *counts.entry(u64::from(bucket(uid)) % buckets).or_insert(0u64) += 1);
            let most = counts.values().max().copied().unwrap_or_default();
            assert!(most <= 2 * ITEMS / buckets + 16, "{family}: {most} of {ITEMS} items in one of {buckets} buckets");
        }
    }
}
