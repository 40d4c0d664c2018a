//! Every mistake that a configuration can have, word for word.

use super::*;

/// `LEAST` with lines of it replaced.
fn with(changes: Changes<'_>) -> String {
    changes.iter().fold(LEAST.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

const KIND: &str = "kind = \"log\"";
const FILES: &str = "files = [\"log.jsonl\"]";
const NAME: &str = "name = \"conversation_search\"";
const PATH: &str = "path = \"-\"";

/// What to replace, and by what.
type Changes<'a> = &'a [(&'a str, &'a str)];

/// Checks that a file with these lines instead of those has these mistakes.
fn check(table: &[(Changes<'_>, &[&str])]) {
    for (changes, expected) in table {
        assert_eq!(mistakes(&with(changes), &[], &[]), *expected, "{changes:?}");
    }
}

#[test]
fn the_least_has_none() {
    assert_eq!(mistakes(LEAST, &[], &[]), [""; 0]);
}

#[test]
fn unknown_names() {
    check(&[
        (&[("files =", "file =")], &["unknown key `source.file` at dir/podium.toml:3; did you mean `source.files`?"]),
        (
            &[(FILES, "files = [\"a\"]\nworkers = 2")],
            &["unknown key `source.workers` at dir/podium.toml:4; did you mean `engine.workers`?"],
        ),
        (
            &[(FILES, "files = [\"a\"]\npartitions = 2")],
            &["unknown key `source.partitions` at dir/podium.toml:4; did you mean `tables.NAME.partitions`?"],
        ),
        (
            &[(NAME, "name = \"conversation_search\"\ncolour = 2")],
            &["unknown key `view.colour` at dir/podium.toml:6; [view] has name, zero_items, include"],
        ),
        (
            &[(PATH, "path = \"-\"\nchange = true")],
            &["unknown key `sink.0.change` at dir/podium.toml:9; did you mean `sink.0.changes`?"],
        ),
        (
            &[(FILES, "files = [\"a\"]\nfiles.extra = 1")],
            &["not TOML at dir/podium.toml:4:1: cannot extend value of type array with a dotted key"],
        ),
        (
            &[("[view]", "[view.deep]\n[view]")],
            &["unknown key `view.deep` at dir/podium.toml:4; [view] has name, zero_items, include"],
        ),
        (
            &[("[view]", "[engines]\n[view]")],
            &["unknown section `engines` at dir/podium.toml:4; did you mean `engine`?"],
        ),
        (
            &[("[view]", "[zzz]\n[view]")],
            &[
                "unknown section `zzz` at dir/podium.toml:4; there are [source], [source.kafka], [tables.NAME], [view], \
                 [[sink]], [engine]",
            ],
        ),
        (
            &[("[source]", "worker = 2\n[source]")],
            &["unknown key `worker` at dir/podium.toml:1; did you mean `engine.workers`?"],
        ),
        (
            &[("[source]", "zzz = 2\n[source]")],
            &["unknown key `zzz` at dir/podium.toml:1; there are [source], [source.kafka], [tables.NAME], [view], \
             [[sink]], [engine]"],
        ),
        (
            &[("[view]", "[tables.user]\n[view]")],
            &["unknown table `tables.user` at dir/podium.toml:4; did you mean `tables.users`?"],
        ),
        (
            &[("[view]", "[tables.zzz]\n[view]")],
            &["unknown table `tables.zzz` at dir/podium.toml:4; the view's tables are users, conversations"],
        ),
    ]);
}

#[test]
fn sections_of_the_wrong_form() {
    check(&[
        (
            &[("[source]", "engine = 1\n[source]")],
            &["`engine` at dir/podium.toml:1: expected a section [engine], found a number"],
        ),
        (
            &[("[source]", "tables = \"users\"\n[source]")],
            &["`tables` at dir/podium.toml:1: expected sections [tables.NAME], found a text"],
        ),
        (
            &[("[view]", "[tables]\nusers = true\n[view]")],
            &["`tables.users` at dir/podium.toml:5: expected a section [tables.users], found true or false"],
        ),
        (
            &[("[[sink]]", "[sink]")],
            &[
                "`sink` at dir/podium.toml:6: expected sections [[sink]], found a single section",
                "missing key `sink.0.kind`: dir/podium.toml has no section [[sink]]",
            ],
        ),
    ]);
}

#[test]
fn wrong_values() {
    let source = |line: &str| format!("files = [\"a\"]\n{line}");
    let engine = |line: &str| format!("path = \"-\"\n[engine]\n{line}");
    let long = format!("on_bad_record = \"{}\"", "x".repeat(100));
    for (from, to, expected) in [
        (
            KIND,
            "kind = \"redis\"".to_owned(),
            "`source.kind` at dir/podium.toml:2 is `\"redis\"`; expected \"log\" or \"kafka\"",
        ),
        (
            FILES,
            "files = \"a\"".to_owned(),
            "`source.files` at dir/podium.toml:3 is `\"a\"`; expected a list of one path or more",
        ),
        (
            FILES,
            "files = []".to_owned(),
            "`source.files` at dir/podium.toml:3 is `[]`; expected a list of one path or more",
        ),
        (
            FILES,
            "files = [\n  1,\n]".to_owned(),
            "`source.files` at dir/podium.toml:3 is `[ 1, ]`; expected a list of one path or more",
        ),
        (
            FILES,
            "files = [\"\"]".to_owned(),
            "`source.files` at dir/podium.toml:3 is `[\"\"]`; expected a list of one path or more",
        ),
        (FILES, source("prefix = 3"), "`source.prefix` at dir/podium.toml:4 is `3`; expected a text that is not empty"),
        (
            FILES,
            source("prefix = \"\""),
            "`source.prefix` at dir/podium.toml:4 is `\"\"`; expected a text that is not empty",
        ),
        (
            FILES,
            source("prefix = \"${EMPTY}\""),
            "`source.prefix` at dir/podium.toml:4 is ``; expected a text that is not empty",
        ),
        (
            FILES,
            source("follow = \"true\""),
            "`source.follow` at dir/podium.toml:4 is `\"true\"`; expected true or false",
        ),
        (
            FILES,
            source("on_bad_record = \"skip\""),
            "`source.on_bad_record` at dir/podium.toml:4 is `\"skip\"`; expected \"stop\" or \"dead-letter\"",
        ),
        (
            FILES,
            source("dead_letters = 2024-01-01"),
            "`source.dead_letters` at dir/podium.toml:4 is `2024-01-01`; expected a path",
        ),
        (
            NAME,
            "name = \"x\"".to_owned(),
            "`view.name` at dir/podium.toml:5 is `\"x\"`; expected \"conversation_search\"",
        ),
        (
            NAME,
            format!("{NAME}\ninclude = \"users.name\""),
            "`view.include` at dir/podium.toml:6 is `\"users.name\"`; expected a list of texts",
        ),
        (PATH, "path = \"\"".to_owned(), "`sink.0.path` at dir/podium.toml:8 is `\"\"`; expected a path"),
        (
            PATH,
            engine("workers = 0"),
            "`engine.workers` at dir/podium.toml:10 is `0`; expected a whole number from 1 to 256",
        ),
        (
            PATH,
            engine("workers = 257"),
            "`engine.workers` at dir/podium.toml:10 is `257`; expected a whole number from 1 to 256",
        ),
        (
            PATH,
            engine("workers = 1.5"),
            "`engine.workers` at dir/podium.toml:10 is `1.5`; expected a whole number from 1 to 256",
        ),
        (
            PATH,
            engine("workers = \"2\""),
            "`engine.workers` at dir/podium.toml:10 is `\"2\"`; expected a whole number from 1 to 256",
        ),
        (
            PATH,
            engine("workers = \"${DIR}\""),
            "`engine.workers` at dir/podium.toml:10 is `/data`; expected a whole number from 1 to 256",
        ),
        (PATH, engine("until = -1"), "`engine.until` at dir/podium.toml:10 is `-1`; expected a whole number from 0 on"),
        (
            PATH,
            engine("until = 99999999999999999999"),
            "`engine.until` at dir/podium.toml:10 is `99999999999999999999`; expected a whole number from 0 on",
        ),
    ] {
        check(&[(&[(from, &to)], &[expected])]);
    }
    let told = mistakes(&with(&[(FILES, &source(&long))]), &[], &[]);
    let shown = format!("`\"{}...`", "x".repeat(79));
    assert_eq!(
        told,
        [format!("`source.on_bad_record` at dir/podium.toml:4 is {shown}; expected \"stop\" or \"dead-letter\"")]
    );
}

#[test]
fn variables() {
    for (to, expected) in [
        ("path = \"${NO}/x\"", "needs the environment variable NO, which is not set; set it, or write ${NO:-DEFAULT}"),
        ("path = \"${NO\"", "has a `${` without its `}`"),
        ("path = \"${BYTES}\"", "needs the environment variable BYTES, which is not UTF-8"),
        ("path = \"${9}\"", "has a `${...}` without a variable's name; write ${NAME} or ${NAME:-DEFAULT}"),
        ("path = \"5$\"", "has a `$` that begins no ${NAME}; write $$ for a dollar"),
    ] {
        check(&[(&[(PATH, to)], &[&format!("`sink.0.path` at dir/podium.toml:8 {expected}")])]);
    }
}

#[test]
fn syntax() {
    for (text, expected) in [
        ("[source", "not TOML at dir/podium.toml:1:8: unclosed table, expected `]`"),
        ("[source]\nfiles", "not TOML at dir/podium.toml:2:6: key with no value, expected `=`"),
        (
            "[source]\n\nfiles = [\"é\" 1]",
            "not TOML at dir/podium.toml:3:14: missing comma between array elements, expected `,`",
        ),
        (
            "[source]\nfiles = a",
            "not TOML at dir/podium.toml:2:9: string values must be quoted, expected literal string",
        ),
        ("[source]\nfiles = [\"a\"]\nfiles = [\"b\"]", "not TOML at dir/podium.toml:3:1: duplicate key"),
        ("[source]\n[source]", "not TOML at dir/podium.toml:2:2: duplicate key"),
    ] {
        assert_eq!(mistakes(text, &[], &[]), [expected], "{text}");
    }
}

#[test]
fn missing_keys() {
    check(&[
        (&[(FILES, "")], &["missing key `source.files` in [source] at dir/podium.toml:1"]),
        (&[(NAME, "")], &["missing key `view.name` in [view] at dir/podium.toml:4"]),
        (&[(PATH, "")], &["missing key `sink.0.path` in [[sink]] at dir/podium.toml:6"]),
        (&[("kind = \"jsonl\"", "")], &["missing key `sink.0.kind` in [[sink]] at dir/podium.toml:6"]),
        (&[(KIND, "")], &["missing key `source.kind` in [source] at dir/podium.toml:1"]),
        (
            &[("[source]", ""), (KIND, ""), (FILES, "")],
            &["missing key `source.kind`: dir/podium.toml has no section [source]"],
        ),
        (
            &[(FILES, "files = [\"a\"]\non_bad_record = \"dead-letter\"")],
            &[
                "missing key `source.dead_letters`: `source.on_bad_record` = \"dead-letter\" at dir/podium.toml:4 needs it",
            ],
        ),
        (
            &[("log.jsonl", "-")],
            &["missing key `source.prefix`: standard input in `source.files` at dir/podium.toml:3 needs it"],
        ),
        (
            &[("[view]", "[tables.users]\npartitions = 3\n[view]")],
            &["missing key `source.prefix`: `tables.users.partitions` at dir/podium.toml:5 needs it"],
        ),
    ]);
}

#[test]
fn what_does_not_go_together() {
    check(&[
        (
            &[(FILES, "files = [\"-\", \"a\"]\nprefix = \"p\"")],
            &["`source.files` at dir/podium.toml:3: standard input (\"-\") cannot be one of several files"],
        ),
        (
            &[(FILES, "files = [\"-\"]\nprefix = \"p\"\nfollow = true\n[tables]\nusers.partitions = 1")],
            &[
                "`source.files` at dir/podium.toml:3: standard input is read until its writer ends; leave `source.follow` \
             out",
                "missing key `tables.conversations.partitions`: `source.follow` at dir/podium.toml:5 needs it",
            ],
        ),
        (
            &[(FILES, "files = [\"a\"]\ndead_letters = \"-\"")],
            &["`source.dead_letters` at dir/podium.toml:4: expected a file; standard output is for documents"],
        ),
        (
            &[(PATH, "path = \"-\"\n[engine]\nspill_dir = \"-\"")],
            &["`engine.spill_dir` at dir/podium.toml:10: expected a folder; \"-\" is standard output"],
        ),
        (
            &[(PATH, "path = \"-\"\n[engine]\nmemory_budget_bytes = -1\nspill_budget_bytes = \"some\"")],
            &[
                "`engine.memory_budget_bytes` at dir/podium.toml:10 is `-1`; expected a whole number from 0 on",
                "`engine.spill_budget_bytes` at dir/podium.toml:11 is `\"some\"`; expected a whole number from 0 on",
            ],
        ),
        (
            &[("\"jsonl\"", "\"tantivy\"")],
            &["`sink.0.path` at dir/podium.toml:8: an index is a folder; \"-\" is standard output"],
        ),
        (
            &[(PATH, "path = \"-\"\ncommit_interval_ms = 5")],
            &[
                "`sink.0.commit_interval_ms` at dir/podium.toml:9: a sink of kind \"jsonl\" has no such key; one of kind \
             \"tantivy\" has",
            ],
        ),
        (
            &[(PATH, "path = \"-\"\n[[sink]]\nkind = \"jsonl\"\npath = \"b\"")],
            &["`sink.1` at dir/podium.toml:9: one sink too many; documents go to one"],
        ),
        (
            &[(NAME, "name = \"conversation_search\"\ninclude = [\"name\", \"users.step\"]")],
            &[
                "`view.include` at dir/podium.toml:6: cannot include `name`: name a column as `users.COLUMN` or \
             `conversations.COLUMN`",
                "`view.include` at dir/podium.toml:6: two columns would make the document's field `step`",
            ],
        ),
    ]);
}

#[test]
fn set_and_options() {
    let two = format!("{LEAST}[[sink]]\nkind = \"jsonl\"\npath = \"b\"\n");
    let too_many = "`sink.1` at dir/podium.toml:9: one sink too many; documents go to one";
    for (text, set, expected) in [
        (LEAST, "engine.worker=2", "unknown key `engine.worker` in --set; did you mean `engine.workers`?"),
        (LEAST, "workers=2", "unknown key `workers` in --set; did you mean `engine.workers`?"),
        (LEAST, "sources.files=2", "unknown section `sources` in --set; did you mean `source`?"),
        (LEAST, "tables.user.partitions=2", "unknown table `tables.user` in --set; did you mean `tables.users`?"),
        (LEAST, "engine.workers=no", "`engine.workers` in --set is `no`; expected a whole number from 1 to 256"),
        (LEAST, "engine.workers=", "`engine.workers` in --set is ``; expected a whole number from 1 to 256"),
        (LEAST, "source.files=[", "`source.files` in --set is `[`; expected a list of one path or more"),
        (LEAST, "engine.workers", "`engine.workers` in --set: no value; write --set engine.workers=VALUE"),
        (LEAST, "4", "a --set has no `=`; write --set KEY=VALUE"),
        (
            LEAST,
            "engine=2",
            "`engine` in --set: expected SECTION.KEY, source.kafka.PROPERTY, tables.NAME.KEY or sink.N.KEY",
        ),
        (LEAST, "sink.x.path=2", "`sink.x.path` in --set: `x` is no sink's number; write `sink.0.path`"),
        (
            LEAST,
            "sink.1.path=2",
            "`sink.1.path` in --set: there is no sink 1; they are counted from 0, and there are 1",
        ),
        (LEAST, "sink.pth=2", "unknown key `sink.0.pth` in --set; did you mean `sink.0.path`?"),
        (
            LEAST,
            "sink.path=${NO}",
            "`sink.0.path` in --set needs the environment variable NO, which is not set; set it, or write ${NO:-DEFAULT}",
        ),
        (&two, "sink.path=a", "`sink.path` in --set: there are 2 sinks; say which, as in `sink.0.path`"),
    ] {
        let mut told = mistakes(text, &[set], &[]);
        told.retain(|told| told != too_many);
        assert_eq!(told, [expected], "{set}");
    }
    for (flag, value, expected) in [
        ("workers", "0", "`engine.workers` in --workers is `0`; expected a whole number from 1 to 256"),
        ("until", "now", "`engine.until` in --until is `now`; expected a whole number from 0 on"),
        ("follow", "yes", "`source.follow` in --follow is `yes`; expected true or false"),
    ] {
        assert_eq!(mistakes(LEAST, &[], &[(flag, value)]), [expected]);
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_lines() {
    let text = with(&[("files =", "file ="), (NAME, "name = \"x\""), (PATH, "path = 3\nchanges = 0")]);
    let told = settle(&text, &["engine.workers=0"], &[("until", "now")]).unwrap_err().to_string();
    let expected = "\
6 mistakes in the configuration:
  unknown key `source.file` at dir/podium.toml:3; did you mean `source.files`?
  `view.name` at dir/podium.toml:5 is `\"x\"`; expected \"conversation_search\"
  `sink.0.path` at dir/podium.toml:8 is `3`; expected a path
  `sink.0.changes` at dir/podium.toml:9 is `0`; expected true or false
  `engine.workers` in --set is `0`; expected a whole number from 1 to 256
  `engine.until` in --until is `now`; expected a whole number from 0 on";
    assert_eq!(told, expected);
}

#[test]
fn what_is_overruled_must_still_make_sense() {
    let text = format!("{LEAST}[engine]\nworkers = 0\n");
    let expected = "`engine.workers` at dir/podium.toml:10 is `0`; expected a whole number from 1 to 256";
    assert_eq!(mistakes(&text, &["engine.workers=2"], &[]), [expected]);
}
