//! A search server in memory: what a real one does with external versions, aliases and settings, as far as the sink can tell, with
//! faults as a script has them. It forgets the versions of deleted documents when it is told to, as a real one that is restarted.

use super::http::{Answer, HttpServer, Request};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What goes wrong with a bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every second document is answered 429, and not applied.
    RejectItems,
    /// The whole is answered so, and nothing is applied.
    Refuse(u16),
    /// It is applied, and the connection closed.
    ApplyAndDrop,
    /// The connection is closed, and nothing is applied.
    Drop,
    /// It is applied, and half of the answer sent.
    HalfAnswer,
    /// It is applied and answered after a while.
    Slow(Duration),
    /// After a while it is applied, unless the server was restarted meanwhile; there is no answer.
    Hang(Duration),
}

/// What the server holds.
#[derive(Default)]
pub struct Model {
    pub indexes: BTreeMap<String, Index>,
    /// Answers with 413 from so many bytes on.
    pub body_max: Option<usize>,
    /// The value of the header `authorization` that is asked for.
    pub authorization: Option<String>,
    /// What is said of oneself.
    pub version: Option<Value>,
    /// A bulk with this in it cannot be read, and is refused as a whole.
    pub unreadable: Option<String>,
    /// Restarts so far, of the server and of those who send.
    restarts: u64,
    senders: u64,
    uuids: u64,
    /// Bulks so far.
    pub bulks: u64,
    /// Of each bulk, whether it asked what became of each of its documents.
    pub asked_for_each: Vec<bool>,
    /// The most bulks that were worked on at once.
    pub most_at_once: u64,
    at_once: u64,
    /// Ids of documents that are being worked on: no id twice.
    busy: BTreeSet<String>,
    /// What should never have been asked.
    pub wrong: Vec<String>,
}

#[derive(Default)]
pub struct Index {
    pub uuid: String,
    pub settings: BTreeMap<String, Value>,
    pub mappings: Value,
    pub aliases: BTreeMap<String, Value>,
    pub documents: BTreeMap<String, Stored>,
    /// Nothing of it is read or written.
    pub closed: bool,
    /// The id of a document that it cannot take.
    pub refuses: Option<String>,
    /// Versions of deleted documents.
    tombstones: BTreeMap<String, u64>,
    writes: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub version: u64,
    pub source: Value,
    seq_no: u64,
}

pub struct SearchServer {
    http: HttpServer,
    model: Arc<Mutex<Model>>,
}

/// Chooses the fault of a bulk.
pub type Script = Box<dyn FnMut() -> Option<Fault> + Send>;

impl SearchServer {
    pub fn start(script: Script) -> SearchServer {
        SearchServer::over(None, script)
    }

    pub fn over(tls: Option<Arc<rustls::ServerConfig>>, script: Script) -> SearchServer {
        let model = Arc::new(Mutex::new(Model::default()));
        let (asked, script) = (Arc::clone(&model), Mutex::new(script));
        let http = HttpServer::start(tls, move |request| answer(&asked, &script, request));
        SearchServer { http, model }
    }

    pub fn url(&self) -> String {
        self.http.url()
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }
}

impl Model {
    /// The server is restarted, and in order: what is on its way is lost, and what was deleted is forgotten.
    pub fn restart(&mut self) {
        self.restarts += 1;
        self.sender_died();
        self.indexes.values_mut().for_each(|index| index.tombstones.clear());
    }

    /// Whoever sent is dead: what it sent may still be worked on.
    pub fn sender_died(&mut self) {
        self.senders += 1;
        self.busy.clear();
        self.at_once = 0;
    }

    /// What is read through an alias: all but the progress document, which its filter leaves out.
    pub fn seen(&self, alias: &str) -> BTreeMap<String, Stored> {
        let mut indexes = self.indexes.values().filter(|index| index.aliases.contains_key(alias));
        let index = indexes.next().unwrap();
        assert!(indexes.next().is_none(), "the alias is on one index");
        let hidden = index.aliases[alias].pointer("/filter/bool/must_not/ids/values/0").unwrap().as_str().unwrap();
        index
            .documents
            .iter()
            .filter(|(id, _)| *id != hidden)
            .map(|(id, stored)| (id.clone(), stored.clone()))
            .collect()
    }

    /// The progress document of the index behind an alias.
    pub fn progress(&self, alias: &str) -> Value {
        let index = self.indexes.values().find(|index| index.aliases.contains_key(alias)).unwrap();
        index.documents["deltaic-progress"].source["deltaic"].clone()
    }
}

