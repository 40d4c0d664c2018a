//! What is refused, and in which words. Nothing of it reaches standard output.

use super::{
    BASE, DOCUMENTS, LAST, LOG, PARTITIONS, deltaic, example, file, lines, replay, replay_stdin, replay_text, run,
};
use std::path::Path;
use tempfile::NamedTempFile;

/// The example's start: its snapshot and some hundred transactions.
fn start() -> String {
    lines(0, 4_000)
}

fn with_line(log: &str, line: &str) -> String {
    format!("{log}{line}\n")
}

#[test]
fn wrong_usage_exits_with_2() {
    let log = example();
    for (args, message) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--workers", "0"], "0 is not in 1..=256"),
        (&["--workers", "257"], "257 is not in 1..=256"),
        (&["--until", "yesterday"], "invalid digit"),
        (&["--include", "name"], "cannot include `name`: name a column as `users.COLUMN` or `conversations.COLUMN`"),
        (&["--include", "users."], "cannot include `users.`"),
        (&["--include", "conversation_items.body"], "cannot include `conversation_items.body`"),
        (&["--include", "users.step"], "two columns would make the document's field `step`"),
        (&["--include", "users.name", "--include", "users.name"], "field `name`"),
        (&["--zero-items", "some"], "it is `absent` or `needs_review_invite`"),
        (&["--on-bad-record", "skip"], "expected stop or dead-letter=FILE"),
        (&["--on-bad-record", "dead-letter="], "expected stop or dead-letter=FILE"),
        (&["--partitions", "podium.public.users"], "expected TOPIC=N"),
        (&["--partitions", "podium.public.users=three"], "`three` is no number of partitions"),
    ] {
        replay(args, &[&log]).check_refused(2, message);
    }
    replay(&[], &[]).check_refused(2, "<LOG>");
    run(&mut deltaic()).check_refused(2, "Usage: deltaic");
    run(deltaic().arg("index")).check_refused(2, "index");
}

#[test]
fn standard_input_needs_a_prefix_and_is_the_only_log() {
    replay_stdin(&[], b"").check_refused(2, "standard input needs --prefix");
    replay(&["--prefix", "podium"], &[Path::new("-"), &example()]).check_refused(2, "cannot be one of several logs");
    replay(&["--prefix", "podium"], &[Path::new("-"), Path::new("-")]).check_refused(2, "one of several logs");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.jsonl");
    for logs in [&[missing.as_path()][..], &[&example(), &missing]] {
        replay(&[], logs).check_refused(1, &format!("cannot read {}", missing.display()));
    }
    replay(&[], &[folder.path()]).check_refused(1, &format!("cannot read {}", folder.path().display()));
}

#[test]
fn parts_in_the_wrong_order_are_refused() {
    let parts = [lines(0, 6_000), lines(6_000, 12_000), lines(12_000, usize::MAX)].map(|part| file(part.as_bytes()));
    let [first, second, third] = parts.each_ref().map(NamedTempFile::path);
    for workers in ["1", "4"] {
        // What is seen first is the offsets that fall back, the ENDs that are missing or the snapshot that is.
        for wrong in [&[first, third, second][..], &[second, first, third], &[third, second, first]] {
            let ran = replay(&["--workers", workers], wrong);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
        }
    }
}

#[test]
fn offsets_that_fall_back_are_refused() {
    // GIVEN two neighbours in a partition of users, the other way round
    let mut log: Vec<&str> = LOG.lines().take(4_000).collect();
    let row = r#"{"topic":"podium.public.users","partition":1,"#;
    let places: Vec<usize> = (0..log.len()).rev().filter(|at| log[*at].starts_with(row)).take(2).collect();
    let [later, earlier] = places[..] else { panic!("{places:?}") };
    log.swap(later, earlier);
    for workers in ["1", "4"] {
        let ran = replay_text(&["--workers", workers], &(log.join("\n") + "\n"));
        ran.check_refused(1, "; give the parts of a log in their order");
        assert!(ran.stderr.contains("topic podium.public.users, partition 1: offset "), "{}", ran.stderr);
    }
}

#[test]
fn a_part_that_is_cut_is_refused_unless_it_is_the_last() {
    let (first, second) = (lines(0, 9_000), file(lines(9_000, usize::MAX).as_bytes()));
    let zst = zstd::encode_all(first.as_bytes(), 1).unwrap();
    for cut in [&first.as_bytes()[..first.len() - 200], &zst[..zst.len() - 200]] {
        let cut = file(cut);
        let message = format!("cannot read {}: it stops inside a line or a compressed frame", cut.path().display());
        replay(&["--changes"], &[cut.path(), second.path()]).check_refused(1, &message);
    }
    // A newline alone may be missing.
    let ran = replay(&[], &[file(first.trim_end().as_bytes()).path(), second.path()]).done();
    assert!(ran.stdout == *DOCUMENTS);
}

