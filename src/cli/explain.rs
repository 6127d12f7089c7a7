//! `wharfinger explain USER ACTION [REPOSITORY]`: whether a user may do something, and why.

use super::{block_on::block_on, say, say_json, storage};
use crate::{
    access::{Ceiling, Decision, DecisionStep, RepositoryFacts},
    config::{ConfigReport, Env, Live, Problem, Problems},
    identity::Identity,
    registry::Registry,
    who::{Action, Permission, Subject},
};
use oci::RepositoryName;
use serde_json::json;
use std::{process::ExitCode, str::FromStr};

/// What the user asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// An action in a repository.
    Image(Action),
    /// A permission granted by roles.
    Role(Permission),
}

impl FromStr for Question {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains(':') {
            true => text.parse().map(Self::Role),
            false => text.parse().map(Self::Image),
        }
    }
}

/// Prints the verdict of the rules in the files as they are now; exits 0 if allowed, 1 if not.
pub(super) fn explain(
    report: ConfigReport,
    user: &str,
    question: &Question,
    repository: Option<&RepositoryName>,
    as_json: bool,
) -> Result<ExitCode, Problems> {
    let wrong = |key: &str, message: String| Err(Problems(vec![Problem::of_key(key, message)]));
    let subject = match user {
        "anonymous" => Subject::Anonymous,
        name if Subject::is_user_name(name) => Subject::User(name.into()),
        name => return wrong("USER", format!("{name:?} is not a valid user name")),
    };
    let (env, live, _) = report.usable()?;
    let (rights, ceiling) = (&live.rights, Ceiling::None);
    let (asked, steps, verdict) = match (question, repository) {
        (Question::Image(action), Some(repository)) => {
            let facts = match rights.decide_without_facts(&subject, &ceiling, repository, *action) {
                Decision::Decided(_) => RepositoryFacts::default(),
                Decision::NeedsFacts(_) => facts(&env, &live, repository),
            };
            (
                action.to_string(),
                rights.explain(&subject, &ceiling, repository, *action, &facts),
                rights.decide(&subject, &ceiling, repository, *action, &facts),
            )
        }
        (Question::Role(permission), None) => {
            let verdict = rights.may(&subject, &ceiling, *permission);
            let step = (verdict.step, Some(verdict.allowed), verdict.reason.clone());
            (permission.to_string(), vec![step], verdict)
        }
        (Question::Image(action), None) => return wrong("REPOSITORY", format!("is missing: {action} where?")),
        (Question::Role(_), Some(_)) => {
            let why = "belongs to pull, push and delete; a permission of a role takes none";
            return wrong("REPOSITORY", why.to_owned());
        }
    };
    let word = if verdict.allowed { "allowed" } else { "denied" };
    let note = note(&env, &live, &subject);
    let file = env.access_control_config.map(|path| path.display().to_string());
    if as_json {
        let steps = steps.iter().map(|(step, spoken, reason)| {
            json!({ "step": step.to_string(), "allows": spoken, "reason": reason.to_string() })
        });
        let output = json!({
            "user": subject.to_string(), "action": asked, "repository": repository.map(RepositoryName::as_str),
            "allowed": verdict.allowed, "decidedBy": verdict.step.to_string(), "reason": verdict.reason.to_string(),
            "file": file, "steps": steps.collect::<Vec<_>>(), "note": note,
        });
        say_json(&output);
    } else {
        // Omit steps that did not decide: no token is involved here, and few repositories have facts.
        let steps = steps.iter().filter(|(step, spoken, _)| {
            spoken.is_some() || !matches!(step, DecisionStep::Ceiling | DecisionStep::Facts)
        });
        let output = steps.map(|(step, spoken, reason)| {
            let spoken = match spoken {
                Some(true) => "allowed",
                Some(false) => "denied",
                None => "-",
            };
            format!("\n  {:<8} {spoken:<8} {reason}", step.to_string())
        });
        let place = repository.map_or(String::new(), |repository| format!(" {repository}"));
        let file = file.map_or(String::new(), |file| format!(" ({file})"));
        let note = note.map_or(String::new(), |note| format!("\n  note: {note}"));
        say(format_args!("{subject} {asked}{place}: {word}{file}{}{note}", output.collect::<String>()));
    }
    Ok(if verdict.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The facts of a repository, also while the daemon runs; the defaults if there is no store.
fn facts(env: &Env, live: &Live, repository: &RepositoryName) -> RepositoryFacts {
    let Ok(store) = storage::open(env) else { return RepositoryFacts::default() };
    let registry = Registry::new(store.storage, live.registry.clone());
    block_on(registry.repository(repository).facts()).unwrap_or_default()
}

/// Why a client may get a different result.
fn note(env: &Env, live: &Live, subject: &Subject) -> Option<String> {
    let name = subject.name()?;
    match (&live.identity, &env.auth_htpasswd) {
        (Identity::Nobody, _) => Some("authentication is off, so every caller is anonymous".to_owned()),
        (identity, Some(path)) if identity.users().is_some_and(|users| !users.contains(name)) => {
            Some(format!("there is no user {name:?} in {}, so nobody can log in under this name", path.display()))
        }
        _ => None,
    }
}
