//! Configuration: the boot settings and the files they name become an [`Env`] and a [`Live`] generation.
//!
//! Nothing here serves, prints or exits; what is wrong comes back as [`Problems`], all at once.
//! The tables [`VARS`] and [`KEYS`] are the only description of what can be configured: the
//! parsers, `--help`, `docs/configuration.md` and the example files follow them.

mod companions;
mod compile;
mod decisions;
mod distribution;
mod dotenv;
mod env;
mod expiry;
mod key_table;
mod keys;
mod limits;
mod list_table;
mod live;
mod names;
mod origins;
mod pending;
mod people;
mod problems;
mod safety;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod values;
mod variables;
mod vars;
mod wake;
mod watch;

use compile::Files;
use std::ffi::OsString;
use std::path::Path;

pub use env::{Env, Place, htpasswd_path, of_process};
pub use expiry::Expiries;
pub use key_table::KEYS;
pub use keys::{Key, Unit};
pub use limits::Limits;
pub use list_table::{LISTS, List, ListKey};
pub use live::{Live, Operator, Stale, TokenLives, Tokens};
pub use origins::Origins;
pub use pending::Pending;
pub use problems::{Problem, Problems, Warning};
pub use values::{
    AuthType, ForwardedHeaders, LogFormat, LogLevel, PublicUrl, SigningKey, StorageInit, is_loopback, size,
};
pub use vars::{Applies, VARS, Var, var};
pub use watch::Watch;

/// Everything that was read, right or wrong.
#[derive(Clone, Debug)]
pub struct Report {
    /// What does not change while running; a wrong value is at its default here.
    pub env: Env,
    /// The first generation; here too a wrong value is at its default.
    pub live: Live,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// What is wrong; unless this is empty, nothing may be served from this report.
    pub problems: Problems,
}

impl Report {
    /// What may be served, with the warnings.
    ///
    /// # Errors
    /// All problems, if there are any.
    pub fn usable(self) -> Result<(Env, Live, Vec<Warning>), Problems> {
        self.problems.or((self.env, self.live, self.warnings))
    }
}

/// Reads the environment (see [`Env::load`]) and then every file it names, even after a problem, so
/// that one start reports all of them.
pub fn read(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Report {
    let mut reading = env::read(vars, dotenv, flags);
    // Container engines make one where a file is to be mounted that is not there; Python keeps environments in one.
    if let Some(path) = dotenv.filter(|path| path.is_dir()) {
        let message =
            "is a directory, so no variables are read from it; if a file was to be mounted here, create it first";
        reading.warnings.push(Warning(Problem::of_file(path, message)));
    }
    let (env, problems, warnings) = (&reading.env, &mut reading.problems, &mut reading.warnings);
    let live = Live::compile(env, &Files::of(env).read(), None, problems, warnings);
    let env::Reading { env, warnings, problems, .. } = reading.judged_by(&live);
    Report { env, live, warnings, problems }
}
