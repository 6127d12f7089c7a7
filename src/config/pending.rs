//! Finds startup settings that have changed in `.env` since the start. They need a restart, and a reload that changes
//! nothing would not show that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::gather;
use super::live::Live;
use super::problems::Problems;
use super::variable::Var;
use super::vars::VARS;

/// The inputs of startup besides files, to be read again later.
pub struct Pending {
    vars: Vec<(OsString, OsString)>,
    dotenv: Option<PathBuf>,
    flags: Vec<(&'static str, OsString)>,
    at_start: BTreeMap<&'static str, OsString>,
}

impl Pending {
    /// Records the current startup settings.
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

    /// The settings that a restart would change, each with its old and new value unless that could be a secret.
    ///
    /// # Errors
    /// What would prevent the restart.
    pub fn changes(&self, live: &Live) -> Result<Vec<String>, Problems> {
        let reading =
            gather::read(self.vars.clone(), self.dotenv.as_deref(), self.flags.clone()).check_distribution(live);
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
        gather::values(self.vars.clone(), self.dotenv.as_deref(), self.flags.clone())
    }
}

fn shown(value: Option<OsString>) -> String {
    value.map_or_else(|| "not set".to_owned(), |value| value.to_string_lossy().into_owned())
}
