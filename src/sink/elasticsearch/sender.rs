//! The thread of a lane: takes bulks, and sends each until the index has all of it.

use super::answer::{self, Again, Detail, Item, Whole};
use super::bulk::Bulk;
use super::client::{NDJSON, NoAnswer};
use super::dead_letter::DeadLetters;
use super::error::ElasticsearchError;
use super::lanes::{BulkMax, Ready};
use super::outbox::{Counts, Outbox};
use super::patience::Backoff;
use super::server::Server;
use crate::sink::Touch;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, warn};
use ureq::http::Method;

/// The longest sleep of a thread that is woken when there is something to do.
const SLEEP: Duration = Duration::from_secs(60);
/// A warning about the same trouble comes no more often than this.
const WARN_EVERY: Duration = Duration::from_secs(10);
/// How often a server may break off in the midst of one large document before that is taken for the reason.
const RESETS_MAX: u32 = 10;
/// For so many bulks after one in which something failed, each document is asked for at once: a server that refuses some of many
/// bulks is not sent all of them twice.
const WARY: u32 = 32;

pub(super) struct Sender {
    pub(super) lane: usize,
    pub(super) index: String,
    pub(super) server: Server,
    pub(super) outbox: Arc<Outbox>,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) warned: Option<Instant>,
    /// Of so many bulks, each document is asked for at once.
    pub(super) wary: u32,
    /// Of the last bulk, for the next: memory that is new costs more than what is written into it.
    pub(super) buffer: Vec<u8>,
}

/// What a try left to do.
enum Left {
    /// These once more, after a pause.
    Again(Bulk, Again),
    /// These once more, to be told of each.
    InDetail(Bulk),
    /// These in two halves: nothing of them was applied.
    Halves(Bulk, String),
    /// Perhaps these were too much at once: after a pause, in two halves if there are two.
    PerhapsHalves(Bulk, Again),
}

impl Sender {
    /// Sends until it is over.
    pub(super) fn run(mut self) {
        while let Some(taken) = self.next() {
            match self.deliver(taken) {
                Ok(true) => self.outbox.arrived(self.lane),
                // It is over.
                Ok(false) => {}
                Err(error) => self.outbox.change(|state| state.fail(error)),
            }
        }
    }

    /// The next bulk, once there is one; `None` if it is over.
    fn next(&self) -> Option<Vec<Touch>> {
        let linger = Duration::from_millis(self.server.options.linger_ms);
        let max = bulk_max(&self.server);
        let mut since = None;
        let mut state = self.outbox.lock();
        while !state.is_over() {
            let ready = state.lanes.ready(self.lane, max);
            let left = match ready {
                Ready::Nothing | Ready::Unannounced => {
                    since = None;
                    SLEEP
                }
                Ready::Full => Duration::ZERO,
                Ready::Some => linger.saturating_sub(since.get_or_insert_with(Instant::now).elapsed()),
            };
            if left.is_zero() || (ready == Ready::Some && state.hurry) {
                return Some(state.lanes.take(self.lane, max));
            }
            state = self.outbox.wait_to_send(state, left);
        }
        None
    }

    /// Sends until the index has all of it; false if it is over before.
    fn deliver(&mut self, taken: Vec<Touch>) -> Result<bool, ElasticsearchError> {
        let mut backoff = Backoff::new(&self.server.options);
        let buffer = std::mem::take(&mut self.buffer);
        let mut parts = Bulk::of(taken, self.server.options.bulk_bytes_max, buffer);
        // The next one is the last.
        parts.reverse();
        let mut resets = 0;
        while let Some(part) = parts.pop() {
            if self.outbox.lock().is_over() {
                return Ok(false);
            }
            let count = part.len();
            match self.send(part)? {
                None => {
                    backoff.reset();
                    resets = 0;
                }
                Some(Left::InDetail(part)) => {
                    self.outbox.lock().counts.again += count as u64;
                    // Perhaps it has too much to do.
                    self.outbox.pause(backoff.pause());
                    parts.push(part);
                }
                Some(Left::Halves(part, reason)) => self.halve(part, reason, &mut parts)?,
                Some(Left::PerhapsHalves(part, again)) => {
                    self.wait(&mut backoff, &again, count)?;
                    resets += u32::from(!again.busy);
                    if part.len() > 1 || resets > RESETS_MAX {
                        self.halve(part, again.reason, &mut parts)?;
                        resets = 0;
                    } else {
                        parts.push(part);
                    }
                }
                Some(Left::Again(part, again)) => {
                    if part.len() < count {
                        backoff.reset();
                    }
                    self.wait(&mut backoff, &again, part.len())?;
                    parts.push(part);
                }
            }
        }
        Ok(true)
    }

