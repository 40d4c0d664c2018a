//! Every file of the fuzzers' corpora, and every input that once made one of them fail, through the fuzzers' functions.

use crate::fuzzing;
use std::path::Path;

fn each_file(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 30, "{} has {} files", folder.display(), files.len());
    for file in files {
        take(&std::fs::read(&file).unwrap());
    }
}

#[test]
fn the_corpus_of_lines_is_read() {
    each_file("line", fuzzing::line);
}

#[test]
fn the_corpus_of_records_is_read() {
    each_file("record", fuzzing::parts);
}

#[test]
fn the_corpus_of_shapes_is_the_same_by_shape_and_by_name() {
    each_file("shape", fuzzing::shape);
}
