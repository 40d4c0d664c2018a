//! What the keys may not be together. A rule speaks only where the values it is about are there: one that is wrong by
//! itself has been told already.

use super::definition::Section;
use super::kafka;
use super::mistake::{Mistake, Place, Wrong};
use super::schema::Home;
use super::settings::{Setting, Settings};
use super::table::{BROKERS, DEAD_LETTER, ELASTICSEARCH, KAFKA, NONE, OPENSEARCH, TANTIVY};
use super::value::{DASH, Secret, Value};
use deltaic::dataflows::ConversationSearch;
use std::collections::BTreeMap;

/// Notes what breaks a rule.
pub(crate) fn check(settings: &Settings, mistakes: &mut Vec<Mistake>) {
    let mut rules = Rules { settings, mistakes };
    // What a source of another kind does not have, it has been told.
    if settings.kind(&Home::Source) == Some(KAFKA) {
        rules.kafka();
        rules.start();
        rules.properties();
        rules.topics();
    } else {
        rules.standard_input();
        rules.follow();
        rules.partitions();
    }
    rules.dead_letters();
    rules.include();
    rules.sinks();
    rules.spill();
}

struct Rules<'a> {
    settings: &'a Settings,
    mistakes: &'a mut Vec<Mistake>,
}

impl Rules<'_> {
    fn kafka(&mut self) {
        let Some(Setting { place, .. }) = self.settings.get(&Home::Source, "kind") else { return };
        if !self.settings.schema.built.kafka {
            self.broken(place, "source.kind", "this build has no Kafka: build with the feature `kafka`");
        }
        self.need_prefix(place, &format!("`source.kind` = \"{KAFKA}\""));
    }

    /// Rows from before a moment are missing.
    fn start(&mut self) {
        if let Some(Setting { value: Value::Integer(_), place }) = self.settings.get(&Home::Source, "start")
            && let Some(Setting { value: Value::Boolean(false), .. }) =
                self.settings.get(&Home::Source, "allow_partial_base")
        {
            let rule = "a moment leaves out what was written before it; set `source.allow_partial_base` = true, too";
            self.broken(place, "source.start", rule);
        }
    }

    /// What librdkafka is not asked for.
    fn properties(&mut self) {
        let built = self.settings.schema.built;
        for (name, Setting { value, place }) in self.settings.all(&Home::Kafka) {
            let (Value::Text(text) | Value::Secret(Secret(text))) = value else { continue };
            let key = format!("{}.{name}", Home::Kafka);
            if let Some(why) = kafka::own(name) {
                self.broken(place, &key, &format!("cannot be set: {why}"));
            } else if self.settings.schema.of(Section::Source).any(|definition| definition.name == name) {
                self.broken(place, &key, &format!("no property of librdkafka; write `source.{name}`"));
            } else if name == BROKERS && text.is_empty() {
                self.broken(place, &key, "expected HOST:PORT, several with commas between");
            } else if built.kafka && !built.tls && kafka::needs_tls(name, text) {
                self.broken(place, &key, "this build has no TLS: build with the feature `tls`");
            }
        }
    }

    /// A record is of one table.
    fn topics(&mut self) {
        let transactions = self.settings.get(&Home::Source, "transaction_topic");
        let mut known: BTreeMap<&str, String> = BTreeMap::new();
        if let Some(Setting { value: Value::Text(topic), .. }) = transactions {
            known.insert(topic, "source.transaction_topic".to_owned());
        }
        for home in self.settings.homes.keys() {
            let Some(Setting { value: Value::Text(topic), place }) = self.settings.get(home, "topic") else { continue };
            let key = format!("{home}.topic");
            match known.get(topic.as_str()) {
                Some(first) => self.broken(place, &key, &format!("the same topic as `{first}`")),
                None => drop(known.insert(topic, key)),
            }
        }
    }

    fn standard_input(&mut self) {
        let Some(files @ Setting { value: Value::Paths(paths), .. }) = self.settings.get(&Home::Source, "files") else {
            return;
        };
        if !paths.iter().any(|path| path.as_os_str() == DASH) {
            return;
        }
        if paths.len() > 1 {
            self.broken(&files.place, "source.files", "standard input (\"-\") cannot be one of several files");
        }
        self.need_prefix(&files.place, "standard input in `source.files`");
    }

    /// What a log will hold cannot be known before.
    fn follow(&mut self) {
        let Some(Setting { value: Value::Boolean(true), place }) = self.settings.get(&Home::Source, "follow") else {
            return;
        };
        let needs = "`source.follow`";
        self.need_prefix(place, needs);
        for table in &self.settings.schema.tables {
            if !self.settings.is_named(&Home::Table(table.clone()), "partitions") {
                self.needed(place, &format!("tables.{table}.partitions"), needs.to_owned());
            }
        }
        if let Some(Setting { value: Value::Paths(paths), place }) = self.settings.get(&Home::Source, "files")
            && paths.iter().any(|path| path.as_os_str() == DASH)
        {
            self.broken(
                place,
                "source.files",
                "standard input is read until its writer ends; leave `source.follow` out",
            );
        }
    }

    fn dead_letters(&mut self) {
        let file = self.settings.get(&Home::Source, "dead_letters");
        if let Some(Setting { value: Value::Path(path), place }) = file
            && path.as_os_str() == DASH
        {
            self.broken(place, "source.dead_letters", "expected a file; standard output is for documents");
        }
        if let Some(Setting { value: Value::Text(text), place }) = self.settings.get(&Home::Source, "on_bad_record")
            && text == DEAD_LETTER
            && !self.settings.is_named(&Home::Source, "dead_letters")
        {
            let needs = format!("`source.on_bad_record` = \"{DEAD_LETTER}\"");
            self.needed(place, "source.dead_letters", needs);
        }
    }

    /// Partitions are of topics, whose names begin with the prefix.
    fn partitions(&mut self) {
        for home in self.settings.homes.keys().filter(|home| matches!(home, Home::Table(_))) {
            if let Some(partitions) = self.settings.get(home, "partitions") {
                self.need_prefix(&partitions.place, &format!("`{home}.partitions`"));
            }
        }
    }

    fn include(&mut self) {
        let Some(Setting { value: Value::Texts(columns), place }) = self.settings.get(&Home::View, "include") else {
            return;
        };
        let mut view = ConversationSearch::default();
        for column in columns {
            match view.clone().include(column) {
                Ok(with) => view = with,
                Err(error) => self.broken(place, "view.include", &error.to_string()),
            }
        }
    }

    fn sinks(&mut self) {
        for (home, place) in &self.settings.homes {
            if let Home::Sink(1..) = home {
                self.broken(place, &home.to_string(), "one sink too many; documents go to one");
            }
            if let Some(Setting { value: Value::Path(path), place }) = self.settings.get(home, "path")
                && path.as_os_str() == DASH
                && self.settings.kind(home) == Some(TANTIVY)
            {
                self.broken(place, &format!("{home}.path"), "an index is a folder; \"-\" is standard output");
            }
            if matches!(self.settings.kind(home), Some(ELASTICSEARCH | OPENSEARCH)) {
                self.search_server(home);
            }
        }
    }

    fn search_server(&mut self, home: &Home) {
        let Some(Setting { place, .. }) = self.settings.get(home, "kind") else { return };
        if !self.settings.schema.built.elasticsearch {
            self.broken(place, &format!("{home}.kind"), "not in this build: build with the feature `elasticsearch`");
        }
        if let Some(Setting { value: Value::Text(alignment), place }) = self.settings.get(&Home::Source, "alignment")
            && alignment == NONE
        {
            let rule = "\"none\" is for an embedded index and for JSON lines: a server's index is continued";
            self.broken(place, "source.alignment", rule);
        }
        for (one, other) in [
            ("username", "password"),
            ("password", "username"),
            ("client_certificate_file", "client_key_file"),
            ("client_key_file", "client_certificate_file"),
        ] {
            self.together(home, one, other);
        }
        let who = ["username", "api_key", "bearer_token"];
        let mut given = who.into_iter().filter_map(|name| Some((name, self.settings.get(home, name)?)));
        if let (Some((first, _)), Some((second, Setting { place, .. }))) = (given.next(), given.next()) {
            self.broken(
                place,
                &format!("{home}.{second}"),
                &format!("there is `{home}.{first}`, too; one of them asks"),
            );
        }
        if let Some(Setting { value: Value::Text(text), place }) = self.settings.get(home, "on_bad_document")
            && text == DEAD_LETTER
            && !self.settings.is_named(home, "dead_letters")
        {
            let needs = format!("`{home}.on_bad_document` = \"{DEAD_LETTER}\"");
            self.needed(place, &format!("{home}.dead_letters"), needs);
        }
        if let Some(Setting { value: Value::Texts(urls), place }) = self.settings.get(home, "url")
            && urls.iter().any(|url| url.contains('@'))
        {
            let rule = "has a user in it: give `username` and `password` instead";
            self.broken(place, &format!("{home}.url"), rule);
        }
        for name in ["dead_letters", "definition", "ca_file", "client_certificate_file", "client_key_file"] {
            if let Some(Setting { value: Value::Path(path), place }) = self.settings.get(home, name)
                && path.as_os_str() == DASH
            {
                self.broken(place, &format!("{home}.{name}"), "expected a file");
            }
        }
    }

    /// Where the one is, the other must be.
    fn together(&mut self, home: &Home, one: &str, other: &'static str) {
        if let Some(Setting { place, .. }) = self.settings.get(home, one)
            && !self.settings.is_named(home, other)
        {
            self.needed(place, &format!("{home}.{other}"), format!("`{home}.{one}`"));
        }
    }

    fn spill(&mut self) {
        if let Some(Setting { value: Value::Path(path), place }) = self.settings.get(&Home::Engine, "spill_dir")
            && path.as_os_str() == DASH
        {
            self.broken(place, "engine.spill_dir", "expected a folder; \"-\" is standard output");
        }
    }

    fn need_prefix(&mut self, place: &Place, what: &str) {
        if !self.settings.is_named(&Home::Source, "prefix") {
            self.needed(place, "source.prefix", what.to_owned());
        }
    }

    fn needed(&mut self, place: &Place, key: &str, needs: String) {
        let wrong = Wrong::Needed { key: key.to_owned(), needs };
        self.mistakes.push(Mistake { place: place.clone(), wrong });
    }

    fn broken(&mut self, place: &Place, key: &str, rule: &str) {
        let wrong = Wrong::Rule { key: key.to_owned(), rule: rule.to_owned() };
        self.mistakes.push(Mistake { place: place.clone(), wrong });
    }
}
