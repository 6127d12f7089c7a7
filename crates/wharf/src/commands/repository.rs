//! Repositories.

use crate::{
    commands::{access::finish, image::visibility},
    copy::{CopyOptions, copy_image},
    failure::Failure,
    lists::REPOSITORIES,
    management::{Management, query},
    output::{Column, count},
    place::{ImageName, ImagePlace},
    session::CommandSession,
};
use clap::{Args, Subcommand};
use client::PageRequest;
use http::Method;
use serde_json::{Map, Value, json};

/// `wharf repo`.
#[derive(Subcommand)]
pub enum RepositoryCommand {
    /// List repositories.
    #[command(visible_alias = "ls")]
    List(RepositoryListArgs),
    /// Create an empty repository.
    #[command(after_help = "Example: wharf repo create team/tool --public -d 'Checks things'")]
    Create {
        /// Its name.
        name: String,
        /// Let everybody pull from it.
        #[arg(long)]
        public: bool,
        /// What it is for.
        #[arg(short, long)]
        description: Option<String>,
        /// The user who owns it; you unless given.
        #[arg(long)]
        owner: Option<String>,
    },
    /// Show a repository.
    Show {
        /// Its name.
        name: String,
    },
    /// Change a repository.
    Edit {
        /// Its name.
        name: String,
        /// What it is for; empty for nothing.
        #[arg(short, long)]
        description: Option<String>,
        /// The user who owns it; empty for nobody.
        #[arg(long)]
        owner: Option<String>,
        /// Tags that cannot be moved or deleted: a regular expression; empty for none.
        #[arg(long, value_name = "REGEX")]
        immutable_tags: Option<String>,
    },
    /// Set who may pull where no rule decides: public or private.
    Visibility {
        /// Its name.
        name: String,
        /// public or private.
        visibility: String,
    },
    /// Delete a repository with everything in it.
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name.
        name: String,
        /// The name again, in place of a question.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Copy a repository: all its tags, with what refers to them.
    #[command(after_help = "Example: wharf repo copy team/app backup.example.com/team/app")]
    Copy {
        /// The repository, or oci:DIRECTORY.
        source: String,
        /// Where to, or oci:DIRECTORY.
        target: String,
        /// Blobs copied at the same time.
        #[arg(short, long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
        jobs: u8,
        /// Leave tags that exist at the target alone.
        #[arg(long)]
        no_clobber: bool,
    },
    /// Show who may do what in a repository, and why.
    Access {
        /// Its name.
        name: String,
    },
    /// Show which repositories are largest.
    Du {
        /// How many.
        #[arg(long, short, default_value_t = 20)]
        num: usize,
    },
}

/// `wharf repo list`, `wharf image list`.
#[derive(Args, Default)]
pub struct RepositoryListArgs {
    /// Only names that contain this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only repositories of this namespace.
    #[arg(long)]
    namespace: Option<String>,
    /// Only public ones.
    #[arg(long)]
    public: bool,
    /// Only your own.
    #[arg(long)]
    mine: bool,
    /// By name, size, pushed, or another field.
    #[arg(long)]
    sort: Option<String>,
    /// At most this many.
    #[arg(long)]
    num: Option<usize>,
}

const ACCESS: &[Column] =
    &[Column::text("WHO", "/who"), Column::text("ACTIONS", "/actions"), Column::text("REASONS", "/reasons").wide()];

