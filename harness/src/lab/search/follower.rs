//! One `deltaic run` that follows a log which grows, into an alias of its own; and the comparison of what the alias shows with what
//! may be there.

use super::super::server::Server;
use super::logs::GivenLog;
use super::oracle::{Found, Oracle};
use super::reader::{Reader, Said};
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// About as long as a rebuild takes.
const REBUILD_MS: u64 = 500;

/// A run, and all of its files.
pub(super) struct Follower<'a> {
    given: &'a GivenLog,
    pub(super) alias: String,
    program: PathBuf,
    folder: PathBuf,
    process: Option<Server>,
    /// Where its log of messages ends that its earlier lives have written.
    said_before: usize,
    /// The index behind the alias.
    pub(super) index: String,
}

/// How the sink is told to go about it.
pub(super) struct SinkWords {
    pub(super) kind: &'static str,
    pub(super) url: String,
    /// `None` is the default.
    pub(super) gc_deletes_ms: Option<u64>,
}

/// What a follower said at its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ended {
    /// Documents that its last life sent again.
    pub(super) again: u64,
    /// Bulks that any of its lives was told that they were refused for now; of many, one is told.
    pub(super) refused: u64,
    /// Documents of which the index had a newer state.
    pub(super) newer: u64,
}

/// What was seen in one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There is no index yet.
    Nothing,
    /// Documents stand between two times.
    Between,
    /// At one.
    Exact,
}

impl<'a> Follower<'a> {
    /// With a log that is still empty; it does not run yet.
    pub(super) fn new(
        given: &'a GivenLog,
        round: u64,
        folder: &Path,
        program: &Path,
        words: &SinkWords,
        rng: &mut Rng,
    ) -> Result<Follower<'a>> {
        let alias = format!("{}-{round}", given.name);
        let folder = folder.join(&alias);
        fs::create_dir_all(&folder)?;
        File::create(folder.join("log.jsonl"))?;
        fs::write(folder.join("deltaic.toml"), config(given, &alias, words, rng))?;
        let index = format!("{alias}-000001");
        Ok(Follower { given, alias, program: program.to_owned(), folder, process: None, said_before: 0, index })
    }

    pub(super) fn oracle(&self) -> &'a Oracle {
        &self.given.oracle
    }

    /// The log that is to be written, piece by piece, and what it will hold.
    pub(super) fn log(&self) -> Result<(File, &'a [u8])> {
        Ok((File::options().append(true).open(self.folder.join("log.jsonl"))?, &self.given.lines))
    }

    fn messages(&self) -> PathBuf {
        self.folder.join("deltaic.log")
    }

    pub(super) fn start(&mut self) -> Result<()> {
        self.said_before = fs::read(self.messages()).map_or(0, |said| said.len());
        self.process = Some(self.command("run")?);
        Ok(())
    }

    fn command(&self, command: &str) -> Result<Server> {
        let config = self.folder.join("deltaic.toml");
        let arguments = [command.to_owned(), config.display().to_string()];
        Server::start(&self.alias, &self.program, None, &arguments, self.messages())
    }

    /// Fills another index from the whole log, which takes the place of the one that is there; and is killed on the way, again
    /// and again. Answers how often.
    pub(super) fn rebuild(&mut self, reader: &Reader, kills: u32, rng: &mut Rng) -> Result<u64> {
        let mut killed = 0;
        for _ in 0..kills {
            let mut rebuild = self.command("rebuild")?;
            thread::sleep(Duration::from_millis(rng.u64(..REBUILD_MS)));
            if rebuild.lives()? {
                rebuild.kill()?;
                killed += 1;
            } else {
                let ended = rebuild.wait()?;
                ensure!(ended.success(), "a rebuild: {ended}; see {}", self.messages().display());
            }
            // Readers never find less than everything.
            self.index = reader.index_of(&self.alias)?;
            self.must_be_exact(reader)?;
        }
        let (before, rebuild) = (self.index.clone(), self.command("rebuild")?);
        let ended = rebuild.wait()?;
        ensure!(ended.success(), "a rebuild: {ended}; see {}", self.messages().display());
        self.index = reader.index_of(&self.alias)?;
        ensure!(self.index != before, "{} is still on {before}", self.alias);
        self.must_be_exact(reader)?;
        Ok(killed)
    }

    /// Kills it, and starts it again.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), Server::kill)
    }

    /// Fails if it has ended.
    pub(super) fn must_live(&mut self) -> Result<()> {
        let lives = self.process.as_mut().map_or(Ok(false), Server::lives)?;
        ensure!(lives, "deltaic ended: see {}", self.messages().display());
        Ok(())
    }

    /// Asks it to end, and reads what it says of itself: that it is exact where its log ends.
    pub(super) fn stop(&mut self) -> Result<Ended> {
        let messages = self.messages();
        let ended = self.process.take().context("it runs")?.stop(Signal::TERM)?;
        ensure!(ended.success(), "deltaic, when it was asked to end: {ended}; see {}", messages.display());
        let said = fs::read_to_string(&messages)?;
        let last = said.get(self.said_before..).unwrap_or_default();
        let exact = format!("exact at LSN  {}", self.oracle().end);
        ensure!(last.lines().any(|line| line == exact), "it does not say `{exact}`: see {}", messages.display());
        let refused = said.lines().filter(|line| line.contains("rejected_execution_exception")).count() as u64;
        let sent = last.lines().find_map(|line| line.strip_prefix("sent ")).unwrap_or_default();
        Ok(Ended { again: before(sent, " again,"), newer: before(sent, " of which the index had a newer"), refused })
    }

    /// Reads what the alias shows, and compares it with what may be there.
    pub(super) fn look(&self, reader: &Reader) -> Result<Look> {
        // Everything below this is in already, and what is read later may only be later.
        let Some(before) = reader.said(&self.index)? else { return Ok(Look::Nothing) };
        let found = reader.documents(&self.alias)?;
        let after = reader.said(&self.index)?.context("a progress document that stays")?;
        ensure!(before.between.durable <= after.between.durable, "the index went back from {before:?} to {after:?}");
        let mut between = before.between;
        between.attempted = after.between.attempted;
        let compared = self.oracle().check(&found, between);
        compared.with_context(|| format!("{}: {before:?}, {after:?}", self.alias))?;
        Ok(if between.durable == between.attempted { Look::Exact } else { Look::Between })
    }

    /// Whether everything is in, by what the index says.
    pub(super) fn is_at_end(&self, reader: &Reader) -> Result<bool> {
        Ok(reader.said(&self.index)?.is_some_and(|said| said.between.durable > self.oracle().end.0))
    }

    /// Compares what is there at the end: one state for each document, and no other document; how many there are.
    pub(super) fn must_be_exact(&self, reader: &Reader) -> Result<u64> {
        let Said { between, documents } = reader.said(&self.index)?.context("a progress document")?;
        let oracle = self.oracle();
        ensure!(between.durable == between.attempted, "{} says that it is not exact: {between:?}", self.alias);
        ensure!(between.durable == oracle.end.0 + 1, "{} is at {between:?}, not at {}", self.alias, oracle.end);
        let found: Found = reader.documents(&self.alias)?;
        oracle.check(&found, between).with_context(|| self.alias.clone())?;
        let counts = (found.len() as u64, documents, oracle.documents(between.durable));
        ensure!(
            counts.0 == counts.1 && counts.0 == counts.2,
            "{}: documents, as it says, expected: {counts:?}",
            self.alias
        );
        Ok(counts.0)
    }
}

