//! A run on a real terminal, which is a pseudo-terminal here: the progress bar comes and goes, log lines stand on lines
//! of their own above it, and nothing of it is left at the end.

use super::command_line::{LOG, PARTITIONS, deltaic};
use super::index_commands::{Filled, STEPS};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

/// What only a bar has.
const BAR: &str = " records/s";

/// Replays the example as [`on_terminal`].
fn replay_on_terminal(args: &[&str]) -> String {
    let mut command = deltaic();
    command.args(args).args(["replay", "-", "--prefix", "podium"]).args(PARTITIONS);
    on_terminal(command)
}

/// Runs a command that reads the example from a pipe, which stays open until a bar was drawn; gives what came to a
/// terminal at standard error.
fn on_terminal(mut command: Command) -> String {
    let mut ours = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    command.env("TERM", "xterm");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(theirs).spawn().unwrap();
    // It holds the terminal too, which ends when nobody does any more.
    drop(command);
    let mut stdin = child.stdin.take().unwrap();
    let (drawn, wait_for_bar) = channel::<()>();
    let writer = std::thread::spawn(move || {
        stdin.write_all(LOG.as_bytes()).unwrap();
        wait_for_bar.recv().unwrap();
    });
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    // Linux tells the end by an error.
    while let Ok(read @ 1..) = ours.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
        if String::from_utf8_lossy(&shown).contains(BAR) {
            let _sent_before = drawn.send(());
        }
    }
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    String::from_utf8(shown).unwrap()
}

/// What stands on a terminal after this: what was drawn over, and what was cleared, is gone.
fn screen(sent: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0, 0);
    let mut rest = sent.chars();
    while let Some(char) = rest.next() {
        match char {
            '\r' => column = 0,
            '\n' => row += 1,
            '\x1b' => {
                let end = rest.as_str().find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let (sequence, behind) = rest.as_str().split_at(end + 1);
                rest = behind.chars();
                match sequence {
                    "[2K" => lines[row].clear(),
                    "[1A" => row -= 1,
                    "[1B" => row += 1,
                    "[?25l" | "[?25h" => {}
                    other => panic!("the terminal was told {other:?}"),
                }
            }
            char => {
                let line: &mut Vec<char> = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = char;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn the_progress_bar_comes_and_goes() {
    let sent = replay_on_terminal(&[]);
    // A terminal that says nothing of its size has 80 columns.
    for drawn in sent.split(['\r', '\n', '\x1b']).filter(|drawn| drawn.contains(BAR)) {
        assert!(drawn.trim_start_matches("[2K").chars().count() <= 80, "it fits its line: {drawn:?}");
    }
    let screen = screen(&sent);
    assert!(screen[0].starts_with("documents     884"), "{screen:#?}");
    assert!(!screen.iter().any(|line| line.contains(BAR)), "{screen:#?}");
}

#[test]
fn a_run_into_an_index_leaves_its_summary_and_nothing_else() {
    let filled = Filled::new();
    let mut command = filled.command();
    command.args(["--set", "source.files=-", "--prefix", "podium"]);
    for table in ["users", "conversations", "conversation_items"] {
        command.arg("--set").arg(format!("tables.{table}.partitions=3"));
    }
    let sent = on_terminal(command);
    assert!(sent.contains(BAR));
    let screen = screen(&sent);
    let steps: Vec<&str> = STEPS.lines().collect();
    assert_eq!(screen[..steps.len()], steps[..]);
    let names = |line: &String| line.split("  ").next().unwrap().to_owned();
    let rest: Vec<String> = screen[steps.len()..].iter().map(names).collect();
    assert_eq!(rest, ["exact at LSN", "transactions", "records", "open", "seconds", ""]);
    assert_eq!(screen[steps.len()], "exact at LSN  126403376");
}

#[test]
fn log_lines_stand_above_the_bar() {
    let screen = screen(&replay_on_terminal(&["--log", "debug"]));
    let logged = screen.iter().take_while(|line| !line.starts_with("documents ")).collect::<Vec<_>>();
    let whole = |line: &&String| line.contains(" deltaic::") && !line.contains(BAR);
    assert!(logged.iter().all(whole), "{logged:#?}");
    // Batches tile time: none is lost.
    let bound = |line: &str, name: &str| {
        let (_, behind) = line.split_once(name)?;
        behind.split(' ').next()?.parse::<u64>().ok()
    };
    let batches: Vec<_> = logged.iter().filter(|line| line.contains("batch applied")).collect();
    assert!(batches.len() > 1, "{logged:#?}");
    for pair in batches.windows(2) {
        assert_eq!(bound(pair[0], "upper="), bound(pair[1], "lower="), "{logged:#?}");
    }
    assert!(logged.last().unwrap().contains("run ends"), "{logged:#?}");
}
