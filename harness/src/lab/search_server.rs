//! One node of OpenSearch or Elasticsearch, of the very code that is released: jars, and a small main of ours.
//!
//! ```text
//!   Maven ──> search/NAME-VERSION/ jars ─┐
//!   java/*.java ──javac──────> classes ──┴─> java: a node ──HTTP──> url()
//!                                               │
//!                                              dir: data, log; of the node, and found again by the next start
//! ```
//!
//! # Notes
//!
//! - Elasticsearch loads plugins from jars in a folder of its own only, never from the class path: the network and the
//!   answer at `/` (whose module is in no registry) go there, [`SearchKind::plugin`].
//! - A clean stop and a kill differ in more than speed: tombstones of deletes survive the kill only.

use super::install;
use super::server::Server;
use super::stack::LOG4J;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Java's memory: enough for what is to go wrong, and for what is to go fast, which is refused at three quarters of it.
pub(crate) const MEMORY: &str = "512m";
pub(crate) const MUCH_MEMORY: &str = "3g";

/// How long an answer about health may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where Debian and others put Java.
const JAVA_FOLDERS: &str = "/usr/lib/jvm";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SearchKind {
    OpenSearch2,
    OpenSearch3,
    Elasticsearch8,
    Elasticsearch9,
}

/// A source of ours: its name, and what is in it.
type Source = (&'static str, &'static str);

impl SearchKind {
    /// All of them.
    pub(crate) const ALL: [SearchKind; 4] =
        [SearchKind::OpenSearch2, SearchKind::OpenSearch3, SearchKind::Elasticsearch8, SearchKind::Elasticsearch9];

    /// The server's name, in lower case.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SearchKind::OpenSearch2 | SearchKind::OpenSearch3 => "opensearch",
            SearchKind::Elasticsearch8 | SearchKind::Elasticsearch9 => "elasticsearch",
        }
    }

    /// The version that is installed.
    pub(crate) fn version(self) -> &'static str {
        match self {
            SearchKind::OpenSearch2 => "2.19.6",
            SearchKind::OpenSearch3 => "3.8.0",
            SearchKind::Elasticsearch8 => "8.19.21",
            SearchKind::Elasticsearch9 => "9.5.3",
        }
    }

    /// Name, major and minor version.
    pub(crate) fn label(self) -> String {
        let minor = self.version().rsplit_once('.').map_or(self.version(), |(minor, _)| minor);
        format!("{}-{minor}", self.name())
    }

    /// The oldest Java that it runs on.
    fn java(self) -> u32 {
        match self {
            SearchKind::OpenSearch2 | SearchKind::Elasticsearch8 => 17,
            SearchKind::OpenSearch3 | SearchKind::Elasticsearch9 => 21,
        }
    }

    /// Whether a Java is here that it runs on; of those that run on 17, one can be installed.
    pub(crate) fn runs_here(self) -> bool {
        self.java() == 17 || jdk(self.java()).is_some()
    }

    fn is_opensearch(self) -> bool {
        self.name() == "opensearch"
    }

    fn jars(self) -> Vec<[&'static str; 3]> {
        let log4j = "org.apache.logging.log4j";
        if self.is_opensearch() {
            return vec![
                ["org.opensearch", "opensearch", self.version()],
                ["org.opensearch.plugin", "transport-netty4-client", self.version()],
                [log4j, "log4j-api", install::LOG4J],
                [log4j, "log4j-core", install::LOG4J],
            ];
        }
        vec![
            ["org.elasticsearch", "elasticsearch", self.version()],
            ["org.elasticsearch.plugin", "transport-netty4", self.version()],
        ]
    }

    /// The program, first the class that is run.
    fn sources(self) -> [Source; 2] {
        let opensearch = ("OpenSearchMain", include_str!("java/OpenSearchMain.java"));
        let elasticsearch = ("ElasticsearchMain", include_str!("java/ElasticsearchMain.java"));
        match self {
            SearchKind::OpenSearch2 => [opensearch, ("LabNode", include_str!("java/opensearch2/LabNode.java"))],
            SearchKind::OpenSearch3 => [opensearch, ("LabNode", include_str!("java/opensearch3/LabNode.java"))],
            SearchKind::Elasticsearch8 => {
                [elasticsearch, ("Modules", include_str!("java/elasticsearch8/Modules.java"))]
            }
            SearchKind::Elasticsearch9 => {
                [elasticsearch, ("Modules", include_str!("java/elasticsearch9/Modules.java"))]
            }
        }
    }

    /// The plugin that must not be on the class path, first its class.
    fn plugin(self) -> Option<[Source; 2]> {
        let plugin = match self {
            SearchKind::OpenSearch2 | SearchKind::OpenSearch3 => return None,
            SearchKind::Elasticsearch8 => include_str!("java/elasticsearch8/LabPlugin.java"),
            SearchKind::Elasticsearch9 => include_str!("java/elasticsearch9/LabPlugin.java"),
        };
        Some([("LabPlugin", plugin), ("RootHandler", include_str!("java/RootHandler.java"))])
    }

    fn plugin_descriptor(self) -> String {
        let (version, java) = (self.version(), self.java());
        format!(
            "name=lab\ndescription=network and root\nversion={version}\nelasticsearch.version={version}\n\
             java.version={java}\nclassname=LabPlugin\n"
        )
    }
}