/// The number that stands right before a text.
fn before(said: &str, text: &str) -> u64 {
    let number = said.split_once(text).and_then(|(before, _)| before.rsplit(|c: char| !c.is_ascii_digit()).next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn config(given: &GivenLog, alias: &str, words: &SinkWords, rng: &mut Rng) -> String {
    let SinkWords { kind, url, gc_deletes_ms } = words;
    let partitions: String =
        given.partitions.iter().map(|(table, partitions)| format!("{table}.partitions = {partitions}\n")).collect();
    let gc = gc_deletes_ms.map_or(String::new(), |ms| format!("gc_deletes_ms = {ms}\n"));
    // Small, so that a fault falls into the midst of many.
    let (documents, in_flight) = (rng.choice([50, 300, 2_000]).unwrap_or(50), rng.u8(1..=4));
    format!(
        "[source]\nkind = \"log\"\nfiles = [\"log.jsonl\"]\nprefix = \"{}\"\nfollow = true\nsettle_ms = 300\n\n\
         [tables]\n{partitions}\n[view]\nname = \"conversation_search\"\ninclude = [\"users.name\"]\n\n\
         [[sink]]\nkind = \"{kind}\"\nurl = \"{url}\"\nindex = \"{alias}\"\nbulk_documents_max = {documents}\n\
         bulks_in_flight = {in_flight}\nrequest_timeout_ms = 2000\nretry_backoff_ms = 20\nretry_backoff_max_ms = 300\n\
         {gc}\n[engine]\nworkers = {}\n",
        given.prefix,
        rng.u8(1..=2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_a_summary() {
        let said = "         12 documents in 3 bulks (4 again, 5 of which the index had a newer state)";
        assert_eq!((before(said, " again,"), before(said, " of which the index had a newer")), (4, 5));
        assert_eq!(before("", " again,"), 0);
    }
}
