//! `wharfinger api-key`: makes, lists and deletes API keys in the storage directory, also while the daemon runs.

use super::{EX_CONFIG, block_on::block_on, complain, print_problems, recorded::record, say, say_json, storage};
use crate::{
    access::{InvalidScope, KeyScope, KeyScopes},
    accounts::{Accounts, ApiKey, ApiKeyRequest, MOST_NAME_BYTES},
    config::{ConfigReport, Env, Live, Problem, Problems},
    daemon::NoStore,
    files::{cause, replace},
    identity::{ApiKeyText, UserKind},
    storage::OpenStore,
    who::ApiKeyId,
};
use clap::{Subcommand, ValueHint};
use serde_json::{Value, json};
use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// The commands for API keys.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
#[command(after_help = AFTER)]
pub enum ApiKeyCommand {
    /// Create a key and print it; it is shown only once
    #[command(after_help = CREATE)]
    Create {
        /// User as whom the key acts
        user: String,
        /// What the key is called in lists
        #[arg(long, default_value = "command line", value_parser = name)]
        name: String,
        /// What the key is for, may be repeated: repository:PATTERN:ACTIONS, artifact:PATTERN:ACTIONS or
        /// VERB:RESOURCE; all repositories of the user if left out
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<KeyScope>,
        /// How long it is good, such as 90d, 12h or 30m; for ever if left out
        #[arg(long, value_name = "TIME", value_parser = life)]
        expires: Option<Duration>,
        /// Write the key to a new file, readable by its owner only, instead of standard output
        #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
        output_file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List keys, without their secrets
    List {
        /// Only those of this user
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a key; it is refused from then on
    Delete {
        /// The key's id, as `list` shows it: the second part of the key
        id: ApiKeyId,
    },
}

const AFTER: &str = "\
An API key is a password for a program. It acts as a user of the htpasswd file, and never does more than that user \
may do. A robot is a user without a password: a line `name:!`.

Exit codes: 0 done; 1 refused; 2 invalid command line; 78 the configuration or the storage directory cannot be used.";

const CREATE: &str = "\
Examples:
  wharfinger api-key create alice --scope 'repository:team/*:pull,push' --expires 90d
  wharfinger api-key create ci --scope 'repository:**:pull' --output-file key
  wharfinger api-key create admin --scope ADMIN:SYSTEM

  docker login -u alice --password-stdin registry.example.com < key";

/// What a key is for if nothing is said.
const USUAL_SCOPES: [&str; 2] = ["repository:**:*", "artifact:**:*"];

/// Who makes keys here, for lists.
const MAKER: &str = "the command line";

fn name(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.len() <= MOST_NAME_BYTES && !text.contains(char::is_control) && text.trim() == text {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("a name has 1 to {MOST_NAME_BYTES} bytes, no control characters, and no blanks at the ends"))
        }
    }
}

