//! What a system keeps about a command: shell completions and manual pages, made of the same definitions as `--help`.

use super::{Cli, printed, wrong_usage};
use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// `deltaic completions`
#[derive(Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

/// `deltaic man`
#[derive(Args)]
pub(super) struct Man {
    /// The command whose page to print [default: the page of deltaic itself].
    #[arg(value_name = "COMMAND")]
    command: Option<String>,

    /// Write a page for each command to this folder, and print none.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "deltaic", &mut script);
        printed(&script)
    }
}

impl Man {
    pub(super) fn run(&self) -> Result<ExitCode> {
        match &self.out {
            Some(folder) => {
                let failed = || format!("cannot write the pages to {}", folder.display());
                std::fs::create_dir_all(folder).with_context(failed)?;
                clap_mangen::generate_to(Cli::command(), folder).with_context(failed)?;
                Ok(ExitCode::SUCCESS)
            }
            None => self.print(),
        }
    }

    fn print(&self) -> Result<ExitCode> {
        let mut all = Cli::command().disable_help_subcommand(true);
        // Gives each command its whole name.
        all.build();
        let command = match &self.command {
            None => &all,
            Some(name) => match all.find_subcommand(name) {
                Some(command) => command,
                None => return Ok(wrong_usage("man", &no_command(name, &all))),
            },
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page).context("cannot make the page")?;
        printed(&page)
    }
}

fn no_command(name: &str, all: &Command) -> String {
    let known: Vec<&str> = all.get_subcommands().map(Command::get_name).collect();
    format!("there is no command `{name}`; there are {}", known.join(", "))
}
