//! `deltaic run`: what a configuration asks for comes to be, and the help explains every key.

use super::command_line::{CHANGES, DOCUMENTS, Ran, deltaic, example, file, replay, run};

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
fn an_index_holds_the_documents_of_replay_and_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index").display().to_string();
    let log = example().display().to_string();
    let text = format!(
        "[source]\nkind = \"log\"\nfiles = [\"{log}\"]\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \
         \"tantivy\"\npath = \"{dir}\"\n"
    );
    let config = file(text.as_bytes());
    let go = |args: &[&str]| run(deltaic().arg("run").arg(config.path()).args(args));
    let of = |args: &[&str]| run(deltaic().args(args));

    // An index up to a position, then to the end, then nothing new.
    go(&["--until", "124297584"]).done();
    let dump = of(&["dump", &dir]).done();
    assert!(dump.stdout == replay(&["--until", "124297584"], &[&example()]).done().stdout, "the same bytes");
    let continued = go(&["--workers", "2"]).done();
    assert!(continued.stderr.contains("\ncontinued     from LSN 124297584: "), "{}", continued.stderr);
    assert!(of(&["dump", &dir]).done().stdout == *DOCUMENTS, "the same bytes");
    let again = go(&[]).done();
    assert!(
        again.stderr.contains("\nnothing new   the index was at LSN 126403376; it was not changed\n"),
        "{}",
        again.stderr
    );

    // It never goes back, and is never of something else.
    go(&["--until", "124297584"]).check_refused(1, "deltaic: LSN 124297584, to stop at, is before LSN 126403376");
    go(&["--set", "view.zero_items=needs_review_invite"]).check_refused(1, "deltaic: the index in ");

    let found = of(&["search", &dir, "step:needs_review", "--limit", "2"]).done();
    assert_eq!(found.stderr, "365 of 884 documents, exact at LSN 126403376\n");
    assert_eq!(found.stdout.lines().count(), 2);
    assert!(found.stdout.lines().all(|line| line.contains("\"step\":\"needs_review\"")), "{}", found.stdout);
    let first = DOCUMENTS.lines().next().unwrap();
    let id = "00343515-a8c8-452f-8d3b-2c375b124927";
    assert!(first.contains(id));
    assert_eq!(of(&["get", &dir, id]).done().stdout, format!("{first}\n"));
    of(&["get", &dir, "nobody"]).check_refused(1, "deltaic: there is no document nobody in ");
    let shown = of(&["index", "show", &dir]).done().stdout;
    assert!(shown.contains("exact at LSN  126403376\ndocuments     884\n"), "{shown}");
}

#[test]
fn the_help_explains_every_key() {
    let help = run(deltaic().args(["help", "run"])).done().stdout;
    assert!(help == include_str!("run/help.txt"), "run/help.txt should be:\n{help}");
    assert_eq!(run(deltaic().args(["run", "--help"])).done().stdout, help);
}