    /// One try.
    fn send(&mut self, bulk: Bulk) -> Result<Option<Left>, ElasticsearchError> {
        let detail = if self.wary == 0 { Detail::Whether } else { Detail::Each };
        let path = format!("/{}/_bulk?{}", self.index, detail.query());
        let begun = Instant::now();
        let sent = self.server.client.ask(&Method::POST, &path, Some((NDJSON, bulk.body())));
        self.outbox.lock().counts.bulks += 1;
        let response = match sent {
            Ok(response) => response,
            Err(NoAnswer { reason, perhaps_too_large }) => {
                let again = Again { busy: false, reason };
                let left = if perhaps_too_large { Left::PerhapsHalves } else { Left::Again };
                return Ok(Some(left(bulk, again)));
            }
        };
        let documents = bulk.len();
        debug!(
            lane = self.lane,
            documents,
            status = response.status,
            milliseconds = begun.elapsed().as_millis() as u64,
            "bulk answered"
        );
        match answer::bulk(&response, bulk.operations(), detail) {
            Whole::Done => {
                self.outbox.lock().counts.operations += documents as u64;
                self.keep_buffer(bulk);
                Ok(None)
            }
            Whole::Failures => {
                self.wary = WARY;
                Ok(Some(Left::InDetail(bulk)))
            }
            Whole::Items(items) => self.sort_out(bulk, items),
            Whole::TooLarge(reason) | Whole::Malformed(reason) => Ok(Some(Left::Halves(bulk, reason))),
            // For all that is on its way, or for the memory that a bulk may take.
            Whole::Again(again) if response.status == 429 => Ok(Some(Left::PerhapsHalves(bulk, again))),
            Whole::Again(again) => Ok(Some(Left::Again(bulk, again))),
            Whole::Refused(refusal) => Err(self.server.refused("send documents", refusal)),
        }
    }

    /// What is left of a bulk that was answered document by document.
    fn sort_out(&mut self, bulk: Bulk, items: Vec<Item>) -> Result<Option<Left>, ElasticsearchError> {
        let mut counts = Counts::default();
        let mut left = Vec::new();
        let mut why = None;
        for (operation, item) in bulk.operations().iter().zip(items) {
            match item {
                Item::Done => counts.operations += 1,
                Item::Newer => counts.newer += 1,
                Item::Again(again) => {
                    why.get_or_insert(again);
                    left.push(operation.clone());
                }
                Item::Bad(reason) => {
                    self.dead_letters.take(operation, bulk.document(operation), reason)?;
                    counts.bad += 1;
                }
                Item::Refused(refusal) => return Err(self.server.refused("send a document", refusal)),
            }
        }
        let all_went_well = counts.newer == 0 && counts.bad == 0 && why.is_none();
        self.wary = if all_went_well { self.wary.saturating_sub(1) } else { WARY };
        self.outbox.lock().counts += counts;
        let left = why.map(|again| Left::Again(bulk.only(left), again));
        self.keep_buffer(bulk);
        Ok(left)
    }

    /// Keeps the largest buffer for the next bulk, unless it was for a document that is larger than a bulk should be.
    fn keep_buffer(&mut self, bulk: Bulk) {
        let buffer = bulk.into_buffer();
        let most = self.server.options.bulk_bytes_max.saturating_mul(2);
        if (self.buffer.capacity()..=most).contains(&buffer.capacity()) {
            self.buffer = buffer;
        }
    }

    /// The halves of what was refused as a whole; the one that is left is the one that cannot be taken.
    fn halve(&self, mut part: Bulk, reason: String, parts: &mut Vec<Bulk>) -> Result<(), ElasticsearchError> {
        if part.len() > 1 {
            let second = part.split_off(part.len() / 2);
            parts.extend([second, part]);
            return Ok(());
        }
        for operation in part.operations() {
            self.dead_letters.take(operation, part.document(operation), reason.clone())?;
            self.outbox.lock().counts.bad += 1;
        }
        Ok(())
    }

    /// Waits before the next try, or gives up.
    fn wait(&mut self, backoff: &mut Backoff, again: &Again, documents: usize) -> Result<(), ElasticsearchError> {
        let tries = backoff.failed(again.busy);
        if self.server.options.retries_max.is_some_and(|max| tries > max) {
            let doing = format!("a bulk of {documents} documents");
            return Err(ElasticsearchError::GaveUp { doing, tries, reason: again.reason.clone() });
        }
        let pause = backoff.pause();
        self.outbox.change(|state| {
            state.counts.again += documents as u64;
            state.waits(&again.reason, again.busy);
        });
        if self.warned.is_none_or(|warned| warned.elapsed() > WARN_EVERY) {
            self.warned = Some(Instant::now());
            warn!(lane = self.lane, documents, reason = again.reason, "documents are sent again");
        }
        self.outbox.pause(pause);
        Ok(())
    }
}

pub(super) fn bulk_max(server: &Server) -> BulkMax {
    BulkMax { documents: server.options.bulk_documents_max.max(1), bytes: server.options.bulk_bytes_max }
}
