//! API keys.

use super::finish;
use crate::{
    args::duration, config::write_private, failure::Failure, lists::KEYS, management::segment, output::OutputFormat,
    session::CommandSession,
};
use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, time::Duration};

/// `wharf key`.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// List API keys.
    #[command(visible_alias = "ls")]
    List {
        /// The keys of another user.
        #[arg(long)]
        user: Option<String>,
    },
    /// Create an API key. It is shown only once.
    #[command(after_help = "Example: wharf key create ci --scope 'repository:team/**:pull,push' --expires 90d")]
    Create {
        /// What you call it.
        name: String,
        /// repository:PATTERN:ACTIONS, artifact:PATTERN:ACTIONS or VERB:RESOURCE; may be repeated.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
        /// How long it is valid: 90d.
        #[arg(long, value_parser = duration)]
        expires: Option<Duration>,
        /// Another user, as whom it acts.
        #[arg(long)]
        owner: Option<String>,
        /// Write it to this file, which only you can read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// Change an API key.
    Edit {
        /// Its id.
        id: String,
        /// Another name.
        #[arg(long)]
        name: Option<String>,
        /// All its scopes; may be repeated.
        #[arg(long = "scope")]
        scopes: Vec<String>,
        /// How long it is valid from now on.
        #[arg(long, value_parser = duration)]
        expires: Option<Duration>,
    },
    /// Delete an API key. It ends at once.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its id.
        id: String,
    },
}

pub async fn run(command: KeysCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    match command {
        KeysCommand::List { user } => {
            let pairs: Vec<_> = user.as_deref().map(|user| ("user", user)).into_iter().collect();
            let keys = management.list("/keys", &pairs, None).await?;
            session.output.list(&keys, KEYS, "/id")
        }
        KeysCommand::Create { name, scopes, expires, owner, output_file } => {
            let mut body = json!({ "name": name, "scopes": scopes });
            if let Some(expires) = expires {
                body["expires_in"] = expires.as_secs().into();
            }
            if let Some(owner) = owner {
                body["owner"] = owner.into();
            }
            let mut made = management.value(Method::POST, "/keys", Some(&body)).await?;
            let secret = made.get("secret").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(file) = output_file {
                write_private(&file, format!("{secret}\n").as_bytes())?;
                session.output.note(&format!("The key is in {}.", file.display()));
                if let Some(made) = made.as_object_mut() {
                    made.remove("secret");
                }
                return session.output.one(&made, KEYS, "/id");
            }
            match session.output.format {
                OutputFormat::Table => {
                    session.output.note("This is the key. It is shown only now.");
                    session.output.line(&secret)
                }
                _ => session.output.one(&made, KEYS, "/secret"),
            }
        }
        KeysCommand::Edit { id, name, scopes, expires } => {
            let mut body = Map::new();
            body.extend(name.map(|name| ("name".to_owned(), name.into())));
            body.extend((!scopes.is_empty()).then(|| ("scopes".to_owned(), scopes.into())));
            body.extend(expires.map(|expires| ("expires_in".to_owned(), expires.as_secs().into())));
            let path = format!("/keys/{}", segment(&id));
            let key = management.value(Method::PATCH, &path, Some(&Value::Object(body))).await?;
            finish(session, Some(key), &format!("{id} is changed."))
        }
        KeysCommand::Delete { id } => {
            session.output.confirm(&format!("Delete the API key {id}?"))?;
            management.send(Method::DELETE, &format!("/keys/{}", segment(&id)), None).await?;
            finish(session, None, &format!("Deleted {id}."))
        }
    }
}
