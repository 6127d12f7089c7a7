//! `wharf migrate`: images that the server copies from other registries.

use crate::{
    commands::{
        access::finish,
        login::{ask_hidden, from_stdin},
    },
    failure::{ExitStatus, Failure},
    follow::follow,
    lists::{MIGRATED_IMAGES, MIGRATION, MIGRATIONS},
    management::{Management, segment},
    output::{Column, OutputFormat, count},
    progress::MigrationLines,
    session::CommandSession,
};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// `wharf migrate`.
#[derive(Subcommand)]
pub enum MigrateCommand {
    /// Start to copy images from another registry to the server.
    #[command(after_help = "\
Examples:
  wharf migrate start ghcr.io 'example/app:v1.*' --dry-run
  wharf migrate start docker.io alpine:3 --prefix mirror --platform linux/amd64
  wharf migrate start registry.example.org '**' -u alice --password-stdin < password

The password can also be in the variable WHARF_SOURCE_PASSWORD.")]
    Start(StartArgs),
    /// Show how far a migration is.
    Status {
        /// Its id.
        id: String,
        /// List its images.
        #[arg(long)]
        images: bool,
        /// List the images that could not be copied.
        #[arg(long, conflicts_with = "images")]
        failed: bool,
    },
    /// Follow a migration until it ends; exits 8 if some images failed.
    Watch {
        /// Its id.
        id: String,
    },
    /// End a migration. What was copied stays.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Continue a migration that was interrupted, cancelled or failed in part.
    Resume {
        /// Its id.
        id: String,
        #[command(flatten)]
        source: SourceLoginArgs,
        /// Do not wait for the end.
        #[arg(long)]
        detach: bool,
    },
    /// List migrations, newest first.
    #[command(visible_alias = "ls")]
    List,
    /// List the repositories of another registry, or the tags of one of them, as the server sees them.
    Browse {
        /// The other registry.
        source: String,
        /// A repository.
        repository: Option<String>,
        #[command(flatten)]
        login: SourceLoginArgs,
    },
}

/// What `wharf migrate start` takes.
#[derive(Args)]
pub struct StartArgs {
    /// The other registry: a host, host:port, or a URL without a path.
    source: String,
    /// What to copy: team/app:1.0, team/app (all tags), or patterns such as 'team/*:v*' and '**' (everything).
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// What comes before the name of each repository on the server.
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
    /// Copy only this platform of an index, such as linux/amd64; may be repeated.
    #[arg(long = "platform", value_name = "OS/ARCH")]
    platforms: Vec<String>,
    /// Leave out signatures and everything else that refers to an image.
    #[arg(long)]
    no_referrers: bool,
    /// Leave tags as they are that point to other images on the server.
    #[arg(long)]
    no_overwrite: bool,
    /// End with the first image that cannot be copied.
    #[arg(long)]
    stop_on_error: bool,
    /// Only show what would be copied, and how large it is.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    login: SourceLoginArgs,
    /// Do not wait for the end.
    #[arg(long)]
    detach: bool,
}

/// How the server logs in to the other registry. There is no option for the password itself, which others on this
/// machine could see.
#[derive(Args)]
pub struct SourceLoginArgs {
    /// The user of the other registry.
    #[arg(short, long, value_name = "USER", conflicts_with = "credentials")]
    username: Option<String>,
    /// Read the password of that user from stdin.
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Read the password of that user from a file.
    #[arg(long, requires = "username", conflicts_with = "password_stdin", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Credentials that the server keeps, by their name.
    #[arg(long, value_name = "NAME")]
    credentials: Option<String>,
}

const NAMES: &[Column] = &[Column::text("NAME", "/name")];

/// The variable with the password of the other registry.
const PASSWORD: &str = "WHARF_SOURCE_PASSWORD";

pub async fn run(command: MigrateCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let path = |id: &str| format!("/tasks/{}", segment(id));
    match command {
        MigrateCommand::Start(args) => start(args, session, &management).await,
        MigrateCommand::Status { id, images: false, failed: false } => {
            session.output.one(&management.get(&path(&id)).await?, MIGRATION, "/id")
        }
        MigrateCommand::Status { id, failed, .. } => {
            let status: &[(&str, &str)] = if failed { &[("status", "failed")] } else { &[] };
            let images = management.list(&format!("{}/images", path(&id)), status, None).await?;
            session.output.list(&images, MIGRATED_IMAGES, "/source")
        }
        MigrateCommand::Watch { id } => watch(session, &management, &id).await,
        MigrateCommand::Cancel { id } => {
            management.send(Method::POST, &format!("{}/cancel", path(&id)), None).await?;
            finish(session, None, &format!("{id} ends. What was copied stays."))
        }
        MigrateCommand::Resume { id, source, detach } => {
            let mut body = Map::new();
            source.add_to(&mut body)?;
            let body = Value::Object(body);
            management.value(Method::POST, &format!("{}/resume", path(&id)), Some(&body)).await?;
            match detach {
                true => finish(session, None, &format!("{id} continues.")),
                false => watch(session, &management, &id).await,
            }
        }
        MigrateCommand::List => {
            session.output.list(&management.list("/registry/migrate", &[], None).await?, MIGRATIONS, "/id")
        }
        MigrateCommand::Browse { source, repository, login } => {
            browse(&source, repository.as_deref(), login, session, &management).await
        }
    }
}

