//! One round: logs that grow, a run for each that follows it into an alias of one server, and all that goes wrong meanwhile.

use super::follower::{Ended, Follower, Look};
use super::growth::{Growing, Growth};
use super::load::load;
use super::node::Node;
use super::reader::Busy;
use super::{SearchFault, SearchServerSummary};
use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

/// How long logs take to grow, if nothing is in their way.
const SECONDS: f64 = 14.0;
/// How far logs may grow beside a fault.
const BESIDE: f64 = 0.05;
/// How long the last change may take to be in.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long there is too much to write.
const LOADED: Duration = Duration::from_millis(1_200);
/// How often a rebuild is begun that is killed.
const REBUILD_KILLS: u32 = 4;
/// Longer than an answer is waited for.
const FROZEN: Duration = Duration::from_millis(2_600);

/// What it is of.
pub(super) struct Round<'a> {
    pub(super) node: &'a mut Node,
    pub(super) followers: Vec<Follower<'a>>,
    pub(super) faults: Vec<SearchFault>,
    pub(super) summary: &'a mut SearchServerSummary,
    pub(super) rng: Rng,
}

impl Round<'_> {
    /// From the first line of the logs to their ends.
    pub(super) fn run(mut self) -> Result<()> {
        let growing: Vec<Growing<'_>> =
            self.followers.iter().map(|follower| Growing::of(follower, &mut self.rng)).collect::<Result<_>>()?;
        self.followers.iter_mut().try_for_each(Follower::start)?;
        let growth = Growth::default();
        thread::scope(|scope| {
            let grower = scope.spawn(|| growth.grow(growing, SECONDS));
            let ran = self.beside(&growth);
            growth.end();
            grower.join().map_err(|_| anyhow::anyhow!("what grows panicked"))?.context("the logs")?;
            ran
        })?;
        self.until_all_is_in()?;
        let Round { node, followers, summary, rng, .. } = &mut self;
        for (number, follower) in followers.iter_mut().enumerate() {
            let Ended { again, refused, newer } = follower.stop()?;
            summary.again += again;
            summary.newer += newer;
            summary.refused += refused;
            summary.documents += follower.must_be_exact(&node.reader)?;
            summary.exact += 1;
            summary.deletes += follower.oracle().deletes;
            summary.returns += follower.oracle().returns;
            if number == 0 || rng.u8(..3) == 0 {
                summary.rebuild_kills += follower.rebuild(&node.reader, REBUILD_KILLS, rng)?;
                summary.rebuilds += 1;
            }
            node.reader.delete_all(&follower.alias)?;
        }
        Ok(())
    }

    /// Breaks one thing after the other while the logs grow, and compares.
    fn beside(&mut self, growth: &Growth) -> Result<()> {
        let mut due = self.schedule();
        while growth.share() < 1.0 || !due.is_empty() {
            growth.allow(due.front().map_or(1.0, |(share, _)| share + BESIDE));
            if let Some((_, fault)) = due.front().filter(|(share, _)| growth.share() >= *share).copied() {
                due.pop_front();
                self.breaks(fault)?;
            }
            self.followers.iter_mut().try_for_each(Follower::must_live)?;
            self.look()?;
            self.pause(40);
        }
        Ok(())
    }

    /// Which fault comes when: each somewhere in a part of the time of its own.
    fn schedule(&mut self) -> VecDeque<(f64, SearchFault)> {
        let mut faults = self.faults.clone();
        self.rng.shuffle(&mut faults);
        let part = 0.86 / faults.len().max(1) as f64;
        let at = |(place, fault)| (0.08 + part * (place as f64 + 0.6 * self.rng.f64()), fault);
        faults.into_iter().enumerate().map(at).collect()
    }

    fn breaks(&mut self, fault: SearchFault) -> Result<()> {
        *self.summary.faults.entry(fault).or_default() += 1;
        match fault {
            SearchFault::KillServer | SearchFault::RestartServer => {
                let killed = if self.rng.bool() { self.some() } else { Vec::new() };
                if fault == SearchFault::KillServer {
                    self.node.kill()?
                } else {
                    self.node.stop()?
                }
                self.kill(&killed)?;
                self.pause(600);
                self.node.start()?;
                self.start(&killed)
            }
            SearchFault::FreezeServer => {
                self.node.freeze(true)?;
                thread::sleep(FROZEN);
                self.node.freeze(false)
            }
            SearchFault::KillDeltaic => {
                let killed = self.some();
                self.kill(&killed)?;
                self.look()?;
                self.start(&killed)
            }
            SearchFault::BlockWrites => self.blocked("index.blocks.write"),
            SearchFault::BlockReadOnly => self.blocked("index.blocks.read_only_allow_delete"),
            SearchFault::Overload => {
                self.summary.load_refused += load(&self.node.url(), LOADED);
                Ok(())
            }
        }
    }

    /// Nothing can be written to some indexes for a while.
    fn blocked(&mut self, setting: &str) -> Result<()> {
        let mut blocked = self.some();
        blocked.retain(|at| {
            self.followers.get(*at).is_some_and(|of| matches!(self.node.reader.said(&of.index), Ok(Some(_))))
        });
        let set = |round: &Round<'_>, to: Value| {
            for follower in blocked.iter().filter_map(|at| round.followers.get(*at)) {
                let path = format!("/{}/_settings", follower.index);
                round.node.reader.must("PUT", &path, Some(&json!({ setting: to })))?;
            }
            anyhow::Ok(())
        };
        set(self, json!(true))?;
        self.pause(1_200);
        let killed = if self.rng.bool() { self.some() } else { Vec::new() };
        self.kill(&killed)?;
        self.start(&killed)?;
        self.look()?;
        self.pause(1_200);
        self.summary.blocked += blocked.len() as u64;
        set(self, Value::Null)
    }

    /// About half of the followers, one at least.
    fn some(&mut self) -> Vec<usize> {
        let one = self.rng.usize(..self.followers.len());
        (0..self.followers.len()).filter(|at| *at == one || self.rng.bool()).collect()
    }

    fn kill(&mut self, some: &[usize]) -> Result<()> {
        self.summary.kills += some.len() as u64;
        some.iter().try_for_each(|at| self.followers.get_mut(*at).map_or(Ok(()), Follower::kill))
    }

    fn start(&mut self, some: &[usize]) -> Result<()> {
        some.iter().try_for_each(|at| self.followers.get_mut(*at).map_or(Ok(()), Follower::start))
    }

    /// Compares one alias with what may be there.
    fn look(&mut self) -> Result<()> {
        let Some(follower) = self.rng.choice(&self.followers) else { return Ok(()) };
        match not_busy(follower.look(&self.node.reader))? {
            Some(Look::Nothing) => {}
            Some(look) => {
                self.summary.compared += 1;
                self.summary.between += u64::from(look == Look::Between);
            }
            None => self.summary.not_answered += 1,
        }
        Ok(())
    }

    fn until_all_is_in(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut missing: Vec<usize> = (0..self.followers.len()).collect();
        while !missing.is_empty() {
            self.followers.iter_mut().try_for_each(Follower::must_live)?;
            for at in std::mem::take(&mut missing) {
                let Some(follower) = self.followers.get(at) else { continue };
                if !not_busy(follower.is_at_end(&self.node.reader))?.unwrap_or_default() {
                    missing.push(at);
                    if Instant::now() > deadline {
                        let said = self.node.reader.said(&follower.index)?;
                        bail!("{} stands at {said:?}, and its log ends at {}", follower.alias, follower.oracle().end);
                    }
                }
            }
            self.look()?;
            self.pause(50);
        }
        ensure!(self.summary.compared > 0, "nothing was compared");
        Ok(())
    }

    fn pause(&mut self, most_ms: u64) {
        thread::sleep(Duration::from_millis(self.rng.u64(..=most_ms)));
    }
}

/// `None` where the server has no time to answer.
fn not_busy<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is::<Busy>() => Ok(None),
        Err(error) => Err(error),
    }
}
