//! Lines of one log, by their shapes and by their names. `cargo +nightly fuzz run --no-default-features shape`
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| deltaic::fuzzing::shape(bytes));
