//! What each command does.

pub mod access;
pub mod admin;
pub mod artifact;
pub mod bench;
pub mod content;
pub mod context;
pub mod image;
pub mod login;
pub mod migrate;
pub mod referrers;
pub mod repository;
pub mod task;

use crate::{
    args::{Wharf, WharfCommand},
    failure::Failure,
    management::Management,
    output::{OutputFormat, count},
    session::CommandSession,
};
use clap::CommandFactory;
use content::ParsedImage;
use http::Method;
use oci::{Reference, ReferencedDigest};
use repository::RepositoryListArgs;
use serde_json::Value;
use std::path::Path;

/// Runs a command.
pub async fn run(command: WharfCommand, session: &CommandSession) -> Result<(), Failure> {
    match command {
        WharfCommand::Login(args) => login::login(args, session).await,
        WharfCommand::Logout(args) => login::logout(args, session).await,
        WharfCommand::Whoami => login::whoami(session).await,
        WharfCommand::Status => login::status(session).await,
        WharfCommand::Version => login::version(session).await,
        WharfCommand::Passwd => login::passwd(session).await,
        WharfCommand::Can { action, repository, user } => {
            login::can(&action, &repository, user.as_deref(), session).await
        }
        WharfCommand::Context(command) => context::run(command, session),
        WharfCommand::Image(command) => image::run(command, session).await,
        WharfCommand::Repo(command) => repository::run(command, session).await,
        WharfCommand::Tag(command) => content::tag(command, session).await,
        WharfCommand::Manifest(command) => content::manifest(command, session).await,
        WharfCommand::Blob(command) => content::blob(command, session).await,
        WharfCommand::Index(command) => content::index::run(command, session).await,
        WharfCommand::Referrers(command) => referrers::run(command, session).await,
        WharfCommand::Attach(args) => referrers::attach(args, session).await,
        WharfCommand::Artifact(command) => artifact::run(command, session).await,
        WharfCommand::User(command) => access::user::run(command, session).await,
        WharfCommand::Group(command) => access::group::run(command, session).await,
        WharfCommand::Role(command) => access::role::run(command, session).await,
        WharfCommand::Key(command) => access::key::run(command, session).await,
        WharfCommand::Settings(command) => admin::settings(command, session).await,
        WharfCommand::Namespace(command) => admin::namespace(command, session).await,
        WharfCommand::Task(command) => task::run(command, session).await,
        WharfCommand::Migrate(command) => migrate::run(command, session).await,
        WharfCommand::Admin(command) => admin::admin(command, session).await,
        WharfCommand::Api { method, path, data } => api(&method, &path, data.as_deref(), session).await,
        WharfCommand::Ls { repository } => {
            let args =
                image::TagListArgs { image: repository, sort: None, num: None, include: vec![], exclude: vec![] };
            image::tags(args, session).await
        }
        WharfCommand::Catalog { other: None } => repository::list(RepositoryListArgs::default(), session).await,
        WharfCommand::Catalog { other: Some(server) } => {
            let management = Management::of(session.client(&session.context_of(&server))?);
            repository::list_at(&management, RepositoryListArgs::default(), session).await
        }
        WharfCommand::Cp(args) => image::copy(args, session).await,
        WharfCommand::Digest { image } => image::digest(&image, None, session).await,
        WharfCommand::Pull(args) => image::export(args, session).await,
        WharfCommand::Push(args) => image::import(args, session).await,
        WharfCommand::Validate { image, fast } => validate(&image, fast, session).await,
        WharfCommand::Tree { image } => referrers::tree(&image, session).await,
        WharfCommand::Rm { images } => image::delete(&images, false, session).await,
        WharfCommand::Bench(args) => bench::run(args, session).await,
        WharfCommand::Tui(args) => crate::tui::run(args, session).await,
        WharfCommand::Completion { shell } => completion(shell, session),
        WharfCommand::Man { directory } => man(&directory, session),
    }
}

/// Sends a request to the management API and prints the answer.
async fn api(method: &str, path: &str, data: Option<&str>, session: &CommandSession) -> Result<(), Failure> {
    let method: Method = method
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| Failure::usage(format!("{method:?} is not a method of HTTP")))?;
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let body = match data {
        None => None,
        Some(text) => {
            let bytes = if text == "-" { content::read(None)? } else { text.as_bytes().to_vec() };
            let body: Value = oci::json::from_slice(&bytes)
                .map_err(|error| Failure::usage(format!("--data is not JSON: {error}")))?;
            Some(body)
        }
    };
    let answer = session.management()?.send_as_is(method, &path, body.as_ref()).await?;
    match (&session.output.format, answer.value()) {
        (OutputFormat::Raw, _) | (_, Err(_)) => session.output.bytes(&answer.body),
        (_, Ok(Value::Null)) => Ok(()),
        (_, Ok(value)) => session.output.document(&value),
    }
}

/// Checks that an image is whole.
async fn validate(image: &str, fast: bool, session: &CommandSession) -> Result<(), Failure> {
    let name = crate::place::ImageName::parse(image)?;
    let root = ParsedImage::pull(&name, None, session).await?;
    let mut todo = vec![root.manifest.clone()];
    let (mut manifests, mut blobs) = (1, 0);
    while let Some(manifest) = todo.pop() {
        for part in manifest.config.iter().chain(&manifest.layers) {
            let ReferencedDigest::Known(digest) = &part.digest else { continue };
            if oci::media_type::is_foreign_layer(&part.media_type) {
                continue;
            }
            blobs += 1;
            if fast {
                let size = root.client.head_blob(&root.repository, digest).await?;
                if size != Some(part.size) {
                    let found =
                        size.map_or("missing".to_owned(), |size| format!("{size} bytes instead of {}", part.size));
                    return Err(Failure::new(crate::failure::ExitStatus::Digest, format!("{digest} is {found}")));
                }
                continue;
            }
            let mut blob = root.client.pull_blob(&root.repository, digest, Some(part.size));
            while blob.chunk().await?.is_some() {}
        }
        for child in &manifest.children {
            let ReferencedDigest::Known(digest) = &child.digest else { continue };
            let reference = Reference::Digest(digest.clone());
            let pulled = root.client.pull_manifest(&root.repository, &reference).await?;
            let parsed = oci::Manifest::parse(&pulled.bytes, Some(&pulled.media_type), content::BOUNDS)
                .map_err(|error| Failure::failed(format!("{digest}: {error}")))?;
            manifests += 1;
            todo.push(parsed);
        }
    }
    session.output.note(&format!("{name} is whole: {}, {}.", count(manifests, "manifest"), count(blobs, "blob")));
    Ok(())
}

fn completion(shell: clap_complete::Shell, session: &CommandSession) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Wharf::command(), "wharf", &mut script);
    session.output.bytes(&script)
}

/// Writes a page for the program and one for each of its commands.
fn man(directory: &Path, session: &CommandSession) -> Result<(), Failure> {
    let mut command = Wharf::command();
    command.build();
    let mut todo = vec![("wharf".to_owned(), command)];
    let mut count = 0;
    while let Some((name, command)) = todo.pop() {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone().name(name.clone()).bin_name(name.clone())).render(&mut page)?;
        let path = directory.join(format!("{name}.1"));
        let mut file = crate::layout::NewFile::beside(&path)?;
        file.write(&page)?;
        file.finish()?;
        count += 1;
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        todo.extend(below.map(|below| (format!("{name}-{}", below.get_name()), below.clone())));
    }
    session.output.note(&format!("Wrote {count} pages to {}.", directory.display()));
    Ok(())
}
