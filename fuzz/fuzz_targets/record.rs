//! A record of every topic: value, key and header with a byte 0xff between them. `cargo +nightly fuzz run --no-default-features record`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| deltaic::fuzzing::parts(bytes));
