//! The index that documents lie in, and the alias that they are read through.
//!
//! ```text
//!   conversations          the alias: all but the progress document
//!        │
//!        └──> conversations-000002     the index: strict mapping by the view's schema, writes that survive
//!             conversations-000001     the one before, until a rebuild has taken it away
//! ```

use super::answer;
use super::error::ElasticsearchError;
use super::progress::{FIELD, ID};
use super::server::Server;
use dataflows::{Kind, Schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tracing::{info, warn};
use ureq::http::Method;

/// The longest term that Lucene takes has 32,766 bytes, and a character at most 4.
const IGNORE_ABOVE: u64 = 8_191;
/// What `index.gc_deletes` is where nothing is said: too short for a bulk that is on its way when its sender dies.
const GC_DELETES: &str = "index.gc_deletes";

/// An index, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) uuid: String,
}

#[derive(Default, Deserialize)]
struct Described {
    settings: BTreeMap<String, Value>,
}

impl Described {
    fn uuid(&self) -> String {
        self.settings.get("index.uuid").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

#[derive(Deserialize)]
struct Mapped {
    mappings: Mapping,
}

#[derive(Default, Deserialize)]
struct Mapping {
    #[serde(default)]
    dynamic: Value,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

/// Refuses what cannot be the name of an alias, or the beginning of an index's.
pub(super) fn check_alias(alias: &str) -> Result<(), ElasticsearchError> {
    let refused =
        |reason: &str| Err(ElasticsearchError::Option { option: "index", reason: format!("`{alias}` {reason}") });
    if alias.is_empty() || alias.len() > 240 {
        return refused("should have 1 to 240 bytes");
    }
    if alias.starts_with(['-', '_', '+', '.']) {
        return refused("begins with one of - _ + .");
    }
    if alias.chars().any(|c| c.is_uppercase() || c.is_whitespace() || "\\/*?\"<>|,#:%&=".contains(c)) {
        return refused("has an upper-case letter, a space, or one of \\ / * ? \" < > | , # : % & =");
    }
    Ok(())
}

/// The indexes that the alias is on.
pub(super) fn on_alias(server: &Server) -> Result<BTreeSet<String>, ElasticsearchError> {
    let path = format!("/_alias/{}", server.options.alias);
    let found: Option<BTreeMap<String, Value>> = server.find("look for the alias", &path)?;
    Ok(found.unwrap_or_default().into_keys().collect())
}

/// Takes the alias from the indexes that have it and puts it on another, in one step.
pub(super) fn move_alias(server: &Server, from: &BTreeSet<String>, to: &str) -> Result<(), ElasticsearchError> {
    const DOING: &str = "move the alias";
    let alias = &server.options.alias;
    let remove = from.iter().filter(|index| *index != to);
    let remove = remove.map(|index| json!({ "remove": { "index": index, "alias": alias } }));
    let add = json!({ "add": { "index": to, "alias": alias, "filter": filter() } });
    let actions: Vec<Value> = remove.chain([add]).collect();
    server.must(DOING, &Method::POST, "/_aliases", Some(&json!({ "actions": actions })))?;
    // A server may say yes, and have left out what it could not do.
    match on_alias(server)? {
        on if on.len() == 1 && on.contains(to) => Ok(()),
        on => Err(ElasticsearchError::SeveralIndexes {
            alias: alias.clone(),
            indexes: on.into_iter().collect::<Vec<_>>().join(", "),
        }),
    }
}

/// The index that the alias is on.
pub(super) fn find(server: &Server) -> Result<Option<Index>, ElasticsearchError> {
    let alias = &server.options.alias;
    let mut indexes = on_alias(server)?.into_iter();
    match (indexes.next(), indexes.next()) {
        (None, _) => {
            if describe(server, alias)?.is_some() {
                return Err(ElasticsearchError::NotAnAlias { alias: alias.clone() });
            }
            Ok(None)
        }
        (Some(name), None) => {
            let described = describe(server, &name)?;
            Ok(described.map(|described| Index { name, uuid: described.uuid() }))
        }
        (Some(first), Some(second)) => Err(ElasticsearchError::SeveralIndexes {
            alias: alias.clone(),
            indexes: [first, second].into_iter().chain(indexes).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Makes an index for documents of `schema`, empty, and with the alias on it if it is to be read at once.
pub(super) fn create(server: &Server, schema: &Schema, with_alias: bool) -> Result<Index, ElasticsearchError> {
    const DOING: &str = "make an index";
    let options = &server.options;
    let name = next_name(server)?;
    let mut body = definition(server, schema)?;
    if with_alias {
        body.insert("aliases".to_owned(), json!({ &options.alias: { "filter": filter() } }));
    }
    let response = server.send(DOING, &Method::PUT, &format!("/{name}"), &Value::Object(body))?;
    let lost_answer =
        response.status == 400 && answer::kind(&response).as_deref() == Some("resource_already_exists_exception");
    if response.status != 200 && !lost_answer {
        return Err(server.refused(DOING, answer::refusal(&response)));
    }
    let gone = || ElasticsearchError::Gone { index: name.clone(), reason: "it went as soon as it was made".to_owned() };
    let uuid = describe(server, &name)?.ok_or_else(gone)?.uuid();
    let index = Index { name, uuid };
    if let Err(error) = check(server, &index, schema) {
        delete(server, &index.name)?;
        return Err(error);
    }
    info!(index = index.name, alias = options.alias, "index made");
    Ok(index)
}

/// Refuses an index that cannot take the documents, or may lose them; and has it take the progress document.
pub(super) fn check(server: &Server, index: &Index, schema: &Schema) -> Result<(), ElasticsearchError> {
    let name = &index.name;
    let settings = describe(server, name)?.unwrap_or_default().settings;
    if let Some(found) = settings.get("index.translog.durability").and_then(Value::as_str)
        && !found.eq_ignore_ascii_case("request")
    {
        return Err(ElasticsearchError::NotDurable { index: name.clone(), found: found.to_owned() });
    }
    if !settings.contains_key(GC_DELETES) {
        warn!(index = name, "index.gc_deletes is not set: the server forgets deletes after a minute");
    }
    let mapped: BTreeMap<String, Mapped> = server.get("read the mapping", &format!("/{name}/_mapping"))?;
    let mapping = mapped.into_values().next().map(|mapped| mapped.mappings).unwrap_or_default();
    let differences = differences(&mapping, schema);
    if !differences.is_empty() {
        return Err(ElasticsearchError::Mapping { index: name.clone(), differences });
    }
    if !mapping.properties.contains_key(FIELD) {
        let properties = json!({ "properties": { FIELD: progress_field() } });
        server.must("map the progress document", &Method::PUT, &format!("/{name}/_mapping"), Some(&properties))?;
    }
    Ok(())
}

/// How many documents an index holds, the progress document left out.
pub(super) fn count(server: &Server, index: &str) -> Result<u64, ElasticsearchError> {
    #[derive(Deserialize)]
    struct Count {
        count: u64,
    }
    refresh(server, index)?;
    let path = format!("/{index}/_count");
    let response = server.send("count documents", &Method::POST, &path, &json!({ "query": filter() }))?;
    if response.status != 200 {
        return Err(server.refused("count documents", answer::refusal(&response)));
    }
    Ok(server.read::<Count>("count documents", &response)?.count)
}

/// Lets searches find all that was written. Elasticsearch refuses whatever is sent with it.
pub(super) fn refresh(server: &Server, index: &str) -> Result<(), ElasticsearchError> {
    server.must("refresh the index", &Method::POST, &format!("/{index}/_refresh"), None)
}

/// Deletes an index, if it is there.
pub(super) fn delete(server: &Server, index: &str) -> Result<(), ElasticsearchError> {
    server.delete("delete an index", &format!("/{index}"))
}

/// What the alias shows: all but the progress document.
fn filter() -> Value {
    json!({ "bool": { "must_not": { "ids": { "values": [ID] } } } })
}

/// An index's settings, if it is there.
fn describe(server: &Server, name: &str) -> Result<Option<Described>, ElasticsearchError> {
    let path = format!("/{name}/_settings?flat_settings=true");
    let described: Option<BTreeMap<String, Described>> = server.find("read the index's settings", &path)?;
    Ok(described.and_then(|described| described.into_values().next()))
}

/// The name behind that of all indexes that were made for the alias.
fn next_name(server: &Server) -> Result<String, ElasticsearchError> {
    let last = generations(server)?.into_iter().map(|(number, _)| number).max().unwrap_or_default();
    Ok(format!("{}-{:06}", server.options.alias, last + 1))
}

/// The indexes that were made for the alias, whether it is on them or not, with their numbers.
pub(super) fn generations(server: &Server) -> Result<Vec<(u64, String)>, ElasticsearchError> {
    let alias = &server.options.alias;
    let path = format!("/{alias}-*/_settings?flat_settings=true&expand_wildcards=all");
    let found: Option<BTreeMap<String, Described>> = server.find("look for indexes", &path)?;
    let number = |name: &str| name.strip_prefix(alias.as_str())?.strip_prefix('-')?.parse::<u64>().ok();
    Ok(found.unwrap_or_default().into_keys().filter_map(|name| Some((number(&name)?, name))).collect())
}

/// Settings and mappings of a new index: ours, or the user's with what must be.
fn definition(server: &Server, schema: &Schema) -> Result<Map<String, Value>, ElasticsearchError> {
    let settings = json!({
        GC_DELETES: format!("{}ms", server.options.gc_deletes_ms),
        "index.translog.durability": "request",
        "index.refresh_interval": "1s",
    });
    let Some(own) = &server.options.definition else {
        let mappings = json!({ "dynamic": "strict", "properties": properties(schema)? });
        let ours = [("settings".to_owned(), settings), ("mappings".to_owned(), mappings)];
        return Ok(ours.into_iter().collect());
    };
    let refused = |reason: &str| ElasticsearchError::Option { option: "definition", reason: reason.to_owned() };
    let mut own = own.as_object().cloned().ok_or_else(|| refused("it should be an object"))?;
    if let Some(other) = own.keys().find(|key| !matches!(key.as_str(), "settings" | "mappings")) {
        return Err(refused(&format!("it has `{other}`, and only `settings` and `mappings` go into an index")));
    }
    let theirs = own.entry("settings").or_insert_with(|| json!({}));
    let theirs = theirs.as_object_mut().ok_or_else(|| refused("`settings` should be an object"))?;
    for (key, value) in settings.as_object().into_iter().flatten() {
        if !has(theirs, key) {
            theirs.insert(key.clone(), value.clone());
        }
    }
    Ok(own)
}

/// Whether settings have a key, in whichever of the forms that a server takes: `index.a.b`, `a.b`, or nested.
fn has(settings: &Map<String, Value>, key: &str) -> bool {
    let short = key.strip_prefix("index.").unwrap_or(key);
    let nested = |settings: &Map<String, Value>| {
        let pointer = format!("/{}", short.replace('.', "/"));
        settings.contains_key(short) || Value::Object(settings.clone()).pointer(&pointer).is_some()
    };
    settings.contains_key(key)
        || nested(settings)
        || settings.get("index").and_then(Value::as_object).is_some_and(nested)
}

fn properties(schema: &Schema) -> Result<Value, ElasticsearchError> {
    let mut properties = Map::new();
    for field in &schema.fields {
        let refused =
            |reason: &str| ElasticsearchError::Field { name: field.name.to_string(), reason: reason.to_owned() };
        if field.name == FIELD {
            return Err(refused("the progress document has a field of that name"));
        }
        if field.name.is_empty() || field.name.starts_with('_') || field.name.contains('.') {
            return Err(refused("a name is not empty, does not begin with `_` and has no dot"));
        }
        let keyword = json!({ "type": "keyword", "ignore_above": IGNORE_ABOVE });
        let mapped = match field.kind {
            Kind::Uuid => json!({ "type": "keyword" }),
            Kind::Text => keyword,
            Kind::Integer | Kind::Timestamp => json!({ "type": "long" }),
            Kind::Present => json!({ "type": "boolean" }),
            Kind::Any => {
                json!({ "type": "keyword", "ignore_above": IGNORE_ABOVE, "fields": { "text": { "type": "text" } } })
            }
        };
        properties.insert(field.name.to_string(), mapped);
    }
    properties.insert(FIELD.to_owned(), progress_field());
    Ok(Value::Object(properties))
}

fn progress_field() -> Value {
    json!({ "type": "object", "enabled": false })
}

/// What of a mapping cannot take documents of `schema`.
fn differences(mapping: &Mapping, schema: &Schema) -> Vec<String> {
    const TEXTS: &[&str] = &["keyword", "text", "wildcard", "match_only_text", "search_as_you_type"];
    let is_strict = match &mapping.dynamic {
        Value::String(dynamic) => dynamic.starts_with("strict"),
        _ => false,
    };
    let mut differences = Vec::new();
    for field in &schema.fields {
        let name = &field.name;
        let types: &[&str] = match field.kind {
            Kind::Uuid | Kind::Text => TEXTS,
            Kind::Integer | Kind::Timestamp => &["long", "unsigned_long", "double", "keyword", "text"],
            Kind::Present => &["boolean", "keyword", "text"],
            Kind::Any => &[],
        };
        match mapping.properties.get(name.as_ref()) {
            None if is_strict => {
                differences.push(format!("the field `{name}` is not mapped, and the mapping is strict"))
            }
            None => {}
            Some(mapped) => {
                let is_opaque = mapped.get("enabled") == Some(&Value::Bool(false));
                let found = mapped.get("type").and_then(Value::as_str).unwrap_or("object");
                if !types.is_empty() && !is_opaque && !types.contains(&found) {
                    let would = types.join(", ");
                    differences
                        .push(format!("the field `{name}` is mapped as `{found}`, and should be one of {would}"));
                }
            }
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(json: Value) -> Mapping {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_our_own_mapping_has_fits() {
        let schema = Schema::from([("a", Kind::Uuid), ("b", Kind::Text), ("c", Kind::Integer), ("d", Kind::Any)]);
        let ours = json!({ "dynamic": "strict", "properties": properties(&schema).unwrap() });
        assert_eq!(differences(&mapping(ours), &schema), [""; 0]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let schema = Schema::from([("step", Kind::Text), ("at", Kind::Timestamp), ("any", Kind::Any)]);
        let of = |json| differences(&mapping(json), &schema);
        assert_eq!(of(json!({})), [""; 0]);
        assert_eq!(
            of(json!({ "dynamic": "strict", "properties": { "step": { "type": "text" }, "at": { "type": "date" } } })),
            [
                "the field `at` is mapped as `date`, and should be one of long, unsigned_long, double, keyword, text",
                "the field `any` is not mapped, and the mapping is strict"
            ]
        );
        let opaque = json!({ "properties": { "step": { "type": "object", "enabled": false } } });
        assert_eq!(of(opaque), [""; 0]);
        assert_eq!(of(json!({ "properties": { "step": { "properties": {} } } })).len(), 1);
    }

    #[test]
    fn a_setting_is_found_in_each_of_its_forms() {
        for form in [
            json!({ "index.gc_deletes": "1h" }),
            json!({ "gc_deletes": "1h" }),
            json!({ "index": { "gc_deletes": "1h" } }),
        ] {
            assert!(has(form.as_object().unwrap(), GC_DELETES), "{form}");
        }
        let nested = json!({ "index": { "translog": { "durability": "async" } } });
        assert!(has(nested.as_object().unwrap(), "index.translog.durability"));
        assert!(!has(nested.as_object().unwrap(), GC_DELETES));
    }

    #[test]
    fn names_that_no_alias_can_have_are_refused() {
        for alias in ["conversations", "a-b_c.d", "1"] {
            assert!(check_alias(alias).is_ok(), "{alias}");
        }
        for alias in ["", "A", "-a", "_a", ".a", "a b", "a,b", "a*", "a/b", "a:b", "a%20"] {
            assert!(matches!(check_alias(alias), Err(ElasticsearchError::Option { option: "index", .. })), "{alias}");
        }
    }
}
