//! A line of a replay log. `cargo +nightly fuzz run --no-default-features line`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| deltaic::fuzzing::line(bytes));