#[test]
fn until_before_the_snapshot_is_refused() {
    let message = format!("--until {} is before the initial snapshot at LSN {BASE}", BASE - 1);
    replay(&["--until", &(BASE - 1).to_string()], &[&example()]).check_refused(1, &message);
}

#[test]
fn a_log_without_its_transaction_topic_is_refused() {
    let log: String =
        LOG.split_inclusive('\n').filter(|line| !line.contains(r#""podium.transaction""#)).take(4_000).collect();
    replay_text(&[], &log).check_refused(1, "provide.transaction.metadata=true");
    replay_text(&["--prefix", "podium"], &log)
        .check_refused(1, "the log has no topic podium.transaction: set provide.");
    replay_text(&["--prefix", "stadium"], &start()).check_refused(1, "the log has no topic stadium.transaction");
    replay_text(&[], "").check_refused(1, "the log has no transaction topic");
}

#[test]
fn a_log_of_two_sources_is_refused_until_one_is_named() {
    let other = r#"{"topic":"stadium.transaction","partition":0,"offset":0,"key":null,"payload":null}"#;
    let log = file(with_line(&LOG, other).as_bytes());
    replay(&[], &[log.path()])
        .check_refused(1, "the log holds several sources: podium, stadium; name the source's topic prefix (`prefix`)");
    let ran = replay(&["--prefix", "podium"], &[log.path()]).done();
    assert!(ran.stdout == *DOCUMENTS);
    assert_eq!(ran.exact_at(), LAST);
}

#[test]
fn a_transaction_topic_of_two_partitions_is_refused() {
    let end = start().lines().rfind(|line| line.contains(r#""podium.transaction""#)).unwrap().to_owned();
    let elsewhere = end.replace(r#""partition":0"#, r#""partition":1"#);
    let message = "topic podium.transaction has 2 partitions: it must have exactly one";
    replay_text(&[], &with_line(&start(), &elsewhere)).check_refused(1, message);
}

#[test]
fn a_log_that_begins_after_the_snapshot_is_refused_unless_permitted() {
    // GIVEN a log without the snapshot's rows and the first transaction's
    let log: String = LOG.split_inclusive('\n').filter(|line| !line.contains(r#"\"sequence\":\"[null,"#)).collect();
    let log = file(log.as_bytes());
    replay(&[], &[log.path()]).check_refused(1, "the log has no initial snapshot");
    // WHEN it is permitted THEN the summary claims no more than it can
    let ran = replay(&["--allow-partial-base"], &[log.path()]).done();
    ran.check_summary(&format!("as of LSN {LAST}; rows from before the log are missing (allow_partial_base)"));
    assert!(!ran.stderr.contains("exact at LSN"), "{}", ran.stderr);
}

#[test]
fn formats_that_are_not_read_yet_are_named() {
    let row = lines(0, 1);
    let payload = row.find(r#""payload":"#).unwrap();
    // kcat and others write base64 in a field of its own where the bytes are no text.
    let base64 = format!("{}\"payload_b64\":\"AAAAAAECAwQ=\"}}", &row[..payload]);
    let framed = format!("{}\"payload\":\"\\u0000\\u0000\\u0000\\u0000\\u0001abc\"}}", &row[..payload]);
    let flattened = format!("{}\"payload\":\"{{\\\"uid\\\":\\\"x\\\",\\\"name\\\":\\\"a\\\"}}\"}}", &row[..payload]);
    for (line, message) in [
        (base64, "Avro and other binary formats are not supported yet"),
        (framed, "a schema registry's format (Avro, Protobuf, JSON Schema) is not supported yet"),
        (flattened, "records flattened by ExtractNewRecordState are not supported yet"),
    ] {
        let log = with_line("", &line) + &lines(1, 4_000);
        replay_text(&[], &log).check_refused(1, message);
        let stdin = [&["--prefix", "podium"][..], &PARTITIONS].concat();
        replay_stdin(&stdin, log.as_bytes()).check_refused(1, message);
    }
}

#[test]
fn a_line_that_is_no_record_is_named() {
    let ran = replay_text(&[], &with_line(&start(), "{\"topic\":"));
    ran.check_refused(1, ", line 4001: not a line of `kcat -C -J`");
}
