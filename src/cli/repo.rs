//! `wharfinger repo`: creates, lists and deletes repositories in the storage directory, also while the daemon runs.

use super::{
    EX_CONFIG,
    block_on::block_on,
    complain,
    confirm::is_confirmed,
    print_problems,
    recorded::record,
    say, say_json, storage,
    words::{bytes, count},
};
use crate::{
    access::Visibility,
    config::{ConfigReport, Env, Live, Problem, Problems},
    daemon::NoStore,
    registry::{Description, Everything, NewRepository, OwnerName, RecordedFacts, Registry, RegistryError, Visible},
    storage::{OpenStore, RepositoryOutline},
};
use clap::Subcommand;
use oci::{Pattern, RepositoryName};
use serde_json::{Value, json};
use std::{io, process::ExitCode};

/// The commands for repositories.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(after_help = AFTER)]
pub enum RepoCommand {
    /// Create an empty repository
    #[command(after_help = CREATE)]
    Create {
        /// Its name
        name: RepositoryName,
        /// Let everybody pull, also without a login, where no access rule decides
        #[arg(long)]
        public: bool,
        /// User who may pull, push and delete where no access rule decides
        #[arg(long, value_name = "USER")]
        owner: Option<OwnerName>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<Description>,
    },
    /// Delete a repository with everything in it
    #[command(after_help = DELETE)]
    Delete {
        /// Its name
        name: RepositoryName,
        /// The name again; without it, you are asked to type it
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// List repositories, also empty ones
    List {
        /// Only those that match this pattern, such as `team/**`
        repositories: Option<Pattern>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

const AFTER: &str = "\
Exit codes: 0 done; 1 refused; 2 invalid command line; 78 the configuration or the storage directory cannot be used.";

const CREATE: &str = "\
Examples:
  wharfinger repo create tools/lint --public
  wharfinger repo create alice/app --owner alice --description 'The app'";

const DELETE: &str = "\
Deleted blobs and manifests stay recoverable for collection.retention_hours. A registry that is running must not be \
pushing to the repository meanwhile.

Example:
  wharfinger repo delete alice/app --confirm alice/app";

/// Repositories that are looked at together.
const PAGE: usize = 1000;

/// Passes of a deletion: another one if a running registry has added something meanwhile.
const MOST_PASSES: usize = 5;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum RepoFailure {
    #[error("there is no user {0:?} in the htpasswd file")]
    NoUser(String),
    #[error("{0} is off in the settings")]
    SwitchedOff(&'static str),
    #[error("nothing was deleted: the name was not confirmed")]
    NotConfirmed,
    #[error("{0} is still being pushed to: stop the pushes and repeat this")]
    Busy(RepositoryName),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{0}")]
    Runtime(#[from] io::Error),
}

/// Runs the command.
pub(super) fn repo(report: ConfigReport, command: RepoCommand) -> ExitCode {
    let opened = report.usable().and_then(|(env, live, _)| {
        let problem = |text: String| Problems(vec![Problem::of_key(storage::variable_of(&env), text)]);
        Ok((open(&env, &command).map_err(|error| problem(error.to_string()))?, env, live))
    });
    let (store, env, live) = match opened {
        Ok(opened) => opened,
        Err(problems) => {
            print_problems(&problems);
            return ExitCode::from(EX_CONFIG);
        }
    };
    let registry = Registry::new(store.storage.clone(), live.registry.clone());
    let recorded = |action: &'static str, name: RepositoryName| {
        let (store, env) = (store.clone(), &env);
        async move { record(&store, env, action, name.to_string(), Vec::new()).await }
    };
    let done = block_on(async {
        match command {
            RepoCommand::Create { name, public, owner, description } => {
                let visibility = public.then_some(Visibility::Public);
                create(&registry, &live, &name, NewRepository { visibility, owner, description }).await?;
                recorded("create_repository", name).await;
                Ok(())
            }
            RepoCommand::Delete { name, confirm } => {
                delete(&registry, &live, &name, confirm.as_deref()).await?;
                recorded("delete_repository", name).await;
                Ok(())
            }
            RepoCommand::List { repositories, json } => list(&registry, repositories.as_ref(), json).await,
        }
    })
    .unwrap_or_else(|error| Err(RepoFailure::Runtime(error)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            complain(format_args!("{refused}"));
            ExitCode::FAILURE
        }
    }
}

/// The store, also while the daemon serves it. A first repository may come before the first start.
fn open(env: &Env, command: &RepoCommand) -> Result<OpenStore, NoStore> {
    match command {
        RepoCommand::Create { .. } => storage::open_or_make(env),
        RepoCommand::Delete { .. } => storage::open_beside(env, true),
        RepoCommand::List { .. } => storage::open_beside(env, false),
    }
}

async fn create(
    registry: &Registry,
    live: &Live,
    name: &RepositoryName,
    new: NewRepository,
) -> Result<(), RepoFailure> {
    if live.operator.read_only {
        return Err(RepoFailure::SwitchedOff("writing (operator.read_only)"));
    }
    if let (Some(owner), Some(users)) = (&new.owner, live.identity.users())
        && users.kind(owner.as_str()).is_none()
    {
        return Err(RepoFailure::NoUser(owner.as_str().to_owned()));
    }
    registry.repository(name).create(new).await?;
    say(format_args!("created {name}"));
    Ok(())
}

async fn delete(
    registry: &Registry,
    live: &Live,
    name: &RepositoryName,
    confirm: Option<&str>,
) -> Result<(), RepoFailure> {
    if live.operator.read_only || !live.operator.delete {
        return Err(RepoFailure::SwitchedOff("deletion (operator.delete, operator.read_only)"));
    }
    let repository = registry.repository(name);
    if !repository.exists().await? {
        return Err(RegistryError::NameUnknown(name.clone()).into());
    }
    let outlines = registry.outlines(std::slice::from_ref(name)).await?;
    let held = outlines.first().map(|outline| held(outline)).unwrap_or_default();
    let question = format_args!("This deletes {name} with {held}.\nType its name to confirm: ");
    if !is_confirmed(name.as_str(), confirm, question) {
        return Err(RepoFailure::NotConfirmed);
    }
    let (mut tags, mut manifests) = (0, 0);
    for _ in 0..MOST_PASSES {
        let removed = repository.delete().await?;
        tags += removed.tags;
        manifests += removed.manifests;
        if !repository.exists().await? {
            let (tags, manifests) = (count(tags, "tag", "tags"), count(manifests, "manifest", "manifests"));
            say(format_args!("deleted {name} with {tags} and {manifests}"));
            return Ok(());
        }
    }
    Err(RepoFailure::Busy(name.clone()))
}

async fn list(registry: &Registry, pattern: Option<&Pattern>, as_json: bool) -> Result<(), RepoFailure> {
    let visible: &dyn Visible = match pattern {
        Some(pattern) => pattern,
        None => &Everything,
    };
    let (mut items, mut last) = (Vec::new(), None::<String>);
    loop {
        let page = registry.existing_repositories(None, last.as_deref(), PAGE, visible).await?;
        let outlines = registry.outlines(&page.entries).await?;
        for (name, outline) in page.entries.iter().zip(outlines) {
            let facts = registry.repository(name).recorded_facts().await?;
            match as_json {
                true => items.push(described(name, &facts, &outline)),
                false => {
                    let owner = facts.access.owner.as_deref().unwrap_or("-");
                    let visibility = facts.access.visibility.as_str();
                    say(format_args!("{name}  {visibility}  {owner}  {}", held(&outline)));
                }
            }
        }
        last = page.entries.last().map(ToString::to_string);
        if !page.more {
            break;
        }
    }
    if as_json {
        say_json(&items);
    }
    Ok(())
}

fn held(outline: &RepositoryOutline) -> String {
    format!("{}, {}", count(outline.tags, "tag", "tags"), bytes(outline.bytes))
}

fn described(name: &RepositoryName, facts: &RecordedFacts, outline: &RepositoryOutline) -> Value {
    json!({
        "name": name.as_str(),
        "visibility": facts.access.visibility.as_str(),
        "owner": facts.access.owner,
        "description": facts.description.as_ref().map(|text| text.as_str()),
        "tag_count": outline.tags,
        "manifest_count": outline.manifests,
        "size": outline.bytes,
    })
}
