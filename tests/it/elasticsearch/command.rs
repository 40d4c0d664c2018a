//! `deltaic run` and `deltaic rebuild` to a search server, as a user meets them.

use super::*;
use crate::command_line::{Ran, deltaic, example, file, run};

/// A configuration that fills an index from the example; more of the sink behind it.
fn config(server: &SearchServer, more: &str) -> tempfile::NamedTempFile {
    let text = format!(
        "[source]\nkind = \"log\"\nfiles = [\"{}\"]\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \
         \"opensearch\"\nurl = \"{}\"\nindex = \"{ALIAS}\"\n{more}\n",
        example().display(),
        server.url()
    );
    file(text.as_bytes())
}

fn ran(command: &str, config: &tempfile::NamedTempFile, args: &[&str]) -> Ran {
    run(deltaic().arg(command).arg(config.path()).args(args).env("PASSWORD", "xyzzy"))
}

#[test]
fn a_run_says_where_the_documents_are() {
    let server = SearchServer::start(no_faults());
    let of_server = config(&server, "");
    let first = ran("run", &of_server, &[]).done();
    first.check_summary("documents 884");
    first.check_summary("exact at LSN 126403376");
    first.check_summary("index things-000001");
    assert!(first.stderr.contains("\nsent "), "{}", first.stderr);
    assert_eq!(server.model().seen(ALIAS).len(), 884);
    ran("run", &of_server, &[]).done().check_summary("nothing new the index was at LSN 126403376; it was not changed");

    let rebuilt = ran("rebuild", &of_server, &[]).done();
    rebuilt.check_summary("index things-000002");
    rebuilt.check_summary("exact at LSN 126403376");
    assert_eq!(server.model().seen(ALIAS).len(), 884);

    let names = ran("run", &of_server, &["--set", "view.include=users.name"]);
    assert_eq!(names.code, Some(1));
    assert!(names.stderr.contains("let `deltaic rebuild` fill another index"), "{}", names.stderr);
    let behind = ran("rebuild", &of_server, &["--until", "121000000"]);
    assert_eq!(behind.code, Some(1));
    assert!(behind.stderr.contains("it stays, and nothing takes its place"), "{}", behind.stderr);
    ran("rebuild", &of_server, &["--set", "view.include=users.name"]).done().check_summary("index things-000003");
    let documents = server.model().seen(ALIAS);
    assert!(documents.values().all(|stored| stored.source.get("name").is_some()));
}

#[test]
fn a_password_is_sent_and_not_shown() {
    let server = SearchServer::start(no_faults());
    server.model().authorization = Some("Basic YWRhOnh5enp5".to_owned());
    let of_server = config(&server, "connection.username = \"ada\"\nconnection.password = \"${PASSWORD}\"");
    let shown = ran("run", &of_server, &["--log", "trace"]).done();
    shown.check_summary("documents 884");
    let printed = ran("config", &of_server, &[]).done();
    assert!(printed.stdout.contains("password = \"<redacted>\""), "{}", printed.stdout);
    server.model().authorization = Some("another".to_owned());
    let refused = ran("run", &of_server, &["--log", "trace"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("give the sink credentials"), "{}", refused.stderr);
    for text in [&shown.stdout, &shown.stderr, &printed.stdout, &printed.stderr, &refused.stderr] {
        assert!(!text.contains("xyzzy") && !text.contains("YWRhOnh5enp5"), "{text}");
    }
}

#[test]
fn json_lines_are_not_rebuilt() {
    let text = format!(
        "[source]\nkind = \"log\"\nfiles = [\"{}\"]\n[view]\nname = \"conversation_search\"\n[[sink]]\nkind = \
         \"jsonl\"\npath = \"-\"\n",
        example().display()
    );
    let ran = ran("rebuild", &file(text.as_bytes()), &[]);
    ran.check_refused(2, "deltaic: JSON lines are no index: `deltaic run` writes them anew\n");
}