async fn start(args: StartArgs, session: &CommandSession, management: &Management) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("source_registry".to_owned(), args.source.into());
    body.insert("images".to_owned(), args.images.into());
    body.insert("platforms".to_owned(), args.platforms.into());
    body.insert("referrers".to_owned(), (!args.no_referrers).into());
    body.insert("overwrite".to_owned(), (!args.no_overwrite).into());
    body.insert("on_error".to_owned(), if args.stop_on_error { "stop" } else { "continue" }.into());
    body.insert("dry_run".to_owned(), args.dry_run.into());
    if let Some(prefix) = args.prefix {
        body.insert("target_prefix".to_owned(), prefix.into());
    }
    args.login.add_to(&mut body)?;
    let started = management.value(Method::POST, "/registry/migrate", Some(&Value::Object(body))).await?;
    let id = started.get("task_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    match args.detach {
        true => session.output.line(&id),
        false => watch(session, management, &id).await,
    }
}

impl SourceLoginArgs {
    /// Adds the credentials to a request.
    fn add_to(self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        if let Some(name) = self.credentials {
            body.insert("credentials_ref".to_owned(), name.into());
        }
        let Some(user) = self.username else { return Ok(()) };
        let password = match (self.password_stdin, self.password_file, std::env::var(PASSWORD)) {
            (true, _, _) => from_stdin("password")?,
            (false, Some(file), _) => {
                let text = std::fs::read_to_string(&file).map_err(|error| Failure::file("read", &file, &error))?;
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
            (false, None, Ok(password)) if !password.is_empty() => password,
            (false, None, _) => ask_hidden(&format!("Password of {user} at the other registry: "))?,
        };
        body.insert("username".to_owned(), user.into());
        body.insert("password".to_owned(), password.into());
        Ok(())
    }
}

/// Waits for the end of a migration, and says what became of it.
async fn watch(session: &CommandSession, management: &Management, id: &str) -> Result<(), Failure> {
    let path = format!("/tasks/{}", segment(id));
    let lines = MigrationLines::new(&session.output);
    let task = follow(management, id, |task| lines.show(task)).await?;
    lines.end();
    let of = |pointer: &str| task.pointer(pointer).cloned().unwrap_or_default();
    let number = |pointer: &str| of(pointer).as_u64().unwrap_or_default();
    if session.output.format == OutputFormat::Table && !session.output.is_quiet {
        // A dry run is about its images; of a copy, what is missing is of interest.
        let status: &[(&str, &str)] = if of("/migration/dry_run") == true { &[] } else { &[("status", "failed")] };
        let images = management.list(&format!("{path}/images"), status, None).await?;
        if !images.is_empty() {
            session.output.list(&images, MIGRATED_IMAGES, "/source")?;
        }
        let done = if of("/migration/dry_run") == true { "to copy" } else { "copied" };
        session.output.note(&format!(
            "{} {done}, {} here already, {} failed; {} {}.",
            count(number("/migration/images/completed"), "image"),
            number("/migration/images/skipped"),
            number("/migration/images/failed"),
            indicatif::BinaryBytes(number("/migration/bytes_fetched")),
            if of("/migration/dry_run") == true { "to fetch" } else { "fetched" },
        ));
    } else {
        session.output.one(&task, MIGRATION, "/id")?;
    }
    let error = of("/error").as_str().map(client::escaped).unwrap_or_default();
    match of("/status").as_str() {
        Some("completed") => Ok(()),
        Some("failed") if number("/migration/images/completed") + number("/migration/images/skipped") > 0 => {
            Err(Failure::new(ExitStatus::Partial, error).hint(format!("wharf migrate resume {id} tries them again")))
        }
        Some("needs_credentials") => Err(Failure::new(ExitStatus::Failed, "the server needs the password again")
            .hint(format!("wharf migrate resume {id} --username USER"))),
        Some("failed") => Err(Failure::new(ExitStatus::Failed, error)),
        other => {
            let status = other.unwrap_or("of an unknown state");
            let why = if error.is_empty() { error } else { format!(": {error}") };
            Err(Failure::new(ExitStatus::Failed, format!("the migration is {}{why}", client::escaped(status)))
                .hint(format!("wharf migrate resume {id} continues it")))
        }
    }
}

async fn browse(
    source: &str,
    repository: Option<&str>,
    login: SourceLoginArgs,
    session: &CommandSession,
    management: &Management,
) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("registry".to_owned(), source.into());
    if let Some(repository) = repository {
        body.insert("repository".to_owned(), repository.into());
    }
    login.add_to(&mut body)?;
    let mut names: Vec<Value> = Vec::new();
    loop {
        let page = management.value(Method::POST, "/registry/browse", Some(&Value::Object(body.clone()))).await?;
        let found = page.get(if repository.is_some() { "tags" } else { "repositories" }).and_then(Value::as_array);
        names.extend(found.into_iter().flatten().map(|name| json!({ "name": name })));
        match page.get("next").and_then(Value::as_str) {
            // A registry that repeats itself has no end.
            Some(next) if body.get("last").and_then(Value::as_str) != Some(next) && names.len() < MOST_NAMES => {
                body.insert("last".to_owned(), next.into());
            }
            _ => break,
        }
    }
    session.output.list(&names, NAMES, "/name")
}

/// Names that are listed of another registry.
const MOST_NAMES: usize = 100_000;
