//! `deltaic config` as a user meets it: what is printed, where, and with which exit code.

use super::command_line::{Ran, deltaic, file, run};

const EXAMPLE: &str = "examples/podium.toml";

/// `deltaic config` from the root of the repository, as the README has it.
fn config(file: &str, args: &[&str]) -> Ran {
    run(deltaic().current_dir(env!("CARGO_MANIFEST_DIR")).env("TOPIC", "stadium").args(["config", file]).args(args))
}

/// The printed paths, which are whole, with the repository's own part left out.
fn without_root(text: &str) -> String {
    text.replace(env!("CARGO_MANIFEST_DIR"), "ROOT")
}

#[test]
fn the_effective_configuration_of_the_example() {
    let ran = config(EXAMPLE, &[]).done();
    assert_eq!(ran.stderr, "");
    let expected = r#"[source]
kind = "log"
files = ["ROOT/examples/podium/log.jsonl.zst"]
prefix = "podium"
follow = false
settle_ms = 30000
snapshot_complete = false
allow_partial_base = false
on_bad_record = "stop"
# dead_letters is not set: none

[view]
name = "conversation_search"
zero_items = "absent"
include = ["users.name"]

[[sink]]
kind = "tantivy"
path = "ROOT/examples/podium.index"
commit_interval_ms = 50
commit_changes_max = 20000
commit_bytes_max = 33554432
threads = 1
thread_bytes = 64000000

[engine]
workers = 1
# until is not set: the end of the log
repair_delay_ms = 10000
memory_budget_bytes = 268435456
# spill_dir is not set: the system's folder for temporary files
spill_budget_bytes = 17179869184
"#;
    assert_eq!(without_root(&ran.stdout), expected);
}

#[test]
fn set_and_the_environment_go_over_the_file() {
    let set = ["--set", "source.prefix=${TOPIC}", "--set", "tables.users.partitions=3", "--set", "sink.path=here"];
    let printed = without_root(&config(EXAMPLE, &set).done().stdout);
    for line in ["prefix = \"stadium\"", "[tables.users]", "partitions = 3", "path = \"ROOT/here\""] {
        assert!(printed.lines().any(|found| found == line), "no {line} in {printed}");
    }
}

#[test]
fn the_readme_shows_a_configuration() {
    let readme = include_str!("../../README.md");
    let (_, behind) = readme.split_once("```toml\n").unwrap();
    let (text, _) = behind.split_once("```").unwrap();
    let printed = config(&file(text.as_bytes()).path().display().to_string(), &[]).done().stdout;
    assert!(printed.contains("kind = \"jsonl\"\n"), "{printed}");
}

#[test]
fn mistakes_are_told_together_and_are_wrong_usage() {
    let ran = config(EXAMPLE, &["--set", "engine.worker=2", "--set", "view.name=x"]);
    ran.check_refused(2, "");
    let expected = "\
deltaic: 2 mistakes in the configuration:
  unknown key `engine.worker` in --set; did you mean `engine.workers`?
  `view.name` in --set is `x`; expected \"conversation_search\"

For more information, try 'deltaic config --help'.
";
    assert_eq!(ran.stderr, expected);
}

#[test]
fn a_file_is_named_as_it_was_typed() {
    let ran = config("examples/no.toml", &[]);
    ran.check_refused(2, "deltaic: cannot read examples/no.toml: No such file or directory");
    let text = file(
        b"[source]\nkind = \"log\"\nfile = [\"a\"]\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \"jsonl\"\npath = \"-\"",
    );
    let path = text.path().display().to_string();
    config(&path, &[])
        .check_refused(2, &format!("unknown key `source.file` at {path}:3; did you mean `source.files`?"));
    let bytes = file(b"\xff");
    config(&bytes.path().display().to_string(), &[]).check_refused(2, "stream did not contain valid UTF-8");
}

#[test]
fn the_help_explains_keys() {
    let help = run(deltaic().args(["help", "config"])).done().stdout;
    for expected in ["    commit_interval_ms\n", "unit: milliseconds; default: 50;", "--set sink.path=DIR"] {
        assert!(help.contains(expected), "no {expected} in {help}");
    }
    let short = run(deltaic().args(["config", "-h"])).done().stdout;
    assert!(!short.contains("commit_interval_ms"), "{short}");
}
