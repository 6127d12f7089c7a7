//! Configuration: turns the startup settings and the files they name into an [`Env`] and a [`Live`] generation.
//!
//! Nothing here serves, prints or exits; all problems are returned together as [`Problems`]. The tables [`VARS`] and
//! [`KEYS`] are the only description of what can be configured: the parsers, `--help`, `docs/configuration.md` and the
//! example files are generated from them or checked against them.

mod bucket_values;
mod companions;
mod compile;
mod decisions;
mod distribution;
mod dotenv;
mod edit;
mod editable;
mod env;
mod expiry;
mod followed;
mod gather;
mod identity;
mod key_table;
mod keys;
mod limits;
mod links;
mod list_table;
mod live;
mod mirror;
mod names;
mod object_vars;
mod origins;
mod pending;
mod permissions;
mod problems;
mod rights;
mod safety;
mod settings;
mod sftp_values;
mod sftp_vars;
mod snapshot;
mod storage;
#[cfg(test)]
mod tests;
mod tls;
mod values;
mod variable;
mod variables;
mod vars;
mod wake;
mod watch;

use compile::ConfigFiles;
use snapshot::Snapshot;
use std::ffi::OsString;
use std::path::Path;

pub use bucket_values::BucketEncryption;
pub use edit::{ConfigEditor, EditFault, Edited, TriedEdit};
pub use editable::EditableFile;
pub use env::{Env, ValueSource};
pub use expiry::Expiries;
pub use gather::{htpasswd_path, process_environment};
pub use key_table::KEYS;
pub use keys::{SettingKey, Unit};
pub use limits::Limits;
pub use list_table::{LISTS, ListKey, ListTable};
pub use live::{
    EditPolicy, Editing, Live, MigrationSettings, Operator, Registration, SessionSettings, Stale, TokenLives,
    WrongPasswords,
};
pub use mirror::{MirrorRule, SyncSchedule};
pub use origins::Origins;
pub use pending::Pending;
pub use problems::{Problem, Problems, Warning};
pub use values::{
    AuthType, ForwardedHeaders, LogFormat, LogLevel, PublicUrl, SigningKey, StorageInit, StorageKind, is_loopback, size,
};
pub use variable::{Applies, Var};
pub use vars::{VARS, var};
pub use watch::ConfigWatch;

/// Everything that was read, valid or not.
#[derive(Clone, Debug)]
pub struct ConfigReport {
    /// The startup settings; an invalid value is replaced by its default here.
    pub env: Env,
    /// The first generation; here too an invalid value is replaced by its default.
    pub live: Live,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
    /// Unless this is empty, the report must not be served.
    pub problems: Problems,
    /// The files that the generation was compiled from.
    files: Snapshot,
}

impl ConfigReport {
    /// The configuration and its warnings, if it can be served.
    ///
    /// # Errors
    /// All problems, if there are any.
    pub fn usable(self) -> Result<(Env, Live, Vec<Warning>), Problems> {
        self.problems.or((self.env, self.live, self.warnings))
    }

    /// Compiles the generation again with a key that is kept in a store which is no directory.
    pub fn with_stored_key(mut self, key: Option<&[u8]>) -> Self {
        if let Some(key) = key {
            self.env.stored_key = Some(env::StoredKey(key.into()));
            // They were reported with the first generation.
            let mut known = Vec::new();
            self.live = Live::compile(&self.env, &self.files, None, &mut self.problems, &mut known);
        }
        self
    }

    /// Starts to watch the files. The generation in this report is the first, unless the files have changed since:
    /// startup may have waited for the storage directory, or created a signing key in it.
    ///
    /// # Errors
    /// All problems, if there are any.
    pub fn follow(self) -> Result<ConfigWatch, Problems> {
        let Self { env, live, warnings, problems, files } = self;
        problems.or(())?;
        ConfigWatch::after(env, Some((files, live, warnings)))
    }
}

/// Reads the environment (see [`Env::load`]) and then every file it names, even after a problem, so that one start
/// reports all of them.
pub fn read(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> ConfigReport {
    let mut reading = gather::read(vars, dotenv, flags);
    // Container engines create one if a file to be mounted does not exist; Python keeps virtual environments in one.
    if let Some(path) = dotenv.filter(|path| path.is_dir()) {
        let message =
            "is a directory, so no variables are read from it; if a file was to be mounted here, create it first";
        reading.warnings.push(Warning(Problem::of_file(path, message)));
    }
    let (env, problems, warnings) = (&reading.env, &mut reading.problems, &mut reading.warnings);
    let files = ConfigFiles::of(env).read();
    let live = Live::compile(env, &files, None, problems, warnings);
    let gather::EnvReading { env, warnings, problems, .. } = reading.check_distribution(&live);
    ConfigReport { env, live, warnings, problems, files }
}
