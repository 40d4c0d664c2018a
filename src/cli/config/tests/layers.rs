//! Who may set a key, and who wins.

use super::super::print::Effective;
use super::*;

fn workers(text: &str, set: &[&str], flags: &[(&'static str, &str)]) -> Value {
    value(&settle(text, set, flags).unwrap(), &Home::Engine, "workers")
}

#[test]
fn an_option_outranks_set_which_outranks_the_file_which_outranks_the_default() {
    let file = format!("{LEAST}[engine]\nworkers = 2\n");
    assert_eq!(workers(LEAST, &[], &[]), Value::Integer(1));
    assert_eq!(workers(&file, &[], &[]), Value::Integer(2));
    assert_eq!(workers(&file, &["engine.workers=3"], &[]), Value::Integer(3));
    assert_eq!(workers(&file, &["engine.workers=3"], &[("workers", "4")]), Value::Integer(4));
    assert_eq!(workers(&file, &["engine.workers=3", "engine.workers=5"], &[]), Value::Integer(5));
}

#[test]
fn set_takes_toml_and_bare_text() {
    let text = |text: &str| Value::Text(text.to_owned());
    let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    for (set, home, name, expected) in [
        ("source.prefix=podium", Home::Source, "prefix", text("podium")),
        ("source.prefix = \"a b\" ", Home::Source, "prefix", text("a b")),
        ("source.prefix=a=b", Home::Source, "prefix", text("a=b")),
        // Texts that would be something else in TOML.
        ("source.prefix=2024", Home::Source, "prefix", text("2024")),
        ("source.prefix=true", Home::Source, "prefix", text("true")),
        ("view.zero_items=needs_review_invite", Home::View, "zero_items", text("needs_review_invite")),
        ("view.include=users.name", Home::View, "include", texts(&["users.name"])),
        ("view.include=['users.a', 'users.b']", Home::View, "include", texts(&["users.a", "users.b"])),
        ("view.include=[]", Home::View, "include", texts(&[])),
        ("source.snapshot_complete=true", Home::Source, "snapshot_complete", Value::Boolean(true)),
        ("source.snapshot_complete=${NO:-true}", Home::Source, "snapshot_complete", Value::Boolean(true)),
        ("engine.workers=${WORKERS}", Home::Engine, "workers", Value::Integer(4)),
        ("engine.until=1_000", Home::Engine, "until", Value::Integer(1_000)),
        ("sink.changes=true", Home::Sink(0), "changes", Value::Boolean(true)),
        ("sink.0.changes=true", Home::Sink(0), "changes", Value::Boolean(true)),
    ] {
        assert_eq!(value(&settle(LEAST, &[set], &[]).unwrap(), &home, name), expected, "{set}");
    }
    let settings = settle(LEAST, &["tables.users.partitions=3", "source.prefix=podium"], &[]).unwrap();
    assert_eq!(value(&settings, &Home::Table("users".to_owned()), "partitions"), Value::Integer(3));
}

#[test]
fn an_empty_file_can_be_filled_from_the_command_line() {
    let set = [
        "source.kind=log",
        "source.files=-",
        "source.prefix=p",
        "view.name=conversation_search",
        "sink.kind=jsonl",
        "sink.path=-",
    ];
    settle("", &set, &[]).unwrap();
}

#[test]
fn paths_are_relative_to_the_file_or_to_the_current_folder() {
    let path = |text: &str, set: &[&str]| value(&settle(text, set, &[]).unwrap(), &Home::Sink(0), "path");
    let least = |path: &str| LEAST.replace("path = \"-\"", &format!("path = \"{path}\""));
    assert_eq!(path(&least("a.jsonl"), &[]), Value::Path("dir/a.jsonl".into()));
    assert_eq!(path(&least("/a.jsonl"), &[]), Value::Path("/a.jsonl".into()));
    assert_eq!(path(&least("${DIR}/a.jsonl"), &[]), Value::Path("/data/a.jsonl".into()));
    assert_eq!(path(LEAST, &[]), Value::Path("-".into()));
    assert_eq!(path(LEAST, &["sink.path=a.jsonl"]), Value::Path("a.jsonl".into()));
}

#[test]
fn what_is_printed_means_the_same() {
    let text = format!(
        "{LEAST}changes = true
[source.no]
"
    )
    .replace("[source.no]", "[tables.users]\npartitions = 2\n[tables.conversations]\n[engine]\nuntil = 7")
    .replace("[\"log.jsonl\"]", "[\"log.jsonl\", \"a$${b}\\\\\\\"'.jsonl\"]\nprefix = '${NO:-x}$$'");
    let printed = Effective(&settle(&text, &["sink.path=b.jsonl"], &[]).unwrap()).to_string();
    let again = Effective(&settle(&printed, &[], &[]).unwrap()).to_string();
    assert_eq!(again, printed);
    assert!(printed.contains("prefix = \"x$$\"\n"), "{printed}");
    assert!(printed.contains("/dir/log.jsonl\", "), "{printed}");
    assert!(printed.contains("a$${b}"), "{printed}");
}
