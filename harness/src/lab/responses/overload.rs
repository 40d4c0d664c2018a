//! Bulks from many threads at once, until a server that has one thread and a short queue for writes refuses some.

use super::request::Request;
use super::{Answer, agent};
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const THREADS: usize = 24;

/// Documents of a bulk; they go to several shards, of which some may refuse.
const DOCUMENTS: usize = 8;

/// For how long every kind of refusal is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a bulk was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    /// Nothing of it was looked at.
    Whole,
    /// Each document by itself.
    EveryItem,
    /// Some documents, and others were applied.
    SomeItems,
}

impl Refusal {
    const ALL: [Refusal; 3] = [Refusal::Whole, Refusal::EveryItem, Refusal::SomeItems];

    fn case(self) -> &'static str {
        match self {
            Refusal::Whole => "overload_bulk_refused_whole",
            Refusal::EveryItem => "overload_bulk_every_item_refused",
            Refusal::SomeItems => "overload_bulk_some_items_refused",
        }
    }

    fn of(answer: &Answer) -> Option<Refusal> {
        let Answer::Came { status, body, .. } = answer else { return None };
        if *status == 429 {
            return Some(Refusal::Whole);
        }
        let body: Value = serde_json::from_str(body).ok()?;
        let items = body.get("items")?.as_array()?;
        match items.iter().filter(|item| item.pointer("/index/status") == Some(&Value::from(429))).count() {
            0 => None,
            refused if refused == items.len() => Some(Refusal::EveryItem),
            _ => Some(Refusal::SomeItems),
        }
    }
}

/// Writes to `overload-1`, and gives one answer of each kind that occurred.
pub(super) fn overload(url: &str) -> Result<Vec<Value>> {
    let (found, enough) = (Mutex::new(BTreeMap::new()), AtomicBool::new(false));
    let deadline = Instant::now() + PATIENCE;
    std::thread::scope(|scope| {
        let writer = |thread: usize| {
            let (found, enough) = (&found, &enough);
            move || -> Result<()> {
                let (agent, request) = (agent(), bulk(thread));
                while !enough.load(Ordering::Relaxed) && Instant::now() < deadline {
                    let answer = Answer::to(&agent, url, &request)?;
                    let Some(refusal) = Refusal::of(&answer) else { continue };
                    let mut found = found.lock().expect("no writer panics while it holds this");
                    found.entry(refusal).or_insert_with(|| answer.line(refusal.case(), &request));
                    enough.store(found.len() == Refusal::ALL.len(), Ordering::Relaxed);
                }
                Ok(())
            }
        };
        let writers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(writer(thread))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer does not panic"))
    })?;
    Ok(found.into_inner().expect("no writer panicked").into_values().collect())
}

fn bulk(thread: usize) -> Request {
    let document = |number: usize| {
        let action = format!(r#"{{"index":{{"_id":"{thread}-{number}"}}}}"#);
        format!("{action}\n{{\"title\":\"{}\"}}\n", "word ".repeat(1_000))
    };
    Request {
        case: String::new(),
        method: "POST".to_owned(),
        path: "/overload-1/_bulk".to_owned(),
        content_type: "application/x-ndjson".to_owned(),
        gzip: false,
        body: (0..DOCUMENTS).map(document).collect(),
    }
}
