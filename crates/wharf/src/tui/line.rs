//! The command line of the terminal UI, behind `:`.

use super::{theme::THEMES, view::ViewKind};
use serde_json::{Value, json};

/// A command.
pub struct LineHelp {
    /// Its name; the first is shown, the others work too.
    pub names: &'static [&'static str],
    /// What follows it.
    pub takes: LineArgument,
    /// What it does.
    pub does: &'static str,
}

/// What follows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineArgument {
    Nothing,
    Context,
    Theme,
    OnOff,
    Repository,
    Image,
    ArtifactRepository,
    ArtifactsOf,
    User,
    Section,
    Terms,
    Task,
    DryRun,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum LineCommand {
    Show(ViewKind),
    Quit,
    Help,
    Login,
    Context(String),
    Theme(String),
    Mouse(bool),
    /// A request, and what to say when it is made.
    Send {
        path: String,
        body: Option<Value>,
        done: &'static str,
    },
}

/// What can complete an argument.
#[derive(Clone, Copy, Debug, Default)]
pub struct KnownNames<'n> {
    pub contexts: &'n [String],
    pub repositories: &'n [String],
}

const fn line(names: &'static [&'static str], takes: LineArgument, does: &'static str) -> LineHelp {
    LineHelp { names, takes, does }
}

/// All commands, for completion, the help and `docs/wharf.md`.
pub const COMMANDS: &[LineHelp] = &[
    line(&["home"], LineArgument::Nothing, "the server at a glance"),
    line(&["repos", "repositories"], LineArgument::Nothing, "repositories"),
    line(&["tags", "repo"], LineArgument::Repository, "tags of a repository"),
    line(&["image"], LineArgument::Image, "an image, by tag or digest"),
    line(&["users"], LineArgument::Nothing, "users"),
    line(&["access"], LineArgument::User, "what a user may do"),
    line(&["keys"], LineArgument::Nothing, "API keys"),
    line(&["groups"], LineArgument::Nothing, "groups"),
    line(&["roles"], LineArgument::Nothing, "roles"),
    line(&["sessions"], LineArgument::Nothing, "where you are logged in"),
    line(&["artifacts"], LineArgument::ArtifactRepository, "artifacts, of one repository or all"),
    line(&["search", "find"], LineArgument::Terms, "artifacts by version, path or properties"),
    line(&["trash"], LineArgument::ArtifactsOf, "what is in the trash of a repository of artifacts"),
    line(&["tasks"], LineArgument::Nothing, "tasks of the server"),
    line(&["migrations", "migrate"], LineArgument::Nothing, "images that are copied from other registries"),
    line(&["migration"], LineArgument::Task, "one migration, by its id"),
    line(&["gc"], LineArgument::DryRun, "collect garbage"),
    line(&["fsck"], LineArgument::Nothing, "check the store"),
    line(&["admin"], LineArgument::Nothing, "administration"),
    line(&["activity"], LineArgument::Nothing, "transfers, and the latest requests"),
    line(&["audit"], LineArgument::Nothing, "who changed what"),
    line(&["settings"], LineArgument::Section, "settings, of one section or all"),
    line(&["config"], LineArgument::Nothing, "configuration files and their problems"),
    line(&["reload"], LineArgument::Nothing, "load the configuration files of the server again"),
    line(&["uploads"], LineArgument::Nothing, "uploads that have not ended"),
    line(&["quotas"], LineArgument::Nothing, "quotas"),
    line(&["namespaces"], LineArgument::Nothing, "namespaces"),
    line(&["outbox"], LineArgument::Nothing, "what is still to be written to the SFTP server"),
    line(&["ctx", "context"], LineArgument::Context, "another server that is known"),
    line(&["login"], LineArgument::Nothing, "log in, also as somebody else"),
    line(&["theme"], LineArgument::Theme, "other colours"),
    line(&["mouse"], LineArgument::OnOff, "take clicks and the wheel, or leave them to the terminal"),
    line(&["help"], LineArgument::Nothing, "keys and commands"),
    line(&["q", "quit"], LineArgument::Nothing, "quit"),
];

impl LineArgument {
    /// How the help writes it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Context => "NAME",
            Self::Theme => "NAME",
            Self::OnOff => "on|off",
            Self::Repository | Self::ArtifactsOf => "REPOSITORY",
            Self::Image => "REPOSITORY:TAG",
            Self::ArtifactRepository => "[REPOSITORY]",
            Self::User => "USER",
            Self::Section => "[SECTION]",
            Self::Terms => "KEY=VALUE …",
            Self::Task => "ID",
            Self::DryRun => "[dry-run]",
        }
    }
}

