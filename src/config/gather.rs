//! Gathers the startup settings: flags, variables and `.env` are merged into an [`Env`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::distribution::Foreign;
use super::env::{Env, ValueSource};
use super::live::Live;
use super::names::{self, Name};
use super::problems::{Problem, Problems, Warning};
use super::variable::Var;
use super::vars::{VARS, var};
use super::{companions, dotenv, variables};

/// The result of reading. It is usable even with problems, so that everything else can be checked too.
pub(super) struct EnvReading {
    pub(super) env: Env,
    pub(super) warnings: Vec<Warning>,
    pub(super) problems: Problems,
    distribution: Vec<Foreign>,
}

impl EnvReading {
    /// Reports the variables of Distribution, which depend on the active settings.
    pub(super) fn check_distribution(mut self, live: &Live) -> Self {
        for foreign in &self.distribution {
            foreign.report(live, &mut self.problems, &mut self.warnings);
        }
        self
    }
}

impl Env {
    /// Reads variables, the `.env` file (if it exists) and flags (variable name and value).
    ///
    /// A flag overrides the environment, which overrides `.env`, which overrides the default. Nothing else is read,
    /// except that `$NAME` inside `.env` is a variable of the process environment.
    ///
    /// # Errors
    /// All problems.
    pub fn load(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        dotenv: Option<&Path>,
        flags: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Result<(Self, Vec<Warning>), Problems> {
        let reading = read(vars, dotenv, flags).check_distribution(&Live::default());
        reading.problems.or((reading.env, reading.warnings))
    }
}

/// The environment variables of this process. No other code reads them.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn process_environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Reads everything and collects all problems.
pub(super) fn read(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> EnvReading {
    gather(vars, dotenv, flags).finish()
}

/// The text of every variable that was set, valid or not.
pub(super) fn values(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> BTreeMap<&'static str, OsString> {
    gather(vars, dotenv, flags).values.into_iter().map(|(name, (value, _))| (name, value)).collect()
}

/// Only the path of the htpasswd file, for the commands that edit it: the first user can be added before the rest of
/// the configuration is complete.
///
/// # Errors
/// The problem with the variable; if it is not set, also every problem that may explain why.
pub fn htpasswd_path(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Result<PathBuf, Problems> {
    const NAME: &str = "REGISTRY_AUTH_HTPASSWD";
    let mut gathered = gather(vars, dotenv, flags);
    let mut env = Env::default();
    gathered.values.retain(|name, _| *name == NAME);
    let problems = gathered.read_into(&mut env);
    if !problems.is_empty() {
        return Err(problems);
    }
    env.auth_htpasswd.ok_or_else(|| {
        gathered.problems.push(Problem::of_key(NAME, "is not set; set it, or pass the file with --file"));
        gathered.problems
    })
}

fn gather(
    vars: impl IntoIterator<Item = (OsString, OsString)>,
    dotenv: Option<&Path>,
    flags: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Gathered {
    let mut gathered = Gathered::default();
    if let Some(path) = dotenv {
        for item in dotenv::read(path, &mut gathered.problems, &mut gathered.warnings) {
            let place = ValueSource::File(path.to_owned(), item.line);
            gathered.take(&item.name, item.value.into(), place);
        }
    }
    let mut vars: Vec<_> = vars.into_iter().collect();
    vars.sort();
    for (name, value) in vars {
        gathered.take(&name.to_string_lossy(), value, ValueSource::Environment);
    }
    for (name, value) in flags {
        gathered.take(name, value, ValueSource::Flag);
    }
    gathered
}

/// The value of each variable, from the source with the highest precedence.
#[derive(Default)]
struct Gathered {
    values: BTreeMap<&'static str, (OsString, ValueSource)>,
    ignored: Vec<String>,
    distribution: Vec<Foreign>,
    problems: Problems,
    warnings: Vec<Warning>,
}

impl Gathered {
    fn take(&mut self, name: &str, value: OsString, place: ValueSource) {
        let linked = place == ValueSource::Environment && names::is_service_link_value(&value);
        match names::classify(name, linked) {
            Name::Ours(var) => {
                self.values.insert(var.name, (value, place));
            }
            Name::Misspelt(var) => {
                let message = format!("is not a variable of Wharfinger; did you mean {}?", var.name);
                self.problems.push(place.problem(name, message));
            }
            Name::Distribution => self.distribution.extend(Foreign::of(name, &value, &place)),
            Name::Refity(instead) => {
                let message = format!("is a variable of Refity and has no effect: {instead}");
                self.warnings.push(Warning(place.problem(name, message)));
            }
            Name::Ignored => self.ignored.push(name.to_owned()),
            Name::Foreign => {}
        }
    }

    /// Parses the values into `env` and returns their problems, in the order of the table.
    fn read_into(&self, env: &mut Env) -> Problems {
        let text = |(value, _): &(OsString, ValueSource)| value.to_str().map(str::to_owned);
        let texts = self.values.iter().filter_map(|(name, given)| Some((*name, text(given)?)));
        let wrong = variables::read(texts, env);
        let mut problems = Problems::default();
        for (name, given) in VARS.iter().filter_map(|var| self.values.get_key_value(var.name)) {
            let wrong = wrong.iter().find(|(of, _)| of == name).map(|(_, message)| message.clone());
            let wrong = if text(given).is_none() { Some("is not UTF-8 text".to_owned()) } else { wrong };
            problems.0.extend(wrong.map(|message| given.1.problem(name, message)));
            let shown = text(given).filter(|_| !var(name).is_some_and(Var::is_secret));
            env.given.insert(name, (given.1.clone(), shown.unwrap_or_default()));
        }
        problems
    }

    fn finish(mut self) -> EnvReading {
        let mut env = Env::default();
        let wrong = self.read_into(&mut env);
        self.problems.0.extend(wrong.0);
        let mut warnings = self.warnings;
        if !self.ignored.is_empty() {
            self.ignored.sort();
            self.ignored.dedup();
            warnings.push(Warning(Problem {
                file: None,
                line: None,
                key: None,
                message: format!("ignored, not variables of Wharfinger: {}", self.ignored.join(", ")),
            }));
        }
        companions::check(&env, &mut self.problems, &mut warnings);
        EnvReading { env, warnings, problems: self.problems, distribution: self.distribution }
    }
}
