//! Users.

use super::{changed, finish};
use crate::{
    commands::login::{ask_hidden, from_stdin},
    failure::Failure,
    lists::{USER_ACCESS, USERS},
    management::segment,
    output::{Column, OutputFormat, warn},
    session::CommandSession,
};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

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

pub async fn run(command: UsersCommand, session: &CommandSession) -> Result<(), Failure> {
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
            let target = format!("{path}/groups");
            let user = match groups {
                Some(groups) => management.value(Method::PUT, &target, Some(&json!({ "groups": groups }))).await?,
                None => {
                    let body = |user: &Value| json!({ "groups": changed(user, "/groups", &add, &remove) });
                    management.modify(&path, Method::PUT, &target, body).await?
                }
            };
            (Some(user), format!("{name} is changed."))
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
            return session.output.list(&access, USER_ACCESS, "/repository");
        }
    };
    let (repository, actions) =
        scope.rsplit_once(':').ok_or_else(|| Failure::usage(format!("{scope:?} is not REPOSITORY:ACTIONS")))?;
    let actions: Vec<&str> = actions.split(',').collect();
    let body = json!({ "repository": repository, "actions": actions, "dry_run": dry_run });
    let changed = management.value(method, &path, Some(&body)).await?;
    if session.output.format == OutputFormat::Table && !session.output.is_quiet {
        let diff = changed.get("diff").and_then(Value::as_str).unwrap_or_default();
        return diff.lines().try_for_each(|line| session.output.line(line));
    }
    session.output.one(&changed, &[Column::text("Before", "/before"), Column::text("After", "/after")], "/after")
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
