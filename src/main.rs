//! The `deltaic` command. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
