//! `deltaic run` with `follow = true`: the index keeps up with a log that grows.

use super::command_line::{DOCUMENTS, LOG, deltaic, example, replay, run};
use deltaic::{Index, Lsn};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The END of the example's last transaction.
const LAST: u64 = 126_403_376;

/// Until something is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log that grows, and the index of the run that follows it.
struct Followed {
    folder: TempDir,
    log: File,
}

impl Followed {
    /// With a log that is still empty.
    fn new() -> Followed {
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log.jsonl")).unwrap();
        Followed { folder, log }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log.jsonl")
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// Starts a run that takes the log for settled after so many milliseconds.
    fn run(&self, settle_ms: u64) -> Child {
        let text = format!(
            "[source]\nkind = \"log\"\nfiles = [\"log.jsonl\"]\nprefix = \"podium\"\nfollow = true\nsettle_ms = \
             {settle_ms}\n[tables]\nusers.partitions = 3\nconversations.partitions = 3\nconversation_items.partitions = \
             3\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \"tantivy\"\npath = \"index\"\n"
        );
        let config = self.folder.path().join("podium.toml");
        fs::write(&config, text).unwrap();
        let mut command = deltaic();
        command.arg("run").arg(config).args(["--workers", "2"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn write(&mut self, text: &str) {
        self.log.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the index has come to an LSN, and answers with it.
    fn wait(&self, child: &mut Child, enough: impl Fn(Lsn) -> bool) -> Lsn {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lsn = Index::open(self.index()).ok().and_then(|index| index.snapshot().lsn());
            if let Some(lsn) = lsn.filter(|lsn| enough(*lsn)) {
                return lsn;
            }
            let ended = child.try_wait().unwrap().map(|_| stderr(child));
            assert!(ended.is_none() && Instant::now() < deadline, "the index is at {lsn:?}, the run said {ended:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn stderr(child: &mut Child) -> String {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

/// Ends the run by a signal, as its user would, and gives its summary.
fn stop(mut child: Child) -> String {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    stderr(&mut child)
}

#[test]
fn the_index_keeps_up_with_a_log_that_grows() {
    let mut followed = Followed::new();
    let mut child = followed.run(0);
    // The cuts lie inside lines.
    let (first, rest) = LOG.split_at(LOG.len() / 3 + 7);
    let (second, third) = rest.split_at(rest.len() / 2);
    let mut before = Lsn(0);
    for part in [first, second, third] {
        followed.write(part);
        before = followed.wait(&mut child, |lsn| lsn > before);
    }
    // Without a proof that the connector went past the last transactions, they stay open.
    let summary = stop(child);
    assert!(summary.contains("\nstopped       by a signal"), "{summary}");
    assert!(!summary.contains("settled"), "{summary}");

    // A second run goes on from there, and settles what is quiet.
    let mut child = followed.run(100);
    followed.wait(&mut child, |lsn| lsn == Lsn(LAST));
    let summary = stop(child);
    assert!(summary.contains(" settled, which is no proof)\n"), "{summary}");
    assert!(summary.contains("\nopen          0 transactions\n"), "{summary}");
    let dump = run(deltaic().arg("dump").arg(followed.index())).done().stdout;
    assert!(dump == *DOCUMENTS, "the same bytes");
}

#[test]
fn every_state_of_a_followed_log_is_one_of_replay() {
    let mut followed = Followed::new();
    let mut child = followed.run(0);
    // Up to so many ninths of the log; each part lets something close.
    let (mut written, mut at) = (0, Lsn(0));
    for ninths in [2, 3, 4, 7, 8, 9] {
        let end = LOG.len() * ninths / 9;
        followed.log.write_all(&LOG.as_bytes()[written..end]).unwrap();
        written = end;
        followed.wait(&mut child, |lsn| lsn > at);
        let snapshot = Index::open(followed.index()).unwrap().snapshot();
        let dump: String = snapshot.dump().unwrap().map(|stored| stored.unwrap().json + "\n").collect();
        at = snapshot.lsn().unwrap();
        assert!(dump == replay(&["--until", &at.to_string()], &[&example()]).done().stdout, "the same bytes at {at}");
    }
    stop(child);
}

#[test]
fn a_log_that_is_replaced_cut_or_compressed_is_refused() {
    let cut = "it was replaced or cut while it was followed; give all of its parts to a new run";
    let shorten: fn(&Followed) = |followed| followed.log.set_len(10).unwrap();
    let replace: fn(&Followed) = |followed| {
        std::fs::rename(followed.log(), followed.folder.path().join("log.1")).unwrap();
        File::create(followed.log()).unwrap();
    };
    for spoil in [shorten, replace] {
        let mut followed = Followed::new();
        let mut child = followed.run(0);
        followed.write(&LOG[..LOG.len() / 2]);
        followed.wait(&mut child, |_| true);
        spoil(&followed);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let said = stderr(&mut child);
        assert!(said.contains(&format!("deltaic: cannot read {}: {cut}\n", followed.log().display())), "{said}");
    }

    let mut followed = Followed::new();
    followed.log.write_all(&zstd::encode_all(LOG.as_bytes(), 1).unwrap()).unwrap();
    let mut child = followed.run(0);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let said = stderr(&mut child);
    assert!(
        said.contains("a compressed file cannot be followed; give its lines plain, or run without `follow`"),
        "{said}"
    );
}