fn answer(model: &Mutex<Model>, script: &Mutex<Script>, request: Request) -> Answer {
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    {
        let asked_for = model.lock().unwrap().authorization.clone();
        if asked_for.is_some() && request.headers.get("authorization") != asked_for.as_ref() {
            return said(401, "security_exception", "missing authentication credentials");
        }
    }
    if let ("POST", [index, "_bulk"]) = (request.method.as_str(), &parts[..]) {
        let fault = script.lock().unwrap()();
        return bulk(model, index, &request, fault);
    }
    let mut model = model.lock().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    match (request.method.as_str(), &parts[..]) {
        ("GET", [""]) => {
            let default = || json!({ "number": "2.19.6", "distribution": "opensearch" });
            let version = model.version.clone().unwrap_or_else(default);
            whole(200, &json!({ "name": "n0", "version": version, "tagline": "a model" }))
        }
        ("GET", ["_alias", alias]) => {
            let on = model.indexes.iter().filter_map(|(name, index)| {
                let filter = index.aliases.get(*alias)?;
                Some((name.clone(), json!({ "aliases": { *alias: filter } })))
            });
            let on: Map<String, Value> = on.collect();
            if on.is_empty() {
                return whole(404, &json!({ "error": format!("alias [{alias}] missing"), "status": 404 }));
            }
            whole(200, &Value::Object(on))
        }
        ("POST", ["_aliases"]) => {
            for action in body["actions"].as_array().unwrap() {
                for (what, of) in action.as_object().unwrap() {
                    let alias = of["alias"].as_str().unwrap().to_owned();
                    let index = model.indexes.get_mut(of["index"].as_str().unwrap()).unwrap();
                    match what.as_str() {
                        "add" => drop(index.aliases.insert(alias, json!({ "filter": of["filter"] }))),
                        "remove" => drop(index.aliases.remove(&alias).unwrap()),
                        other => panic!("unknown action {other}"),
                    }
                }
            }
            whole(200, &json!({ "acknowledged": true }))
        }
        ("PUT", [index]) => create(&mut model, index, &body),
        ("DELETE", [index]) => match model.indexes.remove(*index) {
            Some(_) => whole(200, &json!({ "acknowledged": true })),
            None => missing(index),
        },
        ("GET", [pattern, "_settings"]) => {
            let fits = |name: &str| pattern.strip_suffix('*').map_or(name == *pattern, |start| name.starts_with(start));
            let found = model.indexes.iter().filter(|(name, _)| fits(name));
            let found: Map<String, Value> = found
                .map(|(name, index)| {
                    let mut settings = index.settings.clone();
                    settings.insert("index.uuid".to_owned(), json!(index.uuid));
                    (name.clone(), json!({ "settings": settings }))
                })
                .collect();
            if found.is_empty() && !pattern.ends_with('*') {
                missing(pattern)
            } else {
                whole(200, &Value::Object(found))
            }
        }
        (method, [index, rest @ ..]) => {
            let Some(found) = model.indexes.get_mut(*index) else { return missing(index) };
            match (method, rest) {
                (_, ["_doc" | "_create" | "_count" | "_refresh", ..]) if found.closed => {
                    said(400, "index_closed_exception", "closed")
                }
                ("GET", ["_mapping"]) => whole(200, &json!({ *index: { "mappings": found.mappings } })),
                ("PUT", ["_mapping"]) => {
                    let more = body["properties"].as_object().unwrap().clone();
                    found.mappings["properties"].as_object_mut().unwrap().extend(more);
                    whole(200, &json!({ "acknowledged": true }))
                }
                // As Elasticsearch has it; OpenSearch takes what is sent with it.
                ("POST", ["_refresh"]) if !request.body.is_empty() => {
                    said(400, "illegal_argument_exception", "does not support having a body")
                }
                ("POST", ["_refresh"]) => whole(200, &json!({})),
                ("POST", ["_count"]) => {
                    let progress = usize::from(found.documents.contains_key("deltaic-progress"));
                    whole(200, &json!({ "count": found.documents.len() - progress }))
                }
                ("GET", ["_doc", id]) => match found.documents.get(*id) {
                    None => whole(404, &json!({ "_id": id, "found": false })),
                    Some(stored) => whole(
                        200,
                        &json!({ "_id": id, "_seq_no": stored.seq_no, "_primary_term": 1, "_version": stored.version,
                            "found": true, "_source": stored.source }),
                    ),
                },
                ("PUT", ["_create", id]) => put(found, id, &body, None),
                ("PUT", ["_doc", id]) => {
                    let after = request.query.get("if_seq_no").map(|number| number.parse().unwrap());
                    put(found, id, &body, Some(after.expect("it is never written over blindly")))
                }
                _ => panic!("unknown: {method} {}", request.path),
            }
        }
        _ => panic!("unknown: {} {}", request.method, request.path),
    }
}

