//! Roles, which groups give to their members.

use super::finish;
use crate::{failure::Failure, lists::ROLES, management::segment, session::CommandSession};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

/// `wharf role`.
#[derive(Subcommand)]
pub enum RoleCommand {
    /// List roles.
    #[command(visible_alias = "ls")]
    List,
    /// Show a role.
    Show {
        /// The role.
        name: String,
    },
    /// Create a role.
    #[command(
        after_help = "Example: wharf role create pusher --add PULL:IMAGE --add PUSH:IMAGE --repositories 'team/**'"
    )]
    Create {
        /// The role.
        name: String,
        #[command(flatten)]
        change: RoleArgs,
    },
    /// Change a role.
    Update {
        /// The role.
        name: String,
        #[command(flatten)]
        change: RoleArgs,
        /// ACTION:RESOURCE to remove; may be repeated.
        #[arg(long, value_delimiter = ',')]
        remove: Vec<String>,
    },
    /// Delete a role.
    #[command(visible_alias = "rm")]
    Delete {
        /// The role.
        name: String,
    },
}

/// What a role is made of.
#[derive(Args)]
pub struct RoleArgs {
    /// For people.
    #[arg(short, long)]
    description: Option<String>,
    /// ACTION:RESOURCE to add, such as PULL:IMAGE; may be repeated.
    #[arg(long, value_delimiter = ',')]
    add: Vec<String>,
    /// Patterns of the repositories that it is about, with commas.
    #[arg(long, value_delimiter = ',')]
    repositories: Option<Vec<String>>,
}

pub async fn run(command: RoleCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let path = |name: &str| format!("/roles/{}", segment(name));
    let (show, note) = match command {
        RoleCommand::List => {
            return session.output.list(&management.list("/roles", &[], None).await?, ROLES, "/name");
        }
        RoleCommand::Show { name } => {
            return session.output.one(&management.get(&path(&name)).await?, ROLES, "/name");
        }
        RoleCommand::Create { name, change } => {
            let body = json!({
                "name": name,
                "description": change.description.unwrap_or_default(),
                "permissions": change.add,
                "repositories": change.repositories.unwrap_or_default(),
            });
            (Some(management.value(Method::POST, "/roles", Some(&body)).await?), format!("Created the role {name}."))
        }
        RoleCommand::Update { name, change, remove } => {
            let mut body = Map::new();
            body.insert("add".into(), change.add.into());
            body.insert("remove".into(), remove.into());
            body.extend(change.description.map(|text| ("description".to_owned(), text.into())));
            body.extend(change.repositories.map(|patterns| ("repositories".to_owned(), patterns.into())));
            let body = Value::Object(body);
            (Some(management.value(Method::PATCH, &path(&name), Some(&body)).await?), format!("{name} is changed."))
        }
        RoleCommand::Delete { name } => {
            session.output.confirm(&format!("Delete the role {name}?"))?;
            management.send(Method::DELETE, &path(&name), None).await?;
            (None, format!("Deleted the role {name}."))
        }
    };
    finish(session, show, &note)
}
