//! Groups of users.

use super::{changed, finish};
use crate::{
    failure::Failure,
    lists::GROUPS,
    management::{query, segment},
    output::Column,
    session::CommandSession,
};
use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};

/// `wharf group`.
#[derive(Subcommand)]
pub enum GroupCommand {
    /// List groups.
    #[command(visible_alias = "ls")]
    List,
    /// Show a group.
    Show {
        /// The group.
        name: String,
    },
    /// Create a group.
    #[command(after_help = "Example: wharf group create devs -d 'Who writes the code' -r developer")]
    Create {
        /// The group.
        name: String,
        /// For people.
        #[arg(short, long, default_value = "")]
        description: String,
        /// The roles of its members, with commas.
        #[arg(short, long, value_delimiter = ',')]
        roles: Vec<String>,
        /// Its members, with commas.
        #[arg(short, long, value_delimiter = ',')]
        members: Vec<String>,
    },
    /// Change a group.
    Update {
        /// The group.
        name: String,
        /// For people.
        #[arg(short, long)]
        description: Option<String>,
        /// All roles of its members, with commas.
        #[arg(short, long, value_delimiter = ',')]
        roles: Option<Vec<String>>,
    },
    /// Delete a group.
    #[command(visible_alias = "rm")]
    Delete {
        /// The group.
        name: String,
        /// Also remove it from rules that are about it.
        #[arg(long)]
        force: bool,
    },
    /// Set the members of a group, or add and remove some.
    Members {
        /// The group.
        name: String,
        /// Users to add, with commas.
        #[arg(long, value_delimiter = ',')]
        add: Vec<String>,
        /// Users to remove, with commas.
        #[arg(long, value_delimiter = ',')]
        remove: Vec<String>,
    },
}

pub async fn run(command: GroupCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let path = |name: &str| format!("/groups/{}", segment(name));
    let (show, note) = match command {
        GroupCommand::List => {
            let groups = management.list("/groups", &[], None).await?;
            return session.output.list(&groups, GROUPS, "/name");
        }
        GroupCommand::Show { name } => {
            return session.output.one(&management.get(&path(&name)).await?, GROUPS, "/name");
        }
        GroupCommand::Create { name, description, roles, members } => {
            let body = json!({ "name": name, "description": description, "roles": roles, "members": members });
            (Some(management.value(Method::POST, "/groups", Some(&body)).await?), format!("Created the group {name}."))
        }
        GroupCommand::Update { name, description, roles } => {
            let mut body = Map::new();
            body.extend(description.map(|text| ("description".to_owned(), text.into())));
            body.extend(roles.map(|roles| ("roles".to_owned(), roles.into())));
            let body = Value::Object(body);
            (Some(management.value(Method::PATCH, &path(&name), Some(&body)).await?), format!("{name} is changed."))
        }
        GroupCommand::Delete { name, force } => {
            session.output.confirm(&format!("Delete the group {name}?"))?;
            let force = if force { query([("force", "true")]) } else { String::new() };
            management.send(Method::DELETE, &format!("{}{force}", path(&name)), None).await?;
            (None, format!("Deleted the group {name}."))
        }
        GroupCommand::Members { name, add, remove } => {
            if add.is_empty() && remove.is_empty() {
                let group = management.get(&path(&name)).await?;
                let members = group.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
                return session.output.list(&members, &[Column::text("NAME", "")], "");
            }
            let path = path(&name);
            let body = |group: &Value| json!({ "members": changed(group, "/members", &add, &remove) });
            (Some(management.modify(&path, Method::PATCH, &path, body).await?), format!("{name} is changed."))
        }
    };
    finish(session, show, &note)
}
