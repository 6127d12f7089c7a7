//! The compiled generation: everything the configuration files say, ready for use.
//!
//! `Live::load` is the one path from files to a generation, for the start, `check`, tests and
//! (later) reloading: it reads files and changes nothing.

use std::sync::Arc;

use super::env::Env;
use super::limits::Limits;
use super::problems::{Problem, Problems, Warning};
use super::{people, settings, tls};
use crate::access::Rights;
use crate::auth::Users;
use crate::registry::settings::Settings;

/// One immutable generation; a request sees one from its first gate to its last byte.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Rules and bounds of the registry.
    pub registry: Arc<Settings>,
    /// Who may do what.
    pub rights: Rights,
    /// Who there is.
    pub users: Users,
    /// Bounds of connections.
    pub limits: Limits,
    /// Certificate, key and client authorities, ready to accept with; `None` is plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Live {
    /// Reads every file the environment names and compiles a generation.
    ///
    /// # Errors
    /// Everything that is wrong in all files, at once.
    pub fn load(env: &Env) -> Result<(Self, Vec<Warning>), Problems> {
        let mut problems = Problems::default();
        let mut warnings = Vec::new();
        let live = Self::read(env, &mut problems, &mut warnings);
        problems.or((live, warnings))
    }

    /// The same, going on with the default where something is wrong.
    pub(super) fn read(env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) -> Self {
        let mut live = Self::default();
        live.take_env(env);
        live.read_settings(env, problems, warnings);
        live.tls = tls::load(env, problems);
        live.users = people::users(env, problems);
        live.rights = people::rights(env, &live.users, problems, warnings);
        live
    }

    /// What the environment decides about the same values.
    fn take_env(&mut self, env: &Env) {
        let registry = Arc::make_mut(&mut self.registry);
        registry.upload_timeout = env.upload_timeout;
        registry.upload_cleanup_interval = env.upload_cleanup_interval;
        registry.page_default = env.pagination_default_limit;
        registry.page_max = env.pagination_max_limit;
    }

    fn read_settings(&mut self, env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) {
        let Some(path) = &env.settings else { return };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(Problem::of_file(path, format!("cannot be read (REGISTRY_SETTINGS): {error}")));
                return;
            }
        };
        settings::apply(path, &text, env, self, problems, warnings);
        let (default, max) = (self.registry.page_default, self.registry.page_max);
        // Set in the environment alone, the pair has been compared there.
        let in_env = env.is_given("REGISTRY_PAGINATION_DEFAULT_LIMIT") && env.is_given("REGISTRY_PAGINATION_MAX_LIMIT");
        if default > max && !in_env {
            let message = format!("the default page of {default} is more than the largest, {max}");
            problems.push(Problem::of_file(path, message).at_key("pagination"));
        }
    }
}
