//! Settings, namespaces, tasks, and what administrators do.

mod outbox;

pub use outbox::outbox_report;

use crate::{
    commands::{access::finish, task::start},
    failure::Failure,
    lists::{AUDIT, NAMESPACES, QUOTAS, SECTIONS, SETTINGS, UPLOADS},
    management::segment,
    output::{Column, ColumnKind, OutputFormat},
    session::CommandSession,
};
use clap::{Subcommand, ValueEnum};
use client::ApiRequest;
use http::{Method, header};
use serde_json::{Map, Value, json};

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
    /// Show what is still to be written to the SFTP server.
    Outbox,
}

/// A configuration file of the server.
#[derive(Clone, Copy, ValueEnum)]
pub enum ConfigFileName {
    AccessControl,
    Settings,
}

const CONFIG: &[Column] = &[
    Column::text("Generation", "/generation"),
    Column::of("Loaded", "/loaded_at", ColumnKind::Time),
    Column::text("Problems", "/problems"),
    Column::text("Files", "/files"),
];

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
        AdminCommand::Outbox => outbox::show(session, &management).await,
    }
}