/// The servers that are installed.
pub(crate) struct SearchInstalled {
    programs: BTreeMap<SearchKind, Program>,
}

/// One server: its Java, and the folder with its jars and classes.
struct Program {
    java: PathBuf,
    home: PathBuf,
}

impl SearchInstalled {
    /// Installs what is missing of `kinds`, each in a folder of its own in `dir`.
    pub(crate) fn install(dir: &Path, kinds: &[SearchKind]) -> Result<SearchInstalled> {
        let search = dir.join("search");
        fs::create_dir_all(&search)?;
        let search = fs::canonicalize(search)?;
        install::packages(&[("maven", "mvn")])?;
        let program = |kind: &SearchKind| Ok((*kind, program(&search, *kind)?));
        Ok(SearchInstalled { programs: kinds.iter().map(program).collect::<Result<_>>()? })
    }
}

fn program(search: &Path, kind: SearchKind) -> Result<Program> {
    if kind.java() == 17 && jdk(17).is_none() {
        install::packages(&[("openjdk-17-jdk-headless", "javac")])?;
    }
    let jdk = jdk(kind.java())
        .with_context(|| format!("{} needs a JDK of at least {} in {JAVA_FOLDERS}", kind.label(), kind.java()))?;
    let home = search.join(format!("{}-{}", kind.name(), kind.version()));
    let marker = home.join("complete");
    let contents = format!("{}{:?}{:?}", install::pom(&kind.jars()), kind.sources(), kind.plugin());
    if fs::read_to_string(&marker).ok().as_ref() != Some(&contents) {
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(&home)?;
        install::copy_jars(&home, &install::pom(&kind.jars()), &home.join("jars"))?;
        compile(&jdk, &home, "classes", &kind.sources())?;
        if let Some(sources) = kind.plugin() {
            pack_plugin(&jdk, &home, &sources, &kind.plugin_descriptor())?;
        }
        fs::write(&marker, contents)?;
    }
    Ok(Program { java: jdk.join("bin/java"), home })
}

/// The oldest JDK that is new enough.
fn jdk(oldest: u32) -> Option<PathBuf> {
    let folders = fs::read_dir(JAVA_FOLDERS).ok()?;
    let versions = folders.filter_map(|folder| {
        let folder = folder.ok()?.path();
        let major = java_major(&fs::read_to_string(folder.join("release")).ok()?)?;
        folder.join("bin/javac").exists().then_some((major, folder))
    });
    versions.filter(|(major, _)| *major >= oldest).min().map(|(_, folder)| folder)
}

/// The major version that the file `release` of a JDK says.
fn java_major(release: &str) -> Option<u32> {
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    version.trim_matches('"').split('.').next()?.parse().ok()
}

fn compile(jdk: &Path, home: &Path, folder: &str, sources: &[Source]) -> Result<()> {
    let from = home.join(format!("{folder}-sources"));
    fs::create_dir_all(&from)?;
    let mut javac = Command::new(jdk.join("bin/javac"));
    javac.arg("-cp").arg(format!("{}/*", home.join("jars").display())).arg("-d").arg(home.join(folder));
    for (class, source) in sources {
        let file = from.join(format!("{class}.java"));
        fs::write(&file, source)?;
        javac.arg(file);
    }
    run(&mut javac)
}

