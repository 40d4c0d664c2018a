//! A configuration file. `cargo +nightly fuzz run -s none config`
#![no_main]
#![expect(dead_code, reason = "of the command only its configuration is tried")]

#[path = "../../src"]
mod src {
    pub(crate) mod cli;
}

use src::cli;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cli::fuzz_config(bytes);
});
