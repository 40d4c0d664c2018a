//! What real search servers answer, written down: the files that tests of a client take their answers from.
//!
//! ```text
//!   requests*.txt ──> a server that is new ─> restarted, with small limits ─> killed, with little memory
//!                          │ each answer            │ and 413, 429                 │ 429 of another kind
//!                          └──────> NAME-VERSION.jsonl: a line for each request <──┘
//! ```
//!
//! # Notes
//!
//! - Requests go one after the other, and later ones build on what earlier ones left: the order in the files matters.
//! - No `_refresh` is asked of an index whose shard is nowhere: it answers after a minute, 200 and `"successful":0`.
//! - Times, UUIDs and ports are as they came: recording again changes these lines.
//! - `status` and `body` are null, and `error` says why, where the server broke the connection.

mod overload;
mod request;

use self::overload::overload;
use self::request::Request;
use super::search_server::{MEMORY, SearchInstalled, SearchKind, SearchServer};
use super::server::free_port;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of a request that are kept; of an answer, all are.
const REQUEST_BYTES_MAX: usize = 2_000;

const NEW: &[(&str, &str)] = &[("action.auto_create_index", "false")];

/// One thread and a queue of one for writes, and requests of 64 KiB.
const SMALL_LIMITS: &[(&str, &str)] = &[
    ("action.auto_create_index", "false"),
    ("thread_pool.write.size", "1"),
    ("thread_pool.write.queue_size", "1"),
    ("http.max_content_length", "64kb"),
];

const SMALL_MEMORY: &[(&str, &str)] =
    &[("action.auto_create_index", "false"), ("indexing_pressure.memory.limit", "2kb")];

/// What [`record`] does.
pub struct ResponsesOptions {
    /// The folder of what is installed and run.
    pub dir: PathBuf,
    /// The folder of the files that are written.
    pub out: PathBuf,
    /// Only servers whose name and version begin so; an empty text means all.
    pub only: String,
}

/// What was recorded of one server.
#[derive(Debug)]
pub struct ServerResponses {
    /// The file.
    pub file: PathBuf,
    /// Answers in it.
    pub answers: usize,
    /// For how long it was installed, ms.
    pub install_ms: u128,
    /// How long its first start took, ms.
    pub start_ms: u128,
}

/// Starts each server that runs on a Java that is here, and writes its answers to a file.
///
/// # Errors
///
/// If a server cannot be installed or started, or does not answer.
pub fn record(options: &ResponsesOptions) -> Result<Vec<ServerResponses>> {
    fs::create_dir_all(&options.out)?;
    let wanted = |kind: &SearchKind| kind.runs_here() && kind.label().starts_with(&options.only);
    SearchKind::ALL.into_iter().filter(wanted).map(|kind| record_one(kind, options)).collect()
}

fn record_one(kind: SearchKind, options: &ResponsesOptions) -> Result<ServerResponses> {
    let begun = Instant::now();
    let installed = SearchInstalled::install(&options.dir, &[kind])?;
    let install_ms = begun.elapsed().as_millis();
    let run = options.dir.join("run-responses").join(kind.label());
    if run.exists() {
        fs::remove_dir_all(&run)?;
    }
    let port = free_port()?;
    let start = |settings| SearchServer::start(kind, &installed, &run, port, MEMORY, settings);
    let mut answers = Answers::default();

    let begun = Instant::now();
    let server = start(NEW)?;
    let start_ms = begun.elapsed().as_millis();
    answers.ask(&server, include_str!("responses/requests.txt"))?;
    server.stop()?;

    let server = start(SMALL_LIMITS)?;
    answers.ask(&server, include_str!("responses/requests_after_restart.txt"))?;
    answers.lines.extend(overload(&server.url())?);
    server.kill()?;

    let server = start(SMALL_MEMORY)?;
    answers.ask(&server, include_str!("responses/requests_after_kill.txt"))?;
    server.stop()?;

    let file = options.out.join(format!("{}.jsonl", kind.label()));
    answers.write(&file)?;
    Ok(ServerResponses { file, answers: answers.lines.len(), install_ms, start_ms })
}

#[derive(Default)]
struct Answers {
    lines: Vec<Value>,
}

impl Answers {
    fn ask(&mut self, server: &SearchServer, requests: &str) -> Result<()> {
        let agent = agent();
        for request in request::parse(requests)? {
            let answer = Answer::to(&agent, &server.url(), &request)?;
            self.lines.push(answer.line(&request.case, &request));
        }
        Ok(())
    }

    fn write(&self, file: &Path) -> Result<()> {
        let lines: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(file, lines).with_context(|| file.display().to_string())
    }
}

/// An answer, or why there is none.
enum Answer {
    Came { status: u16, content_type: Option<String>, body: String },
    Broken { error: String },
}

impl Answer {
    fn to(agent: &ureq::Agent, url: &str, request: &Request) -> Result<Answer> {
        let mut builder = ureq::http::Request::builder().method(request.method.as_str());
        builder = builder.uri(format!("{url}{}", request.path));
        if request.body.is_empty() {
            return Ok(Answer::of(agent.run(builder.body(())?)));
        }
        builder = builder.header("Content-Type", &request.content_type);
        if request.gzip {
            builder = builder.header("Content-Encoding", "gzip");
        }
        Ok(Answer::of(agent.run(builder.body(request.sent()?)?)))
    }

    fn of(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        let broken = |error: ureq::Error| Answer::Broken { error: error.to_string() };
        let mut response = match result {
            Ok(response) => response,
            Err(error) => return broken(error),
        };
        let content_type = response.headers().get("Content-Type").and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let status = response.status().as_u16();
        match response.body_mut().read_to_string() {
            Ok(body) => Answer::Came { status, content_type, body },
            Err(error) => broken(error),
        }
    }

    fn line(&self, case: &str, request: &Request) -> Value {
        let (status, content_type, body, error) = match self {
            Answer::Came { status, content_type, body } => (Some(status), content_type.as_ref(), Some(body), None),
            Answer::Broken { error } => (None, None, None, Some(error)),
        };
        let mut line = json!({
            "case": case,
            "method": request.method,
            "path": request.path,
            "request": shortened(&request.body),
            "status": status,
            "content_type": content_type,
            "body": body,
        });
        if let (Some(line), Some(error)) = (line.as_object_mut(), error) {
            line.insert("error".to_owned(), json!(error));
        }
        line
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).build();
    ureq::Agent::new_with_config(config)
}

/// Begin of a text, and how long all of it is.
fn shortened(text: &str) -> String {
    if text.len() <= REQUEST_BYTES_MAX {
        return text.to_owned();
    }
    let begin: String = text.chars().take(200).collect();
    format!("{begin}... ({} bytes)", text.len())
}
