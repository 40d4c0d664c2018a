//! A source of kind `kafka`: what it means, what it may not be, and that no secret of it is seen.

use super::super::meaning::{Config, Reads, RunPlan};
use super::super::print::Effective;
use super::super::table::{KAFKA, PROPERTY};
use super::*;
use deltaic::{Kafka, KafkaStart};

/// The least that a file must say. What is put behind it stands in `[source.kafka]`.
const LEAST: &str = "\
[view]
name = \"conversation_search\"
[[sink]]
kind = \"jsonl\"
path = \"-\"
[source]
kind = \"kafka\"
prefix = \"podium\"
[source.kafka]
bootstrap.servers = \"broker:9092\"
";

fn plan(text: &str, set: &[&str]) -> RunPlan {
    Config::of(&settle(text, set, &[]).unwrap()).plan()
}

fn kafka_of(text: &str, set: &[&str]) -> Kafka {
    match plan(text, set).reads {
        Reads::Kafka(kafka) => kafka,
        Reads::Log(log) => panic!("{log:?}"),
    }
}

/// The value of a property, with `lines` in `[source.kafka]`.
fn property(lines: &str, set: &[&str], name: &str) -> String {
    kafka_of(&format!("{LEAST}{lines}\n"), set).properties[name].clone()
}

/// Checks the mistakes of a file with `lines` in `[source.kafka]`, which begin on line 11.
fn check(lines: &str, expected: &[&str]) {
    assert_eq!(mistakes(&format!("{LEAST}{lines}\n"), &[], &[]), expected, "{lines}");
}

#[test]
fn the_least_has_the_defaults_of_the_library() {
    let plan = plan(LEAST, &[]);
    assert_eq!(plan.options.prefix.as_deref(), Some("podium"));
    assert_eq!(plan.reads, Reads::Kafka(Kafka::new("broker:9092")));
}

#[test]
fn every_key_means_something() {
    let (least, _) = LEAST.split_once("[source.kafka]").unwrap();
    let text = &format!(
        "{least}\
transaction_topic = \"podium.tx\"
start = 1700000000000
allow_partial_base = true
poll_records_max = 5
poll_bytes_max = 6
[source.kafka]
bootstrap.servers = \"a:1,b:2\"
group.id = \"lag\"
[tables.users]
topic = \"people\"
"
    );
    let kafka = Kafka {
        topics: [("public.users".to_owned(), "people".to_owned())].into(),
        transaction_topic: Some("podium.tx".to_owned()),
        start: KafkaStart::Timestamp(1_700_000_000_000),
        poll_records_max: 5,
        poll_bytes_max: 6,
        ..Kafka::new("a:1,b:2").property("group.id", "lag")
    };
    assert_eq!(kafka_of(text, &[]), kafka);
    // Nothing of it is a key's default, so a key that is not read would show.
    let named = DEFINITIONS.iter().filter(|definition| definition.only == [KAFKA] && definition.name != PROPERTY);
    assert!(named.into_iter().all(|definition| text.contains(&format!("{} = ", definition.name))));
}

#[test]
fn a_property_is_passed_on_as_text_however_its_name_is_spelt() {
    for (lines, name, expected) in [
        ("sasl.username = \"ada\"", "sasl.username", "ada"),
        ("\"sasl.username\" = \"ada\"", "sasl.username", "ada"),
        ("sasl.\"username\" = 'ada'", "sasl.username", "ada"),
        ("sasl = { username = \"ada\" }", "sasl.username", "ada"),
        ("[source.kafka.sasl]\nusername = \"ada\"", "sasl.username", "ada"),
        ("[source.kafka.fetch.wait]\nmax.ms = 50", "fetch.wait.max.ms", "50"),
        ("fetch.wait.max.ms = 1_000", "fetch.wait.max.ms", "1000"),
        ("fetch.wait.max.ms = \"50\"", "fetch.wait.max.ms", "50"),
        ("fetch.wait.max.ms = \"${WORKERS}\"", "fetch.wait.max.ms", "4"),
        ("no.such.property = 0.50", "no.such.property", "0.50"),
        ("socket.keepalive.enable = true", "socket.keepalive.enable", "true"),
        ("debug = \"broker,topic\"", "debug", "broker,topic"),
        ("client.rack = \"\"", "client.rack", ""),
        // The section itself is no file, and neither is a table with more in it.
        ("file = \"secret\"", "file", "secret"),
        ("a = { file = \"secret\", b = 1 }", "a.file", "secret"),
        ("a.file.b = 1", "a.file.b", "1"),
    ] {
        assert_eq!(property(lines, &[], name), expected, "{lines}");
    }
}

