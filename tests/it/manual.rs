//! Completions and manual pages, which are made of the same definitions as the help.

use super::command_line::{deltaic, file, run};

#[test]
fn completions_are_made_for_every_shell() {
    for (shell, start) in [
        ("bash", "_deltaic() {"),
        ("zsh", "#compdef deltaic"),
        ("fish", "# Print an optspec"),
        ("powershell", "\nusing namespace"),
        ("elvish", "\nuse builtin;"),
    ] {
        let script = run(deltaic().args(["completions", shell])).done().stdout;
        assert!(script.starts_with(start), "{shell}: {}", script.lines().next().unwrap_or_default());
        assert!(script.contains("snapshot-complete") && script.contains("completions"), "{shell}");
    }
    run(deltaic().args(["completions", "sh"]))
        .check_refused(2, "[possible values: bash, elvish, fish, powershell, zsh]");
}

#[test]
fn manual_pages_are_printed_and_written() {
    let page = run(deltaic().arg("man")).done().stdout;
    assert!(page.contains(".TH deltaic 1") && page.contains("deltaic\\-replay(1)"), "{page}");
    let page = run(deltaic().args(["man", "run"])).done().stdout;
    assert!(page.contains(".TH deltaic-run 1") && page.contains("commit_interval_ms"), "{page}");
    run(deltaic().args(["man", "rum"]))
        .check_refused(2, "deltaic: there is no command `rum`; there are run, rebuild, replay, capture, search, get, dump, index, config, completions, man\n");

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    let ran = run(deltaic().arg("man").arg("--out").arg(&out)).done();
    assert_eq!(ran.stdout, "");
    for command in ["deltaic", "deltaic-replay", "deltaic-run", "deltaic-config", "deltaic-completions", "deltaic-man"]
    {
        let page = std::fs::read_to_string(out.join(format!("{command}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {command} 1")), "{page}");
    }
    let blocked = file(b"");
    let ran = run(deltaic().arg("man").arg("--out").arg(blocked.path().join("x")));
    ran.check_refused(1, &format!("cannot write the pages to {}", blocked.path().join("x").display()));
}
