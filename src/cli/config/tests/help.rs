//! What the help says, word for word, of some keys of every kind.

use super::super::help::keys;
use super::*;

#[test]
fn a_key_is_explained_with_what_it_takes_its_unit_its_default_and_its_option() {
    let text = keys(&schema());
    for expected in [
        "
  [source]
    kind
      Where records come from: a log, which is what `kcat -C -J`
      prints, or Kafka itself.
      [\"log\" or \"kafka\"; required]
    files
      The log's files in order, plain, gzip or zstd; or \"-\" alone for
      standard input.
      [a list of one path or more; required; only for kind = \"log\"]
",
        "
    follow
      Wait for more at the end of the last file, a plain one that
      grows, until a signal comes. Needs prefix and the partitions of
      each table.
      [true or false; default: false; option: --follow; only for kind
      = \"log\"]
",
        "
  [tables.NAME]
    NAME is a table of the view: users, conversations.
    topic
      The table's topic.
      [a text that is not empty; default: PREFIX.SCHEMA.NAME; only for
      source.kind = \"kafka\"]
    partitions
",
        "
  [source.kafka]
    bootstrap.servers
      The brokers to begin with: HOST:PORT, several with commas
      between.
      [a text, a number, true or false, or { file = \"PATH\" };
      required]
",
        "
    commit_interval_ms
      How soon a change is to be found: its commit begins earlier than
      that by what commits take. 0 commits each batch. Whichever of
      this and the two limits is reached first counts.
      [a whole number from 0 on; unit: milliseconds; default: 50; only
      for kind = \"tantivy\"]
",
        "
    passphrase
      The server's passphrase.
      [a text that is not empty; default: none; secret]
",
        "
    until
      Stop at the last transaction that ends at or before this LSN (a
      number, as in Debezium's records).
      [a whole number from 0 on; unit: LSN; default: the end of the
      source; option: --until]
",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    assert!(text.lines().all(|line| line.len() <= 70 && line.trim_end() == line), "{text}");
}

#[test]
fn no_key_is_left_out() {
    let text = super::super::explained();
    for definition in DEFINITIONS {
        assert!(text.contains(&format!("\n    {}\n", definition.name)), "{}", definition.path());
    }
}
