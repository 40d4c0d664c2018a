//! Runs that end before their log does: by a signal, by a reader that has seen enough, by `--until`.

use super::{CHANGES, LOG, PARTITIONS, Ran, changes_of, deltaic, example, folded, lines};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run that reads a pipe which stays open until this is dropped.
struct Piped {
    child: Child,
    /// Ends when all was written, or nobody reads any more; holds the pipe open.
    writer: Option<JoinHandle<(ChildStdin, bool)>>,
    stdout: Receiver<String>,
    stderr: JoinHandle<String>,
}

impl Piped {
    fn start(args: &[&str], input: String) -> Piped {
        let mut child = deltaic()
            .args(["replay", "-", "--prefix", "podium"])
            .args(PARTITIONS)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut errors = child.stderr.take().unwrap();
        let writer = std::thread::spawn(move || {
            let written = stdin.write_all(input.as_bytes()).is_ok();
            (stdin, written)
        });
        let (line_in, line_out) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| line_in.send(line)));
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        Piped { child, writer: Some(writer), stdout: line_out, stderr }
    }

    /// Waits until all of the input was taken.
    fn drained(&mut self) -> ChildStdin {
        let (stdin, written) = self.writer.take().unwrap().join().unwrap();
        assert!(written, "all of it was read");
        stdin
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the end of the run, with `shown` being what was read of its output already.
    fn end(mut self, mut shown: String) -> Ran {
        let code = wait(&mut self.child);
        for line in self.stdout.iter() {
            shown += &line;
            shown += "\n";
        }
        Ran { code, stdout: shown, stderr: self.stderr.join().unwrap() }
    }
}

fn wait(child: &mut Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the run did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn half() -> String {
    lines(0, LOG.lines().count() / 2)
}

fn check_stopped(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.check_summary("stopped by a signal");
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("deltaic:"), "{}", ran.stderr);
}

#[test]
fn a_signal_stops_at_a_transaction_while_changes_flow() {
    for (signal, workers) in [("-INT", "1"), ("-TERM", "2")] {
        // GIVEN a run that has just begun to print
        let run = Piped::start(&["--changes", "--workers", workers], half());
        let first = run.stdout.recv_timeout(PATIENCE).unwrap() + "\n";
        // WHEN it is told to stop
        run.signal(signal);
        // THEN it does, and what it printed is whole up to the LSN it names
        let ran = run.end(first);
        check_stopped(&ran);
        let exact = ran.exact_at();
        assert!(CHANGES.starts_with(&ran.stdout));
        assert!(changes_of(&ran.stdout).all(|change| change.lsn <= exact));
        assert!(folded(&ran.stdout, u64::MAX) == folded(&CHANGES, exact), "{signal}: as of {exact}");
    }
}

#[test]
fn a_signal_stops_a_run_that_waits_for_its_input() {
    for (signal, args) in [("-INT", &[][..]), ("-TERM", &["--workers", "4"])] {
        // GIVEN a run that has taken half of the log and waits for more
        let mut run = Piped::start(args, half());
        let open = run.drained();
        std::thread::sleep(Duration::from_millis(300));
        // WHEN it is told to stop and the pipe stays open
        run.signal(signal);
        let ran = run.end(String::new());
        drop(open);
        // THEN it prints the documents as they were then
        check_stopped(&ran);
        let exact = ran.exact_at();
        assert!(ran.stdout == folded(&CHANGES, exact), "{signal}: as of {exact}");
        assert!(!ran.stdout.is_empty());
    }
}

#[test]
fn a_signal_inside_the_snapshot_shows_nothing() {
    // GIVEN a run that has read a part of the snapshot: more than a pipe holds, so it is running
    let mut run = Piped::start(&[], lines(0, 800));
    let open = run.drained();
    // WHEN it is told to stop THEN nothing was shown
    run.signal("-TERM");
    let ran = run.end(String::new());
    drop(open);
    check_stopped(&ran);
    ran.check_summary("exact at LSN none: nothing was shown");
    assert_eq!(ran.stdout, "");
}

#[test]
fn until_does_not_wait_for_the_end_of_a_pipe() {
    let until = changes_of(&CHANGES).nth(1_500).unwrap().lsn;
    let run = Piped::start(&["--until", &until.to_string()], LOG.clone());
    let ran = run.end(String::new()).done();
    assert!(ran.stdout == folded(&CHANGES, until));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for args in [&["--changes"][..], &[], &["--workers", "4", "--changes"]] {
        // GIVEN a reader that takes one line and leaves, of more than a pipe holds
        let mut child = deltaic()
            .arg("replay")
            .args(args)
            .arg(example())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // THEN the run ends without a word
        let mut errors = child.stderr.take().unwrap();
        let code = wait(&mut child);
        let mut stderr = String::new();
        errors.read_to_string(&mut stderr).unwrap();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(line.starts_with('{') && line.ends_with("}\n"));
    }
}
