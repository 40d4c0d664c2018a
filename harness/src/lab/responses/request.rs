//! Requests, read from a text that is easy to write.
//!
//! ```text
//! ### name_of_the_case [gzip] [no-newline] [type=text/plain]     what is in brackets may be missing
//! POST /path
//! {"index":{"_id":"1"}}                                          the body, up to an empty line
//! {"title":"@33000@"}                                            @N@ stands for N letters
//! ```

use anyhow::{Context, Result, ensure};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// One request.
pub(super) struct Request {
    pub(super) case: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) gzip: bool,
    /// As it is before it is compressed.
    pub(super) body: String,
}

impl Request {
    /// The body as it is sent.
    pub(super) fn sent(&self) -> Result<Vec<u8>> {
        if self.gzip { gzip(self.body.as_bytes()) } else { Ok(self.body.clone().into_bytes()) }
    }
}

/// Reads requests in their order.
pub(super) fn parse(text: &str) -> Result<Vec<Request>> {
    text.split("### ").skip(1).map(|text| one(text).with_context(|| format!("the request {text:?}"))).collect()
}

fn one(text: &str) -> Result<Request> {
    let mut lines = text.trim_end().lines();
    let mut head = lines.next().context("no name")?.split_whitespace();
    let case = head.next().context("no name")?.to_owned();
    let flags: Vec<&str> = head.map(|flag| flag.trim_matches(['[', ']'])).collect();
    let (method, path) = lines.next().and_then(|line| line.split_once(' ')).context("no method and path")?;
    let mut body: String = lines.map(|line| format!("{}\n", expanded(line))).collect();
    if flags.contains(&"no-newline") {
        body.truncate(body.trim_end().len());
    }
    let usual = if path.contains("_bulk") { "application/x-ndjson" } else { "application/json" };
    let content_type = flags.iter().find_map(|flag| flag.strip_prefix("type=")).unwrap_or(usual);
    Ok(Request {
        case,
        method: method.to_owned(),
        path: path.to_owned(),
        content_type: content_type.to_owned(),
        gzip: flags.contains(&"gzip"),
        body,
    })
}

/// With letters for each `@N@`.
fn expanded(line: &str) -> String {
    let part = |(index, part): (usize, &str)| match part.parse::<usize>() {
        Ok(count) if index % 2 == 1 => "x".repeat(count),
        _ => part.to_owned(),
    };
    line.split('@').enumerate().map(part).collect()
}

/// Compresses by the program of that name, which every Debian has.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("gzip");
    let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("gzip")?;
    // Its output fits a pipe: bodies are small, and all letters but few are the same.
    child.stdin.take().context("gzip has no input")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "gzip: {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_with_their_flags() {
        let text = "### first [gzip] [type=text/plain]\nPOST /a/_bulk\n{\"x\":\"@3@\"}\n{}\n\n### second\nGET /\n";
        let requests = parse(text).unwrap();
        assert_eq!(requests.len(), 2);
        let first = &requests[0];
        assert_eq!((first.case.as_str(), first.method.as_str(), first.path.as_str()), ("first", "POST", "/a/_bulk"));
        assert_eq!(
            (first.gzip, first.content_type.as_str(), first.body.as_str()),
            (true, "text/plain", "{\"x\":\"xxx\"}\n{}\n")
        );
        assert_eq!((requests[1].body.as_str(), requests[1].content_type.as_str()), ("", "application/json"));
    }

    #[test]
    fn all_requests_can_be_read_and_have_names_of_their_own() {
        let texts = [
            include_str!("requests.txt"),
            include_str!("requests_after_restart.txt"),
            include_str!("requests_after_kill.txt"),
        ];
        let requests: Vec<Request> = texts.iter().flat_map(|text| parse(text).unwrap()).collect();
        let names: std::collections::BTreeSet<&str> = requests.iter().map(|request| request.case.as_str()).collect();
        assert_eq!(names.len(), requests.len());
    }
}
