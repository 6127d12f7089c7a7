//! `wharfinger completion SHELL` and `wharfinger man DIR`: files for packages, made from the command line's own
//! description.

use super::{Cli, complain, say, terminal};
use crate::files::{cause, replace};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// Prints the completions of a shell.
pub(super) fn completion(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wharfinger", &mut script);
    // If the reader is gone there is nobody to inform.
    let _ = terminal::text().write_all(&script);
    ExitCode::SUCCESS
}

/// Writes a manual page for each command into an existing directory; exits 1 if one cannot be written.
pub(super) fn man(dir: &Path) -> ExitCode {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    match pages(&program, dir) {
        Ok(count) => {
            say(format_args!("wrote {count} manual pages to {}", dir.display()));
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(format_args!("cannot write manual pages to {}: {}", dir.display(), cause(&why)));
            ExitCode::FAILURE
        }
    }
}

/// Writes the page of a command and those of its subcommands; returns how many.
fn pages(command: &Command, dir: &Path) -> io::Result<usize> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(command.clone().name(name.clone())).render(&mut page)?;
    replace::replace(&dir.join(format!("{name}.1")), |_| Ok::<_, io::Error>(page.clone()))?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set()).map(|below| pages(below, dir));
    below.sum::<io::Result<usize>>().map(|count| count + 1)
}
