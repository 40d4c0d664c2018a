//! Broker, Connect and connector, each with its configuration, and started again with the same.

use super::install::Installed;
use super::secured::Listeners;
use super::server::{Server, free_port, listens};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The prefix of the connector's topics.
pub(super) const PREFIX: &str = "podium";

pub(super) const LOG4J: &str = "status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
";

pub(super) struct Stack {
    class_path: String,
    dir: PathBuf,
    pub(super) broker: u16,
    pub(super) listeners: Listeners,
    rest: u16,
    broker_server: Option<Server>,
    connect_server: Option<Server>,
}

impl Stack {
    /// Starts a broker and Connect; their files are in `dir`.
    pub(super) fn start(installed: &Installed, dir: &Path) -> Result<Stack> {
        let (broker, controller, rest) = (free_port()?, free_port()?, free_port()?);
        fs::create_dir_all(dir.join("plugins"))?;
        fs::write(dir.join("log4j2.properties"), LOG4J)?;
        let listeners = Listeners::new(dir)?;
        fs::write(dir.join("broker.properties"), broker_properties(dir, broker, controller, &listeners))?;
        fs::write(dir.join("connect.properties"), connect_properties(dir, broker, rest))?;
        let class_path = installed.class_path.clone();
        let mut stack = Stack {
            class_path,
            dir: dir.to_owned(),
            broker,
            listeners,
            rest,
            broker_server: None,
            connect_server: None,
        };
        let mut format = Command::new("java");
        format.args(stack.java("256m", "kafka.tools.StorageTool"));
        format.args(["format", "-t", "ZGVsdGFpYy1sYWItMDAwMQ", "-c"]).arg(dir.join("broker.properties"));
        format.args(stack.listeners.users());
        let formatted = format.output().context("java cannot be run")?;
        ensure!(formatted.status.success(), "the broker's folder: {}", String::from_utf8_lossy(&formatted.stdout));
        stack.start_broker()?;
        stack.start_connect()?;
        Ok(stack)
    }

    fn java(&self, memory: &str, class: &str) -> Vec<String> {
        let log4j = self.dir.join("log4j2.properties");
        vec![
            format!("-Xmx{memory}"),
            "-XX:+UseSerialGC".to_owned(),
            "-XX:TieredStopAtLevel=1".to_owned(),
            format!("-Dlog4j2.configurationFile={}", log4j.display()),
            format!("-Dlog4j.configurationFile={}", log4j.display()),
            "-cp".to_owned(),
            self.class_path.clone(),
            class.to_owned(),
        ]
    }

    fn run(&self, name: &str, memory: &str, class: &str, config: &str) -> Result<Server> {
        let mut arguments = self.java(memory, class);
        arguments.push(self.dir.join(config).display().to_string());
        Server::start(name, Path::new("java"), None, &arguments, self.dir.join(format!("{name}.log")))
    }

    pub(super) fn start_broker(&mut self) -> Result<()> {
        let port = self.broker;
        let server = self.run("broker", "512m", "kafka.Kafka", "broker.properties")?;
        self.broker_server = Some(server.until(|| listens(port))?);
        Ok(())
    }

    pub(super) fn stop_broker(&mut self) -> Result<()> {
        self.broker_server.take().map_or(Ok(()), |server| server.stop(Signal::TERM).map(drop))
    }

    pub(super) fn start_connect(&mut self) -> Result<()> {
        let class = "org.apache.kafka.connect.cli.ConnectDistributed";
        let server = self.run("connect", "512m", class, "connect.properties")?;
        let rest = self.rest;
        self.connect_server = Some(server.until(|| ureq::get(&url(rest, "/connectors")).call().is_ok())?);
        Ok(())
    }

    pub(super) fn kill_connect(&mut self) -> Result<()> {
        self.connect_server.take().map_or(Ok(()), Server::kill)
    }

    /// Makes a connector, or changes it, and waits until it runs.
    pub(super) fn put_connector(&self, name: &str, config: &Value) -> Result<()> {
        let put = ureq::put(&url(self.rest, &format!("/connectors/{name}/config"))).send_json(config);
        put.context("Connect refuses the connector")?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.connector_runs(name) {
            ensure!(Instant::now() < deadline, "the connector does not run: see {}", self.dir.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether the connector and its task run.
    fn connector_runs(&self, name: &str) -> bool {
        let status = ureq::get(&url(self.rest, &format!("/connectors/{name}/status"))).call();
        let status: Option<Value> = status.ok().and_then(|mut answer| answer.body_mut().read_json().ok());
        let state = |at: &str| status.as_ref().and_then(|status| status.pointer(at)?.as_str()) == Some("RUNNING");
        state("/connector/state") && state("/tasks/0/state")
    }
}

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

/// The connector of the README's quick start.
const EXAMPLE: &str = include_str!("../../../examples/connector.json");

/// The example's connector, for a database of this lab's; `name` is its topics' prefix and its slot's.
pub(super) fn connector(name: &str, database: &str, postgres: u16) -> Result<Value> {
    let mut connector: BTreeMap<String, Value> = serde_json::from_str(EXAMPLE).context("examples/connector.json")?;
    let port = postgres.to_string();
    for (setting, value) in [
        ("database.port", &*port),
        ("database.user", "postgres"),
        ("database.password", ""),
        ("database.dbname", database),
        ("topic.prefix", name),
        ("slot.name", name),
        ("publication.name", &format!("dbz_{name}")),
        ("table.include.list", "public.users,public.conversations,public.conversation_items"),
        ("topic.creation.transactions.include", &format!("{name}\\.transaction")),
    ] {
        connector.insert(setting.to_owned(), json!(value));
    }
    // Who needs a table for signals names it.
    connector.remove("signal.data.collection");
    Ok(json!(connector))
}

fn broker_properties(dir: &Path, broker: u16, controller: u16, others: &Listeners) -> String {
    let (data, addresses) = (dir.join("broker-data"), others.addresses());
    let one = ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"];
    let one: String = one.iter().map(|name| format!("{name}.replication.factor=1\n")).collect();
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller},{addresses}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{broker},{addresses}\ncontroller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{}\nlog.dirs={}\n{one}\
         transaction.state.log.min.isr=1\nshare.coordinator.state.topic.min.isr=1\noffsets.topic.num.partitions=1\n\
         transaction.state.log.num.partitions=1\nshare.coordinator.state.topic.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\nlog.retention.ms=-1\n{}",
        others.protocols(),
        data.display(),
        others.properties()
    )
}

fn connect_properties(dir: &Path, broker: u16, rest: u16) -> String {
    let storage: String = ["config", "offset", "status"]
        .iter()
        .map(|what| format!("{what}.storage.topic=connect-{what}\n{what}.storage.replication.factor=1\n"))
        .collect();
    format!(
        "bootstrap.servers=127.0.0.1:{broker}\ngroup.id=connect\nlisteners=http://127.0.0.1:{rest}\n\
         rest.advertised.host.name=127.0.0.1\nrest.advertised.port={rest}\n{storage}\
         offset.storage.partitions=1\nstatus.storage.partitions=1\n\
         key.converter=org.apache.kafka.connect.json.JsonConverter\n\
         value.converter=org.apache.kafka.connect.json.JsonConverter\noffset.flush.interval.ms=2000\n\
         session.timeout.ms=6000\nheartbeat.interval.ms=1500\nrebalance.timeout.ms=10000\n\
         scheduled.rebalance.max.delay.ms=0\nplugin.discovery=service_load\nplugin.path={}\n",
        dir.join("plugins").display()
    )
}
