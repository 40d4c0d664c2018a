//! `deltaic config` as a user meets it: what is printed, where, and with which exit code.

use super::command_line::{Ran, deltaic, file, run};

const EXAMPLE: &str = "examples/podium.toml";
const KAFKA: &str = "examples/kafka.toml";

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
alignment = "transactions"
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
# until is not set: the end of the source
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

/// The blocks of the README in this language.
fn readme_blocks(language: &str) -> Vec<&'static str> {
    let readme = include_str!("../../README.md");
    let start = format!("```{language}\n");
    let blocks = readme.split(start.as_str()).skip(1);
    blocks.map(|behind| behind.split_once("```").unwrap().0).collect()
}

#[test]
fn the_readme_shows_a_configuration() {
    let text = readme_blocks("toml").into_iter().find(|text| text.contains("jsonl")).unwrap();
    let printed = config(&file(text.as_bytes()).path().display().to_string(), &[]).done().stdout;
    assert!(printed.contains("kind = \"jsonl\"\n"), "{printed}");
}

/// What `deltaic run` is told, with a secret from a file and one from the environment.
#[cfg(feature = "kafka")]
#[test]
fn kafka_is_configured_and_no_secret_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("user"), "xyzzy\n").unwrap();
    let path = folder.path().join("kafka.toml");
    let example = std::fs::read_to_string(KAFKA).unwrap();
    let plain = "bootstrap.servers = \"${BROKERS:-127.0.0.1:9092}\"\n";
    assert!(example.contains(plain), "{example}");
    let secrets = "sasl.mechanism = \"PLAIN\"\nsasl.username = { file = \"user\" }\nsasl.password = \"${PASSWORD}\"\n";
    std::fs::write(&path, example.replace(plain, &format!("{plain}{secrets}"))).unwrap();
    let set = ["--set", "source.kafka.fetch.wait.max.ms=50", "--set", "source.poll_bytes_max=9"];
    let ran = run(deltaic().arg("config").arg(&path).args(set).env("PASSWORD", "xyzzy").env("BROKERS", "a:1,b:2"));
    let ran = ran.done();
    let expected = r#"[source.kafka]
"bootstrap.servers" = "a:1,b:2"
"fetch.wait.max.ms" = "50"
"sasl.mechanism" = "PLAIN"
"sasl.password" = "<redacted>"
"sasl.username" = "<redacted>"
"#;
    assert!(ran.stdout.contains(expected) && ran.stdout.contains("\npoll_bytes_max = 9\n"), "{}", ran.stdout);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("xyzzy"), "{}{}", ran.stdout, ran.stderr);

    let without = run(deltaic().arg("config").arg(&path));
    without.check_refused(2, "`source.kafka.sasl.password` at ");
    std::fs::remove_file(folder.path().join("user")).unwrap();
    let unreadable = run(deltaic().arg("run").arg(&path).env("PASSWORD", "xyzzy"));
    unreadable.check_refused(2, &format!("cannot read {}: No such file", folder.path().join("user").display()));
    assert!(!unreadable.stderr.contains("xyzzy"), "{}", unreadable.stderr);
}

#[cfg(feature = "kafka")]
#[test]
fn the_example_of_kafka_prints_a_configuration_that_means_the_same() {
    let printed = config(KAFKA, &[]).done().stdout;
    let again = config(&file(printed.as_bytes()).path().display().to_string(), &[]).done().stdout;
    assert_eq!(again, printed);
    assert!(printed.contains("\"bootstrap.servers\" = \"127.0.0.1:9092\"\n"), "{printed}");
}

#[cfg(feature = "kafka")]
#[test]
fn the_readme_shows_properties_for_tls_and_sasl() {
    let secret = file(b"xyzzy\n");
    let shown = readme_blocks("toml").into_iter().find(|text| text.contains("sasl_ssl")).unwrap();
    assert!(shown.contains("{ file = \"/run/secrets/kafka\" }"), "{shown}");
    let properties = shown.replace("/run/secrets/kafka", &secret.path().display().to_string());
    let source = "[source]\nkind = \"kafka\"\nprefix = \"podium\"\n";
    let rest = "[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \"jsonl\"\npath = \"-\"\n";
    let text = file(format!("{source}{properties}{rest}").as_bytes());
    let ran = run(deltaic().arg("config").arg(text.path()).env("KAFKA_USER", "ada"));
    if cfg!(feature = "tls") {
        assert!(ran.done().stdout.contains("\"sasl.password\" = \"<redacted>\"\n\"sasl.username\" = \"ada\"\n"));
    } else {
        ran.check_refused(2, "deltaic: 3 mistakes in the configuration:\n  `source.kafka.security.protocol` at ");
        assert!(ran.stderr.contains(": this build has no TLS: build with the feature `tls`"), "{}", ran.stderr);
    }
}

#[test]
fn the_connector_of_the_readme_is_the_example_and_as_it_must_be() {
    let text = include_str!("../../examples/connector.json");
    assert!(readme_blocks("json").contains(&text), "the README has another one");
    let connector: serde_json::Value = serde_json::from_str(text).unwrap();
    for (setting, expected) in [
        ("provide.transaction.metadata", "true"),
        ("skipped.operations", "none"),
        ("snapshot.mode", "initial"),
        ("topic.creation.transactions.partitions", "1"),
        ("value.converter.schemas.enable", "false"),
    ] {
        assert_eq!(connector[setting], expected, "{setting}");
    }
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
