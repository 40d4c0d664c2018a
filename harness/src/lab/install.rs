//! What the lab runs, from the registries: jars by Maven into a folder of ours, the rest by Debian's packages.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const KAFKA: &str = "4.3.1";
const DEBEZIUM: &str = "3.6.3.Final";
pub(super) const LOG4J: &str = "2.25.4";

/// Debian's packages, each with a program that it brings.
const PACKAGES: [(&str, &str); 3] =
    [("openjdk-17-jre-headless", "java"), ("maven", "mvn"), ("postgresql-15", "/usr/lib/postgresql/15/bin/postgres")];

/// Where everything is.
pub(super) struct Installed {
    /// A class path of all jars.
    pub(super) class_path: String,
    /// The folder of Postgres's programs.
    pub(super) postgres: PathBuf,
}

/// Installs what is missing, the jars in `dir`; and makes an empty folder in it for what is run.
pub(super) fn install(dir: &Path, run: &str) -> Result<(Installed, PathBuf)> {
    let (dir, run) = run_folder(dir, run)?;
    Ok((installed(&dir)?, run))
}

/// Where jars go, and an empty folder in it for what is run.
pub(super) fn run_folder(dir: &Path, run: &str) -> Result<(PathBuf, PathBuf)> {
    fs::create_dir_all(dir)?;
    let dir = fs::canonicalize(dir)?;
    let run = dir.join(run);
    if run.exists() {
        fs::remove_dir_all(&run)?;
    }
    fs::create_dir_all(&run)?;
    Ok((dir, run))
}

fn installed(dir: &Path) -> Result<Installed> {
    packages(&PACKAGES)?;
    let jars = dir.join("jars");
    let marker = jars.join(format!("kafka-{KAFKA}-debezium-{DEBEZIUM}"));
    if !marker.exists() {
        copy_jars(dir, &pom(&jars_wanted()), &jars)?;
        fs::write(&marker, "")?;
    }
    let class_path = format!("{}/*", jars.display());
    Ok(Installed { class_path, postgres: PathBuf::from("/usr/lib/postgresql/15/bin") })
}

/// Has Maven bring into `jars`, which it finds empty, what a project file in `dir` depends on.
pub(super) fn copy_jars(dir: &Path, pom: &str, jars: &Path) -> Result<()> {
    if jars.exists() {
        fs::remove_dir_all(jars)?;
    }
    fs::create_dir_all(jars)?;
    fs::write(dir.join("pom.xml"), pom)?;
    let mut maven = Command::new("mvn");
    maven.args(["-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
    maven.arg(format!("-DoutputDirectory={}", jars.display())).current_dir(dir);
    let status = maven.status().context("mvn cannot be run")?;
    ensure!(status.success(), "Maven did not bring the jars: {status}");
    Ok(())
}

/// Installs those of Debian's packages whose program is missing.
pub(super) fn packages(wanted: &[(&str, &str)]) -> Result<()> {
    let missing = || wanted.iter().filter(|(_, program)| !there(program)).map(|(package, _)| *package);
    let packages: Vec<&str> = missing().collect();
    if packages.is_empty() {
        return Ok(());
    }
    if !is_root() {
        bail!("missing: install Debian's packages {}", packages.join(", "));
    }
    // Debian's package would start a cluster of its own.
    fs::create_dir_all("/etc/postgresql-common")?;
    fs::write("/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n")?;
    let apt =
        |arguments: &[&str]| Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
    let updated = apt(&["update", "-qq"]).context("apt-get cannot be run")?;
    ensure!(updated.success(), "apt-get update: {updated}");
    // The file above is ours, and stays.
    let options = ["install", "-y", "-qq", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"];
    let installed = apt(&[&options[..], &packages].concat())?;
    ensure!(installed.success(), "apt-get install {}: {installed}", packages.join(" "));
    let packages: Vec<&str> = missing().collect();
    ensure!(packages.is_empty(), "installed, and still missing: {}", packages.join(", "));
    Ok(())
}

/// Whether a program is there, by its path or in one of the folders of `PATH`.
fn there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn jars_wanted() -> Vec<[&'static str; 3]> {
    let kafka = ["kafka_2.13", "connect-runtime", "connect-json", "kafka-tools"];
    let mut jars: Vec<_> = kafka.iter().map(|name| ["org.apache.kafka", name, KAFKA]).collect();
    jars.push(["io.debezium", "debezium-connector-postgres", DEBEZIUM]);
    jars.push(["org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J]);
    jars
}

/// A project file that depends on jars, each said by group, name and version.
pub(super) fn pom(jars: &[[&str; 3]]) -> String {
    let jar = |[group, name, version]: &[&str; 3]| {
        format!(
            "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>\n"
        )
    };
    let jars: String = jars.iter().map(jar).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n<groupId>deltaic</groupId>\
         <artifactId>lab</artifactId><version>1</version><packaging>pom</packaging>\n<dependencies>\n{jars}\
         </dependencies>\n</project>\n"
    )
}