fn create(model: &mut Model, name: &str, body: &Value) -> Answer {
    if model.indexes.contains_key(name) {
        return said(400, "resource_already_exists_exception", &format!("index [{name}] already exists"));
    }
    model.uuids += 1;
    let settings = body["settings"].as_object().cloned().unwrap_or_default();
    let mut mappings = body["mappings"].clone();
    if mappings["properties"].is_null() {
        mappings = json!({ "properties": {} });
    }
    let aliases = body["aliases"].as_object().cloned().unwrap_or_default();
    let index = Index {
        uuid: format!("uuid-{}", model.uuids),
        settings: settings.into_iter().collect(),
        mappings,
        aliases: aliases.into_iter().collect(),
        ..Index::default()
    };
    model.indexes.insert(name.to_owned(), index);
    whole(200, &json!({ "acknowledged": true, "index": name }))
}

/// Writes a document by its own sequence number.
fn put(index: &mut Index, id: &str, body: &Value, after: Option<u64>) -> Answer {
    let stored = index.documents.get(id);
    if stored.map(|stored| stored.seq_no) != after {
        return said(409, "version_conflict_engine_exception", "required seqNo");
    }
    let version = stored.map_or(1, |stored| stored.version + 1);
    index.writes += 1;
    let stored = Stored { version, source: body.clone(), seq_no: index.writes };
    index.documents.insert(id.to_owned(), stored);
    whole(200, &json!({ "_id": id, "_seq_no": index.writes, "_primary_term": 1, "result": "updated" }))
}

fn bulk(model: &Mutex<Model>, index: &str, request: &Request, fault: Option<Fault>) -> Answer {
    let mut locked = model.lock().unwrap();
    locked.bulks += 1;
    let wanted = request.query.get("filter_path").expect("a whole answer to a bulk is more than what is wanted of it");
    locked.asked_for_each.push(wanted.contains("items"));
    if locked.body_max.is_some_and(|max| request.body.len() > max) {
        return Answer::Whole { status: 413, body: Vec::new() };
    }
    if locked.unreadable.as_ref().is_some_and(|part| String::from_utf8_lossy(&request.body).contains(part.as_str())) {
        return said(400, "illegal_argument_exception", "Malformed action/metadata line");
    }
    let lines: Vec<Value> =
        request.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse).collect();
    let ids = ids(&lines);
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        locked.wrong.push(format!("{ids:?} are in one bulk, and one of them twice"));
    }
    // What is on its way at once. A bulk that hangs was given up by its sender.
    let hangs = matches!(fault, Some(Fault::Hang(_)));
    let ours = !hangs && ids.iter().all(|id| !locked.busy.contains(id));
    if !hangs {
        if !ours {
            locked.wrong.push(format!("{ids:?} are on their way twice"));
        }
        locked.at_once += 1;
        locked.most_at_once = locked.most_at_once.max(locked.at_once);
        locked.busy.extend(ids.iter().cloned());
    }
    let (restarts, senders) = (locked.restarts, locked.senders);
    drop(locked);
    if let Some(Fault::Slow(pause) | Fault::Hang(pause)) = &fault {
        std::thread::sleep(*pause);
    }
    let mut locked = model.lock().unwrap();
    if !hangs && locked.senders == senders {
        locked.at_once -= 1;
        locked.busy.retain(|id| !ids.contains(id));
    }
    if locked.restarts != restarts {
        return Answer::Nothing;
    }
    match fault {
        Some(Fault::Refuse(status)) => return said(status, "an_exception", "as the script says"),
        Some(Fault::Drop) => return Answer::Nothing,
        _ => {}
    }
    let reject = fault == Some(Fault::RejectItems);
    let Answer::Whole { status, body } = apply(&mut locked, index, &lines, reject) else { return Answer::Nothing };
    let body = only(wanted, &body);
    match fault {
        Some(Fault::ApplyAndDrop | Fault::Hang(_)) => Answer::Nothing,
        Some(Fault::HalfAnswer) => Answer::Half { status, body },
        _ => Answer::Whole { status, body },
    }
}

fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn ids(lines: &[Value]) -> Vec<String> {
    let target = |line: &Value| {
        let action = line.get("index").or(line.get("delete"))?;
        action.get("version").and(action.get("_id")).and_then(Value::as_str).map(str::to_owned)
    };
    lines.iter().filter_map(target).collect()
}

