//! `wharfinger explain USER ACTION REPOSITORY`: whether a user may do something, and why.

use crate::{
    access::{Ceiling, Facts, Step},
    config::{AuthType, Env, Live, Problem, Problems, Report},
    oci::RepositoryName,
    who::{Action, Subject},
};
use serde_json::json;
use std::{io::Write, process::ExitCode};

/// Prints the verdict of the rules as they are in the files now; 0 if allowed, 1 if not.
pub(super) fn explain(
    report: Report,
    user: &str,
    action: Action,
    repository: &RepositoryName,
    as_json: bool,
) -> Result<ExitCode, Problems> {
    let subject = match user {
        "anonymous" => Subject::Anonymous,
        name if Subject::is_user_name(name) => Subject::User(name.into()),
        name => return Err(Problems(vec![Problem::of_key("USER", format!("{name:?} is not a valid user name"))])),
    };
    let (env, live, _) = report.usable()?;
    let (rights, ceiling) = (&live.rights, Ceiling::None);
    let steps = rights.explain(&subject, &ceiling, repository, action, Facts);
    let verdict = rights.decide(&subject, &ceiling, repository, action, Facts);
    let word = if verdict.allowed { "allowed" } else { "denied" };
    let note = note(&env, &live, &subject);
    let file = env.access_control_config.map(|path| path.display().to_string());
    let mut out = std::io::stdout().lock();
    // Nobody is left to tell when the reader is gone.
    let _ = if as_json {
        let steps = steps.iter().map(|(step, spoken, reason)| {
            json!({ "step": step.to_string(), "allows": spoken, "reason": reason.to_string() })
        });
        let told = json!({
            "user": subject.to_string(), "action": action.to_string(), "repository": repository.as_str(),
            "allowed": verdict.allowed, "decidedBy": verdict.step.to_string(), "reason": verdict.reason.to_string(),
            "file": file, "steps": steps.collect::<Vec<_>>(), "note": note,
        });
        writeln!(out, "{told:#}")
    } else {
        // What does not concern a decision by the files alone is left out: tokens, and facts nobody records yet.
        let steps =
            steps.iter().filter(|(step, spoken, _)| spoken.is_some() || !matches!(step, Step::Ceiling | Step::Facts));
        let told = steps.map(|(step, spoken, reason)| {
            let spoken = match spoken {
                Some(true) => "allowed",
                Some(false) => "denied",
                None => "-",
            };
            format!("  {:<8} {spoken:<8} {reason}\n", step.to_string())
        });
        let file = file.map_or(String::new(), |file| format!(" ({file})"));
        let note = note.map_or(String::new(), |note| format!("  note: {note}\n"));
        write!(out, "{subject} {action} {repository}: {word}{file}\n{}{note}", told.collect::<String>())
    };
    Ok(if verdict.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Why the answer may not be what a client sees.
fn note(env: &Env, live: &Live, subject: &Subject) -> Option<String> {
    let name = subject.name()?;
    match (env.auth_type, &env.auth_htpasswd) {
        (AuthType::None, _) => Some("authentication is off, so every caller is anonymous".to_owned()),
        (AuthType::Basic, Some(path)) if !live.users.contains(name) => {
            Some(format!("there is no user {name:?} in {}, so nobody can log in under this name", path.display()))
        }
        _ => None,
    }
}