/// Puts a plugin where it is looked for, with the jars of the network, which must not be in two places.
fn pack_plugin(jdk: &Path, home: &Path, sources: &[Source], descriptor: &str) -> Result<()> {
    compile(jdk, home, "plugin", sources)?;
    let module = home.join("modules/lab");
    fs::create_dir_all(&module)?;
    fs::write(module.join("plugin-descriptor.properties"), descriptor)?;
    for jar in fs::read_dir(home.join("jars"))? {
        let jar = jar?;
        let name = jar.file_name();
        let name = name.to_string_lossy();
        if ["netty-", "transport-netty4-", "elasticsearch-ssl-config-"].iter().any(|prefix| name.starts_with(prefix)) {
            fs::rename(jar.path(), module.join(&*name))?;
        }
    }
    let mut pack = Command::new(jdk.join("bin/jar"));
    pack.arg("--create").arg("--file").arg(module.join("lab.jar")).arg("-C").arg(home.join("plugin")).arg(".");
    run(&mut pack)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("{program} cannot be run"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A node that runs, alone in its cluster.
pub(crate) struct SearchServer {
    server: Server,
    port: u16,
}

impl SearchServer {
    /// Starts a node, all of whose files are in `dir`, and waits until its health is yellow or green. With the `dir` of an
    /// earlier one it goes on from that. `settings` are the node's own, by name, and win over those of the lab.
    pub(crate) fn start(
        kind: SearchKind,
        installed: &SearchInstalled,
        dir: &Path,
        port: u16,
        memory: &str,
        settings: &[(&str, &str)],
    ) -> Result<SearchServer> {
        let Some(program) = installed.programs.get(&kind) else {
            bail!("{} is not installed", kind.label());
        };
        for folder in ["config", "tmp"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let dir = fs::canonicalize(dir)?;
        fs::write(dir.join("log4j2.properties"), LOG4J)?;
        let mut arguments = program.java_arguments(kind, &dir, memory);
        arguments.extend(own_settings(&program.home, &dir, port).map(|(name, value)| format!("{name}={value}")));
        if kind.is_opensearch() {
            arguments.extend(["transport.type=netty4", "http.type=netty4"].map(str::to_owned));
        }
        arguments.extend(settings.iter().map(|(name, value)| format!("{name}={value}")));
        let log = dir.join("server.log");
        let server = Server::start(&kind.label(), &program.java, None, &arguments, log)?.until(|| is_healthy(port))?;
        Ok(SearchServer { server, port })
    }

    /// Where it listens, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Has it stand still, or go on.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        self.server.signal(if frozen { Signal::STOP } else { Signal::CONT })
    }

    /// Kills it at once: what it had not made durable is lost.
    pub(crate) fn kill(self) -> Result<()> {
        self.server.kill()
    }

    /// Has it close its indexes and end.
    pub(crate) fn stop(self) -> Result<()> {
        self.server.stop(Signal::TERM).map(drop)
    }
}

impl Program {
    fn java_arguments(&self, kind: SearchKind, dir: &Path, memory: &str) -> Vec<String> {
        let home = self.home.display();
        let [(main, _), _] = kind.sources();
        vec![
            format!("-Xms{memory}"),
            format!("-Xmx{memory}"),
            "-XX:+UseSerialGC".to_owned(),
            format!("-Djava.io.tmpdir={}", dir.join("tmp").display()),
            format!("-Dlog4j2.configurationFile={}", dir.join("log4j2.properties").display()),
            "-Dlog4j2.disable.jmx=true".to_owned(),
            "-cp".to_owned(),
            format!("{home}/classes:{home}/jars/*"),
            main.to_owned(),
            dir.join("config").display().to_string(),
        ]
    }
}

/// What makes a node the lab's: alone, on loopback, with its files in one place, and not afraid of a full disk.
fn own_settings(home: &Path, dir: &Path, port: u16) -> [(&'static str, String); 11] {
    let folder = |name: &str| dir.join(name).display().to_string();
    [
        ("path.home", home.display().to_string()),
        ("path.data", folder("data")),
        ("path.logs", folder("logs")),
        ("cluster.name", "lab".to_owned()),
        ("node.name", "lab".to_owned()),
        ("node.processors", "2".to_owned()),
        ("discovery.type", "single-node".to_owned()),
        ("network.host", "127.0.0.1".to_owned()),
        ("http.port", port.to_string()),
        ("transport.port", "0".to_owned()),
        ("cluster.routing.allocation.disk.threshold_enabled", "false".to_owned()),
    ]
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn is_healthy(port: u16) -> bool {
    let agent =
        ureq::Agent::new_with_config(ureq::Agent::config_builder().timeout_global(Some(HEALTH_TIMEOUT)).build());
    let health = || -> Result<Value> {
        let mut answer = agent.get(&format!("{}/_cluster/health", url(port))).call()?;
        Ok(answer.body_mut().read_json()?)
    };
    let healthy = |health: Value| health.get("status").is_some_and(|status| status == "yellow" || status == "green");
    health().is_ok_and(healthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_a_jdks_release() {
        let cases = [
            ("IMPLEMENTOR=\"A\"\nJAVA_VERSION=\"17.0.15\"\n", Some(17)),
            ("JAVA_VERSION=\"25\"", Some(25)),
            ("JAVA_VERSION=\"\"", None),
            ("", None),
        ];
        for (release, major) in cases {
            assert_eq!(java_major(release), major, "{release}");
        }
    }

    #[test]
    fn labels_say_the_minor_version() {
        assert_eq!(SearchKind::OpenSearch2.label(), "opensearch-2.19");
        assert_eq!(SearchKind::Elasticsearch8.label(), "elasticsearch-8.19");
    }
}