fn find(word: &str) -> Option<&'static LineHelp> {
    COMMANDS.iter().find(|command| command.names.contains(&word))
}

/// Reads a command line, or says what is wrong with it.
pub fn parse(text: &str, known: KnownNames<'_>) -> Result<LineCommand, String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let command =
        find(word).ok_or_else(|| match nearest(word, COMMANDS.iter().flat_map(|it| it.names.iter().copied())) {
            Some(near) => format!("there is no command {word:?}; did you mean :{near}?"),
            None => format!("there is no command {word:?}; :help lists all"),
        })?;
    let name = command.names[0];
    if command.takes == LineArgument::Nothing && !rest.is_empty() {
        return Err(format!(":{name} takes nothing after it"));
    }
    let needed = || match rest.is_empty() {
        true => Err(format!("write :{name} {}", command.takes.shown())),
        false => Ok(rest.to_owned()),
    };
    let show = |kind| Ok(LineCommand::Show(kind));
    match name {
        "home" => show(ViewKind::Home),
        "repos" => show(ViewKind::Repositories),
        "tags" => show(ViewKind::Tags { repository: needed()? }),
        "image" => {
            let image = needed()?;
            let (repository, reference) = match (image.split_once('@'), image.rsplit_once(':')) {
                (Some((repository, digest)), _) => (repository, digest),
                (None, Some((repository, tag))) if !tag.contains('/') => (repository, tag),
                _ => (image.as_str(), "latest"),
            };
            show(ViewKind::Image { repository: repository.to_owned(), reference: reference.to_owned() })
        }
        "users" => show(ViewKind::Users),
        "access" => show(ViewKind::Access { user: needed()? }),
        "keys" => show(ViewKind::Keys),
        "groups" => show(ViewKind::Groups),
        "roles" => show(ViewKind::Roles),
        "sessions" => show(ViewKind::Sessions),
        "artifacts" if rest.is_empty() => show(ViewKind::ArtifactRepositories),
        "artifacts" => show(ViewKind::Artifacts { repository: rest.to_owned() }),
        "search" => {
            let terms = needed()?;
            let terms: Option<Vec<_>> = terms.split_whitespace().map(term).collect();
            let terms = terms.ok_or("write terms as KEY=VALUE, such as os=linux or version=1.*")?;
            show(ViewKind::ArtifactSearch { terms })
        }
        "trash" => show(ViewKind::Trash { repository: needed()? }),
        "tasks" => show(ViewKind::Tasks),
        "migrations" => show(ViewKind::Migrations),
        "migration" => show(ViewKind::Migration { id: needed()? }),
        "outbox" => show(ViewKind::Outbox),
        "gc" => match rest {
            "" | "dry-run" => Ok(LineCommand::Send {
                path: "/gc".into(),
                body: Some(json!({ "dry_run": !rest.is_empty() })),
                done: if rest.is_empty() { "The collection has started." } else { "The report is being made." },
            }),
            _ => Err("write :gc, or :gc dry-run".into()),
        },
        "fsck" => Ok(LineCommand::Send { path: "/fsck".into(), body: Some(json!({})), done: "The check has started." }),
        "reload" => Ok(LineCommand::Send {
            path: "/config/reload".into(),
            body: None,
            done: "The configuration is loaded again.",
        }),
        "admin" => show(ViewKind::AdminMenu),
        "activity" => show(ViewKind::Activity),
        "audit" => show(ViewKind::Audit),
        "settings" if rest.is_empty() => show(ViewKind::Settings),
        "settings" => show(ViewKind::Section { section: rest.to_owned() }),
        "config" => show(ViewKind::Configuration),
        "uploads" => show(ViewKind::Uploads),
        "quotas" => show(ViewKind::Quotas),
        "namespaces" => show(ViewKind::Namespaces),
        "ctx" => {
            let context = needed()?;
            match known.contexts.contains(&context) {
                true => Ok(LineCommand::Context(context)),
                false => Err(match nearest(&context, known.contexts.iter().map(String::as_str)) {
                    Some(near) => format!("there is no context {context:?}; did you mean {near:?}?"),
                    None => format!("there is no context {context:?}; known are: {}", known.contexts.join(", ")),
                }),
            }
        }
        "theme" => {
            let theme = needed()?;
            match THEMES.contains(&theme.as_str()) {
                true => Ok(LineCommand::Theme(theme)),
                false => Err(format!("there is no theme {theme:?}; choose {}", THEMES.join(", "))),
            }
        }
        "mouse" => match rest {
            "on" | "off" => Ok(LineCommand::Mouse(rest == "on")),
            _ => Err("write :mouse on, or :mouse off".into()),
        },
        "login" => Ok(LineCommand::Login),
        "help" => Ok(LineCommand::Help),
        _ => Ok(LineCommand::Quit),
    }
}

