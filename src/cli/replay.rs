//! `deltaic replay`: the documents of a log, as JSON lines or in an index.

use super::config::{SinkConfig, TantivyConfig};
use super::{output, wrong_usage};
use anyhow::Result;
use clap::Args;
use deltaic::dataflows::{ConversationSearch, OptionError, ZeroItems};
use deltaic::{Alignment, Engine, EngineOptions, IndexOptions, Log, LogInput, Lsn, OnBadRecord};
use std::path::PathBuf;
use std::process::ExitCode;

/// What was typed.
#[derive(Args)]
pub(super) struct Replay {
    /// The log's files in order, or - for standard input.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,

    /// Stop at the last transaction that ends at or before this LSN (a number, as in Debezium's records).
    #[arg(long, value_name = "LSN")]
    until: Option<u64>,

    /// Worker threads. The output does not depend on it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,

    /// Print every change of a document with its LSN, instead of the documents at the end.
    #[arg(long)]
    changes: bool,

    /// Keep the documents in an embedded search index in this folder, instead of printing them.
    #[arg(long, value_name = "DIR", conflicts_with = "changes")]
    index: Option<PathBuf>,

    /// How soon a change is to be found in the index, in milliseconds; 0 commits each batch.
    #[arg(long, value_name = "MS", default_value_t = IndexOptions::default().commit_interval_ms, requires = "index")]
    commit_interval_ms: u64,

    /// The topic prefix of the source [default: the one in the log].
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// How many partitions a topic has, for standard input and for a log that lacks a partition. May be given often.
    #[arg(long, value_name = "TOPIC=N", value_parser = topic_partitions)]
    partitions: Vec<(String, u32)>,

    /// Have documents carry a column (`users.COLUMN` or `conversations.COLUMN`). May be given often.
    #[arg(long, value_name = "COLUMN")]
    include: Vec<String>,

    /// What becomes of an open conversation without items: absent, or needs_review_invite.
    #[arg(long, value_name = "WHAT", default_value = "absent", value_parser = zero_items)]
    zero_items: ZeroItems,

    /// The log holds all of the initial snapshot, though some partition shows no change after it.
    #[arg(long)]
    snapshot_complete: bool,

    /// Go on without an initial snapshot. Rows from before the log are then missing, and the summary says so.
    #[arg(long)]
    allow_partial_base: bool,

    /// Where a row's time comes from: transactions, or none, which shows each row by itself and needs no
    /// provide.transaction.metadata. Documents are then unaligned, and the summary says so.
    #[arg(long, value_name = "WHAT", default_value = "transactions", value_parser = alignment)]
    alignment: Alignment,

    /// What to do with a record that cannot be used: stop, or dead-letter=FILE to write it there and go on.
    #[arg(long, value_name = "WHAT", default_value = "stop", value_parser = on_bad_record)]
    on_bad_record: OnBadRecord,

    /// How far the stream must be past the reading of a blocking snapshot's row before the row may repair, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    repair_delay_ms: i64,
}

fn topic_partitions(text: &str) -> Result<(String, u32), String> {
    let (topic, count) = text.split_once('=').ok_or("expected TOPIC=N")?;
    let count = count.parse().map_err(|_| format!("`{count}` is no number of partitions"))?;
    Ok((topic.to_owned(), count))
}

fn on_bad_record(text: &str) -> Result<OnBadRecord, String> {
    match text.split_once('=') {
        None if text == "stop" => Ok(OnBadRecord::Stop),
        Some(("dead-letter", file)) if !file.is_empty() => Ok(OnBadRecord::DeadLetter(file.into())),
        _ => Err("expected stop or dead-letter=FILE".to_owned()),
    }
}

fn alignment(text: &str) -> Result<Alignment, String> {
    match text {
        "transactions" => Ok(Alignment::Transactions),
        "none" => Ok(Alignment::None),
        _ => Err("expected transactions or none".to_owned()),
    }
}

fn zero_items(text: &str) -> Result<ZeroItems, OptionError> {
    text.parse()
}

impl Replay {
    /// Replays the log.
    pub(super) fn run(&self) -> Result<ExitCode> {
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return Ok(wrong_usage("replay", &error)),
        };
        let log = self.log();
        let stdin = log.inputs.contains(&LogInput::Stdin);
        if stdin && log.inputs.len() > 1 {
            return Ok(wrong_usage("replay", &"standard input cannot be one of several logs"));
        }
        if stdin && self.prefix.is_none() {
            return Ok(wrong_usage("replay", &"standard input needs --prefix"));
        }
        output::run(Engine::replay(view, log).options(self.options()), &self.sink())?;
        Ok(ExitCode::SUCCESS)
    }

    fn view(&self) -> Result<ConversationSearch, OptionError> {
        let view = ConversationSearch::default().zero_items(self.zero_items);
        self.include.iter().try_fold(view, |view, column| view.include(column))
    }

    fn sink(&self) -> SinkConfig {
        match &self.index {
            Some(path) => {
                let options = IndexOptions { commit_interval_ms: self.commit_interval_ms, ..IndexOptions::default() };
                SinkConfig::Tantivy(TantivyConfig { path: path.clone(), options })
            }
            None => SinkConfig::JsonLines { path: None, changes: self.changes },
        }
    }

    fn log(&self) -> Log {
        let input =
            |path: &PathBuf| if path.as_os_str() == "-" { LogInput::Stdin } else { LogInput::File(path.clone()) };
        Log::new(self.logs.iter().map(input).collect())
    }

    fn options(&self) -> EngineOptions {
        EngineOptions {
            workers: usize::from(self.workers),
            prefix: self.prefix.clone(),
            partitions: self.partitions.iter().cloned().collect(),
            alignment: self.alignment,
            until: self.until.map(Lsn),
            snapshot_complete: self.snapshot_complete,
            allow_partial_base: self.allow_partial_base,
            on_bad_record: self.on_bad_record.clone(),
            repair_delay_ms: self.repair_delay_ms,
            ..EngineOptions::default()
        }
    }
}
