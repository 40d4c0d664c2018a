//! What an index refuses, and what it says.

use super::*;
use deltaic::dataflows::ZeroItems;
use deltaic::{AlignError, IndexError, SinkError};
use std::fs;

/// A small index that is filled up to its middle, and the log it is of.
fn filled() -> (tempfile::TempDir, tempfile::NamedTempFile, Replay, Report) {
    let (scenario, file, options) = generated(3600, 40);
    let dir = tempfile::tempdir().unwrap();
    let until = Some(Lsn(scenario.history.commits[20].end_lsn));
    let report = fill(wide(), options.until(until), dir.path(), EACH).unwrap();
    (dir, file, options, report)
}

fn refused(result: Result<Report, Error>) -> (IndexError, String) {
    match result {
        Err(Error::Sink(SinkError::Index(error))) => {
            let said = error.to_string();
            (error, said)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn says(said: &str, words: &[&str]) {
    words.iter().for_each(|words| assert!(said.contains(words), "`{words}` is not in `{said}`"));
}

/// The index is as it was.
fn unchanged(dir: &Path, report: &Report) {
    assert_eq!(Index::open(dir).unwrap().snapshot().lsn(), report.exact_at);
}

#[test]
fn an_index_of_something_else_is_refused_with_what_differs() {
    let (dir, file, options, report) = filled();
    let zero = wide().zero_items(ZeroItems::NeedsReviewInvite);
    let (error, said) = refused(fill(zero, options.clone(), dir.path(), EACH));
    assert!(matches!(&error, IndexError::Identity { differences, .. } if differences.len() == 1), "{error:?}");
    says(&said, &["zero_items is `absent` in the index and `needs_review_invite` in this run", "another directory"]);

    let (_, said) = refused(fill(ConversationSearch::default(), options.clone(), dir.path(), EACH));
    says(&said, &["include is `users.name, users.bio, conversations.subject` in the index and none in this run"]);

    let partial = options.but(|options| options.allow_partial_base = true);
    let (_, said) = refused(fill(wide(), partial, dir.path(), EACH));
    says(&said, &["allow_partial_base is none in the index and `true` in this run"]);

    let text = fs::read_to_string(file.path()).unwrap().replace("podium", "festival");
    fs::write(file.path(), text).unwrap();
    let partitions =
        options.options.partitions.iter().map(|(topic, n)| (topic.replace("podium", "festival"), *n)).collect();
    let festival = options.but(|options| {
        (options.prefix, options.partitions) = (Some("festival".to_owned()), partitions);
    });
    let (_, said) = refused(fill(wide(), festival, dir.path(), EACH));
    says(&said, &["the source's prefix is `podium` in the index and `festival` in this run"]);
    unchanged(dir.path(), &report);
}

#[test]
fn an_index_of_another_format_is_refused() {
    let (dir, _file, options, _) = filled();
    let meta = dir.path().join("generation-1/meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, text.replace(r#"\"format\":1"#, r#"\"format\":7"#)).unwrap();
    let (error, said) = refused(fill(wide(), options.clone(), dir.path(), EACH));
    assert!(matches!(error, IndexError::Format { found: 7, expected: 1, .. }), "{error:?}");
    says(&said, &["format 7", "format 1"]);
    assert!(matches!(Index::open(dir.path()), Err(IndexError::Format { .. })));

    let mut meta_json: serde_json::Value = serde_json::from_str(&text).unwrap();
    meta_json.as_object_mut().unwrap().remove("payload");
    fs::write(&meta, meta_json.to_string()).unwrap();
    let (error, _) = refused(fill(wide(), options, dir.path(), EACH));
    assert!(matches!(error, IndexError::Foreign { .. }), "{error:?}");
}

#[test]
fn a_second_writer_is_refused_and_a_third_is_not() {
    let (dir, _file, options, report) = filled();
    let first = TantivySink::open(dir.path(), EACH).unwrap();
    let (error, said) = refused(fill(wide(), options.clone(), dir.path(), EACH));
    assert!(matches!(error, IndexError::Busy { .. }), "{error:?}");
    says(&said, &["another process is writing", dir.path().to_str().unwrap(), "stop it first"]);
    unchanged(dir.path(), &report);
    drop(first);
    fill(wide(), options, dir.path(), EACH).unwrap();
}

#[test]
fn an_index_cannot_go_back() {
    let (dir, _file, options, report) = filled();
    let held = report.exact_at.unwrap();
    let until = |lsn| options.until(Some(Lsn(lsn)));
    let refused = fill(wide(), until(held.0 - 1), dir.path(), EACH);
    match &refused {
        Err(error @ Error::UntilBeforeSink { sink, .. }) => {
            assert_eq!(*sink, held);
            says(&error.to_string(), &[&held.to_string(), "cannot go back"]);
        }
        other => panic!("{other:?}"),
    }
    unchanged(dir.path(), &report);
    assert!(fill(wide(), until(held.0), dir.path(), EACH).unwrap().nothing_new);
}

#[test]
fn a_log_that_does_not_reach_back_is_refused() {
    let (dir, file, options, report) = filled();
    let text = fs::read_to_string(file.path()).unwrap();
    let late: String = text.split_inclusive('\n').skip(text.lines().count() / 2).collect();
    fs::write(file.path(), late).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    for dir in [dir.path(), fresh.path()] {
        let refused = fill(wide(), options.clone(), dir, EACH);
        assert!(matches!(refused, Err(Error::Align(AlignError::NoSnapshot))), "{refused:?}");
    }
    unchanged(dir.path(), &report);
    assert_eq!(Index::open(fresh.path()).unwrap().snapshot().lsn(), None);
}

#[test]
fn a_log_with_a_later_snapshot_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let until = Some(Lsn(124_297_584));
    let report = fill(wide(), Replay::of(&podium()).until(until), dir.path(), EACH).unwrap();
    // The same log, as if its snapshot had been taken at its end.
    let bytes = zstd::decode_all(fs::File::open(podium()).unwrap()).unwrap();
    let late = String::from_utf8(bytes).unwrap().replace("120972920", "126403999");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), late).unwrap();
    match fill(wide(), Replay::of(file.path()), dir.path(), EACH) {
        Err(error @ Error::BaseAfterSink { base: Lsn(126_403_999), sink: Lsn(124_297_584) }) => {
            says(&error.to_string(), &["begins with a snapshot at LSN 126403999, after LSN 124297584", "a new output"]);
        }
        other => panic!("{other:?}"),
    }
    unchanged(dir.path(), &report);
}

/// Without a snapshot, what a log lacks depends on where it begins.
#[test]
fn an_index_without_a_base_is_continued_from_the_same_beginning_only() {
    let (scenario, file, options) = generated(3610, 80);
    let text = fs::read_to_string(file.path()).unwrap();
    let from = |part: usize| text.split_inclusive('\n').skip(text.lines().count() * part / 8).collect::<String>();
    let partial = options.but(|options| (options.allow_partial_base, options.snapshot_complete) = (true, false));
    let dir = tempfile::tempdir().unwrap();
    let run = |until: Option<usize>| {
        let until = until.map(|commit| Lsn(scenario.history.commits[commit].end_lsn));
        fill(wide(), partial.until(until), dir.path(), EACH)
    };
    fs::write(file.path(), from(3)).unwrap();
    let report = run(Some(60)).unwrap();
    assert!(report.partial_base && report.exact_at.is_some(), "{report:?}");
    fs::write(file.path(), from(4)).unwrap();
    let (error, said) = refused(run(None));
    assert!(matches!(error, IndexError::OtherBeginning { index: Some(index), run: Some(run), .. } if index < run));
    says(&said, &["filled without an initial snapshot", "rows that the index knows are missing"]);
    unchanged(dir.path(), &report);
    fs::write(file.path(), from(3)).unwrap();
    let report = run(None).unwrap();
    assert!(report.touched > 0, "{report:?}");
    unchanged(dir.path(), &report);
}

/// A run that put nothing into its index does not say what the next one may put into it.
#[test]
fn an_index_in_which_nothing_is_yet_is_of_nothing_yet() {
    let (_scenario, file, options) = generated(3620, 40);
    let text = fs::read_to_string(file.path()).unwrap();
    let late: String = text.split_inclusive('\n').skip(text.lines().count() / 2).collect();
    fs::write(file.path(), late).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let failed = fill(wide(), options.clone(), dir.path(), EACH);
    assert!(matches!(failed, Err(Error::Align(AlignError::NoSnapshot))), "{failed:?}");
    let reader = Index::open(dir.path()).unwrap();
    let partial = options.but(|options| (options.allow_partial_base, options.snapshot_complete) = (true, false));
    let report = fill(ConversationSearch::default(), partial, dir.path(), EACH).unwrap();
    assert!(report.exact_at.is_some());
    unchanged(dir.path(), &report);
    assert_eq!(reader.reload().unwrap().lsn(), report.exact_at, "a reader goes over to it");
}

#[test]
fn what_is_no_index_is_refused() {
    let (dir, _file, options, report) = filled();
    let fill = || fill(wide(), options.clone(), dir.path(), EACH);
    let current = dir.path().join("CURRENT");
    assert_eq!(fs::read_to_string(&current).unwrap(), "generation-1\n");

    // Garbage.
    for (text, said) in [
        ("", "empty"),
        ("hello\n", "`hello`"),
        ("generation-1\n2", "`generation-1\\n2`"),
        ("../generation-1", "generation-1"),
    ] {
        fs::write(&current, text).unwrap();
        let (error, message) = refused(fill());
        assert!(matches!(error, IndexError::BadCurrent { .. }), "{error:?}");
        says(&message, &["CURRENT", said]);
        assert!(matches!(Index::open(dir.path()), Err(IndexError::BadCurrent { .. })));
    }
    // A generation that is not there.
    fs::write(&current, "generation-2\n").unwrap();
    let (error, message) = refused(fill());
    assert!(matches!(error, IndexError::NoGeneration { .. }), "{error:?}");
    says(&message, &["generation-2", "not there"]);
    // Lost.
    fs::remove_file(&current).unwrap();
    let (error, message) = refused(fill());
    assert!(matches!(&error, IndexError::NoCurrent { generation, .. } if generation == "generation-1"), "{error:?}");
    says(&message, &["write `generation-1` into"]);
    assert!(matches!(Index::open(dir.path()), Err(IndexError::Missing { .. })));
    // Put back, and a folder of another generation beside it that nobody names.
    fs::write(&current, "generation-1").unwrap();
    fs::create_dir(dir.path().join("generation-2")).unwrap();
    fs::create_dir(dir.path().join("generation-3.new")).unwrap();
    unchanged(dir.path(), &report);
    assert!(fill().unwrap().touched > 0);
}

#[test]
fn what_a_crash_left_of_a_creation_is_cleared_and_what_is_not_ours_is_kept() {
    let (_scenario, _file, options) = generated(3700, 30);
    // Half made; and made, but never named.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("generation-1.new")).unwrap();
    fs::write(dir.path().join("generation-1.new/meta.json"), "{").unwrap();
    fill(wide(), options.clone(), dir.path(), EACH).unwrap();
    let made = tempfile::tempdir().unwrap();
    let nothing = fill(wide(), options.until(Some(Lsn(1))), made.path(), EACH);
    assert!(matches!(nothing, Err(Error::Align(AlignError::UntilBeforeBase { .. }))), "{nothing:?}");
    assert_eq!(Index::open(made.path()).unwrap().snapshot().lsn(), None);
    fs::remove_file(made.path().join("CURRENT")).unwrap();
    let report = fill(wide(), options.clone(), made.path(), EACH).unwrap();
    unchanged(made.path(), &report);
    // Somebody's directory.
    let theirs = tempfile::tempdir().unwrap();
    fs::write(theirs.path().join("thesis.txt"), "...").unwrap();
    let (error, said) = refused(fill(wide(), options, theirs.path(), EACH));
    assert!(matches!(error, IndexError::NotEmpty { .. }), "{error:?}");
    says(&said, &["thesis.txt", "empty directory"]);
    assert_eq!(fs::read_dir(theirs.path()).unwrap().count(), 1);
    assert!(matches!(Index::open(theirs.path()), Err(IndexError::Missing { .. })));
    assert!(matches!(Index::open(theirs.path().join("nowhere")), Err(IndexError::Missing { .. })));
}

#[test]
fn a_query_that_cannot_be_read_is_told() {
    let (dir, ..) = filled();
    let snapshot = Index::open(dir.path()).unwrap().snapshot();
    for query in ["nosuchfield:x", "step:", "(((", "\"open"] {
        match snapshot.search(query, 1) {
            Err(IndexError::Query { query: told, .. }) => assert_eq!(told, query),
            other => panic!("{query}: {:?}", other.map(|found| found.total)),
        }
    }
}
