//! Users, groups, roles and API keys.

use crate::{
    args::duration,
    commands::login::{ask_hidden, from_stdin},
    failure::Failure,
    management::{query, segment},
    output::{Column, ColumnKind, warn},
    session::CommandSession,
};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, time::Duration};

/// `wharf user`.
#[derive(Subcommand)]
pub enum UsersCommand {
    /// List users.
    #[command(visible_alias = "ls")]
    List {
        /// Only names that contain this.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// Only members of this group.
        #[arg(long)]
        group: Option<String>,
    },
    /// Show a user.
    Show {
        /// The user.
        name: String,
    },
    /// Create a user.
    #[command(after_help = "Example: wharf user create carl --generate -g devs")]
    Create {
        /// The user.
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
        /// Groups to put the user into, with commas.
        #[arg(short, long, value_delimiter = ',')]
        groups: Vec<String>,
        /// An address to reach the user at.
        #[arg(long)]
        email: Option<String>,
        /// A robot has no password; it uses API keys only.
        #[arg(long)]
        robot: bool,
    },
    /// Set the password of a user.
    Password {
        /// The user.
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Delete a user, with keys, sessions and entries in rules.
    #[command(visible_alias = "rm")]
    Delete {
        /// The user.
        name: String,
    },
    /// Set the groups of a user, or add to them and remove from them.
    #[command(after_help = "Example: wharf user groups carl -g devs,ops")]
    Groups {
        /// The user.
        name: String,
        /// All groups of the user, with commas.
        #[arg(short, long, value_delimiter = ',', conflicts_with_all = ["add", "remove"])]
        groups: Option<Vec<String>>,
        /// Groups to add the user to.
        #[arg(long, value_delimiter = ',')]
        add: Vec<String>,
        /// Groups to remove the user from.
        #[arg(long, value_delimiter = ',')]
        remove: Vec<String>,
    },
    /// Keep a user from logging in.
    Lock {
        /// The user.
        name: String,
    },
    /// Let a user log in again.
    Unlock {
        /// The user.
        name: String,
    },
    /// Show what a user may do in repositories, or change the user's own rule.
    #[command(after_help = "Example: wharf user access carl --add team/app:push")]
    Access {
        /// The user.
        name: String,
        /// REPOSITORY:ACTIONS to add, such as team/app:pull,push.
        #[arg(long, conflicts_with = "remove")]
        add: Option<String>,
        /// REPOSITORY:ACTIONS to remove.
        #[arg(long)]
        remove: Option<String>,
        /// Only show what would change.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Where a password comes from.
#[derive(Args)]
pub struct PasswordArgs {
    /// The password. Others on this machine can see it in the list of processes: prefer --password-stdin.
    #[arg(short, long)]
    password: Option<String>,
    /// Read the password from stdin.
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// Make a random password and print it.
    #[arg(long, conflicts_with_all = ["password", "password_stdin"])]
    generate: bool,
}

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

const USERS: &[Column] = &[
    Column::text("NAME", "/username"),
    Column::text("GROUPS", "/groups"),
    Column::text("ROLES", "/roles").wide(),
    Column::of("ADMIN", "/is_admin", ColumnKind::Flag),
    Column::of("LOCKED", "/locked", ColumnKind::Flag),
    Column::of("ROBOT", "/robot", ColumnKind::Flag),
    Column::text("EMAIL", "/email").wide(),
    Column::of("CREATED", "/created_at", ColumnKind::Time).wide(),
    Column::of("LAST LOGIN", "/last_login_at", ColumnKind::Time),
];
const ACCESS: &[Column] =
    &[Column::text("REPOSITORY", "/repository"), Column::text("ACTIONS", "/actions"), Column::text("BECAUSE", "/why")];
const GROUPS: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::text("ROLES", "/roles"),
    Column::text("MEMBERS", "/members"),
    Column::text("DESCRIPTION", "/description"),
];
const ROLES: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::text("PERMISSIONS", "/permissions"),
    Column::text("REPOSITORIES", "/repositories"),
    Column::of("BUILT-IN", "/builtin", ColumnKind::Flag),
    Column::text("DESCRIPTION", "/description").wide(),
];
const KEYS: &[Column] = &[
    Column::text("ID", "/id"),
    Column::text("NAME", "/name"),
    Column::text("OWNER", "/owner"),
    Column::text("SCOPES", "/scopes"),
    Column::of("CREATED", "/created_at", ColumnKind::Time).wide(),
    Column::of("EXPIRES", "/expires_at", ColumnKind::Time),
    Column::of("LAST USED", "/last_used_at", ColumnKind::Time),
];

pub async fn user(command: UsersCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    let (show, note) = match command {
        UsersCommand::List { filter, group } => {
            let pairs = [("q", filter.as_deref()), ("group", group.as_deref())];
            let pairs: Vec<_> = pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            let users = management.list("/users", &pairs, None).await?;
            return session.output.list(&users, USERS, "/username");
        }
        UsersCommand::Show { name } => {
            let user = management.get(&format!("/users/{}", segment(&name))).await?;
            return session.output.one(&user, USERS, "/username");
        }
        UsersCommand::Create { name, password, groups, email, robot } => {
            let mut body = json!({ "username": name, "groups": groups, "robot": robot });
            let mut generated = None;
            if !robot {
                let (password, is_generated) = password.choose()?;
                body["password"] = password.clone().into();
                generated = is_generated.then_some(password);
            }
            if let Some(email) = email {
                body["email"] = email.into();
            }
            let made = management.value(Method::POST, "/users", Some(&body)).await?;
            if let Some(password) = generated {
                session.output.note(&format!("Created {name}. The password is printed only now:"));
                return session.output.line(&password);
            }
            (Some(made), format!("Created {name}."))
        }
        UsersCommand::Password { name, password } => {
            let (password, is_generated) = password.choose()?;
            let body = json!({ "password": password });
            management.send(Method::PATCH, &format!("/users/{}", segment(&name)), Some(&body)).await?;
            session.output.note(&format!("The password of {name} is changed; their sessions have ended."));
            return if is_generated { session.output.line(&password) } else { Ok(()) };
        }
        UsersCommand::Delete { name } => {
            session.output.confirm(&format!("Delete the user {name}, with their keys and sessions?"))?;
            management.send(Method::DELETE, &format!("/users/{}", segment(&name)), None).await?;
            (None, format!("Deleted {name}."))
        }
        UsersCommand::Groups { name, groups, add, remove } => {
            let path = format!("/users/{}", segment(&name));
            let groups = match groups {
                Some(groups) => groups,
                None => changed(&management.get(&path).await?, "/groups", &add, &remove),
            };
            let body = json!({ "groups": groups });
            (
                Some(management.value(Method::PUT, &format!("{path}/groups"), Some(&body)).await?),
                format!("{name} is changed."),
            )
        }
        UsersCommand::Lock { name } => (Some(set_lock(session, &name, true).await?), format!("{name} is locked.")),
        UsersCommand::Unlock { name } => {
            (Some(set_lock(session, &name, false).await?), format!("{name} may log in again."))
        }
        UsersCommand::Access { name, add, remove, dry_run } => {
            return access(session, &name, add.as_deref(), remove.as_deref(), dry_run).await;
        }
    };
    finish(session, show, &note)
}

async fn set_lock(session: &CommandSession, name: &str, locked: bool) -> Result<Value, Failure> {
    let path = format!("/users/{}", segment(name));
    session.management()?.value(Method::PATCH, &path, Some(&json!({ "locked": locked }))).await
}

async fn access(
    session: &CommandSession,
    name: &str,
    add: Option<&str>,
    remove: Option<&str>,
    dry_run: bool,
) -> Result<(), Failure> {
    let management = session.management()?;
    let path = format!("/users/{}/access", segment(name));
    let (method, scope) = match (add, remove) {
        (Some(scope), _) => (Method::POST, scope),
        (_, Some(scope)) => (Method::DELETE, scope),
        (None, None) => {
            let access = management.list(&path, &[], None).await?;
            return session.output.list(&access, ACCESS, "/repository");
        }
    };
    let (repository, actions) =
        scope.rsplit_once(':').ok_or_else(|| Failure::usage(format!("{scope:?} is not REPOSITORY:ACTIONS")))?;
    let actions: Vec<&str> = actions.split(',').collect();
    let body = json!({ "repository": repository, "actions": actions, "dry_run": dry_run });
    let changed = management.value(method, &path, Some(&body)).await?;
    if session.output.format == crate::output::OutputFormat::Table && !session.output.is_quiet {
        let diff = changed.get("diff").and_then(Value::as_str).unwrap_or_default();
        return diff.lines().try_for_each(|line| session.output.line(line));
    }
    session.output.one(&changed, &[Column::text("Before", "/before"), Column::text("After", "/after")], "/after")
}

pub async fn group(command: GroupCommand, session: &CommandSession) -> Result<(), Failure> {
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
            let group = management.get(&path(&name)).await?;
            if add.is_empty() && remove.is_empty() {
                let members = group.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
                return session.output.list(&members, &[Column::text("NAME", "")], "");
            }
            let body = json!({ "members": changed(&group, "/members", &add, &remove) });
            (Some(management.value(Method::PATCH, &path(&name), Some(&body)).await?), format!("{name} is changed."))
        }
    };
    finish(session, show, &note)
}

