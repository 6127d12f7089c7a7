//! Settings, namespaces, tasks, and what administrators do.

use crate::{
    commands::access::finish,
    failure::{ExitStatus, Failure},
    management::{Management, segment},
    output::{Column, ColumnKind, OutputFormat},
    session::CommandSession,
};
use clap::{Subcommand, ValueEnum};
use client::ApiRequest;
use http::{Method, header};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// `wharf settings`.
#[derive(Subcommand)]
pub enum SettingsCommand {
    /// List the sections.
    #[command(visible_alias = "ls")]
    List,
    /// Show a section, or one key of it.
    #[command(after_help = "Example: wharf settings get operator message")]
    Get {
        /// The section.
        section: String,
        /// One key.
        key: Option<String>,
    },
    /// Change keys of a section.
    #[command(after_help = "Example: wharf settings update operator -s message='We move on Friday.'")]
    Update {
        /// The section.
        section: String,
        /// KEY=VALUE; may be repeated.
        #[arg(short = 's', long = "set", required = true, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Give all keys of a section their defaults again.
    Reset {
        /// The section.
        section: String,
    },
}

/// `wharf namespace`.
#[derive(Subcommand)]
pub enum NamespaceCommand {
    /// List namespaces.
    #[command(visible_alias = "ls")]
    List,
    /// Create a namespace.
    Create {
        /// Its name: one component.
        name: String,
    },
    /// Delete a namespace without repositories.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name.
        name: String,
    },
}

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

/// `wharf admin`.
#[derive(Subcommand)]
pub enum AdminCommand {
    /// Collect garbage.
    Gc {
        /// Only report what would be deleted.
        #[arg(long)]
        dry_run: bool,
        /// Free all space at once, without waiting for leases. Active pushes may have to repeat a blob.
        #[arg(long)]
        now: bool,
        /// Go on even if most blobs would be deleted.
        #[arg(long)]
        force: bool,
        /// Do not wait for the result.
        #[arg(long)]
        detach: bool,
    },
    /// Check the store.
    Fsck {
        /// Read every blob and compare it with its digest.
        #[arg(long)]
        read_data: bool,
        /// Move damaged files away and rewrite what can be derived.
        #[arg(long)]
        repair: bool,
        /// Do not wait for the result.
        #[arg(long)]
        detach: bool,
    },
    /// List uploads that have not ended.
    Uploads,
    /// Show the state of the configuration, or one of its files.
    Config {
        /// Print this file.
        file: Option<ConfigFileName>,
    },
    /// Load the configuration files again.
    Reload,
    /// Show the latest changes.
    Audit {
        /// How many.
        #[arg(long, short, default_value_t = 20)]
        num: usize,
    },
    /// Show what is used of each quota.
    Quotas,
}

/// A configuration file of the server.
#[derive(Clone, Copy, ValueEnum)]
pub enum ConfigFileName {
    AccessControl,
    Settings,
}