pub async fn run(command: RepositoryCommand, session: &CommandSession) -> Result<(), Failure> {
    let managed = |name: &str| session.managed(&ImageName::parse(name)?.only_repository()?);
    match command {
        RepositoryCommand::List(args) => list(args, session).await,
        RepositoryCommand::Create { name, public, description, owner } => {
            let (management, name) = managed(&name)?;
            let mut body = json!({ "name": name.as_str(), "visibility": if public { "public" } else { "private" } });
            if let Some(description) = description {
                body["description"] = description.into();
            }
            if let Some(owner) = owner {
                body["owner"] = owner.into();
            }
            let made = management.value(Method::POST, "/repositories", Some(&body)).await?;
            finish(session, Some(made), &format!("Created {name}."))
        }
        RepositoryCommand::Show { name } => {
            let (management, name) = managed(&name)?;
            let shown = management.get(&format!("/repositories/{name}")).await?;
            session.output.one(&shown, REPOSITORIES, "/name")
        }
        RepositoryCommand::Edit { name, description, owner, immutable_tags } => {
            let (management, name) = managed(&name)?;
            let mut body = Map::new();
            for (field, value) in [("description", description), ("owner", owner), ("immutable_tags", immutable_tags)] {
                let null_if_empty = |text: String| if text.is_empty() { Value::Null } else { text.into() };
                body.extend(value.map(|value| (field.to_owned(), null_if_empty(value))));
            }
            if body.is_empty() {
                return Err(Failure::usage("nothing to change: give --description, --owner or --immutable-tags"));
            }
            let path = format!("/repositories/{name}");
            let changed = management.value(Method::PATCH, &path, Some(&Value::Object(body))).await?;
            finish(session, Some(changed), &format!("{name} is changed."))
        }
        RepositoryCommand::Visibility { name, visibility: value } => visibility(&name, &value, session).await,
        RepositoryCommand::Delete { name, confirm } => {
            let (management, name) = managed(&name)?;
            match confirm {
                Some(typed) if typed == name.as_str() => {}
                Some(_) => return Err(Failure::usage(format!("--confirm is not {name}; nothing was deleted"))),
                None => {
                    let question = format!("This deletes {name} with all its tags and images.");
                    session.output.confirm_name(&question, name.as_str())?;
                }
            }
            let path = format!("/repositories/{name}{}", query([("confirm", name.as_str())]));
            let deleted = management.value(Method::DELETE, &path, None).await?;
            let tags = deleted.get("tags").and_then(Value::as_u64).unwrap_or_default();
            finish(session, Some(deleted), &format!("Deleted {name} with {}.", count(tags, "tag")))
        }
        RepositoryCommand::Copy { source, target, jobs, no_clobber } => {
            let options = CopyOptions {
                all_tags: true,
                referrers: true,
                digest_tags: true,
                jobs: usize::from(jobs),
                no_clobber,
                ..CopyOptions::default()
            };
            copy_image(&ImagePlace::parse(&source)?, &ImagePlace::parse(&target)?, &options, session).await
        }
        RepositoryCommand::Access { name } => {
            let (management, name) = managed(&name)?;
            let access = management.list(&format!("/repositories/{name}/-/access"), &[], None).await?;
            session.output.list(&access, ACCESS, "/who")
        }
        RepositoryCommand::Du { num } => {
            let args =
                RepositoryListArgs { sort: Some("size".into()), num: Some(num), ..RepositoryListArgs::default() };
            list(args, session).await
        }
    }
}

/// Lists repositories: by the management API if there is one, else by the catalog.
pub async fn list(args: RepositoryListArgs, session: &CommandSession) -> Result<(), Failure> {
    list_at(&session.management()?, args, session).await
}

/// Lists the repositories of a server.
pub async fn list_at(
    management: &Management,
    args: RepositoryListArgs,
    session: &CommandSession,
) -> Result<(), Failure> {
    if management.is_for_users().await? {
        let mut pairs = Vec::new();
        for (key, value) in [("q", &args.filter), ("namespace", &args.namespace), ("sort", &args.sort)] {
            pairs.extend(value.as_deref().map(|value| (key, value)));
        }
        if args.public {
            pairs.push(("visibility", "public"));
        }
        let me = match args.mine {
            true => management.get("/auth/me").await?.get("username").and_then(Value::as_str).map(str::to_owned),
            false => None,
        };
        pairs.extend(me.as_deref().map(|me| ("owner", me)));
        let found = management.list("/repositories", &pairs, args.num).await?;
        return session.output.list(&found, REPOSITORIES, "/name");
    }
    let mut pages = management.client.catalog(&PageRequest { size: None, after: None });
    let mut found = Vec::new();
    let wanted = |name: &str| args.filter.as_deref().is_none_or(|text| name.contains(text));
    while let Some(page) = pages.next_page().await? {
        found.extend(page.iter().filter(|name| wanted(name.as_str())).map(|name| json!({ "name": name.as_str() })));
        if args.num.is_some_and(|most| found.len() >= most) {
            break;
        }
    }
    found.truncate(args.num.unwrap_or(usize::MAX));
    session.output.list(&found, &[Column::text("NAME", "/name")], "/name")
}
