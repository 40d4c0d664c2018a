//! An index on the command line: `run` and `replay` fill it; `search`, `get`, `dump` and `index show` read it. What they
//! print is compared word for word, but for what differs from run to run.

use super::command_line::{DOCUMENTS, Ran, deltaic, example, replay, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with a configuration that fills `index` in it from the example.
pub struct Filled {
    folder: tempfile::TempDir,
}

impl Filled {
    pub fn new() -> Filled {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[source]\nkind = \"log\"\nfiles = [\"{}\"]\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \
             \"tantivy\"\npath = \"index\"\n",
            example().display()
        );
        fs::write(folder.path().join("podium.toml"), text).unwrap();
        Filled { folder }
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    pub fn command(&self) -> Command {
        let mut command = deltaic();
        command.arg("run").arg(self.folder.path().join("podium.toml"));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(self.command().args(args))
    }

    fn read(&self, command: &str, args: &[&str]) -> Ran {
        run(deltaic().args(command.split(' ')).arg(self.index()).args(args))
    }
}

/// What differs from run to run, made the same.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once(' ') {
        Some((name @ ("seconds" | "commits" | "bytes"), _)) => format!("{name:<14}N"),
        Some((name @ "segments", _)) => format!("{name:<14}N (N deleted documents in them)"),
        _ => line.to_owned(),
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

/// The documents of the example by step, as they are printed.
pub const STEPS: &str = "\
documents     884
  finished               193
  needs_review           365
  needs_review_invite    143
  needs_review_response  183
";

/// The rest of the summary of a run over all of the example.
const REST: &str = "\
exact at LSN  126403376
transactions  1408 (1408 closed by counts, 0 by progress)
records       17903 (0 re-deliveries, 0 late rows, 0 bad)
open          0 transactions
seconds       N
";

#[test]
fn an_index_is_filled_and_found_to_be_whole() {
    let filled = Filled::new();
    let first = filled.run(&[]).done();
    assert_eq!((first.stdout.as_str(), steady(&first.stderr)), ("", format!("{STEPS}{REST}")));
    let second = filled.run(&["--workers", "2"]).done();
    let nothing = "nothing new   the index was at LSN 126403376; it was not changed\n";
    assert_eq!((second.stdout.as_str(), steady(&second.stderr)), ("", format!("{STEPS}{nothing}{REST}")));
    assert!(filled.read("dump", &[]).done().stdout == *DOCUMENTS, "the same bytes");
}

#[test]
fn an_index_is_continued_and_never_goes_back() {
    let filled = Filled::new();
    filled.run(&["--until", "124297584"]).done();
    let dump = filled.read("dump", &[]).done();
    assert!(dump.stdout == replay(&["--until", "124297584"], &[&example()]).done().stdout, "the same bytes");
    assert_eq!(dump.stderr, format!("{} documents, exact at LSN 124297584\n", dump.stdout.lines().count()));
    let continued = filled.run(&[]).done();
    let says_so = |line: &str| {
        let changes = line.strip_prefix("continued     from LSN 124297584: ")?.strip_suffix(" changes of documents")?;
        changes.parse::<u64>().ok()
    };
    assert!(continued.stderr.lines().find_map(says_so).is_some_and(|changes| changes > 0), "{}", continued.stderr);
    assert!(filled.read("dump", &[]).done().stdout == *DOCUMENTS, "the same bytes");

    let back = "deltaic: LSN 124297584, to stop at, is before LSN 126403376, which the output has reached already: it \
                cannot go back\n";
    filled.run(&["--until", "124297584"]).check_refused(1, back);
    let other = filled.run(&["--set", "view.zero_items=needs_review_invite"]);
    let index = filled.index().display().to_string();
    other.check_refused(
        1,
        &format!(
            "deltaic: the index in {index} is of something else: the option zero_items is `absent` in the index and \
             `needs_review_invite` in this run; run with what the index is of, or name another directory to fill\n"
        ),
    );
}

#[test]
fn a_log_that_ends_before_the_index_leaves_it_and_the_summary_is_of_the_index() {
    let filled = Filled::new();
    filled.run(&[]).done();
    let text = super::command_line::LOG.as_str();
    let short = filled.folder.path().join("short.jsonl");
    let end = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    fs::write(&short, &text[..end]).unwrap();
    let ran = run(deltaic().args(["replay", "--index"]).arg(filled.index()).arg(&short)).done();
    let nothing = "nothing new   the index is at LSN 126403376, the log ends before it; it was not changed\n";
    let shown = steady(&ran.stderr);
    let at = "exact at LSN  126403376\n";
    assert!(shown.starts_with(&format!("{STEPS}{nothing}{at}")), "{shown}");
}

#[test]
fn what_is_found_is_printed() {
    let filled = Filled::new();
    filled.run(&[]).done();
    let found = filled.read("search", &["step:needs_review", "--limit", "2"]).done();
    assert_eq!(found.stderr, "365 of 884 documents, exact at LSN 126403376\n");
    assert_eq!(found.stdout.lines().count(), 2);
    assert!(found.stdout.lines().all(|line| DOCUMENTS.lines().any(|known| known == line)), "{}", found.stdout);
    assert!(found.stdout.lines().all(|line| line.contains("\"step\":\"needs_review\"")), "{}", found.stdout);

    // A query may begin with a hyphen; nothing and everything may be found.
    for (query, total) in [("-step:finished *", 691), ("step:nothing", 0), ("*", 884)] {
        let found = filled.read("search", &[query, "--limit", "100000"]).done();
        assert_eq!(found.stderr, format!("{total} of 884 documents, exact at LSN 126403376\n"), "{query}");
        assert_eq!(found.stdout.lines().count(), total, "{query}");
    }
    let first = DOCUMENTS.lines().next().unwrap();
    let id = "00343515-a8c8-452f-8d3b-2c375b124927";
    let got = filled.read("get", &[id]).done();
    assert_eq!((got.stdout, got.stderr.as_str()), (format!("{first}\n"), "exact at LSN 126403376\n"));

    let index = filled.index().display().to_string();
    let nobody = format!("deltaic: there is no document -nobody in {index}, exact at LSN 126403376\n");
    filled.read("get", &["-nobody"]).check_refused(1, &nobody);
    let query = "deltaic: cannot search for `nowhere:x`: Field does not exist: 'nowhere'\n";
    filled.read("search", &["nowhere:x"]).check_refused(1, query);
    let missing = filled.folder.path().join("missing");
    run(deltaic().arg("dump").arg(&missing))
        .check_refused(1, &format!("deltaic: there is no index in {}\n", missing.display()));
}

#[test]
fn an_index_is_described() {
    let filled = Filled::new();
    filled.run(&[]).done();
    let shown = filled.read("index show", &[]).done();
    let expected = format!(
        "view          conversation_search\n  zero_items             absent\n  include                none\nsource        podium\nexact at LSN  \
         126403376\n{STEPS}records       17903\ncommits       N\nsegments      N (N deleted documents in \
         them)\nbytes         N\n"
    );
    assert_eq!((steady(&shown.stdout), shown.stderr.as_str()), (expected, ""));
}

/// A full disk, as far as a process can have one to itself: no file may grow beyond a size.
#[test]
fn a_disk_that_takes_no_more_is_told_and_what_was_committed_stays() {
    let filled = Filled::new();
    filled.run(&["--until", "122439912"]).done();
    let before = filled.read("dump", &[]).done();
    let mut limited = Command::new("sh");
    let command = filled.command();
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).args(["--set", "sink.commit_interval_ms=3600000"]).env_remove("DELTAIC_LOG");
    let index = filled.index().display().to_string();
    let ran = run(&mut limited);
    ran.check_refused(1, &format!("deltaic: the index in {index} failed: "));
    assert!(ran.stderr.contains("File too large"), "{}", ran.stderr);
    let after = filled.read("dump", &[]).done();
    assert!((after.stdout, after.stderr) == (before.stdout, before.stderr), "the same bytes");
    filled.run(&[]).done();
    assert!(filled.read("dump", &[]).done().stdout == *DOCUMENTS, "the same bytes");
}

/// In a backup, or as another user.
#[test]
fn an_index_is_read_where_nothing_may_be_written() {
    let filled = Filled::new();
    filled.run(&[]).done();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let generation = filled.index().join("generation-1");
    fs::remove_file(generation.join(".tantivy-meta.lock")).unwrap();
    // A copy of the program where anybody may run it; nobody's rights, where the test has all.
    let program = filled.folder.path().join("deltaic");
    fs::copy(env!("CARGO_BIN_EXE_deltaic"), &program).unwrap();
    set(filled.folder.path(), 0o755);
    set(&generation, 0o555);
    let mut command = Command::new(&program);
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let ran = run(command.arg("dump").arg(filled.index())).done();
    set(&generation, 0o755);
    assert!(ran.stdout == *DOCUMENTS, "the same bytes");
    assert!(!generation.join(".tantivy-meta.lock").exists());
}
