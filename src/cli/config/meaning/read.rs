//! From settings to the typed configuration. Nothing fails here: what could has been told as a mistake before.

use super::super::schema::Home;
use super::super::settings::Settings;
use super::super::table::{DEAD_LETTER, JSONL, LOG, NONE, TANTIVY};
#[cfg(feature = "elasticsearch")]
use super::super::value::Secret;
use super::super::value::{DASH, Value};
#[cfg(feature = "kafka")]
use super::{super::table::KAFKA, KafkaConfig};
#[cfg(feature = "elasticsearch")]
use super::{
    super::table::{ELASTICSEARCH, OPENSEARCH},
    ElasticsearchConfig,
};
use super::{Config, EngineConfig, InputConfig, SinkConfig, SourceConfig, TableConfig, TantivyConfig};
use deltaic::dataflows::{ConversationSearch, ZeroItems};
use deltaic::{Alignment, IndexOptions, LogInput, Lsn, OnBadRecord};
use std::path::PathBuf;

impl Config {
    /// What settings without mistakes mean.
    pub(in super::super) fn of(settings: &Settings) -> Config {
        let [source, view, sink, engine] =
            [Home::Source, Home::View, Home::Sink(0), Home::Engine].map(|home| Values { settings, home });
        let tables = settings.homes.keys().filter_map(|home| match home {
            Home::Table(table) => {
                let values = Values { settings, home: home.clone() };
                let partitions = values.integer("partitions").map(|count| number(count) as u32);
                let table_config = TableConfig {
                    #[cfg(feature = "kafka")]
                    topic: values.text("topic"),
                    partitions,
                };
                Some((table.clone(), table_config))
            }
            _ => None,
        });
        Config {
            source: SourceConfig::of(&source),
            tables: tables.collect(),
            view: view_of(&view),
            sink: SinkConfig::of(&sink),
            engine: EngineConfig {
                workers: number(engine.integer("workers").expect(SETTLED)) as usize,
                until: engine.integer("until").map(|lsn| Lsn(number(lsn))),
                repair_delay_ms: engine.integer("repair_delay_ms").expect(SETTLED),
                memory_budget_bytes: number(engine.integer("memory_budget_bytes").expect(SETTLED)),
                spill_dir: engine.path("spill_dir"),
                spill_budget_bytes: number(engine.integer("spill_budget_bytes").expect(SETTLED)),
            },
        }
    }
}

impl SourceConfig {
    fn of(source: &Values<'_>) -> SourceConfig {
        let on_bad_record = match source.text("on_bad_record").expect(SETTLED).as_str() {
            DEAD_LETTER => OnBadRecord::DeadLetter(source.path("dead_letters").expect(SETTLED)),
            _ => OnBadRecord::Stop,
        };
        SourceConfig {
            input: InputConfig::of(source),
            prefix: source.text("prefix"),
            alignment: match source.text("alignment").expect(SETTLED).as_str() {
                NONE => Alignment::None,
                _ => Alignment::Transactions,
            },
            settle_ms: number(source.integer("settle_ms").expect(SETTLED)),
            snapshot_complete: source.boolean("snapshot_complete"),
            allow_partial_base: source.boolean("allow_partial_base"),
            on_bad_record,
        }
    }
}

impl InputConfig {
    fn of(source: &Values<'_>) -> InputConfig {
        let file = |path: PathBuf| if path.as_os_str() == DASH { LogInput::Stdin } else { LogInput::File(path) };
        match source.text("kind").expect(SETTLED).as_str() {
            LOG => InputConfig::Log {
                files: source.paths("files").into_iter().map(file).collect(),
                follow: source.boolean("follow"),
            },
            #[cfg(feature = "kafka")]
            KAFKA => InputConfig::Kafka(KafkaConfig::of(source)),
            other => unreachable!("the rules let no source of kind {other} through"),
        }
    }
}

fn view_of(view: &Values<'_>) -> ConversationSearch {
    let zero_items: ZeroItems = view.text("zero_items").expect(SETTLED).parse().expect(SETTLED);
    let plain = ConversationSearch::default().zero_items(zero_items);
    view.texts("include").iter().try_fold(plain, |view, column| view.include(column)).expect(SETTLED)
}

impl SinkConfig {
    fn of(sink: &Values<'_>) -> SinkConfig {
        let count = |name| number(sink.integer(name).expect(SETTLED));
        let path = || sink.path("path").expect(SETTLED);
        match sink.text("kind").expect(SETTLED).as_str() {
            TANTIVY => SinkConfig::Tantivy(TantivyConfig {
                path: path(),
                options: IndexOptions {
                    commit_interval_ms: count("commit_interval_ms"),
                    commit_changes_max: count("commit_changes_max") as usize,
                    commit_bytes_max: count("commit_bytes_max") as usize,
                    threads: count("threads") as usize,
                    thread_bytes: count("thread_bytes") as usize,
                },
            }),
            JSONL => SinkConfig::JsonLines {
                path: Some(path()).filter(|path| path.as_os_str() != DASH),
                changes: sink.boolean("changes"),
            },
            #[cfg(feature = "elasticsearch")]
            ELASTICSEARCH | OPENSEARCH => SinkConfig::Elasticsearch(Box::new(ElasticsearchConfig::of(sink))),
            other => unreachable!("the rules let no sink of kind {other} through"),
        }
    }
}

/// Why a value is there: mistakes have been told before.
pub(super) const SETTLED: &str = "settings without mistakes have what the table and the rules ask for";

/// A number whose least value is not below zero.
pub(super) fn number(integer: i64) -> u64 {
    u64::try_from(integer).expect(SETTLED)
}

/// The values of one section.
pub(super) struct Values<'a> {
    pub(super) settings: &'a Settings,
    home: Home,
}

impl Values<'_> {
    fn value(&self, name: &str) -> Option<&Value> {
        self.settings.get(&self.home, name).map(|setting| &setting.value)
    }

    /// A text that is shown to nobody.
    #[cfg(feature = "elasticsearch")]
    pub(super) fn secret(&self, name: &str) -> Option<Secret> {
        match self.value(name) {
            Some(Value::Secret(secret)) => Some(secret.clone()),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::Texts(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        match self.value(name) {
            Some(Value::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }

    fn paths(&self, name: &str) -> Vec<PathBuf> {
        match self.value(name) {
            Some(Value::Paths(paths)) => paths.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Integer(integer)) => Some(*integer),
            _ => None,
        }
    }
}
