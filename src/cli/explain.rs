//! `wharfinger explain USER ACTION REPOSITORY`: what would be decided, and by what.

use crate::{
    access::{Ceiling, Facts},
    config::{Problem, Problems, Report},
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
            "file": file, "steps": steps.collect::<Vec<_>>(),
        });
        writeln!(out, "{told:#}")
    } else {
        let told = steps.iter().map(|(step, spoken, reason)| {
            let spoken = match spoken {
                Some(true) => "allows",
                Some(false) => "denies",
                None => "silent",
            };
            format!("  {:<8} {spoken}: {reason}\n", step.to_string())
        });
        let file = file.map_or(String::new(), |file| format!(" ({file})"));
        writeln!(out, "{subject} {action} {repository}: {word}{file}\n{}", told.collect::<String>().trim_end())
    };
    Ok(if verdict.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
