//! Runs the tests against each deliberate breakage of the engine, and tells which test catches it.
//!
//! ```text
//!   cargo test --no-run --features failpoints ──> test programs (one build)
//!   for each mutant:  DELTAIC_MUTANT=name program ──> the first `test NAME ... FAILED`
//! ```

use deltaic::mutant::Mutant;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How long a test program may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// What the tests said of one breakage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The breakage; none is the engine as it is.
    pub mutant: Option<Mutant>,
    /// The test that saw it.
    pub caught_by: Option<String>,
}

/// Runs the tests of the workspace in `root` against each of `mutants`, and `each` with every verdict as it is found. The
/// engine as it is comes first: a test that fails anyhow catches nothing.
///
/// # Errors
/// The tests cannot be built or run, or one fails without any breakage.
pub fn mutants(root: &Path, mutants: &[Mutant], mut each: impl FnMut(&Verdict)) -> io::Result<Vec<Verdict>> {
    let programs = build(root)?;
    let whole = caught_by(root, &programs, None)?;
    if let Some(test) = whole {
        return Err(io::Error::other(format!("{test} fails without any breakage")));
    }
    each(&Verdict { mutant: None, caught_by: None });
    let mut verdicts = Vec::new();
    for &mutant in mutants {
        let verdict = Verdict { mutant: Some(mutant), caught_by: caught_by(root, &programs, Some(mutant))? };
        each(&verdict);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Builds the tests; their programs, the quickest first.
fn build(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--no-run", "--package", "deltaic", "--lib", "--test", "it", "--features", "failpoints"]);
    let built = cargo.arg("--message-format=json").current_dir(root).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        return Err(io::Error::other("the tests cannot be built"));
    }
    let mut programs = Vec::new();
    for line in built.stdout.lines() {
        let message: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
        let is_test = message.pointer("/profile/test") == Some(&Value::Bool(true));
        if let Some(program) = message.get("executable").and_then(Value::as_str).filter(|_| is_test) {
            programs.push(PathBuf::from(program));
        }
    }
    if programs.is_empty() {
        return Err(io::Error::other("cargo built no test program"));
    }
    Ok(programs)
}

/// The first test that fails, or the program that hangs.
fn caught_by(root: &Path, programs: &[PathBuf], mutant: Option<Mutant>) -> io::Result<Option<String>> {
    for program in programs {
        let mut tests = Command::new(program);
        // In a group of its own, with all that its tests start.
        tests.current_dir(root).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        tests.env_remove("DELTAIC_MUTANT").envs(mutant.map(|mutant| ("DELTAIC_MUTANT", mutant.name())));
        let mut tests = tests.spawn()?;
        let failed = tests.stdout.take().map(first_failure).unwrap_or_default();
        if failed.is_some() {
            // The others would take long, and may hang.
            let group = Pid::from_child(&tests);
            kill_process_group(group, Signal::KILL)?;
        }
        let status = tests.wait()?;
        if failed.is_some() {
            return Ok(failed);
        }
        if !status.success() {
            return Ok(Some(format!("{}: {status}", program.display())));
        }
    }
    Ok(None)
}

/// The first test that fails by what a test program prints; that it hangs is a failure too.
fn first_failure(stdout: ChildStdout) -> Option<String> {
    let (said, lines) = channel();
    std::thread::spawn(move || {
        // Where nobody listens any longer, or the program has gone, there is nothing more to do.
        let _over = BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| said.send(line));
    });
    loop {
        match lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => {
                let failed = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"));
                if let Some(test) = failed {
                    return Some(test.to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => return Some("a test that does not end".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}