const SECTIONS: &[Column] = &[Column::text("SECTION", "/section"), Column::text("KEYS", "/keys")];
const SETTINGS: &[Column] = &[
    Column::text("KEY", "/key"),
    Column::text("VALUE", "/value"),
    Column::text("DEFAULT", "/default"),
    Column::text("SET BY", "/locked"),
    Column::text("MEANING", "/help").wide(),
];
const NAMESPACES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::of("REPOSITORIES", "/repositories", ColumnKind::Number),
    Column::of("TAGS", "/tags", ColumnKind::Number),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("CREATED", "/created_at", ColumnKind::Time),
];
const TASKS: &[Column] = &[
    Column::text("ID", "/id"),
    Column::text("KIND", "/kind"),
    Column::text("STATUS", "/status"),
    Column::of("PERCENT", "/progress", ColumnKind::Number),
    Column::text("STEP", "/step"),
    Column::text("OWNER", "/owner"),
    Column::of("STARTED", "/start_time", ColumnKind::Time),
    Column::text("ERROR", "/error"),
    Column::text("RESULT", "/stats").wide(),
];
const UPLOADS: &[Column] = &[
    Column::text("ID", "/id"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::of("LAST WRITE", "/last_write_at", ColumnKind::Time),
];
const CONFIG: &[Column] = &[
    Column::text("Generation", "/generation"),
    Column::of("Loaded", "/loaded_at", ColumnKind::Time),
    Column::text("Problems", "/problems"),
    Column::text("Files", "/files"),
];
const AUDIT: &[Column] = &[
    Column::of("WHEN", "/time", ColumnKind::Time),
    Column::text("WHO", "/actor"),
    Column::text("ACTION", "/action"),
    Column::text("TARGET", "/target"),
    Column::text("ADDRESS", "/address").wide(),
    Column::text("REQUEST", "/request_id").wide(),
];
const QUOTAS: &[Column] = &[
    Column::text("REPOSITORIES", "/repositories"),
    Column::of("BYTES", "/used_bytes", ColumnKind::Bytes),
    Column::of("OF", "/max_bytes", ColumnKind::Bytes),
    Column::of("TAGS", "/used_tags", ColumnKind::Number),
    Column::of("OF", "/max_tags", ColumnKind::Number),
    Column::of("COUNT", "/used_repositories", ColumnKind::Number),
    Column::of("OF", "/max_repositories", ColumnKind::Number),
];

/// Between two looks at a task.
const LOOK: Duration = Duration::from_millis(500);

pub async fn settings(command: SettingsCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let path = |section: &str| format!("/settings/{}", segment(section));
    match command {
        SettingsCommand::List => {
            let mut all = management.get("/settings").await?;
            let mut sections = all.get_mut("items").map(Value::take).and_then(take_list).unwrap_or_default();
            for section in &mut sections {
                let keys = section.get("help").and_then(Value::as_object);
                let keys: Vec<String> = keys.map(|keys| keys.keys().cloned().collect()).unwrap_or_default();
                section["keys"] = keys.into();
            }
            session.output.list(&sections, SECTIONS, "/section")
        }
        SettingsCommand::Get { section, key } => {
            let found = management.get(&path(&section)).await?;
            match key {
                Some(key) => {
                    let value = found.get("values").and_then(|values| values.get(&key));
                    let value = value.ok_or_else(|| Failure::not_found(format!("[{section}] has no key {key}")))?;
                    session.output.scalar(value)
                }
                None if matches!(session.output.format, OutputFormat::Table | OutputFormat::Wide) => {
                    session.output.list(&keys_of(&found), SETTINGS, "/key")
                }
                None => session.output.one(&found, &[], "/section"),
            }
        }
        SettingsCommand::Update { section, set } => {
            let mut body = Map::new();
            for pair in &set {
                let (key, value) =
                    pair.split_once('=').ok_or_else(|| Failure::usage(format!("{pair:?} is not KEY=VALUE")))?;
                // The server reads the text as the type of its key.
                body.insert(key.trim().to_owned(), value.into());
            }
            let changed = management.value(Method::PATCH, &path(&section), Some(&Value::Object(body))).await?;
            finish(session, Some(changed), &format!("[{section}] is changed."))
        }
        SettingsCommand::Reset { section } => {
            session.output.confirm(&format!("Give all keys of [{section}] their defaults again?"))?;
            let changed = management.value(Method::POST, &format!("{}/reset", path(&section)), None).await?;
            finish(session, Some(changed), &format!("[{section}] has its defaults."))
        }
    }
}

fn take_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// One row for each key of a section.
pub fn keys_of(section: &Value) -> Vec<Value> {
    let of = |part: &str, key: &str| section.get(part).and_then(|part| part.get(key)).cloned().unwrap_or_default();
    let keys = section.get("values").and_then(Value::as_object).cloned().unwrap_or_default();
    let row = |key: &String| {
        let help = of("help", key).get("text").cloned().unwrap_or_default();
        json!({
            "key": key, "value": of("values", key), "default": of("defaults", key), "locked": of("locked", key), "help": help,
        })
    };
    keys.keys().map(row).collect()
}

pub async fn namespace(command: NamespaceCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    match command {
        NamespaceCommand::List => {
            session.output.list(&management.list("/namespaces", &[], None).await?, NAMESPACES, "/name")
        }
        NamespaceCommand::Create { name } => {
            let made = management.value(Method::POST, "/namespaces", Some(&json!({ "name": name }))).await?;
            finish(session, Some(made), &format!("Created {name}."))
        }
        NamespaceCommand::Delete { name } => {
            management.send(Method::DELETE, &format!("/namespaces/{}", segment(&name)), None).await?;
            finish(session, None, &format!("Deleted {name}."))
        }
    }
}

pub async fn task(command: TaskCommand, session: &CommandSession) -> Result<(), Failure> {
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
    loop {
        let task = management.get(&format!("/tasks/{}", segment(id))).await?;
        let status = task.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
        let step = task.get("step").and_then(Value::as_str).unwrap_or(&status);
        progress.set_message(client::escaped(step));
        progress.set_position(task.get("progress").and_then(Value::as_u64).unwrap_or_default());
        match status.as_str() {
            "completed" => {
                progress.finish_and_clear();
                return session.output.one(&task, TASKS, "/id");
            }
            "failed" | "cancelled" | "paused" | "needs_credentials" => {
                progress.finish_and_clear();
                session.output.one(&task, TASKS, "/id")?;
                return Err(Failure::new(ExitStatus::Failed, format!("the task is {status}")));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

pub async fn admin(command: AdminCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    match command {
        AdminCommand::Gc { dry_run, now, force, detach } => {
            if force && !dry_run {
                session.output.confirm("Collect even if most blobs would be deleted?")?;
            }
            start(session, &management, "/gc", &json!({ "dry_run": dry_run, "now": now, "force": force }), detach).await
        }
        AdminCommand::Fsck { read_data, repair, detach } => {
            start(session, &management, "/fsck", &json!({ "read_data": read_data, "repair": repair }), detach).await
        }
        AdminCommand::Uploads => session.output.list(&management.list("/uploads", &[], None).await?, UPLOADS, "/id"),
        AdminCommand::Config { file: None } => {
            session.output.one(&management.get("/config").await?, CONFIG, "/generation")
        }
        AdminCommand::Config { file: Some(file) } => {
            let name = file.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            let request =
                ApiRequest::new(Method::GET, format!("/api/v1/config/files/{name}")).header(header::ACCEPT, "*/*");
            session.output.bytes(&management.request(&request).await?.body)
        }
        AdminCommand::Reload => {
            let state = management.value(Method::POST, "/config/reload", None).await?;
            session.output.one(&state, CONFIG, "/generation")
        }
        AdminCommand::Audit { num } => {
            let entries = management.list("/audit", &[], Some(num)).await?;
            session.output.list(&entries, AUDIT, "/request_id")
        }
        AdminCommand::Quotas => {
            session.output.list(&management.list("/quotas", &[], None).await?, QUOTAS, "/repositories/0")
        }
    }
}

/// Starts a task, and waits for it unless it is not wanted.
async fn start(
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
