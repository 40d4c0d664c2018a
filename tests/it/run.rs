//! `deltaic run`: what a configuration asks for comes to be, and the help explains every key.

use super::command_line::{CHANGES, DOCUMENTS, Ran, deltaic, example, file, run};

/// The example as JSON lines; `{}` is the rest of the sink.
fn lines(sink: &str) -> tempfile::NamedTempFile {
    let log = example().display().to_string();
    let text = format!(
        "[source]\nkind = \"log\"\nfiles = [\"{log}\"]\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \
         \"jsonl\"\n{sink}\n"
    );
    file(text.as_bytes())
}

fn run_lines(sink: &str, args: &[&str]) -> Ran {
    run(deltaic().arg("run").arg(lines(sink).path()).args(args))
}

#[test]
fn json_lines_are_those_of_replay() {
    let ran = run_lines("path = \"-\"", &[]).done();
    assert!(ran.stdout == *DOCUMENTS, "the same bytes");
    ran.check_summary("exact at LSN 126403376");
    assert!(run_lines("path = \"-\"\nchanges = true", &["--workers", "2"]).done().stdout == *CHANGES, "the same bytes");
}

#[test]
fn json_lines_go_to_a_file_which_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("documents.jsonl");
    std::fs::write(&out, "what was there before\n").unwrap();
    let sink = format!("path = \"{}\"", out.display());
    let ran = run_lines(&sink, &[]).done();
    assert_eq!(ran.stdout, "");
    assert!(std::fs::read_to_string(&out).unwrap() == *DOCUMENTS, "the same bytes");

    let nowhere = folder.path().join("no").join("documents.jsonl");
    let message = format!("deltaic: cannot write {}: No such file or directory", nowhere.display());
    run_lines(&format!("path = \"{}\"", nowhere.display()), &[]).check_refused(1, &message);
}

#[test]
fn options_and_set_reach_the_run() {
    let ran = run_lines("path = \"-\"", &["--until", "121000000", "--set", "view.include=users.name"]).done();
    let at = ran.exact_at();
    assert!(at <= 121_000_000, "{at}");
    assert!(ran.stdout.lines().all(|line| line.contains("\"name\":")), "{}", ran.stdout);
}

#[test]
fn what_cannot_run_is_refused_before_anything_is_done() {
    for (args, message) in [
        (
            &["--follow"][..],
            "deltaic: 4 mistakes in the configuration:\n  missing key `source.prefix`: `source.follow` in --follow needs it\n",
        ),
        (&["--workers", "0"], "deltaic: `engine.workers` in --workers is `0`; expected a whole number from 1 to 256\n"),
    ] {
        let ran = run_lines("path = \"-\"", args);
        ran.check_refused(2, message);
        assert!(ran.stderr.ends_with("\n\nFor more information, try 'deltaic run --help'.\n"), "{}", ran.stderr);
    }
}

#[test]
fn the_help_explains_every_key() {
    let help = run(deltaic().args(["help", "run"])).done().stdout;
    assert!(help == include_str!("run/help.txt"), "run/help.txt should be:\n{help}");
    assert_eq!(run(deltaic().args(["run", "--help"])).done().stdout, help);
}
