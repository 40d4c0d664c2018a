//! The logs that are followed: those that were captured, and generated ones; each with what is known of its source and with
//! every state that it gives.

use super::oracle::Oracle;
use crate::{Delivery, Scenario, deliver, kcat_line};
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Rows of a large log.
const LARGE_ROWS: u64 = 40_000;
/// Transactions of a strange one.
const TRANSACTIONS: usize = 2_500;

/// A log, whole.
pub(super) struct GivenLog {
    pub(super) name: String,
    pub(super) lines: Vec<u8>,
    pub(super) prefix: String,
    /// Partitions of each table.
    pub(super) partitions: BTreeMap<String, u32>,
    pub(super) oracle: Oracle,
}

/// All that were captured from real connectors.
pub(super) fn captures(scratch: &Path) -> Result<Vec<GivenLog>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's folder")?;
    let mut logs = vec![("podium".to_owned(), root.join("examples/podium/log.jsonl.zst"))];
    for folder in fs::read_dir(root.join("tests/captures"))? {
        let folder = folder?;
        // One of them has the log of the example.
        let log = folder.path().join("log.jsonl.zst");
        if log.exists() {
            logs.push((folder.file_name().to_string_lossy().into_owned(), log));
        }
    }
    logs.sort();
    ensure!(logs.len() > 1, "there are no captures");
    let read = |(name, path): (String, _)| given(name, zstd::decode_all(fs::File::open(path)?)?, scratch);
    logs.into_iter().map(read).collect()
}

/// A large, plain one, of which most rows change documents; and a strange one, with all that a connector can do.
pub(super) fn generated(seed: u64, scratch: &Path) -> Result<Vec<GivenLog>> {
    let mut large = Vec::new();
    crate::write_lines(&mut large, LARGE_ROWS, seed)?;
    let (mut workload, mut connector) = Scenario::random_options(seed);
    (workload.finale, workload.transactions) = (true, TRANSACTIONS);
    (workload.initial_users, workload.initial_conversations, workload.initial_items) = (20, 60, 200);
    workload.weights.user *= 4;
    workload.weights.close_reopen *= 4;
    connector.restarts = connector.restarts.min(1);
    let scenario = Scenario::generate(seed, workload, connector);
    let mut strange = Vec::new();
    for record in deliver(&scenario.log, &Delivery::Production, &mut Rng::with_seed(seed)) {
        strange.extend_from_slice(kcat_line(record).as_bytes());
        strange.push(b'\n');
    }
    Ok(vec![given("large".to_owned(), large, scratch)?, given("strange".to_owned(), strange, scratch)?])
}

fn given(name: String, lines: Vec<u8>, scratch: &Path) -> Result<GivenLog> {
    let file = scratch.join(format!("{name}.jsonl"));
    fs::write(&file, &lines)?;
    let (prefix, partitions) = source(&lines).with_context(|| format!("the log {name}"))?;
    let oracle = Oracle::of(&file, &prefix).with_context(|| format!("the log {name}"))?;
    fs::remove_file(&file)?;
    Ok(GivenLog { name, lines, prefix, partitions, oracle })
}

/// The prefix of the topics in a log, and the partitions of each table.
fn source(lines: &[u8]) -> Result<(String, BTreeMap<String, u32>)> {
    let (mut prefix, mut partitions) = (None, BTreeMap::new());
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (topic, partition) = place(line).context("a line that names no topic")?;
        match topic.rsplit_once('.').context("a topic without a prefix")? {
            (found, "transaction") => prefix = Some(found.to_owned()),
            (_, table) => {
                let most = partitions.entry(table.to_owned()).or_insert(1);
                *most = (*most).max(partition + 1);
            }
        }
    }
    // Others have topics too that are none of the view's.
    partitions.retain(|table, _| ["users", "conversations", "conversation_items"].contains(&table.as_str()));
    Ok((prefix.context("a log without transactions")?, partitions))
}

/// Topic and partition, with which a line of kcat's begins.
fn place(line: &[u8]) -> Option<(&str, u32)> {
    let begin = line.get(..line.len().min(300))?;
    let begin = begin.utf8_chunks().next()?.valid();
    let (topic, rest) = begin.strip_prefix("{\"topic\":\"")?.split_once("\",\"partition\":")?;
    Some((topic, rest.split_once(',')?.0.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_lines() {
        let lines = concat!(
            "{\"topic\":\"a.b.transaction\",\"partition\":0,\"offset\":0}\n",
            "{\"topic\":\"a.b.public.users\",\"partition\":2,\"offset\":0}\n",
            "{\"topic\":\"a.b.public.other\",\"partition\":7,\"offset\":0}\n"
        );
        let (prefix, partitions) = source(lines.as_bytes()).unwrap();
        assert_eq!((prefix.as_str(), partitions), ("a.b", BTreeMap::from([("users".to_owned(), 3)])));
    }
}
