//! The `deltaic` command. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod cli;

use mimalloc::MiMalloc;
use std::process::ExitCode;

// A row's state is many small blocks: a fifth of the dataflow's time was in the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
