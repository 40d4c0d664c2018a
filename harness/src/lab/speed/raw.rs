//! A client that sends bulks which are there already, over so many connections, and only looks whether they were refused.

use anyhow::{Context, Result, ensure};
use deltaic::{Action, Batch, DocumentJson, ElasticsearchOptions, Touch};
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
    /// What changed, as the sink would send it: of one document everything by the same connection.
    pub(super) fn new(batches: &[Batch], options: &ElasticsearchOptions) -> Raw {
        let mut lanes = vec![Vec::new(); options.bulks_in_flight.max(1)];
        let mut open: Vec<(String, usize)> = vec![(String::new(), 0); lanes.len()];
        for touch in batches.iter().flat_map(|batch| &batch.touched) {
            let mut hasher = DefaultHasher::new();
            touch.id.0.hash(&mut hasher);
            let lane = (hasher.finish() % lanes.len() as u64) as usize;
            let (Some((body, documents)), Some(closed)) = (open.get_mut(lane), lanes.get_mut(lane)) else { continue };
            write(touch, body);
            *documents += 1;
            if *documents >= options.bulk_documents_max || body.len() >= options.bulk_bytes_max {
                closed.push(std::mem::take(body));
                *documents = 0;
            }
        }
        for (closed, (body, documents)) in lanes.iter_mut().zip(open) {
            if documents > 0 {
                closed.push(body);
            }
        }
        let url = options.urls.first().map_or("", String::as_str);
        Raw { lanes, path: format!("{url}/{}-000001/_bulk?filter_path=errors", options.alias) }
    }

    /// Sends everything.
    pub(super) fn send(&self) -> Result<()> {
        let agent = Agent::new_with_config(Agent::config_builder().http_status_as_error(false).build());
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
            // What is deleted that never was there counts as an error to nobody.
            let said = answer.body_mut().read_to_string()?;
            ensure!(said == "{\"errors\":false}", "a bulk of the raw client: {said}");
        }
        Ok(())
    }
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
