//! An index that is continued: what it holds is not written again, and what it gets is exact.

use super::*;
use std::time::SystemTime;

/// Everything that is in the index's directory, with the time of its last change.
fn files(dir: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .flat_map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            match meta.is_dir() {
                true => self::files(&entry.path()),
                false => vec![(entry.path(), meta.len(), meta.modified().unwrap())],
            }
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_run_over_the_same_log_changes_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let first = fill(wide(), Replay::of(&podium()), dir.path(), IndexOptions::default()).unwrap();
    let snapshot = Index::open(dir.path()).unwrap().snapshot();
    let before = files(dir.path());
    let second = fill(wide(), Replay::of(&podium()), dir.path(), IndexOptions::default()).unwrap();
    assert_eq!((second.nothing_new, second.touched), (true, 0));
    assert_eq!((second.resumed_at, second.exact_at), (first.exact_at, first.exact_at));
    assert_eq!(files(dir.path()), before);
    assert_eq!(Index::open(dir.path()).unwrap().snapshot().commit(), snapshot.commit());
}

/// What was given before an error is exact, however the run ends.
#[test]
fn what_came_before_a_bad_record_is_kept() {
    let (scenario, file, options) = generated(3010, 80);
    let mut text = std::fs::read_to_string(file.path()).unwrap();
    text.push_str("this is no record\n");
    std::fs::write(file.path(), text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let patient = IndexOptions { commit_interval_ms: 3_600_000, ..EACH };
    let failed = fill(wide(), options, dir.path(), patient);
    assert!(matches!(failed, Err(Error::BadRecord(_))), "{failed:?}");
    let snapshot = Index::open(dir.path()).unwrap().snapshot();
    let lsn = snapshot.lsn().expect("something was shown before the end of the log");
    let include = ["users.name", "users.bio", "conversations.subject"].map(str::to_owned).to_vec();
    let oracle = harness::OracleOptions { include, ..harness::OracleOptions::default() };
    assert_eq!(documents(&snapshot), harness::Oracle::with_options(&scenario.history, oracle).at(lsn.0));
}

#[test]
fn a_log_that_ends_before_what_the_index_holds_changes_nothing() {
    let (scenario, file, options) = generated(3001, 80);
    let dir = tempfile::tempdir().unwrap();
    fill(wide(), options.clone(), dir.path(), EACH).unwrap();
    let before = Index::open(dir.path()).unwrap().snapshot();
    // The first half of the log.
    let text = std::fs::read_to_string(file.path()).unwrap();
    let half: String = text.split_inclusive('\n').take(text.lines().count() / 2).collect();
    std::fs::write(file.path(), half).unwrap();
    let report = fill(wide(), options, dir.path(), EACH).unwrap();
    assert!(report.nothing_new && report.exact_at < report.resumed_at, "{report:?}");
    assert_eq!(report.resumed_at.unwrap().0, scenario.history.commits.last().unwrap().end_lsn);
    let after = Index::open(dir.path()).unwrap().snapshot();
    assert_eq!((after.commit(), after.lsn()), (before.commit(), before.lsn()));
}

/// However the log is cut into runs, workers and commits, each run ends at the truth of its LSN.
#[test]
fn an_index_continued_at_random_lsns_equals_the_oracle() {
    for seed in 3100..3106 {
        let (scenario, _file, options) = generated(seed, 80);
        let include = ["users.name", "users.bio", "conversations.subject"].map(str::to_owned).to_vec();
        let oracle = harness::Oracle::with_options(
            &scenario.history,
            harness::OracleOptions { include, ..harness::OracleOptions::default() },
        );
        let mut rng = fastrand::Rng::with_seed(seed);
        let ends = oracle.ends();
        let mut stops: Vec<u64> = (0..4).map(|_| ends[rng.usize(..ends.len())] + rng.u64(..2)).collect();
        stops.extend([oracle.base_lsn().max(1 << 24), *ends.last().unwrap()]);
        stops.sort_unstable();
        let dir = tempfile::tempdir().unwrap();
        for stop in stops {
            let options = options.in_blocks(rng.choice([200, 2_000, 200_000]).unwrap()).but(|options| {
                options.until = Some(Lsn(stop));
                options.workers = rng.choice([1, 2, 4]).unwrap();
            });
            let index = IndexOptions {
                commit_interval_ms: rng.choice([0, 1, 50]).unwrap(),
                commit_changes_max: rng.choice([1, 10, 20_000]).unwrap(),
                ..EACH
            };
            fill(wide(), options, dir.path(), index).unwrap();
            let snapshot = Index::open(dir.path()).unwrap().snapshot();
            assert_eq!(documents(&snapshot), oracle.at(stop), "seed {seed}, LSN {stop}");
        }
    }
}

#[test]
fn commits_come_at_the_cadence_and_at_the_limits() {
    let (_scenario, _file, options) = generated(3200, 80);
    let commits = |index: IndexOptions| {
        let dir = tempfile::tempdir().unwrap();
        fill(wide(), options.clone(), dir.path(), index).unwrap();
        Index::open(dir.path()).unwrap().snapshot().stats().unwrap().commits
    };
    let patient = IndexOptions { commit_interval_ms: 3_600_000, ..EACH };
    assert_eq!(commits(patient), 1, "only what the end asks for");
    assert!(commits(EACH) > 5, "each batch");
    assert!(commits(IndexOptions { commit_changes_max: 5, ..patient }) > 2, "changes");
    assert!(commits(IndexOptions { commit_bytes_max: 500, ..patient }) > 2, "bytes");
}

/// Small commits for ever would leave as many segments; deletes would never go.
#[test]
fn merges_keep_segments_and_deleted_documents_few() {
    let (scenario, _file, options) = generated(3300, 400);
    let dir = tempfile::tempdir().unwrap();
    fill(wide(), options.in_blocks(1_000), dir.path(), EACH).unwrap();
    let snapshot = Index::open(dir.path()).unwrap().snapshot();
    let stats = snapshot.stats().unwrap();
    assert!(stats.commits > 50, "{stats:?}");
    assert!(stats.segments <= 16, "{stats:?}");
    // A quarter of each segment, and what the last commits deleted since its merge began.
    assert!(stats.deleted <= stats.documents / 2 + 50, "{stats:?}");
    let include = ["users.name", "users.bio", "conversations.subject"].map(str::to_owned).to_vec();
    let options = harness::OracleOptions { include, ..harness::OracleOptions::default() };
    assert_eq!(documents(&snapshot), harness::Oracle::with_options(&scenario.history, options).at(u64::MAX));
}

/// A crash inside a commit leaves files that no commit names, under names that a later commit may want.
#[test]
fn what_a_crash_left_of_a_commit_does_not_stand_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let until = Some(Lsn(125_690_816));
    let options = Replay::of(&podium()).until(until);
    fill(wide(), options, dir.path(), IndexOptions::default()).unwrap();

    let generation = dir.path().join("generation-1");
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(generation.join(name)).unwrap()).unwrap()
    };
    let (meta, mut managed) = (json("meta.json"), json(".managed.json"));
    let opstamp = meta["opstamp"].as_u64().unwrap();
    for segment in meta["segments"].as_array().unwrap() {
        let segment = segment["segment_id"].as_str().unwrap().replace('-', "");
        for opstamp in opstamp + 1..opstamp + 1_500 {
            let left = format!("{segment}.{opstamp}.del");
            std::fs::write(generation.join(&left), "half").unwrap();
            managed.as_array_mut().unwrap().push(left.into());
        }
    }
    std::fs::write(generation.join(".managed.json"), managed.to_string()).unwrap();

    // All that is left in one commit: it deletes documents of older segments.
    let patient = IndexOptions { commit_interval_ms: 3_600_000, ..EACH };
    fill(wide(), Replay::of(&podium()), dir.path(), patient).unwrap();
    assert_eq!(dumped(&Index::open(dir.path()).unwrap().snapshot()), lines(wide(), Replay::of(&podium())));
    let files = std::fs::read_dir(&generation).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    assert_eq!(files.filter(|length| *length == 4).count(), 0, "and is removed");
}
