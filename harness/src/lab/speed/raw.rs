//! A client that sends bulks which are there already, over so many connections, and only looks whether they were refused.

use anyhow::{Context, Result, ensure};
use deltaic::{Action, Batch, DocumentJson, ElasticsearchOptions, Touch};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::thread;
use ureq::Agent;

/// Bulks for each connection, in the order in which they are sent.
pub(super) struct Raw {
    lanes: Vec<Vec<String>>,
    path: String,
}

impl Raw {
    /// What changed, as the sink would send it: of one document everything by the same connection, and once in each bulk.
    pub(super) fn new(batches: &[Batch], options: &ElasticsearchOptions) -> Raw {
        let connections = options.bulks_in_flight.max(1);
        let mut lanes: Vec<Vec<&Touch>> = vec![Vec::new(); connections];
        for touch in batches.iter().flat_map(|batch| &batch.touched) {
            let mut hasher = DefaultHasher::new();
            touch.id.0.hash(&mut hasher);
            if let Some(lane) = lanes.get_mut((hasher.finish() % connections as u64) as usize) {
                lane.push(touch);
            }
        }
        let lanes = lanes.iter().map(|lane| bulks(lane, options)).collect();
        let url = options.urls.first().map_or("", String::as_str);
        Raw { lanes, path: format!("{url}/{}-000001/_bulk?filter_path=errors", options.alias) }
    }

    /// Sends everything.
    pub(super) fn send(&self) -> Result<()> {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let agent = Agent::new_with_config(config.max_idle_connections_per_host(self.lanes.len() + 2).build());
        thread::scope(|scope| {
            let lanes = self.lanes.iter().filter(|lane| !lane.is_empty());
            let lanes: Vec<_> = lanes.map(|lane| scope.spawn(|| self.send_lane(&agent, lane))).collect();
            lanes.into_iter().try_for_each(|lane| lane.join().map_err(|_| anyhow::anyhow!("a connection panicked"))?)
        })
    }

    fn send_lane(&self, agent: &Agent, bulks: &[String]) -> Result<()> {
        for bulk in bulks {
            let request = agent.post(&self.path).header("Content-Type", "application/x-ndjson");
            let mut answer = request.send(bulk).context("a bulk of the raw client")?;
            ensure!(answer.status() == 200, "a bulk of the raw client: {}", answer.body_mut().read_to_string()?);
            let said = answer.body_mut().read_to_string()?;
            ensure!(said == "{\"errors\":false}", "a bulk of the raw client: {said}");
        }
        Ok(())
    }
}

/// The bulks of one connection.
fn bulks(lane: &[&Touch], options: &ElasticsearchOptions) -> Vec<String> {
    let (mut bulks, mut open, mut at) = (Vec::new(), Vec::new(), HashMap::new());
    let mut bytes = 0;
    for touch in lane {
        let mut text = String::new();
        write(touch, &mut text);
        if open.len() >= options.bulk_documents_max || bytes + text.len() > options.bulk_bytes_max {
            bulks.push(std::mem::take(&mut open).concat());
            at.clear();
            bytes = 0;
        }
        bytes += text.len();
        let place = *at.entry(&touch.id).or_insert(open.len());
        match open.get_mut(place) {
            Some(earlier) => *earlier = text,
            None => open.push(text),
        }
    }
    if !open.is_empty() {
        bulks.push(open.concat());
    }
    bulks
}

fn write(touch: &Touch, body: &mut String) {
    let (what, document) = match &touch.action {
        Action::Upsert(document) => ("index", Some(document)),
        Action::Delete => ("delete", None),
    };
    let target = serde_json::json!({ "_id": &*touch.id.0, "version": touch.time, "version_type": "external_gte" });
    body.push_str(&format!("{{\"{what}\":{target}}}\n"));
    if let Some(document) = document {
        body.push_str(&serde_json::to_string(&DocumentJson(document)).unwrap_or_default());
        body.push('\n');
    }
}
