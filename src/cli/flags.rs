//! One clap flag for each row of the table of variables.

use std::ffi::OsString;

use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use crate::config::{VARS, Var};

/// The flags that were given: each variable and its text, not yet validated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub Vec<(&'static str, OsString)>);

fn arg(var: &'static Var) -> Arg {
    let default = var.default.map_or_else(String::new, |default| format!(" [default: {default}]"));
    let arg = Arg::new(var.name)
        .long(var.flag)
        .value_name(var.takes)
        .value_parser(clap::value_parser!(OsString))
        .help(format!("{} [env: {}]{default}", var.help, var.name))
        .help_heading(var.section)
        .global(true);
    match var.takes {
        "PATH" => arg.value_hint(ValueHint::FilePath),
        "DIRECTORY" => arg.value_hint(ValueHint::DirPath),
        _ => arg,
    }
}

/// Variables that have a flag: a secret on the command line would be in the list of processes.
fn with_flags() -> impl Iterator<Item = &'static Var> {
    VARS.iter().filter(|var| !var.is_secret())
}

/// The heading of these flags in the help of a subcommand.
const HEADING: &str = "Server settings (flag or environment variable)";

/// Examples before the options: at the end they would be lost behind the server's flags.
const TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// Puts the flags last in the help of each subcommand, and leaves them out of `-h`, which is about the options of the
/// subcommand.
pub(super) fn after_own_options(subcommand: Command) -> Command {
    if subcommand.get_name() == "serve" {
        return subcommand;
    }
    // clap does not pass a global flag on to a subcommand that has its own under the same id.
    let flags = with_flags().map(|var| arg(var).help_heading(HEADING).hide_short_help(true));
    subcommand.help_template(TEMPLATE).args(flags).mut_subcommands(after_own_options)
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(with_flags().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = with_flags().filter_map(|var| {
            let text = matches.get_one::<OsString>(var.name)?;
            Some((var.name, text.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command as What};
    use clap::{CommandFactory, Parser};

    #[test]
    fn every_flag_may_stand_before_and_after_the_subcommand() {
        Cli::command().debug_assert();
        for var in with_flags() {
            let flag = format!("--{}", var.flag);
            for args in [["w", &flag, var.example, "check"], ["w", "check", &flag, var.example]] {
                let cli = Cli::try_parse_from(args).unwrap();
                assert_eq!(cli.command, Some(What::Check));
                assert_eq!(cli.flags.0, [(var.name, OsString::from(var.example))]);
            }
        }
        assert_eq!(Cli::try_parse_from(["w"]).unwrap().command, None);
    }

    #[test]
    fn help_names_every_flag_variable_and_default() {
        let help = Cli::command().render_long_help().to_string();
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for var in with_flags() {
            assert!(flat.contains(&format!("--{} <", var.flag)), "{}", var.flag);
            assert!(flat.contains(&format!("[env: {}]", var.name)), "{}", var.name);
            if let Some(default) = var.default {
                let shown = format!("[env: {}] [default: {default}]", var.name);
                assert!(flat.contains(&shown), "{shown}");
            }
        }
    }
}
