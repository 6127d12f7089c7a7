//! From files to a generation: the one path for the start, `check`, tests and reloading. It
//! changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::env::Env;
use super::expiry::Expiries;
use super::live::{Live, Stale};
use super::origins::Origins;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::{self, FileId, Signs, Snapshot};
use super::values::AuthType;
use super::{people, settings, tls, tokens};

/// The files a generation is made of.
#[derive(Clone, Debug)]
pub(super) struct Files(Vec<PathBuf>);

impl Files {
    /// Those the environment names and that have a meaning under it.
    pub(super) fn of(env: &Env) -> Self {
        let is = |auth: AuthType| move |_: &&PathBuf| env.auth_type == auth;
        let named = [
            env.settings.as_ref(),
            env.auth_htpasswd.as_ref().filter(is(AuthType::Basic)),
            env.access_control_config.as_ref().filter(|_| env.access_control_enabled),
            env.auth_token_publickey.as_ref().filter(is(AuthType::Token)),
            env.tls_cert.as_ref(),
            env.tls_key.as_ref(),
            env.tls_client_ca.as_ref(),
        ];
        Self(named.into_iter().flatten().cloned().chain(tokens::signing_key(env)).collect())
    }

    pub(super) fn read(&self) -> Snapshot {
        Snapshot::take(&self.0)
    }

    pub(super) fn signs(&self) -> Signs {
        Signs::of(&self.0)
    }

    /// Where their changes show.
    pub(super) fn places(&self) -> BTreeMap<PathBuf, FileId> {
        snapshot::places(&self.0)
    }
}

impl Live {
    /// Reads every file the environment names and compiles a generation.
    ///
    /// # Errors
    /// Everything that is wrong in all files, at once.
    pub fn load(env: &Env) -> Result<(Self, Vec<Warning>), Problems> {
        let mut problems = Problems::default();
        let mut warnings = Vec::new();
        let live = Self::compile(env, &Files::of(env).read(), None, &mut problems, &mut warnings);
        problems.or((live, warnings))
    }

    /// Compiles a generation. What cannot be used stays as it was in the last one, if there was
    /// one; else it is at its default, and nothing may be served from it.
    pub(super) fn compile(
        env: &Env,
        files: &Snapshot,
        last: Option<(&Self, &Snapshot)>,
        problems: &mut Problems,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let found = problems.0.len();
        let mut live = Self::default();
        live.take_env(env);
        live.read_settings(env, files, problems, warnings);
        if let Some((last, _)) = last.filter(|_| problems.0.len() > found) {
            live = last.clone();
        }
        // Sessions made under a certificate can be resumed as long as it stays; one that could not
        // be used is looked at again, so that it goes on being told.
        let pem = tls::files(env);
        live.tls = match last {
            Some((last, seen)) if files.same(seen, &pem) && !last.lacks(&pem) => last.tls.clone(),
            _ => part(problems, last.map(|(last, _)| &last.tls), |problems| tls::load(env, files, problems, warnings)),
        };
        let last = last.map(|(last, _)| last);
        let users = |problems: &mut Problems| Arc::new(people::users(env, files, problems));
        live.users = part(problems, last.map(|last| &last.users), users);
        let users = live.users.clone();
        let rights = last.map(|last| &last.rights);
        live.rights = part(problems, rights, |problems| {
            Arc::new(people::rights(env, files, &users, rights.map(AsRef::as_ref), problems, warnings))
        });
        live.tokens = part(problems, last.map(|last| &last.tokens), |problems| {
            tokens::load(env, files, last.is_none(), problems, warnings)
        });
        live.expiries = Expiries::of(env, files, &live, last);
        let now = SystemTime::now();
        live.reloaded = now;
        live.number = last.map_or(0, |last| last.number + 1);
        let wrong = &problems.0[found..];
        (live.since, live.stale) = match (wrong.is_empty(), last) {
            (true, _) | (false, None) => (now, None),
            (false, Some(last)) => {
                let since = last.stale.as_ref().map_or(now, |stale| stale.since);
                (last.since, Some(Arc::new(Stale { since, problems: Problems(wrong.to_vec()) })))
            }
        };
        live
    }

    /// Whether one of these files could not be used.
    fn lacks(&self, files: &[&Path]) -> bool {
        let wrong = |problem: &Problem| problem.file.as_deref().is_some_and(|file| files.contains(&file));
        self.stale.as_ref().is_some_and(|stale| stale.problems.0.iter().any(wrong))
    }

    /// What the environment decides about the same values.
    fn take_env(&mut self, env: &Env) {
        let registry = Arc::make_mut(&mut self.registry);
        registry.upload_timeout = env.upload_timeout;
        registry.upload_cleanup_interval = env.upload_cleanup_interval;
        registry.page_default = env.pagination_default_limit;
        registry.page_max = env.pagination_max_limit;
        self.log_level = env.log_level;
    }

    fn read_settings(&mut self, env: &Env, files: &Snapshot, problems: &mut Problems, warnings: &mut Vec<Warning>) {
        let Some(path) = &env.settings else { return };
        let text = match files.text(path, "# comment") {
            Ok(text) => text,
            Err(why) => {
                problems.push(Problem::of_file(path, why).at_key("REGISTRY_SETTINGS"));
                return;
            }
        };
        settings::apply(path, text, env, self, problems, warnings);
        if self.cors_origins == Origins::Any && env.auth_type == AuthType::None {
            let message = "without authentication, any web page that somebody opens in this network can push and delete; \
                           list the origins of the pages instead of \"*\"";
            warnings.push(Warning(Problem::of_file(path, message).at_key("server.cors_origins")));
        }
        let (default, max) = (self.registry.page_default, self.registry.page_max);
        // Set in the environment alone, the pair has been compared there.
        let in_env = env.is_given("REGISTRY_PAGINATION_DEFAULT_LIMIT") && env.is_given("REGISTRY_PAGINATION_MAX_LIMIT");
        if default > max && !in_env {
            let message = format!("default_limit ({default}) is more than max_limit ({max})");
            problems.push(Problem::of_file(path, message).at_key("pagination"));
        }
    }
}

/// A part of a generation; where it cannot be used, as it was in the last one.
fn part<T: Clone>(problems: &mut Problems, last: Option<&T>, read: impl FnOnce(&mut Problems) -> T) -> T {
    let found = problems.0.len();
    let read = read(problems);
    match last {
        Some(last) if problems.0.len() > found => last.clone(),
        _ => read,
    }
}
