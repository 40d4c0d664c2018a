//! A broker that asks who reads, over plain connections and over TLS: each way gives the same records, and whoever is not let in
//! is told so, and tells no secret.
//!
//! | listener | asks for |
//! |---|---|
//! | `PASSWORD` | SASL/PLAIN, over a plain connection |
//! | `SECURED` | SASL/PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, over TLS with a certificate that nobody but its owner vouches for |

use super::broker::Broker;
use super::server::{Server, free_port};
use super::stack::Stack;
use crate::Scenario;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const USER: &str = "reader";
const PASSWORD: &str = "s3cret-of-the-reader";
const WRONG: &str = "s3cret-of-another";
/// Where the password comes from that is not in a file.
const PASSWORD_VARIABLE: &str = "READER_PASSWORD";
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
const PREFIX: &str = "secured";
/// How long it may take until a certificate is refused.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecuredSummary {
    /// Records that each way has given.
    pub records: usize,
    /// The ways: protocol and mechanism.
    pub ways: Vec<String>,
    /// Who was refused.
    pub refused: Vec<&'static str>,
}

/// The listeners of a broker that ask who reads.
pub(super) struct Listeners {
    password: u16,
    secured: u16,
    store: PathBuf,
    certificate: PathBuf,
}

impl Listeners {
    /// Finds ports, and makes a certificate in `dir`.
    pub(super) fn new(dir: &Path) -> Result<Listeners> {
        let (store, certificate) = (dir.join("broker.p12"), dir.join("broker.pem"));
        let keytool = |arguments: &[&str]| {
            let mut keytool = Command::new("keytool");
            keytool.args(arguments).args(["-alias", "broker", "-storepass", PASSWORD, "-keystore"]).arg(&store);
            let made = keytool.output().context("keytool cannot be run")?;
            ensure!(made.status.success(), "keytool: {}", String::from_utf8_lossy(&made.stdout));
            Ok(made.stdout)
        };
        let names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-ext", "BC=ca:true"];
        let key = ["-genkeypair", "-storetype", "PKCS12", "-keyalg", "RSA", "-keysize", "2048", "-validity", "30"];
        keytool(&[&key[..], &names].concat())?;
        fs::write(&certificate, keytool(&["-exportcert", "-rfc"])?)?;
        Ok(Listeners { password: free_port()?, secured: free_port()?, store, certificate })
    }

    /// For `listeners` and `advertised.listeners`.
    pub(super) fn addresses(&self) -> String {
        format!("PASSWORD://127.0.0.1:{},SECURED://127.0.0.1:{}", self.password, self.secured)
    }

    /// For `listener.security.protocol.map`.
    pub(super) fn protocols(&self) -> &'static str {
        "PASSWORD:SASL_PLAINTEXT,SECURED:SASL_SSL"
    }

    /// The broker's other properties.
    pub(super) fn properties(&self) -> String {
        let module = "org.apache.kafka.common.security";
        let plain = format!("{module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";");
        let scram = |mechanism: &&str| {
            let mechanism = mechanism.to_lowercase();
            format!("listener.name.secured.{mechanism}.sasl.jaas.config={module}.scram.ScramLoginModule required;\n")
        };
        format!(
            "listener.name.password.sasl.enabled.mechanisms=PLAIN\nlistener.name.password.plain.sasl.jaas.config={plain}\n\
             listener.name.secured.sasl.enabled.mechanisms=PLAIN,{}\nlistener.name.secured.plain.sasl.jaas.config={plain}\n\
             {}listener.name.secured.ssl.keystore.type=PKCS12\nlistener.name.secured.ssl.keystore.location={}\n\
             listener.name.secured.ssl.keystore.password={PASSWORD}\n",
            SCRAM.join(","),
            SCRAM.iter().map(scram).collect::<String>(),
            self.store.display()
        )
    }

    /// What the broker's folder is formatted with, so that it knows who reads.
    pub(super) fn users(&self) -> Vec<String> {
        let user = |mechanism| ["--add-scram".to_owned(), format!("{mechanism}=[name={USER},password={PASSWORD}]")];
        SCRAM.into_iter().flat_map(user).collect()
    }
}

