//! Code that panics: in a view, in its rows, on any of the engine's threads. The run ends with an error that says what the
//! panic said, whatever the number of workers, and what was read until then is not taken for the whole log.

use crate::bad_records::log::{Log, Row as LogRow};
use deltaic::dataflows::{
    BadValue, Collections, Column, Document, DocumentId, Field, Kind, Row, Schema, Table, Time, ToDocument, Uuid,
    Value, differential_dataflow::VecCollection,
};
use deltaic::{Engine, Error, NullSink, Report, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The users by name; code of the view panics at the names below.
#[derive(Clone, Default)]
struct Names {
    fails_to_build: bool,
    /// Names one table too many.
    names_two: bool,
}

/// What the closure of a view's operator, on a worker, panics at.
const POISON: &str = "poison";
/// What the reading of a row, on a decoder thread, panics at.
const THORN: &str = "thorn";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Name(Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Named(Uuid, Name);

impl Row for Name {
    type Key = Uuid;

    fn read_key(values: &mut [Value]) -> Result<Uuid, BadValue> {
        values[0].take_uuid("uid")
    }

    fn read(values: &mut [Value]) -> Result<Name, BadValue> {
        let name = Name(values[0].take_text("name")?);
        assert_ne!(&*name.0, THORN, "the row cannot be read");
        Ok(name)
    }
}

impl ToDocument for Named {
    type Id = Uuid;

    fn id(&self) -> Uuid {
        self.0
    }

    fn document_id(id: &Uuid) -> DocumentId {
        DocumentId(id.to_string().into())
    }

    fn document(&self, schema: &Arc<Schema>) -> Document {
        Document { schema: Arc::clone(schema), values: [Value::Text(self.1.0.clone())].into() }
    }
}

impl View for Names {
    type Tables = (Name,);
    type Output = Named;

    fn name(&self) -> &str {
        "names"
    }

    fn tables(&self) -> Vec<Table> {
        let key = vec![Column::required("uid", Kind::Uuid)];
        let columns = vec![Column::required("name", Kind::Text)];
        let users = Table { name: "public.users".to_owned(), key, columns, may_omit: false };
        vec![users; if self.names_two { 2 } else { 1 }]
    }

    fn schema(&self) -> Schema {
        Schema { fields: vec![Field { name: "name".into(), kind: Kind::Text }] }
    }

    fn build<'scope>(&self, (users,): Collections<'scope, Self>) -> VecCollection<'scope, Time, Named> {
        assert!(!self.fails_to_build, "the view cannot be built");
        users.map(|(uid, name)| {
            assert_ne!(&*name.0, POISON, "the view cannot go on");
            Named(uid, name)
        })
    }
}

/// A log whose second transaction gives a user a name, with transactions behind it.
fn log(key: u32, name: &str) -> Log {
    let mut log = Log::started();
    log.row(LogRow::new(key % 2, "c", key, name, 2, 1));
    log.end(2, 1);
    for tx in 3..40 {
        log.row(LogRow::new(tx as u32 % 2, "u", 1 + tx as u32 % 2, "later", tx, 1));
        log.end(tx, 1);
    }
    log
}

/// Replays the log; a run that does not end fails the test.
fn replay(view: Names, log: &Log, workers: usize) -> Result<Report, Error> {
    let file = log.file();
    let log = deltaic::Log { block_bytes: 2_000, ..deltaic::Log::file(file.path()) };
    let (done, outcome) = channel();
    std::thread::spawn(move || {
        let ended = Engine::replay(view, log).workers(workers).run(&mut NullSink::default());
        let _test_has_failed = done.send(ended);
    });
    outcome.recv_timeout(Duration::from_secs(60)).expect("the run ends")
}

const WORKERS: [usize; 3] = [1, 2, 4];

#[test]
fn a_view_that_panics_on_a_worker_ends_the_run_with_its_words() {
    for workers in WORKERS {
        // Keys that live on different workers: the first as well as the others panic.
        for key in 5..11 {
            let error = replay(Names::default(), &log(key, POISON), workers).unwrap_err();
            let Error::Worker(message) = &error else { panic!("{workers} workers: {error}") };
            assert!(message.contains("the view cannot go on"), "{workers} workers: {message}");
        }
    }
}

#[test]
fn a_view_that_panics_when_it_is_built_ends_the_run_with_its_words() {
    for workers in WORKERS {
        let error = replay(Names { fails_to_build: true, ..Names::default() }, &log(5, "five"), workers).unwrap_err();
        assert!(matches!(&error, Error::Worker(message) if message == "the view cannot be built"), "{error}");
    }
}

#[test]
fn a_decoder_that_panics_is_not_the_end_of_the_log() {
    for workers in WORKERS {
        let error = replay(Names::default(), &log(5, THORN), workers).unwrap_err();
        let Error::Feed(message) = &error else { panic!("{workers} workers: {error}") };
        assert!(message.contains("the row cannot be read"), "{workers} workers: {message}");
    }
}

/// Without the names that it panics at, the view goes through.
#[test]
fn the_same_log_without_a_panic_is_read_to_its_end() {
    for workers in WORKERS {
        let report = replay(Names::default(), &log(5, "five"), workers).unwrap();
        assert_eq!(report.transactions(), 39, "{report:?}");
    }
}

#[test]
fn a_view_names_a_table_for_each_of_its_row_types() {
    let view = Names { names_two: true, ..Names::default() };
    let said = replay(view, &log(5, "five"), 1).unwrap_err().to_string();
    assert_eq!(said, "view names: `tables` names 2 tables, and `Tables` has 1 row types");
}
