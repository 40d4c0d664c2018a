//! A Postgres of the lab's own, and its tables.

use super::install::{Installed, is_root};
use super::server::{Server, free_port};
use anyhow::{Context, Result, ensure};
use postgres::{Client, NoTls};
use rustix::process::Signal;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The tables, and the view's answer in SQL of its own: what every state of the index is compared with.
const SCHEMA: &str = "
CREATE TABLE users (uid uuid PRIMARY KEY, name text NOT NULL, bio text);
CREATE TABLE conversations (uid uuid PRIMARY KEY, user_uid uuid NOT NULL, subject text, closed_at timestamp);
CREATE TABLE conversation_items (uid uuid PRIMARY KEY, conversation_uid uuid NOT NULL, type text NOT NULL, body text,
  created_at timestamptz NOT NULL);
CREATE TABLE noise (id bigserial PRIMARY KEY, text text);
ALTER TABLE users ALTER COLUMN bio SET STORAGE EXTERNAL;
ALTER TABLE conversation_items ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX ON conversation_items (conversation_uid);
CREATE VIEW answer AS
WITH newest AS (
  SELECT DISTINCT ON (conversation_uid, type) conversation_uid, type, created_at AS at, uid
  FROM conversation_items ORDER BY conversation_uid, type, created_at DESC, uid DESC)
SELECT c.uid, c.user_uid, CASE
  WHEN i.uid IS NULL AND r.uid IS NULL THEN 'needs_review_invite'
  WHEN r.uid IS NULL OR (i.at, i.uid) > (r.at, r.uid) THEN 'needs_review'
  WHEN (m.at, m.uid) > (r.at, r.uid) THEN 'finished'
  ELSE 'needs_review_response' END AS step
FROM conversations c JOIN users u ON u.uid = c.user_uid
LEFT JOIN newest m ON m.conversation_uid = c.uid AND m.type = 'message'
LEFT JOIN newest i ON i.conversation_uid = c.uid AND i.type = 'review_invite'
LEFT JOIN newest r ON r.conversation_uid = c.uid AND r.type = 'review'
WHERE c.closed_at IS NULL AND coalesce(m.uid, i.uid, r.uid) IS NOT NULL;
";

/// The database that the workload goes to.
pub(super) const DATABASE: &str = "postgres";

pub(super) struct Postgres {
    server: Server,
    pub(super) port: u16,
    /// Where its data is: it must be able to go there as another user.
    _data: TempDir,
}

impl Postgres {
    pub(super) fn start(installed: &Installed, dir: &Path) -> Result<Postgres> {
        let user = is_root().then_some("postgres");
        let data = tempfile::Builder::new().prefix("deltaic-lab-").tempdir()?;
        let mut initdb = Command::new("setpriv");
        if let Some(user) = user {
            let owned = Command::new("chown").arg(user).arg(data.path()).status()?;
            ensure!(owned.success(), "chown: {owned}");
            initdb.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
        }
        initdb.arg(installed.postgres.join("initdb")).arg("-D").arg(data.path());
        initdb.args(["-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "--no-sync"]);
        let made = initdb.output().context("initdb cannot be run")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port()?;
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "wal_level=logical".to_owned(),
            "max_wal_senders=8".to_owned(),
            "max_replication_slots=8".to_owned(),
            "fsync=off".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), data.path().display().to_string()];
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let program = installed.postgres.join("postgres");
        let server = Server::start("Postgres", &program, user, &arguments, dir.join("postgres.log"))?;
        let server = server.until(|| connect(port).is_ok())?;
        let made = Postgres { server, port, _data: data };
        made.client()?.batch_execute(SCHEMA)?;
        Ok(made)
    }

    /// Waits until the connector streams: its snapshot is taken.
    pub(super) fn until_streaming(&self, slot: &str) -> Result<()> {
        let mut client = self.client()?;
        let deadline = Instant::now() + Duration::from_secs(120);
        let streams = "SELECT count(*) FROM pg_replication_slots \
                       WHERE slot_name = $1 AND active AND confirmed_flush_lsn IS NOT NULL";
        while client.query_one(streams, &[&slot])?.try_get::<_, i64>(0)? == 0 {
            ensure!(Instant::now() < deadline, "the connector does not stream");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    pub(super) fn client(&self) -> Result<Client> {
        Ok(connect(self.port)?)
    }

    /// Makes another database with the same tables.
    pub(super) fn database(&self, name: &str) -> Result<Client> {
        self.client()?.batch_execute(&format!("CREATE DATABASE {name}"))?;
        let mut client = connect_to(self.port, name)?;
        client.batch_execute(SCHEMA)?;
        Ok(client)
    }

    pub(super) fn stop(self) -> Result<()> {
        self.server.stop(Signal::INT).map(drop)
    }
}

pub(super) fn connect(port: u16) -> Result<Client, postgres::Error> {
    connect_to(port, DATABASE)
}

fn connect_to(port: u16, database: &str) -> Result<Client, postgres::Error> {
    Client::connect(&format!("host=127.0.0.1 port={port} user=postgres dbname={database}"), NoTls)
}