fn apply(model: &mut Model, index: &str, lines: &[Value], reject: bool) -> Answer {
    let mut lines = lines.iter();
    let mut items = Vec::new();
    while let Some(line) = lines.next() {
        let (what, target) = line.as_object().unwrap().iter().next().unwrap();
        let id = target["_id"].as_str().unwrap();
        let version = target["version"].as_u64().unwrap();
        assert_eq!(target["version_type"], "external_gte");
        let source = (what == "index").then(|| lines.next().unwrap().clone());
        let outcome = match model.indexes.get_mut(index) {
            None => {
                json!({ "status": 404, "error": { "type": "index_not_found_exception", "reason": "no such index" } })
            }
            Some(index) if index.closed => {
                json!({ "status": 400, "error": { "type": "index_closed_exception", "reason": "closed" } })
            }
            Some(index) if source.is_some() && index.refuses.as_deref() == Some(id) => {
                json!({ "status": 400, "error": { "type": "mapper_parsing_exception", "reason": "failed to parse" } })
            }
            Some(_) if reject && items.len() % 2 == 0 => {
                json!({ "status": 429, "error": { "type": "es_rejected_execution_exception", "reason": "full" } })
            }
            Some(index) => index.change(id, version, source),
        };
        let mut outcome = outcome;
        outcome["_id"] = json!(id);
        items.push(json!({ what: outcome }));
    }
    let failed = |item: &Value| item.as_object().unwrap().values().any(|outcome| outcome.get("error").is_some());
    whole(200, &json!({ "errors": items.iter().any(failed), "items": items }))
}

/// What `filter_path` leaves of an answer. An object of which it leaves nothing is left out.
fn only(wanted: &str, body: &[u8]) -> Vec<u8> {
    fn left(value: &Value, paths: &[&[&str]]) -> Option<Value> {
        if paths.iter().any(|path| path.is_empty()) {
            return Some(value.clone());
        }
        match value {
            Value::Array(values) => {
                let values: Vec<Value> = values.iter().filter_map(|value| left(value, paths)).collect();
                (!values.is_empty()).then_some(Value::Array(values))
            }
            Value::Object(fields) => {
                let fields = fields.iter().filter_map(|(name, value)| {
                    let below = paths.iter().filter_map(|path| path.split_first());
                    let below: Vec<&[&str]> =
                        below.filter(|(first, _)| ["*", name.as_str()].contains(first)).map(|(_, rest)| rest).collect();
                    Some((name.clone(), left(value, &below)?))
                });
                let fields: Map<String, Value> = fields.collect();
                (!fields.is_empty()).then_some(Value::Object(fields))
            }
            _ => None,
        }
    }
    let paths: Vec<Vec<&str>> = wanted.split(',').map(|path| path.split('.').collect()).collect();
    let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
    left(&serde_json::from_slice(body).unwrap(), &paths)
        .map_or_else(|| b"{}".to_vec(), |left| left.to_string().into_bytes())
}

impl Index {
    fn change(&mut self, id: &str, version: u64, source: Option<Value>) -> Value {
        let stood = self.documents.get(id).map(|stored| stored.version);
        if stood.or(self.tombstones.get(id).copied()).is_some_and(|current| current > version) {
            return json!({ "status": 409, "error": { "type": "version_conflict_engine_exception", "reason": "newer" } });
        }
        if let Some(spoilt) = source.as_ref().and_then(|source| source.get("spoilt")) {
            return json!({ "status": 400, "error": { "type": "mapper_parsing_exception", "reason": format!("{spoilt}") } });
        }
        self.writes += 1;
        match source {
            Some(source) => {
                self.tombstones.remove(id);
                self.documents.insert(id.to_owned(), Stored { version, source, seq_no: self.writes });
                json!({ "status": if stood.is_some() { 200 } else { 201 } })
            }
            None => {
                self.documents.remove(id);
                self.tombstones.insert(id.to_owned(), version);
                json!({ "status": if stood.is_some() { 200 } else { 404 }, "result": "not_found" })
            }
        }
    }
}

fn whole(status: u16, body: &Value) -> Answer {
    Answer::Whole { status, body: body.to_string().into_bytes() }
}

fn said(status: u16, kind: &str, reason: &str) -> Answer {
    whole(status, &json!({ "error": { "type": kind, "reason": reason }, "status": status }))
}

fn missing(index: &str) -> Answer {
    said(404, "index_not_found_exception", &format!("no such index [{index}]"))
}