#[test]
fn set_takes_a_property_with_its_dots() {
    for (set, name, expected) in [
        ("source.kafka.fetch.wait.max.ms=50", "fetch.wait.max.ms", "50"),
        ("source.kafka.debug=all", "debug", "all"),
        ("source.kafka.debug=\"all\"", "debug", "all"),
        ("source.kafka.bootstrap.servers=a:1,b:2", "bootstrap.servers", "a:1,b:2"),
        // Texts that would be something else in TOML.
        ("source.kafka.sasl.password=1_000", "sasl.password", "1_000"),
        ("source.kafka.sasl.password=[x", "sasl.password", "[x"),
        ("source.kafka.sasl.password={ file = \"/run/secret\" }", "sasl.password", HIDDEN),
        ("source.kafka.sasl.password.file=/run/secret", "sasl.password", HIDDEN),
    ] {
        assert_eq!(property("debug = \"broker\"", &[set], name), expected, "{set}");
    }
}

#[test]
fn a_start_is_the_beginning_or_a_moment() {
    let start = |written: &str| {
        let set = [&format!("source.start={written}"), "source.allow_partial_base=true"];
        kafka_of(LEAST, &set).start
    };
    assert_eq!(start("beginning"), KafkaStart::Beginning);
    for written in ["1769850000000", "2026-01-31T09:00:00Z", "\"2026-01-31T10:00:00+01:00\"", "${NO:-1769850000000}"] {
        assert_eq!(start(written), KafkaStart::Timestamp(1_769_850_000_000), "{written}");
    }
    let in_file = LEAST.replace("prefix", "allow_partial_base = true\nstart = 2026-01-31T09:00:00Z\nprefix");
    assert_eq!(kafka_of(&in_file, &[]).start, KafkaStart::Timestamp(1_769_850_000_000));
}

#[test]
fn what_is_printed_means_the_same() {
    let lines = "fetch.wait.max.ms = 50\n\"a\" = '$$'\n\"a.b\" = \"c\"\n\"x y\" = \"${DIR}\"\nz = {file = \"secret\"}\n\
                 [tables.users]\ntopic = \"people\"\n";
    let settings = settle(&format!("{LEAST}{lines}"), &["source.start=beginning"], &[]).unwrap();
    let printed = Effective(&settings).to_string();
    let expected = "
[source.kafka]
a = \"$$\"
\"a.b\" = \"c\"
\"bootstrap.servers\" = \"broker:9092\"
\"fetch.wait.max.ms\" = \"50\"
\"x y\" = \"/data\"
z = \"<redacted>\"

[tables.users]
topic = \"people\"

";
    assert!(printed.contains(expected), "{printed}");
    assert!(!printed.contains("follow") && !printed.contains("partitions"), "{printed}");
    let again = settle(&printed, &[], &[]).unwrap();
    assert_eq!(Effective(&again).to_string(), printed);
    let (mut first, mut second) = (kafka_of(&format!("{LEAST}{lines}"), &[]), kafka_of(&printed, &[]));
    assert_eq!(first.properties.remove("z").as_deref(), Some(HIDDEN));
    second.properties.remove("z");
    // What was printed in its place is no secret any more.
    assert!(first.secrets.remove("z") && second.secrets.is_empty());
    assert_eq!(first, second);
}

