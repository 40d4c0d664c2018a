//! A server as a child process: its log in a file, killed by its pid, and gone when whoever started it is.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a program, as another user if that is said. `setpriv` has the kernel kill it when this thread ends.
    pub(super) fn start(
        name: &str,
        program: &Path,
        user: Option<&str>,
        arguments: &[String],
        log: PathBuf,
    ) -> Result<Server> {
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new("setpriv");
        if let Some(user) = user {
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
        }
        command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Server { name: name.to_owned(), child, log })
    }

    /// Waits until `ready`.
    pub(super) fn until(mut self, mut ready: impl FnMut() -> bool) -> Result<Server> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended by {status}: see {}", self.name, self.log.display());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready: see {}", self.name, self.log.display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(self)
    }

    /// Whether it still runs.
    pub(super) fn lives(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it at once.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits until it ends by itself, and says how.
    pub(super) fn wait(mut self) -> Result<std::process::ExitStatus> {
        self.ended()
    }

    /// Asks it to end by `signal`, and says how it ended.
    pub(super) fn stop(mut self, signal: Signal) -> Result<std::process::ExitStatus> {
        self.signal(signal)?;
        self.ended()
    }

    fn ended(&mut self) -> Result<std::process::ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{} does not end: see {}", self.name, self.log.display());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        if self.child.kill().is_ok() {
            let _how_it_ended = self.child.wait();
        }
    }
}

/// A port that is free.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A port that is free, and stays free while nothing listens there: clients' own ports, which might take its place, lie higher.
pub(super) fn lasting_port() -> Result<u16> {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(20_000..32_000)).take(1_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("no port is free")
}

/// Whether something listens there.
pub(super) fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}
