//! Boot settings that were changed in `.env` after the start. They apply after a restart, which
//! nobody would know from a reload that changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::env;
use super::live::Live;
use super::problems::Problems;
use super::vars::{VARS, Var};

/// Everything a start was given besides files, to be read again later.
pub struct Pending {
    vars: Vec<(OsString, OsString)>,
    dotenv: Option<PathBuf>,
    flags: Vec<(&'static str, OsString)>,
    at_start: BTreeMap<&'static str, OsString>,
}

impl Pending {
    /// Remembers what the boot settings are now.
    pub fn new(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        dotenv: Option<&Path>,
        flags: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Self {
        let (vars, flags) = (vars.into_iter().collect(), flags.into_iter().collect());
        let mut pending = Self { vars, dotenv: dotenv.map(Path::to_owned), flags, at_start: BTreeMap::new() };
        pending.at_start = pending.values();
        pending
    }

    /// The settings that a restart would change, each with its old and its new value unless that
    /// could be a secret.
    ///
    /// # Errors
    /// What would keep the restart from succeeding.
    pub fn look(&self, live: &Live) -> Result<Vec<String>, Problems> {
        let reading = env::read(self.vars.clone(), self.dotenv.as_deref(), self.flags.clone()).judged_by(live);
        reading.problems.or(())?;
        let now = self.values();
        let default = |var: &Var| var.default.map(OsString::from);
        let changed = VARS.iter().filter_map(|var| {
            let of = |values: &BTreeMap<_, OsString>| values.get(var.name).cloned().or_else(|| default(var));
            let (before, after) = (of(&self.at_start), of(&now));
            (before != after).then(|| match var.may_hold_a_secret() {
                true => var.name.to_owned(),
                false => format!("{} ({} -> {})", var.name, shown(before), shown(after)),
            })
        });
        Ok(changed.collect())
    }

    fn values(&self) -> BTreeMap<&'static str, OsString> {
        env::values(self.vars.clone(), self.dotenv.as_deref(), self.flags.clone())
    }
}

fn shown(value: Option<OsString>) -> String {
    value.map_or_else(|| "not set".to_owned(), |value| value.to_string_lossy().into_owned())
}