#[test]
fn a_log_has_no_properties() {
    let text = format!("{}[source.kafka]\nclient.id = \"a\"\n[tables.users]\ntopic = \"b\"\n", super::LEAST);
    let of_log = "a source of kind \"log\" has no such key; one of kind \"kafka\" has";
    assert_eq!(
        mistakes(&text, &["source.poll_bytes_max=1"], &[]),
        [
            format!("`source.kafka.client.id` at dir/podium.toml:10: {of_log}"),
            format!("`tables.users.topic` at dir/podium.toml:12: {of_log}"),
            format!("`source.poll_bytes_max` in --set: {of_log}"),
        ]
    );
}

#[test]
fn kafka_has_nothing_of_a_log() {
    let text = LEAST.replace("prefix = \"podium\"", "files = [\"a\"]");
    let of_kafka = "a source of kind \"kafka\" has no such key; one of kind \"log\" has";
    assert_eq!(
        mistakes(&text, &["tables.users.partitions=3"], &[("follow", "true")]),
        [
            "missing key `source.prefix`: `source.kind` = \"kafka\" at dir/podium.toml:7 needs it".to_owned(),
            format!("`source.files` at dir/podium.toml:8: {of_kafka}"),
            format!("`tables.users.partitions` in --set: {of_kafka}"),
            format!("`source.follow` in --follow: {of_kafka}"),
        ]
    );
}

#[test]
fn wrong_properties() {
    let expected = "expected a text, a number, true or false, or { file = \"PATH\" }";
    for (lines, expected) in [
        ("debug = [\"xyzzy\"]", format!("`source.kafka.debug` at dir/podium.toml:11: {expected}")),
        ("debug = 2026-01-31", format!("`source.kafka.debug` at dir/podium.toml:11: {expected}")),
        ("debug.file = 3\ndebug.x = []", format!("`source.kafka.debug.x` at dir/podium.toml:12: {expected}")),
        ("a.b = 99999999999999999999", format!("`source.kafka.a.b` at dir/podium.toml:11: {expected}")),
        (
            "a.b = 1\n\"a.b\" = 2",
            "`source.kafka.a.b` at dir/podium.toml:12: is there at dir/podium.toml:11 already, spelt in another way"
                .to_owned(),
        ),
        (
            "auto.offset.reset = \"latest\"",
            "`source.kafka.auto.offset.reset` at dir/podium.toml:11: cannot be set: a position that is gone must be told, \
             not passed over"
                .to_owned(),
        ),
        (
            "poll_bytes_max = 5",
            "`source.kafka.poll_bytes_max` at dir/podium.toml:11: no property of librdkafka; write `source.poll_bytes_max`"
                .to_owned(),
        ),
    ] {
        check(lines, &[&expected]);
    }
    for (name, why) in Kafka::OWN {
        let told = mistakes(LEAST, &[&format!("source.kafka.{name}=x")], &[]);
        assert_eq!(told, [format!("`source.kafka.{name}` in --set: cannot be set: {why}")]);
    }
}

#[test]
fn brokers_are_needed() {
    let without = LEAST.replace("bootstrap.servers = \"broker:9092\"\n", "");
    let missing = "missing key `source.kafka.bootstrap.servers`";
    assert_eq!(mistakes(&without, &[], &[]), [format!("{missing} in [source.kafka] at dir/podium.toml:9")]);
    let without = without.replace("[source.kafka]\n", "");
    assert_eq!(mistakes(&without, &[], &[]), [format!("{missing}: dir/podium.toml has no section [source.kafka]")]);
    assert_eq!(mistakes(&without, &["source.kafka.bootstrap.servers=a:1"], &[]), [""; 0]);
    assert_eq!(
        mistakes(&LEAST.replace("broker:9092", "${EMPTY}"), &[], &[]),
        ["`source.kafka.bootstrap.servers` at dir/podium.toml:10: expected HOST:PORT, several with commas between"]
    );
    assert_eq!(
        mistakes(&LEAST.replace("[source.kafka]\nbootstrap.servers", "kafka"), &[], &[]),
        [
            "`source.kafka` at dir/podium.toml:9: expected a section [source.kafka], found a text",
            "missing key `source.kafka.bootstrap.servers`: dir/podium.toml has no section [source.kafka]",
        ]
    );
}

