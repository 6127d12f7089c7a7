//! Compiles files into a generation. Startup, `check`, tests and reloads all use this; it has no side effects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::editable::EditableFile;
use super::env::Env;
use super::expiry::{Expiries, first_end};
use super::live::{Live, Stale};
use super::origins::Origins;
use super::problems::{Problem, Problems, Warning};
use super::snapshot::{self, READ, Signs, Snapshot, WatchedPlace};
use super::values::AuthType;
use super::{identity, rights, settings, tls};
use crate::files::Patience;
use crate::identity::{Identity, Verifier};
use crate::outbound::CredentialDirectory;

/// The files that a generation is compiled from.
#[derive(Clone, Debug)]
pub(super) struct ConfigFiles {
    paths: Vec<PathBuf>,
    /// Those that the management API may edit.
    pub(super) editable: BTreeMap<EditableFile, PathBuf>,
    /// The timeout for each file.
    pub(super) patience: Patience,
}

impl ConfigFiles {
    /// The files that the environment names and that it uses.
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
        let [settings, htpasswd, rules, ..] = named;
        let editable = [
            (EditableFile::Settings, settings),
            (EditableFile::Htpasswd, htpasswd),
            (EditableFile::AccessControl, rules),
        ];
        let editable = editable.into_iter().filter_map(|(file, path)| Some((file, path?.clone()))).collect();
        let paths = named.into_iter().flatten().cloned().chain(identity::signing_key(env)).collect();
        Self { paths, editable, patience: Patience::new(READ) }
    }

    pub(super) fn read(&self) -> Snapshot {
        Snapshot::take(&self.paths, &self.patience)
    }

    pub(super) fn signs(&self) -> Signs {
        Signs::of(&self.paths, &self.patience)
    }

    /// Where to watch for their changes.
    pub(super) fn places(&self) -> BTreeMap<PathBuf, WatchedPlace> {
        snapshot::places(&self.paths, &self.patience)
    }
}

impl Live {
    /// Reads every file the environment names and compiles a generation.
    ///
    /// # Errors
    /// All problems of all files.
    pub fn load(env: &Env) -> Result<(Self, Vec<Warning>), Problems> {
        let mut problems = Problems::default();
        let mut warnings = Vec::new();
        let live = Self::compile(env, &ConfigFiles::of(env).read(), None, &mut problems, &mut warnings);
        problems.or((live, warnings))
    }

    /// Compiles a generation. An invalid part keeps its value from the last generation if there is one; else it has its
    /// default, and the generation must not be served.
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
        live.operator.read_only |= env.sftp_read_only;
        // TLS sessions can be resumed as long as the certificate object stays the same. Files that could not be used
        // are compiled again, so that their problems are reported again.
        let pem = tls::files(env);
        live.tls = match last {
            Some((last, seen)) if files.same(seen, &pem) && !last.has_problem_in(&pem) => last.tls.clone(),
            _ => part(problems, last.map(|(last, _)| &last.tls), |problems| tls::load(env, files, problems, warnings)),
        };
        // There may be very many, and most edits are of other files.
        let htpasswd: Vec<&Path> = env.auth_htpasswd.as_deref().into_iter().collect();
        let is_known =
            |(last, seen): &(&Self, &Snapshot)| files.same(seen, &htpasswd) && !last.has_problem_in(&htpasswd);
        let known = last.filter(is_known).and_then(|(last, _)| last.identity.users().cloned());
        let last = last.map(|(last, _)| last);
        let users = match known {
            Some(known) => known,
            None => part(problems, last.and_then(|last| last.identity.users()), |problems| {
                Arc::new(identity::users(env, files, problems))
            }),
        };
        let rights = last.map(|last| &last.rights);
        live.rights = part(problems, rights, |problems| {
            Arc::new(rights::compile(env, files, &users, rights.map(AsRef::as_ref), problems, warnings))
        });
        live.identity = identity::compile(env, files, users, last.map(|last| &last.identity), problems, warnings);
        let key = identity::signing_key(env);
        warnings.extend(files.warnings(&[&env.tls_key, &key].map(|key| key.as_deref().unwrap_or(Path::new("")))));
        live.expiries = expiries_of(env, files, &live, last);
        let now = SystemTime::now();
        live.reloaded = now;
        live.version = files.version(&ConfigFiles::of(env).editable);
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
    fn has_problem_in(&self, files: &[&Path]) -> bool {
        let wrong = |problem: &Problem| problem.file.as_deref().is_some_and(|file| files.contains(&file));
        self.stale.as_ref().is_some_and(|stale| stale.problems.0.iter().any(wrong))
    }

    /// Applies the settings that the environment overrides.
    fn take_env(&mut self, env: &Env) {
        let registry = Arc::make_mut(&mut self.registry);
        registry.upload_timeout = env.upload_timeout;
        registry.upload_cleanup_interval = env.upload_cleanup_interval;
        registry.page_default = env.pagination_default_limit;
        registry.page_max = env.pagination_max_limit;
        self.log_level = env.log_level;
        self.credentials = CredentialDirectory::new(env.credentials.as_deref());
        self.public_host = env.public_url.as_ref().map(|url| url.authority.host().into());
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
        // If both are set in the environment, they were compared there.
        let in_env = env.is_given("REGISTRY_PAGINATION_DEFAULT_LIMIT") && env.is_given("REGISTRY_PAGINATION_MAX_LIMIT");
        if default > max && !in_env {
            let message = format!("default_limit ({default}) is more than max_limit ({max})");
            problems.push(Problem::of_file(path, message).at_key("pagination"));
        }
    }
}

/// Reads a part of a generation; if that reports a problem, the part keeps its value from the last one.
fn part<T: Clone>(problems: &mut Problems, last: Option<&T>, read: impl FnOnce(&mut Problems) -> T) -> T {
    let found = problems.0.len();
    let read = read(problems);
    match last {
        Some(last) if problems.0.len() > found => last.clone(),
        _ => read,
    }
}

/// When the certificates of `live` expire, which was compiled from these files after `last`. A file that was rejected
/// left its part of `live` unchanged.
fn expiries_of(env: &Env, files: &Snapshot, live: &Live, last: Option<&Live>) -> Expiries {
    let read = |path: Option<&PathBuf>| first_end(files.bytes(path?).ok()?);
    let (server, client_ca) = match last {
        Some(last) if is_same(&live.tls, &last.tls) => (last.expiries.server, last.expiries.client_ca),
        _ => (read(env.tls_cert.as_ref()), read(env.tls_client_ca.as_ref())),
    };
    let token = match (verifier(live), last) {
        (Some(now), Some(last)) if verifier(last).is_some_and(|before| Arc::ptr_eq(now, before)) => last.expiries.token,
        (Some(_), _) => read(env.auth_token_publickey.as_ref()),
        (None, _) => None,
    };
    Expiries { server, client_ca, token }
}

fn verifier(live: &Live) -> Option<&Arc<Verifier>> {
    match &live.identity {
        Identity::ExternalTokens { verifier, .. } => Some(verifier),
        Identity::Nobody | Identity::Password { .. } | Identity::OwnTokens(_) => None,
    }
}

fn is_same<T>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
}
