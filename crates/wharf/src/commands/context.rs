//! Servers that this program knows.

use crate::{
    config::ServerContext,
    failure::Failure,
    output::{Column, ColumnKind},
    session::{CommandSession, nearest},
};
use clap::Subcommand;
use serde_json::json;

/// `wharf context`.
#[derive(Subcommand)]
pub enum ContextCommand {
    /// List contexts.
    #[command(visible_alias = "ls")]
    List,
    /// Make a context the current one.
    Use {
        /// Its name.
        name: String,
    },
    /// Add a server without logging in.
    Add {
        /// Its name.
        name: String,
        /// A host, host:port, or a URL.
        server: String,
    },
    /// Forget a context. Its session stays until `wharf logout`.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name.
        name: String,
    },
}

const CONTEXTS: &[Column] = &[
    Column::text("NAME", "/name"),
    Column::text("SERVER", "/server"),
    Column::text("USER", "/user"),
    Column::of("CURRENT", "/current", ColumnKind::Flag),
];

pub fn run(command: ContextCommand, session: &CommandSession) -> Result<(), Failure> {
    let mut config = session.config.clone();
    match command {
        ContextCommand::List => {
            let items = config.contexts.iter().map(|(name, context)| {
                let is_current = config.current.as_ref() == Some(name);
                json!({ "name": name, "server": context.server, "user": context.user, "current": is_current })
            });
            return session.output.list(&items.collect::<Vec<_>>(), CONTEXTS, "/name");
        }
        ContextCommand::Use { name } => {
            if !config.contexts.contains_key(&name) {
                return Err(unknown(&name, session));
            }
            session.output.note(&format!("The current context is {name}."));
            config.current = Some(name);
        }
        ContextCommand::Add { name, server } => {
            let context = ServerContext {
                server,
                user: None,
                ca_file: session.globals.ca_file.clone(),
                plain_http: session.globals.plain_http,
            };
            session.address(&context)?;
            config.contexts.insert(name.clone(), context);
            config.current.get_or_insert(name);
        }
        ContextCommand::Delete { name } => {
            if config.contexts.remove(&name).is_none() {
                return Err(unknown(&name, session));
            }
            config.current = config.current.filter(|current| *current != name);
        }
    }
    session.files.save(&config)
}

fn unknown(name: &str, session: &CommandSession) -> Failure {
    let failure = Failure::not_found(format!("there is no context {name:?}"));
    match nearest(name, session.config.contexts.keys()) {
        Some(near) => failure.hint(format!("did you mean {near:?}?")),
        None => failure,
    }
}