/// `program` is any build of the command; `tls_program` is one with TLS.
pub(super) fn secured(
    stack: &Stack,
    run: &Path,
    program: &Path,
    tls_program: &Path,
    seed: u64,
) -> Result<SecuredSummary> {
    let broker = Broker::at(stack.broker)?;
    let scenario = Scenario::random(seed);
    broker.create(PREFIX, &scenario.log, &[])?;
    broker.write(PREFIX, &scenario.log.records)?;
    let dir = run.join("secured");
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("password"), format!("{PASSWORD}\n"))?;
    fs::write(dir.join("wrong"), format!("{WRONG}\n"))?;
    let trusted = format!("ssl.ca.location = \"{}\"\n", stack.listeners.certificate.display());
    let Listeners { password, secured, .. } = &stack.listeners;
    let from_file = "{ file = \"password\" }";
    let from_variable = format!("\"${{{PASSWORD_VARIABLE}}}\"");
    let reader = |program: &Path, port: u16, protocol: &str, mechanism: &str, password: &str, rest: &str| Reader {
        program: program.to_owned(),
        dir: dir.clone(),
        properties: format!(
            "bootstrap.servers = \"127.0.0.1:{port}\"\nsecurity.protocol = \"{protocol}\"\nsasl.mechanism = \"{mechanism}\"\n\
             sasl.username = \"{USER}\"\nsasl.password = {password}\n{rest}"
        ),
    };

    let open = Reader {
        program: program.to_owned(),
        dir: dir.clone(),
        properties: format!("bootstrap.servers = \"127.0.0.1:{}\"\n", stack.broker),
    };
    let expected = open.records().context("a listener that asks for nothing")?;
    let mut summary = SecuredSummary { records: expected.len(), ..SecuredSummary::default() };
    let ways = [
        (program, *password, "sasl_plaintext", "PLAIN", from_file, ""),
        (tls_program, *secured, "sasl_ssl", "PLAIN", from_file, &*trusted),
        (tls_program, *secured, "sasl_ssl", "SCRAM-SHA-256", &*from_variable, &*trusted),
        (tls_program, *secured, "sasl_ssl", "SCRAM-SHA-512", from_file, &*trusted),
    ];
    for (program, port, protocol, mechanism, password, rest) in ways {
        let way = format!("{protocol} {mechanism}");
        let found = reader(program, port, protocol, mechanism, password, rest).records().context(way.clone())?;
        ensure!(found == expected, "{way}: {} records, expected {}", found.len(), expected.len());
        summary.ways.push(way);
    }

    let wrong = "{ file = \"wrong\" }";
    for (program, port, protocol, mechanism, rest) in [
        (program, *password, "sasl_plaintext", "PLAIN", ""),
        (tls_program, *secured, "sasl_ssl", "SCRAM-SHA-512", &*trusted),
    ] {
        let Output { status, stderr, .. } = reader(program, port, protocol, mechanism, wrong, rest).capture()?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.code() == Some(1), "a wrong password, {mechanism}: {status}: {said}");
        ensure!(said.contains("uthentication"), "a wrong password, {mechanism}: it is not said: {said}");
        tells_no_secret(&said)?;
    }
    summary.refused.push("a wrong password");
    let said =
        reader(tls_program, *secured, "sasl_ssl", "PLAIN", from_file, "").waits_for("certificate verify failed")?;
    tells_no_secret(&said)?;
    summary.refused.push("a certificate that nobody vouches for");
    let Output { status, stderr, .. } = reader(program, *secured, "sasl_ssl", "PLAIN", from_file, "").capture()?;
    let said = String::from_utf8_lossy(&stderr);
    // The same program may be given for both.
    if program != tls_program {
        ensure!(!status.success() && said.contains("security.protocol"), "a build without TLS: {status}: {said}");
        tells_no_secret(&said)?;
        summary.refused.push("TLS in a build without it");
    }
    Ok(summary)
}

fn tells_no_secret(said: &str) -> Result<()> {
    ensure!(!said.contains(PASSWORD) && !said.contains(WRONG), "a secret is told: {said}");
    Ok(())
}

/// A program with properties of its own.
struct Reader {
    program: PathBuf,
    dir: PathBuf,
    properties: String,
}

impl Reader {
    /// `deltaic capture` to standard output.
    fn arguments(&self) -> Result<Vec<String>> {
        let config = self.dir.join("reader.toml");
        let text = format!(
            "[source]\nkind = \"kafka\"\nprefix = \"{PREFIX}\"\n\n[source.kafka]\n{}\n[view]\nname = \"conversation_search\"\n\n\
             [[sink]]\nkind = \"tantivy\"\npath = \"unused\"\n",
            self.properties
        );
        fs::write(&config, text)?;
        Ok(["capture", &config.display().to_string(), "--out", "-"].map(str::to_owned).to_vec())
    }

    fn capture(&self) -> Result<Output> {
        let mut capture = Command::new(&self.program);
        capture.args(self.arguments()?).env(PASSWORD_VARIABLE, PASSWORD);
        capture.output().context("the program cannot be run")
    }

    /// The lines of the captured log, sorted: between partitions their order is that of arrival.
    fn records(&self) -> Result<Vec<String>> {
        let Output { status, stdout, stderr } = self.capture()?;
        let said = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "{status}: {said}");
        tells_no_secret(&said)?;
        let mut lines: Vec<String> = String::from_utf8(stdout)?.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        ensure!(!lines.is_empty(), "there are no records: {said}");
        Ok(lines)
    }

    /// Starts it, waits until it says `what`, and asks it to end; all that it has said.
    fn waits_for(&self, what: &str) -> Result<String> {
        let log = self.dir.join("reader.log");
        let reader = Server::start("reader", &self.program, None, &self.arguments()?, log.clone())?;
        let deadline = Instant::now() + PATIENCE;
        let mut said = String::new();
        while !said.contains(what) {
            ensure!(Instant::now() < deadline, "it does not say \"{what}\": {said}");
            std::thread::sleep(Duration::from_millis(100));
            said = fs::read_to_string(&log)?;
        }
        let ended = reader.stop(Signal::INT)?;
        ensure!(ended.code() == Some(1), "a copy that is not whole: {ended}");
        Ok(fs::read_to_string(&log)?)
    }
}
