//! `wharf task`: long work of the server.

use crate::{
    commands::access::finish,
    failure::{ExitStatus, Failure},
    follow::follow,
    lists::TASKS,
    management::{Management, segment},
    session::CommandSession,
};
use clap::Subcommand;
use http::Method;
use serde_json::Value;

/// `wharf task`.
#[derive(Subcommand)]
pub enum TaskCommand {
    /// List tasks.
    #[command(visible_alias = "ls")]
    List,
    /// Show a task.
    Show {
        /// Its id.
        id: String,
    },
    /// Wait until a task has ended; exits 1 if it failed.
    Watch {
        /// Its id.
        id: String,
    },
    /// Stop a task.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Go on with a task that was interrupted.
    Resume {
        /// Its id.
        id: String,
    },
}

pub async fn run(command: TaskCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let path = |id: &str| format!("/tasks/{}", segment(id));
    match command {
        TaskCommand::List => session.output.list(&management.list("/tasks", &[], None).await?, TASKS, "/id"),
        TaskCommand::Show { id } => session.output.one(&management.get(&path(&id)).await?, TASKS, "/id"),
        TaskCommand::Watch { id } => watch(session, &management, &id).await,
        TaskCommand::Cancel { id } => {
            management.send(Method::POST, &format!("{}/cancel", path(&id)), None).await?;
            finish(session, None, &format!("{id} stops."))
        }
        TaskCommand::Resume { id } => {
            management.send(Method::POST, &format!("{}/resume", path(&id)), None).await?;
            finish(session, None, &format!("{id} goes on."))
        }
    }
}

/// Waits for the end of a task and prints it.
async fn watch(session: &CommandSession, management: &Management, id: &str) -> Result<(), Failure> {
    let progress = crate::progress::steps(&session.output);
    let status = |task: &Value| task.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
    let show = |task: &Value| {
        let step = task.get("step").and_then(Value::as_str).map_or_else(|| status(task), str::to_owned);
        progress.set_message(client::escaped(&step));
        progress.set_position(task.get("progress").and_then(Value::as_u64).unwrap_or_default());
    };
    let task = follow(management, id, show).await?;
    progress.finish_and_clear();
    session.output.one(&task, TASKS, "/id")?;
    match status(&task).as_str() {
        "completed" => Ok(()),
        status => Err(Failure::new(ExitStatus::Failed, format!("the task is {}", client::escaped(status)))),
    }
}

/// Starts a task, and waits for it unless it is not wanted.
pub async fn start(
    session: &CommandSession,
    management: &Management,
    path: &str,
    body: &Value,
    detach: bool,
) -> Result<(), Failure> {
    let started = management.value(Method::POST, path, Some(body)).await?;
    let id = started.get("task_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if detach {
        return session.output.line(&id);
    }
    watch(session, management, &id).await
}