#[test]
fn names_near_the_section() {
    for (from, to, expected) in [
        (
            "[source.kafka]",
            "[source.kafak]",
            "unknown key `source.kafak` at dir/podium.toml:9; did you mean `source.kafka`?",
        ),
        ("[source.kafka]", "[kafka]", "unknown section `kafka` at dir/podium.toml:9; did you mean `source.kafka`?"),
    ] {
        let told = mistakes(&LEAST.replace(from, to), &[], &[]);
        assert!(told.contains(&expected.to_owned()), "{told:?}");
    }
    let told = mistakes(LEAST, &["source.kafka=broker"], &[]);
    assert_eq!(told, ["`source.kafka` in --set: write --set source.kafka.PROPERTY=VALUE"]);
}

#[test]
fn starts_and_topics_that_cannot_be() {
    let start = |start: &str| LEAST.replace("prefix", &format!("start = {start}\nprefix"));
    let kind =
        "expected \"beginning\", or a moment from 1970 on as in 2026-01-31T09:00:00Z, or its milliseconds since 1970";
    for wrong in ["\"end\"", "-1", "2026-01-31", "2026-01-31T09:00:00", "\"1969-01-31T09:00:00Z\"", "1.5", "true"] {
        let expected = format!("`source.start` at dir/podium.toml:8 is `{wrong}`; {kind}");
        assert_eq!(mistakes(&start(wrong), &[], &[]), [expected]);
    }
    assert_eq!(
        mistakes(&start("5"), &[], &[]),
        ["`source.start` at dir/podium.toml:8: a moment leaves out what was written before it; set \
             `source.allow_partial_base` = true, too"]
    );
    assert_eq!(
        mistakes(LEAST, &["source.poll_records_max=0", "source.poll_bytes_max=0", "source.transaction_topic="], &[]),
        [
            "`source.poll_records_max` in --set is `0`; expected a whole number from 1 on",
            "`source.poll_bytes_max` in --set is `0`; expected a whole number from 1 on",
            "`source.transaction_topic` in --set is ``; expected a text that is not empty",
        ]
    );
    check(
        "[tables]\nusers.topic = \"a\"\nconversations.topic = \"a\"",
        &["`tables.users.topic` at dir/podium.toml:12: the same topic as `tables.conversations.topic`"],
    );
    assert_eq!(
        mistakes(LEAST, &["source.transaction_topic=a", "tables.users.topic=a"], &[]),
        ["`tables.users.topic` in --set: the same topic as `source.transaction_topic`"]
    );
}

#[test]
fn what_a_build_cannot_do() {
    let in_build = |lines: &str, kafka: bool, tls: bool| {
        let schema = Schema { built: Built { kafka, tls, elasticsearch: true }, ..schema() };
        let mistakes = settle_in(schema, &format!("{LEAST}{lines}\n"), &[], &[]).err();
        mistakes.map(|mistakes| mistakes.to_string())
    };
    let without = "`source.kind` at dir/podium.toml:7: this build has no Kafka: build with the feature `kafka`";
    assert_eq!(in_build("ssl.ca.location = \"/ca.pem\"", false, false).as_deref(), Some(without));
    for line in [
        "ssl.ca.location = \"/ca.pem\"",
        "security.protocol = \"SASL_SSL\"",
        "security.protocol = \"ssl\"",
        "sasl.mechanism = \"SCRAM-SHA-256\"",
        "sasl.mechanisms = \"SCRAM-SHA-512\"",
    ] {
        let name = line.split_once(' ').unwrap().0;
        let without =
            format!("`source.kafka.{name}` at dir/podium.toml:11: this build has no TLS: build with the feature `tls`");
        assert_eq!(in_build(line, true, false), Some(without));
        assert_eq!(in_build(line, true, true), None);
    }
    check("security.protocol = \"sasl_plaintext\"\nsasl.mechanism = \"PLAIN\"", &[]);
}

