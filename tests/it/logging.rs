//! Log lines: where they go, from which level on, and what they never hold.

use super::command_line::{deltaic, example, file, run};
use std::collections::BTreeMap;

#[test]
fn what_is_logged_goes_to_standard_error_from_its_level_on() {
    let stderr = |level: &str| {
        let ran = run(deltaic().args(["--log", level, "replay"]).arg(example())).done();
        assert_eq!(ran.stdout.lines().count(), 884, "{level}");
        ran.stderr
    };
    let lines = |stderr: &str, level: &str| stderr.lines().filter(|line| line.contains(level)).count();
    // The log is whole: nothing to warn of.
    for quiet in ["error", "warn"] {
        assert!(stderr(quiet).starts_with("documents "), "{quiet}");
    }
    let info = stderr("info");
    assert_eq!(lines(&info, " INFO deltaic::"), 3, "{info}");
    assert!(info.contains("run starts view=\"conversation_search\" workers=1"), "{info}");
    assert!(info.contains("run ends exact_at=126403376 transactions=1408 open=0 records=17903"), "{info}");
    assert_eq!(lines(&info, "DEBUG"), 0);
    let debug = stderr("debug");
    assert!(lines(&debug, ": batch applied lower=") > 0, "{debug}");
    assert!(!debug.contains("needs_review\""), "no documents");
    run(deltaic().args(["--log", "loud", "replay", "-"]))
        .check_refused(2, "[possible values: error, warn, info, debug, trace]");
}

#[test]
fn no_level_shows_documents() {
    let ran = run(deltaic().args(["--log", "trace", "replay", "--include", "users.name"]).arg(example())).done();
    assert!(ran.stderr.contains("TRACE deltaic::source::reader: record table=0 partition="), "{}", &ran.stderr[..500]);
    let logged = ran.stderr.split("\ndocuments ").next().unwrap();
    for document in ran.stdout.lines() {
        let document: BTreeMap<String, String> = serde_json::from_str(document).unwrap();
        for (field, value) in document.into_iter().filter(|(_, value)| value.len() >= 6) {
            assert!(!logged.contains(&value), "{field}: {value}");
        }
    }
}

#[test]
fn the_environment_says_what_is_logged_unless_the_option_does() {
    let infos = |args: &[&str]| {
        let ran = run(deltaic().env("DELTAIC_LOG", "info").args(args).arg("replay").arg(example())).done();
        ran.stderr.matches(" INFO ").count()
    };
    assert_eq!((infos(&[]), infos(&["--log", "warn"])), (3, 0));
    run(deltaic().env("DELTAIC_LOG", "loud").args(["replay", "-"]))
        .check_refused(2, "invalid value 'loud' for '--log <LEVEL>'");
}

#[test]
fn a_cut_log_is_warned_of() {
    let whole = std::fs::read(example()).unwrap();
    let cut = file(&whole[..whole.len() - 100]);
    let ran = run(deltaic().arg("replay").arg(cut.path())).done();
    assert!(ran.stderr.contains(" WARN deltaic::status: the log stops inside a line"), "{}", ran.stderr);
}
