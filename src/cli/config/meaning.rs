//! What the settings mean: the typed configuration, and what a run is made of.

#[cfg(feature = "elasticsearch")]
mod elasticsearch;
#[cfg(feature = "kafka")]
mod kafka;
mod read;

#[cfg(feature = "elasticsearch")]
pub(crate) use elasticsearch::ElasticsearchConfig;

#[cfg(feature = "kafka")]
pub(crate) use kafka::KafkaConfig;

use deltaic::dataflows::{ConversationSearch, View};
use deltaic::{Alignment, EngineOptions, IndexOptions, Log, LogInput, Lsn, OnBadRecord};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A configuration without mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) source: SourceConfig,
    /// By the table's name in the view, which is without its schema.
    pub(crate) tables: BTreeMap<String, TableConfig>,
    /// The view with its options.
    pub(crate) view: ConversationSearch,
    pub(crate) sink: SinkConfig,
    pub(crate) engine: EngineConfig,
}

/// `[source]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceConfig {
    pub(crate) input: InputConfig,
    pub(crate) prefix: Option<String>,
    pub(crate) alignment: Alignment,
    pub(crate) settle_ms: u64,
    pub(crate) snapshot_complete: bool,
    pub(crate) allow_partial_base: bool,
    pub(crate) on_bad_record: OnBadRecord,
}

/// What is of one kind of source only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InputConfig {
    /// A log.
    Log {
        /// Its files, in order.
        files: Vec<LogInput>,
        /// Whether its end is waited at for more.
        follow: bool,
    },
    /// Kafka itself.
    #[cfg(feature = "kafka")]
    Kafka(KafkaConfig),
}

/// `[tables.NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableConfig {
    #[cfg(feature = "kafka")]
    pub(crate) topic: Option<String>,
    pub(crate) partitions: Option<u32>,
}

/// `[[sink]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SinkConfig {
    /// An embedded index.
    Tantivy(TantivyConfig),
    /// A search server.
    #[cfg(feature = "elasticsearch")]
    Elasticsearch(Box<ElasticsearchConfig>),
    /// JSON lines.
    JsonLines {
        /// The file, or standard output.
        path: Option<PathBuf>,
        /// Every change, not the documents at the end.
        changes: bool,
    },
}

/// What the index is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TantivyConfig {
    /// The folder.
    pub(crate) path: PathBuf,
    /// When it commits, and what it may use.
    pub(crate) options: IndexOptions,
}

/// `[engine]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineConfig {
    pub(crate) workers: usize,
    pub(crate) until: Option<Lsn>,
    pub(crate) repair_delay_ms: i64,
    pub(crate) memory_budget_bytes: u64,
    pub(crate) spill_dir: Option<PathBuf>,
    pub(crate) spill_budget_bytes: u64,
}

/// What a run is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunPlan {
    pub(crate) view: ConversationSearch,
    pub(crate) reads: Reads,
    pub(crate) options: EngineOptions,
    pub(crate) sink: SinkConfig,
}

/// What a run reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Log(Log),
    #[cfg(feature = "kafka")]
    Kafka(deltaic::Kafka),
}

impl Config {
    /// Makes a run of it.
    pub(crate) fn plan(self) -> RunPlan {
        let Config { source, tables, view, sink, engine } = self;
        let prefix = source.prefix.clone().unwrap_or_default();
        let whole = |table: &str| {
            let mut names = view.tables().into_iter().map(|known| known.name.to_string());
            names.find(|name| name_in_view(name) == table)
        };
        let partitions = tables
            .iter()
            .filter_map(|(table, config)| Some((format!("{prefix}.{}", whole(table)?), config.partitions?)));
        let options = EngineOptions {
            workers: engine.workers,
            partitions: partitions.collect(),
            prefix: source.prefix,
            alignment: source.alignment,
            until: engine.until,
            snapshot_complete: source.snapshot_complete,
            allow_partial_base: source.allow_partial_base,
            on_bad_record: source.on_bad_record,
            repair_delay_ms: engine.repair_delay_ms,
            settle_ms: source.settle_ms,
            memory_budget: engine.memory_budget_bytes,
            spill_dir: engine.spill_dir,
            spill_budget: engine.spill_budget_bytes,
        };
        let reads = match source.input {
            InputConfig::Log { files, follow } => Reads::Log(Log { follow, ..Log::new(files) }),
            #[cfg(feature = "kafka")]
            InputConfig::Kafka(kafka) => {
                let topics = tables.iter().filter_map(|(table, config)| Some((whole(table)?, config.topic.clone()?)));
                Reads::Kafka(kafka.plan(topics.collect()))
            }
        };
        RunPlan { view, reads, options, sink }
    }
}

/// The names of a view's tables, as a configuration has them.
pub(super) fn tables_of(view: &impl View) -> Vec<String> {
    view.tables().iter().map(|table| name_in_view(&table.name).to_owned()).collect()
}

/// `users` of `public.users`.
fn name_in_view(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, table)| table)
}