#[test]
fn a_secret_is_passed_on_and_shown_nowhere() {
    for (lines, set, name) in [
        ("sasl.password = \"xyzzy\"", &[][..], "sasl.password"),
        ("sasl.password = \"${PASSWORD}\"", &[], "sasl.password"),
        ("sasl.password = { file = \"secret\" }", &[], "sasl.password"),
        ("sasl.password.file = \"/run/secret\"", &[], "sasl.password"),
        ("[source.kafka.sasl.password]\nfile = \"${NO:-secret}\"", &[], "sasl.password"),
        // What a file holds is secret, whatever it is for.
        ("sasl.username = { file = \"secret\" }", &[], "sasl.username"),
        ("", &["source.kafka.sasl.password=xyzzy"], "sasl.password"),
        ("", &["source.kafka.sasl.username.file=/run/secret"], "sasl.username"),
    ] {
        let text = format!("{LEAST}{lines}\n");
        let settings = settle(&text, set, &[]).unwrap();
        let (config, printed) = (Config::of(&settings), Effective(&settings).to_string());
        assert!(printed.contains(&format!("\n\"{name}\" = \"<redacted>\"\n")), "{printed}");
        let shown = format!("{printed}{settings:?}{config:?}{:?}", config.clone().plan());
        assert!(!shown.contains(HIDDEN), "{shown}");
        assert_eq!(kafka_of(&text, set).properties[name], HIDDEN, "{lines} {set:?}");
    }
    // One newline is the file's, a second is the secret's.
    assert_eq!(property("sasl.password.file = \"two-lines\"", &[], "sasl.password"), format!("{HIDDEN}\r\n"));
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    for (lines, expected) in [
        (
            "sasl.password = [\"xyzzy\"]",
            "`source.kafka.sasl.password` at dir/podium.toml:11: expected a text, a number",
        ),
        ("sasl.password = \"$xyzzy\"", "`source.kafka.sasl.password` at dir/podium.toml:11 has a `$` that begins no"),
        (
            "sasl.password = { file = \"no\" }",
            "`source.kafka.sasl.password` at dir/podium.toml:11: cannot read dir/no: entity not found",
        ),
        // The variable holds the secret, not the name of its file.
        (
            "sasl.password = { file = \"${PASSWORD}\" }",
            "`source.kafka.sasl.password` at dir/podium.toml:11: cannot read ${PASSWORD}: entity not found",
        ),
        (
            "sasl.password = { file = \"${NOT}\" }",
            "`source.kafka.sasl.password` at dir/podium.toml:11 needs the environment variable NOT, which is not set",
        ),
        (
            "sasl.password = \"xyzzy\"\n\"sasl.password\" = \"xyzzy\"",
            "`source.kafka.sasl.password` at dir/podium.toml:12: is there",
        ),
        ("prefix = \"xyzzy\"\nkafka = { sasl.password = \"xyzzy\" }\nisolation.level = \"xyzzy\"", "`source.kafka."),
        ("[source.kafka.sasl]\npassword = xyzzy", "not TOML"),
        ("[kafka]\nsasl.password = \"xyzzy\"", "unknown section `kafka`"),
        ("[engine]\nsasl.password = \"xyzzy\"", "unknown key `engine.sasl`"),
    ] {
        let told = mistakes(&format!("{LEAST}{lines}\n"), &[], &[]);
        assert!(told.iter().any(|told| told.starts_with(expected)), "{told:?}");
        assert!(!told.concat().contains(HIDDEN), "{told:?}");
    }
}
