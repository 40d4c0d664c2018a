//! Settings to what runs.

use super::super::meaning::{Config, Reads, RunPlan, SinkConfig, TantivyConfig};
use super::super::table::{ELASTICSEARCH, KAFKA};
use super::*;
use deltaic::dataflows::{ConversationSearch, ZeroItems};
use deltaic::{Alignment, EngineOptions, IndexOptions, Log, LogInput, Lsn, OnBadRecord};

fn plan(text: &str, set: &[&str]) -> RunPlan {
    Config::of(&settle(text, set, &[]).unwrap()).plan()
}

#[test]
fn the_least_is_a_replay_with_every_default() {
    let (reads, options) = (Reads::Log(Log::file("dir/log.jsonl")), EngineOptions::default());
    let sink = SinkConfig::JsonLines { path: None, changes: false };
    assert_eq!(plan(LEAST, &[]), RunPlan { view: ConversationSearch::default(), reads, options, sink });
}

#[test]
fn an_index_without_keys_of_its_own_has_the_defaults_of_the_library() {
    let text = LEAST.replace("\"jsonl\"", "\"tantivy\"").replace("path = \"-\"", "path = \"index\"");
    let sink = SinkConfig::Tantivy(TantivyConfig { path: "dir/index".into(), options: IndexOptions::default() });
    assert_eq!(plan(&text, &[]).sink, sink);
}

#[test]
fn every_key_means_something() {
    let text = "
[source]
kind = \"log\"
files = [\"a\", \"/b\"]
prefix = \"podium\"
follow = true
settle_ms = 6
snapshot_complete = true
allow_partial_base = true
alignment = \"none\"
on_bad_record = \"dead-letter\"
dead_letters = \"letters\"
[tables]
users.partitions = 3
conversations.partitions = 4
[view]
name = \"conversation_search\"
zero_items = \"needs_review_invite\"
include = [\"users.name\", \"conversations.subject\"]
[[sink]]
kind = \"tantivy\"
path = \"index\"
commit_interval_ms = 20
commit_changes_max = 7
commit_bytes_max = 8
threads = 2
thread_bytes = 20000000
[engine]
workers = 4
until = 9
repair_delay_ms = 5
memory_budget_bytes = 13
spill_dir = \"spill\"
spill_budget_bytes = 14
";
    let view = ConversationSearch::default().zero_items(ZeroItems::NeedsReviewInvite);
    let expected = RunPlan {
        view: view.include("users.name").unwrap().include("conversations.subject").unwrap(),
        reads: Reads::Log(Log::new(vec![LogInput::File("dir/a".into()), LogInput::File("/b".into())]).followed()),
        options: EngineOptions {
            workers: 4,
            prefix: Some("podium".to_owned()),
            partitions: [("users", 3), ("conversations", 4)]
                .map(|(table, partitions)| (format!("podium.public.{table}"), partitions))
                .into(),
            until: Some(Lsn(9)),
            snapshot_complete: true,
            allow_partial_base: true,
            alignment: Alignment::None,
            on_bad_record: OnBadRecord::DeadLetter("dir/letters".into()),
            repair_delay_ms: 5,
            settle_ms: 6,
            memory_budget: 13,
            spill_dir: Some("dir/spill".into()),
            spill_budget: 14,
        },
        sink: SinkConfig::Tantivy(TantivyConfig {
            path: "dir/index".into(),
            options: IndexOptions {
                commit_interval_ms: 20,
                commit_changes_max: 7,
                commit_bytes_max: 8,
                threads: 2,
                thread_bytes: 20_000_000,
            },
        }),
    };
    assert_eq!(plan(text, &[]), expected);
    // Nothing of it is a key's default, so a key that is not read would show.
    let here = |definition: &&Definition| {
        definition.name != "changes" && ![KAFKA, ELASTICSEARCH].iter().any(|kind| definition.only.first() == Some(kind))
    };
    let named = DEFINITIONS.iter().filter(here);
    assert!(named.into_iter().all(|definition| text.contains(&format!("{} = ", definition.name))));
}

#[test]
fn json_lines_go_to_a_file_or_to_standard_output() {
    let set = ["sink.path=out.jsonl", "sink.changes=true"];
    assert_eq!(plan(LEAST, &set).sink, SinkConfig::JsonLines { path: Some("out.jsonl".into()), changes: true });
}

#[test]
fn standard_input_is_one_log() {
    let reads = plan(LEAST, &["source.files=-", "source.prefix=p"]).reads;
    assert_eq!(reads, Reads::Log(Log::new(vec![LogInput::Stdin])));
}

#[test]
fn the_view_names_the_tables() {
    let tables = super::super::meaning::tables_of(&ConversationSearch::default());
    assert_eq!(tables, ["users", "conversations", "conversation_items"]);
}