pub async fn role(command: RoleCommand, session: &CommandSession) -> Result<(), Failure> {
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

pub async fn key(command: KeysCommand, session: &CommandSession) -> Result<(), Failure> {
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
                crate::config::write_private(&file, format!("{secret}\n").as_bytes())?;
                session.output.note(&format!("The key is in {}.", file.display()));
                if let Some(made) = made.as_object_mut() {
                    made.remove("secret");
                }
                return session.output.one(&made, KEYS, "/id");
            }
            match session.output.format {
                crate::output::OutputFormat::Table => {
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

/// Says what was done; programs that asked for an object get it.
pub fn finish(session: &CommandSession, object: Option<Value>, note: &str) -> Result<(), Failure> {
    use crate::output::OutputFormat;
    match object.filter(|_| !matches!(session.output.format, OutputFormat::Table | OutputFormat::Wide)) {
        Some(object) => session.output.one(&object, &[], "/name"),
        None => {
            session.output.note(note);
            Ok(())
        }
    }
}

/// A list of names of an object, with some added and some removed.
fn changed(object: &Value, field: &str, add: &[String], remove: &[String]) -> Vec<String> {
    let before = object.pointer(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names: Vec<String> = before.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.extend(add.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
    names.retain(|name| !remove.contains(name));
    names
}

impl PasswordArgs {
    /// The password, and whether it was made here.
    fn choose(self) -> Result<(String, bool), Failure> {
        if self.generate {
            return Ok((generated()?, true));
        }
        if let Some(password) = self.password {
            warn("wharf: the password can be seen in the list of processes; prefer --password-stdin");
            return Ok((password, false));
        }
        if self.password_stdin {
            return Ok((from_stdin("password")?, false));
        }
        let password = ask_hidden("Password: ")?;
        match ask_hidden("Password again: ")? == password {
            true => Ok((password, false)),
            false => Err(Failure::failed("the two passwords differ; nothing was changed")),
        }
    }
}

/// A password of 120 random bits, in letters and digits that are not mistaken for each other.
fn generated() -> Result<String, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789_";
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}
