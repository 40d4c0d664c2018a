//! Too much for a server with a short queue for writes: bulks from many threads into an index of their own, so that it refuses
//! some of them, and some of everybody else's.

use super::reader::Reader;
use anyhow::Result;
use serde_json::json;
use std::thread;
use std::time::{Duration, Instant};
use ureq::Agent;

const THREADS: usize = 12;
const DOCUMENTS: usize = 20;
const INDEX: &str = "load";

/// Makes the index.
pub(super) fn prepare(reader: &Reader) -> Result<()> {
    let settings = json!({ "settings": { "index.number_of_shards": 2, "index.number_of_replicas": 0 } });
    reader.must("PUT", &format!("/{INDEX}"), Some(&settings)).map(drop)
}

/// Writes for so long, and says how many bulks were refused, wholly or in part.
pub(super) fn load(url: &str, lasts: Duration) -> u64 {
    let until = Instant::now() + lasts;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || write(url, thread, until))).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).sum()
    })
}

fn write(url: &str, thread: usize, until: Instant) -> u64 {
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(10)));
    let agent = Agent::new_with_config(config.build());
    let document = |number| {
        format!("{{\"index\":{{\"_id\":\"{thread}-{number}\"}}}}\n{{\"title\":\"{}\"}}\n", "word ".repeat(1_000))
    };
    let body: String = (0..DOCUMENTS).map(document).collect();
    let mut refused = 0;
    while Instant::now() < until {
        let request = agent.post(&format!("{url}/{INDEX}/_bulk?filter_path=errors,status"));
        // A server that does not answer for a moment is one under load.
        let Ok(mut answer) = request.header("Content-Type", "application/x-ndjson").send(&body) else { continue };
        let is_whole = answer.status() == 200;
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        refused += u64::from(!is_whole || said.contains("\"errors\":true"));
    }
    refused
}
