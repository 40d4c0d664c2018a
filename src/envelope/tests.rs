//! The decoder against records as they really are, as they must not be, and as no one ever wrote them.
//!
//! - [`golden`]: a file of records for each shape, and what comes out of them;
//! - [`refusals`]: records that cannot be used, and the words in which that is said;
//! - [`hostile`]: mutated and arbitrary bytes, which never panic and never become another row than they say;
//! - [`shapes`]: lines decoded by their shape and by their names, which must be the same;
//! - [`corpus`]: the fuzzers' seeds and old findings.

mod corpus;
mod golden;
mod hostile;
mod refusals;
mod shapes;

use super::{BadRecord, Body, Decoder, Envelope, RowBuffer, TypedRows};
use crate::fuzzing::catalog;
use crate::source::SourceRecord;
use dataflows::{Conversation, Item, Row, User};
use std::fmt::Debug;

/// Decodes a record and writes what came out in one line.
fn decoded(record: &SourceRecord<'_>) -> Result<String, Box<BadRecord>> {
    let catalog = catalog();
    let mut buffers: Vec<Box<dyn RowBuffer>> = catalog.codecs.iter().map(|codec| codec.buffer()).collect();
    let topic = catalog.topic(&record.topic);
    Ok(match Decoder::new(catalog).decode(record, topic, &mut buffers)? {
        Envelope::Row { table, op, origin, run } => {
            let name = ["users", "conversations", "conversation_items"][table];
            let run = run.map_or("none".to_owned(), |run| run.to_string());
            format!("{name} {op:?}, {origin:?}, run {run}, {}", only_row(buffers))
        }
        Envelope::End(end) => {
            format!("End txid {} at {}, counts {:?}, committed {}", end.txid, end.lsn, end.counts, end.commit_ms)
        }
        other => format!("{other:?}"),
    })
}

/// The one row in all the buffers.
fn only_row(buffers: Vec<Box<dyn RowBuffer>>) -> String {
    let mut rows = Vec::new();
    for (table, buffer) in buffers.into_iter().enumerate() {
        let typed = buffer.into_any();
        rows.extend(match table {
            0 => spelled(*typed.downcast::<TypedRows<User>>().unwrap()),
            1 => spelled(*typed.downcast::<TypedRows<Conversation>>().unwrap()),
            _ => spelled(*typed.downcast::<TypedRows<Item>>().unwrap()),
        });
    }
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

fn spelled<R: Row<Key: Debug>>(rows: TypedRows<R>) -> Vec<String> {
    let one = |(key, body): (Option<R::Key>, Body<R>)| format!("{key:?}: {body:?}");
    rows.0.into_iter().map(one).collect()
}
