//! Blocks go and come back; budgets hold; folders of the dead go, others stay.

use super::*;
use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use tempfile::TempDir;

fn spill(dir: &TempDir, disk: u64) -> Arc<Spill> {
    Spill::new(&SpillOptions { memory: 0, disk, dir: Some(dir.path().to_owned()) }, 1)
}

/// The names in a folder, in order.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn only(dir: &Path) -> PathBuf {
    let names = names(dir);
    assert_eq!(names.len(), 1, "{names:?}");
    dir.join(&names[0])
}

#[test]
fn blocks_come_back_in_any_order_as_they_went() {
    let dir = TempDir::new().unwrap();
    let mut store = spill(&dir, u64::MAX).store("rows".to_owned());
    // More than one buffer.
    let bytes = |at: usize| vec![at as u8; 1 + at * 997];
    let mut blocks: Vec<(usize, Block)> = (0..100).map(|at| (at, store.append(&bytes(at)).unwrap())).collect();
    for (at, block) in blocks.iter().rev().step_by(3) {
        assert_eq!(store.read(block).unwrap(), bytes(*at));
    }
    // Reading goes on while writing does.
    blocks.push((7, store.append(&bytes(7)).unwrap()));
    for (at, block) in blocks {
        assert_eq!(store.read(&block).unwrap(), bytes(at));
        store.forget(block);
    }
    assert_eq!(names(&only(dir.path())), ["LOCK"], "no file without a block of use");
}

#[test]
fn the_disk_has_a_budget_and_gets_back_what_is_no_longer_used() {
    let dir = TempDir::new().unwrap();
    let spill = spill(&dir, 100);
    let (mut one, mut two) = (spill.store("one".to_owned()), spill.store("two".to_owned()));
    let block = one.append(&[1; 60]).unwrap();
    let refused = two.append(&[2; 60]).unwrap_err();
    assert!(matches!(refused, SpillError::Budget { budget: 100 }), "{refused}");
    let small = two.append(&[2; 40]).unwrap();
    one.forget(block);
    assert_eq!(two.append(&[3; 60]).map(|block| block.bytes()).unwrap(), 60);
    assert_eq!(two.read(&small).unwrap(), [2; 40]);
    assert_eq!(spill.written(), 160);
}

#[test]
fn a_block_that_was_changed_is_an_error() {
    let dir = TempDir::new().unwrap();
    let mut store = spill(&dir, u64::MAX).store("rows".to_owned());
    let blocks = [store.append(&[1; 10]).unwrap(), store.append(&[2; 10]).unwrap()];
    assert_eq!(store.read(&blocks[0]).unwrap(), [1; 10]);
    let file = only(dir.path()).join("rows.0.rows");
    let mut bytes = fs::read(&file).unwrap();
    bytes[13] ^= 1;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(store.read(&blocks[0]).unwrap(), [1; 10]);
    let error = store.read(&blocks[1]).unwrap_err();
    assert!(matches!(error, SpillError::Corrupt { at: 10, .. }), "{error}");
    fs::write(&file, &bytes[..15]).unwrap();
    let error = store.read(&blocks[1]).unwrap_err();
    assert!(matches!(error, SpillError::Io { action: "read", .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let spill = Spill::new(&SpillOptions { memory: 0, disk: 1, dir: Some(file.clone()) }, 1);
    let error = spill.store("rows".to_owned()).append(&[1]).unwrap_err();
    assert!(matches!(&error, SpillError::Io { action: "create", path, .. } if *path == file), "{error}");
}

#[test]
fn a_run_takes_its_folder_with_it() {
    let dir = TempDir::new().unwrap();
    let spill = spill(&dir, u64::MAX);
    assert_eq!(names(dir.path()), [""; 0], "nothing is made before it is needed");
    let mut store = spill.store("rows".to_owned());
    store.append(&[1; 300 << 10]).unwrap();
    assert_eq!(names(&only(dir.path())), ["LOCK", "rows.0.rows"]);
    // Another run leaves the folder of one that lives alone.
    let _other = self::spill(&dir, u64::MAX);
    assert_eq!(names(&only(dir.path())), ["LOCK", "rows.0.rows"]);
    drop((store, spill));
    assert_eq!(names(dir.path()), [""; 0]);
}

/// Makes `name` in `dir`, with these files.
fn folder(dir: &Path, name: &str, files: &[(&str, &[u8])]) {
    fs::create_dir(dir.join(name)).unwrap();
    files.iter().for_each(|(file, bytes)| fs::write(dir.join(name).join(file), bytes).unwrap());
}

#[test]
fn what_the_dead_left_goes_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let path = dir.path();
    let made = spill(&dir, u64::MAX);
    made.store("rows".to_owned()).append(&[1]).unwrap();
    let marker = fs::read(only(path).join("LOCK")).unwrap();
    drop(made);
    let marker = marker.as_slice();

    folder(path, "deltaic-spill-1-2-0", &[("LOCK", marker), ("table-0-worker-0.0.rows", b"rows")]);
    folder(path, "deltaic-spill-1-2-1", &[("LOCK", b"of somebody else"), ("a.rows", b"")]);
    folder(path, "deltaic-spill-1-2-2", &[("a.rows", b"")]);
    folder(path, "deltaic-spill-1-2", &[("LOCK", marker)]);
    folder(path, "deltaic-spill-1-2-x", &[("LOCK", marker)]);
    folder(path, "deltaic-spill-1-2-3-4", &[("LOCK", marker)]);
    folder(path, "other", &[("LOCK", marker)]);
    // A file that no run makes stays, and the folder with it.
    folder(path, "deltaic-spill-1-2-5", &[("LOCK", marker), ("a.rows", b""), ("letter.txt", b"mine")]);
    fs::write(path.join("deltaic-spill-1-2-6"), "a file").unwrap();
    spill(&dir, u64::MAX);
    let left = [
        "deltaic-spill-1-2",
        "deltaic-spill-1-2-1",
        "deltaic-spill-1-2-2",
        "deltaic-spill-1-2-3-4",
        "deltaic-spill-1-2-5",
        "deltaic-spill-1-2-6",
        "deltaic-spill-1-2-x",
        "other",
    ];
    assert_eq!(names(path), left);
    assert_eq!(names(&path.join("deltaic-spill-1-2-5")), ["letter.txt"]);
    assert_eq!(names(&path.join("deltaic-spill-1-2-1")), ["LOCK", "a.rows"]);
}

#[test]
fn holders_that_stand_still_and_those_that_work_keep_within_the_budget() {
    let budget = Arc::new(Budget::new(900, 0, 3));
    let mut shares = [Share::new(&budget), Share::new(&budget), Share::new(&budget)];
    shares[0].add(590);
    assert!(!shares[0].is_over(), "within two thirds");
    shares[1].add(90);
    assert!(!shares[1].is_over(), "its part of the last third");
    shares[1].add(20);
    assert!(shares[1].is_over() && !shares[1].is_small());
    shares[1].remove(70);
    assert!(!shares[1].is_over() && shares[1].is_small());
    drop(shares);
    assert_eq!(budget.in_memory.load(Relaxed), 0);
}