fn life(text: &str) -> Result<Duration, &'static str> {
    let read = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        let number = number.parse::<u64>().ok().filter(|number| (1..=1_000_000).contains(number))?;
        Some(Duration::from_secs(number * seconds))
    };
    read().ok_or("a time is a number and m, h or d, such as 90d")
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum ApiKeyFailure {
    #[error("there is no user {0:?} in the htpasswd file; add one with: wharfinger htpasswd add {0}")]
    NoUser(String),
    #[error("user {0:?} is locked")]
    Locked(String),
    #[error("API keys belong to users of an htpasswd file: set REGISTRY_AUTH_TYPE=basic and REGISTRY_AUTH_HTPASSWD")]
    NoUsers,
    #[error("there is no API key {0}")]
    NoKey(ApiKeyId),
    #[error("run this as the owner of {0} (uid {1}), or the registry could not read the key")]
    Uid(String, u32),
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    #[error(transparent)]
    Accounts(#[from] crate::accounts::AccountsError),
    #[error("cannot write the key to {path}: {error}", path = .0.display(), error = cause(.1))]
    Output(PathBuf, io::Error),
    #[error("{0}")]
    Runtime(io::Error),
}

/// Runs the command.
pub(super) fn api_key(report: ConfigReport, command: ApiKeyCommand) -> ExitCode {
    let opened = report.usable().and_then(|(env, live, _)| {
        let problem = |error: NoStore| Problems(vec![Problem::of_key(storage::variable_of(&env), error.to_string())]);
        Ok((open(&env, &command).map_err(problem)?, env, live))
    });
    let (store, env, live) = match opened {
        Ok(opened) => opened,
        Err(problems) => {
            print_problems(&problems);
            return ExitCode::from(EX_CONFIG);
        }
    };
    let accounts = Accounts::new(store.storage.clone());
    let recorded = |action: &str, id: ApiKeyId| wait(record(&store, &env, action, id.to_string(), Vec::new()));
    let done = match command {
        ApiKeyCommand::Create { user, name, scopes, expires, output_file, json } => {
            let request = check(&env, &store, &live, &user).and_then(|()| {
                Ok(ApiKeyRequest {
                    name,
                    owner: user,
                    scopes: key_scopes(&scopes)?,
                    created_by: MAKER.to_owned(),
                    life: expires,
                })
            });
            let made = request.and_then(|request| create(&accounts, request, output_file.as_deref(), json));
            made.and_then(|id| recorded("create_key", id))
        }
        ApiKeyCommand::List { user, json } => list(&accounts, user.as_deref(), json),
        ApiKeyCommand::Delete { id } => delete(&accounts, id).and_then(|()| recorded("delete_key", id)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            complain(format_args!("{refused}"));
            ExitCode::FAILURE
        }
    }
}

/// The store, also while the daemon serves it. A first key may come before the first start.
fn open(env: &Env, command: &ApiKeyCommand) -> Result<OpenStore, NoStore> {
    match storage::open(env) {
        Err(NoStore::Absent(_)) if matches!(command, ApiKeyCommand::Create { .. }) => storage::open_or_make(env),
        opened => opened,
    }
}

/// Checks that a key of this user would work.
fn check(env: &Env, store: &OpenStore, live: &Live, user: &str) -> Result<(), ApiKeyFailure> {
    use std::os::unix::fs::MetadataExt;
    match live.identity.users().ok_or(ApiKeyFailure::NoUsers)?.kind(user) {
        Some(UserKind::Person | UserKind::Robot) => {}
        Some(UserKind::Locked) => return Err(ApiKeyFailure::Locked(user.to_owned())),
        None => return Err(ApiKeyFailure::NoUser(user.to_owned())),
    }
    if store.files.is_none() {
        return Ok(());
    }
    let owner = std::fs::metadata(&env.storage_path).map(|meta| meta.uid());
    match owner {
        Ok(uid) if uid != rustix::process::geteuid().as_raw() => {
            Err(ApiKeyFailure::Uid(env.storage_path.display().to_string(), uid))
        }
        _ => Ok(()),
    }
}

fn key_scopes(scopes: &[KeyScope]) -> Result<KeyScopes, InvalidScope> {
    let written: Vec<_> = match scopes {
        [] => USUAL_SCOPES.map(str::to_owned).to_vec(),
        scopes => scopes.iter().map(ToString::to_string).collect(),
    };
    KeyScopes::parse(&written).map_err(|(_, why)| why)
}

fn create(
    accounts: &Accounts,
    request: ApiKeyRequest,
    output_file: Option<&Path>,
    as_json: bool,
) -> Result<ApiKeyId, ApiKeyFailure> {
    let (text, key) = wait(accounts.create_api_key(request))??;
    let written =
        output_file.map(|path| write(path, &text).map_err(|error| ApiKeyFailure::Output(path.to_owned(), error)));
    if let Some(Err(refused)) = written {
        // Nobody knows it.
        wait(accounts.delete_api_key(text.id()))??;
        return Err(refused);
    }
    let mut shown = described(text.id(), &key);
    match (as_json, output_file) {
        (true, None) => {
            shown["secret"] = json!(text.reveal());
            say_json(&shown);
        }
        (true, Some(_)) => say_json(&shown),
        (false, None) => say(format_args!("{}", text.reveal())),
        (false, Some(path)) => say(format_args!("wrote API key {} of {} to {}", text.id(), key.owner, path.display())),
    }
    Ok(text.id())
}

fn write(path: &Path, text: &ApiKeyText) -> io::Result<()> {
    replace::replace(path, |old| match old {
        None => Ok(format!("{}\n", text.reveal()).into_bytes()),
        Some(_) => Err(io::Error::other("the file exists")),
    })
    .map(drop)
}

fn list(accounts: &Accounts, user: Option<&str>, as_json: bool) -> Result<(), ApiKeyFailure> {
    let keys = wait(accounts.api_keys(user))??;
    if as_json {
        let keys: Vec<_> = keys.iter().map(|(id, key)| described(*id, key)).collect();
        say_json(&keys);
        return Ok(());
    }
    for (id, key) in keys {
        let expiry = match key.expires {
            None => "never expires".to_owned(),
            Some(expires) if key.is_expired() => format!("expired {expires}"),
            Some(expires) => format!("expires {expires}"),
        };
        let ApiKey { owner, name, .. } = &*key;
        say(format_args!("{id}  {owner}  {name:?}  {}  {expiry}", key.written_scopes().join(" ")));
    }
    Ok(())
}

fn delete(accounts: &Accounts, id: ApiKeyId) -> Result<(), ApiKeyFailure> {
    match wait(accounts.delete_api_key(id))?? {
        true => {
            say(format_args!("deleted API key {id}"));
            Ok(())
        }
        false => Err(ApiKeyFailure::NoKey(id)),
    }
}

fn described(id: ApiKeyId, key: &ApiKey) -> Value {
    json!({
        "id": id.to_string(), "name": key.name, "owner": key.owner, "scopes": key.written_scopes(),
        "created_at": key.created, "created_by": key.created_by, "expires_at": key.expires, "expired": key.is_expired(),
    })
}

fn wait<T>(work: impl Future<Output = T>) -> Result<T, ApiKeyFailure> {
    block_on(work).map_err(ApiKeyFailure::Runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let seconds = |text: &str| life(text).map(|life| life.as_secs()).ok();
        assert_eq!(["30m", "12h", "90d", "1m"].map(seconds), [Some(1800), Some(43_200), Some(7_776_000), Some(60)]);
        for text in ["", "d", "0d", "90", "-1d", "90 d", "1y", "99999999999d", "9é"] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}