/// A term of a search. What is no field of an artifact is a property.
fn term(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty())?;
    let key = match key {
        "version" | "path" | "repo" | "sort" | "order" => key.to_owned(),
        property => format!("property.{property}"),
    };
    Some((key, value.to_owned()))
}

/// What could complete a command line, whole lines each.
pub fn completions(text: &str, known: KnownNames<'_>) -> Vec<String> {
    const MOST: usize = 50;
    let Some((word, rest)) = text.split_once(' ') else {
        let names = COMMANDS.iter().map(|command| command.names[0]).filter(|name| name.starts_with(text));
        return names.map(str::to_owned).collect();
    };
    let starting = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        names.filter(|name| name.starts_with(rest)).take(MOST).map(|name| format!("{word} {name}")).collect()
    };
    match find(word).map(|command| command.takes) {
        Some(LineArgument::Context) => starting(&mut known.contexts.iter().map(String::as_str)),
        Some(LineArgument::Theme) => starting(&mut THEMES.iter().copied()),
        Some(LineArgument::OnOff) => starting(&mut ["on", "off"].into_iter()),
        Some(LineArgument::DryRun) => starting(&mut ["dry-run"].into_iter()),
        Some(LineArgument::Repository | LineArgument::Image) => {
            starting(&mut known.repositories.iter().map(String::as_str))
        }
        Some(LineArgument::Terms) => starting(&mut ["version=", "path=", "repo="].into_iter()),
        _ => Vec::new(),
    }
}

/// The name that was probably meant.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(name, other);
    known.min_by_key(distance).filter(|other| distance(other) <= 2 && distance(other) < name.chars().count().max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (Vec<String>, Vec<String>) {
        (vec!["prod".into(), "staging".into()], vec!["team/app".into(), "team/web".into(), "x".into()])
    }

    fn read(text: &str) -> Result<LineCommand, String> {
        let (contexts, repositories) = names();
        parse(text, KnownNames { contexts: &contexts, repositories: &repositories })
    }

    #[test]
    fn every_command_is_understood() {
        for command in COMMANDS {
            for name in command.names {
                let argument = match command.takes {
                    LineArgument::Context => " prod",
                    LineArgument::Theme => " dark",
                    LineArgument::OnOff => " on",
                    LineArgument::Repository | LineArgument::Image => " team/app",
                    LineArgument::User => " alice",
                    LineArgument::Terms => " os=linux",
                    LineArgument::ArtifactsOf => " builds",
                    LineArgument::Task => " 01T2",
                    _ => "",
                };
                let line = format!("{name}{argument}");
                assert!(read(&line).is_ok(), "{line}: {:?}", read(&line));
            }
        }
    }

    #[test]
    fn a_command_is_read_with_what_follows_it() {
        let image = |repository: &str, reference: &str| {
            LineCommand::Show(ViewKind::Image { repository: repository.into(), reference: reference.into() })
        };
        assert_eq!(read("image team/app:v1"), Ok(image("team/app", "v1")));
        assert_eq!(read("image team/app"), Ok(image("team/app", "latest")));
        assert_eq!(read("image team/app@sha256:ab"), Ok(image("team/app", "sha256:ab")));
        let terms = vec![("version".into(), "1.*".into()), ("property.os".into(), "linux".into())];
        assert_eq!(read("search version=1.* os=linux"), Ok(LineCommand::Show(ViewKind::ArtifactSearch { terms })));
    }

    #[test]
    fn a_mistake_gets_a_suggestion() {
        for (text, says) in [
            ("reops", "did you mean :repos?"),
            ("ctx prd", "did you mean \"prod\"?"),
            ("ctx elsewhere", "known are: prod, staging"),
            ("xyzzy", ":help lists all"),
            ("users now", "takes nothing"),
            ("tags", "write :tags REPOSITORY"),
            ("theme drak", "choose terminal"),
            ("search linux", "KEY=VALUE"),
            ("gc now", "dry-run"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(says), "{text}: {problem}");
        }
    }

    #[test]
    fn commands_and_names_are_completed() {
        let (contexts, repositories) = names();
        let complete = |text: &str| completions(text, KnownNames { contexts: &contexts, repositories: &repositories });
        assert_eq!(complete("re"), ["repos", "reload"]);
        assert_eq!(complete("tags team/"), ["tags team/app", "tags team/web"]);
        assert_eq!(complete("ctx p"), ["ctx prod"]);
        assert_eq!(complete("theme d"), ["theme dark"]);
        assert!(complete("users x").is_empty() && complete("nothing ").is_empty());
    }
}
