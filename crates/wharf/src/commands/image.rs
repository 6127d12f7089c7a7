//! Images, as people think of them: a name with a tag.

mod args;

pub use args::{CopyArgs, ExportArgs, ImageCommand, ImportArgs, TagListArgs};

use crate::{
    commands::{
        content::{self, ParsedImage},
        repository,
    },
    copy::{CopyOptions, copy_image},
    failure::{ExitStatus, Failure},
    layout,
    lists::TAGS,
    management::Management,
    output::{Column, ColumnKind},
    place::{ImageName, ImagePlace},
    session::CommandSession,
};
use client::{PageRequest, Platform};
use http::Method;
use oci::{Reference, RepositoryName};
use serde_json::{Value, json};

const IMAGE: &[Column] = &[
    Column::text("Name", "/name"),
    Column::text("Digest", "/digest"),
    Column::text("Media type", "/media_type"),
    Column::of("Size", "/size", ColumnKind::Bytes),
    Column::text("Platforms", "/platforms"),
    Column::text("Created", "/config/created"),
    Column::text("Entrypoint", "/config/config/Entrypoint"),
    Column::text("Command", "/config/config/Cmd"),
    Column::text("User", "/config/config/User"),
    Column::text("Layers", "/layer_count"),
    Column::text("Annotations", "/annotations"),
];
const LAYERS: &[Column] = &[
    Column::text("DIGEST", "/digest"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("MEDIA TYPE", "/mediaType"),
];
const HISTORY: &[Column] = &[
    Column::of("CREATED", "/created", ColumnKind::Time),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
    Column::text("STEP", "/created_by"),
];
const CHANGES: &[Column] = &[
    Column::text("", "/sign"),
    Column::text("WHAT", "/what"),
    Column::text("VALUE", "/value"),
    Column::of("SIZE", "/size", ColumnKind::Bytes),
];

pub async fn run(command: ImageCommand, session: &CommandSession) -> Result<(), Failure> {
    match command {
        ImageCommand::List(args) => repository::list(args, session).await,
        ImageCommand::Tags(args) => tags(args, session).await,
        ImageCommand::Delete { images, ignore_missing } => delete(&images, ignore_missing, session).await,
        ImageCommand::Visibility { image, visibility: value } => visibility(&image, &value, session).await,
        ImageCommand::Inspect { image, platform } => {
            let name = ImageName::parse(&image)?;
            let image = ParsedImage::pull(&name, platform.as_ref(), session).await?;
            session.output.one(&image.summary(&name).await?, IMAGE, "/digest")
        }
        ImageCommand::Diff { from, to, platform } => diff(&from, &to, platform.as_ref(), session).await,
        ImageCommand::Digest { image, platform } => digest(&image, platform.as_ref(), session).await,
        ImageCommand::Config { image, platform } => {
            let image = ParsedImage::pull(&ImageName::parse(&image)?, platform.as_ref(), session).await?;
            match session.output.format {
                crate::output::OutputFormat::Raw => session.output.bytes(&image.config_bytes().await?),
                _ => session.output.document(&image.config().await?),
            }
        }
        ImageCommand::History { image, platform } => {
            let image = ParsedImage::pull(&ImageName::parse(&image)?, platform.as_ref(), session).await?;
            session.output.list(&image.history().await?, HISTORY, "/created_by")
        }
        ImageCommand::Layers { image, platform } => {
            let image = ParsedImage::pull(&ImageName::parse(&image)?, platform.as_ref(), session).await?;
            session.output.list(&image.layers(), LAYERS, "/digest")
        }
        ImageCommand::Copy(args) => copy(args, session).await,
        ImageCommand::Export(args) => export(args, session).await,
        ImageCommand::Import(args) => import(args, session).await,
        ImageCommand::CheckBase { image, base, platform } => {
            check_base(&image, base.as_deref(), platform.as_ref(), session).await
        }
    }
}

/// Lists tags: by the management API if there is one, else by names alone.
pub async fn tags(args: TagListArgs, session: &CommandSession) -> Result<(), Failure> {
    let (management, repository) = session.managed(&ImageName::parse(&args.image)?.only_repository()?)?;
    let all = all_tags(&management, &repository, args.sort.as_deref()).await?;
    let matches = |patterns: &[String], name: &str| patterns.iter().any(|pattern| oci::glob_matches(pattern, name));
    let name_of = |tag: &Value| tag.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut tags: Vec<Value> = all
        .into_iter()
        .filter(|tag| args.include.is_empty() || matches(&args.include, &name_of(tag)))
        .filter(|tag| !matches(&args.exclude, &name_of(tag)))
        .collect();
    tags.truncate(args.num.unwrap_or(usize::MAX));
    let columns = if tags.iter().any(|tag| tag.get("digest").is_some()) { TAGS } else { &TAGS[..1] };
    session.output.list(&tags, columns, "/name")
}

/// All tags of a repository, with as much as the registry tells about each.
pub async fn all_tags(
    management: &Management,
    repository: &RepositoryName,
    sort: Option<&str>,
) -> Result<Vec<Value>, Failure> {
    if management.is_for_users().await? {
        let pairs: Vec<_> = sort.map(|sort| ("sort", sort)).into_iter().collect();
        return management.list(&format!("/repositories/{repository}/-/tags"), &pairs, None).await;
    }
    if let Some(sort) = sort.filter(|sort| *sort != "name") {
        return Err(Failure::usage(format!("this registry cannot sort tags by {sort}")));
    }
    let mut pages = management.client.tags(repository, &PageRequest { size: None, after: None });
    let mut found = Vec::new();
    while let Some(page) = pages.next_page().await? {
        found.extend(page.iter().map(|tag| json!({ "name": tag.as_str() })));
    }
    Ok(found)
}

/// Deletes images by tag or digest. An image and a tag without a colon are also understood.
pub async fn delete(images: &[String], ignore_missing: bool, session: &CommandSession) -> Result<(), Failure> {
    let joined;
    let images = match images {
        [image, tag] if ImageName::parse(image)?.tag.is_none() && !tag.contains([':', '/', '@']) => {
            joined = [format!("{image}:{tag}")];
            &joined[..]
        }
        images => images,
    };
    let mut failed = 0;
    for text in images {
        let done = async {
            let image = ImageName::parse(text)?;
            if image.tag.is_none() && image.digest.is_none() {
                return Err(Failure::usage(format!(
                    "name a tag or a digest of {text}, or use: wharf repo delete {text}"
                )));
            }
            let (client, repository) = session.registry_of(&image)?;
            match image.reference()? {
                Reference::Tag(tag) => client.delete_tag(&repository, &tag).await?,
                Reference::Digest(digest) => client.delete_manifest(&repository, &digest).await?,
            }
            Ok(())
        };
        match done.await {
            Ok(()) => session.output.note(&format!("Deleted {text}.")),
            Err(failure) if failure.status == ExitStatus::NotFound && ignore_missing => {}
            Err(failure) if images.len() == 1 => return Err(failure),
            Err(failure) => {
                crate::output::warn(&format!("wharf: {text}: {failure}"));
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::new(ExitStatus::Partial, format!("{failed} of {} were not deleted", images.len()))),
    }
}

pub async fn visibility(image: &str, value: &str, session: &CommandSession) -> Result<(), Failure> {
    let (management, repository) = session.managed(&ImageName::parse(image)?.only_repository()?)?;
    if !matches!(value, "public" | "private") {
        return Err(Failure::usage(format!("{value:?} is not a visibility: write public or private")));
    }
    let path = format!("/repositories/{repository}/-/visibility");
    let state = management.value(Method::PUT, &path, Some(&json!({ "visibility": value }))).await?;
    let effective = state.get("effective").and_then(Value::as_str).unwrap_or(value).to_owned();
    if let Some(why) = state.get("overridden_by").and_then(Value::as_str) {
        session.output.note(&format!("{repository} is still {effective}: {why}."));
    }
    crate::commands::access::finish(session, Some(state), &format!("{repository} is {value}."))
}

pub async fn digest(image: &str, platform: Option<&Platform>, session: &CommandSession) -> Result<(), Failure> {
    let name = ImageName::parse(image)?;
    if platform.is_none() {
        let (client, repository) = session.registry_of(&name)?;
        let head = client.head_manifest(&repository, &name.reference()?).await?;
        let head = head.ok_or_else(|| Failure::not_found(format!("there is no image {name}")))?;
        if let Some(digest) = head.digest {
            return session.output.line(digest.as_str());
        }
    }
    let image = ParsedImage::pull(&name, platform, session).await?;
    session.output.line(image.digest.as_str())
}

async fn diff(from: &str, to: &str, platform: Option<&Platform>, session: &CommandSession) -> Result<(), Failure> {
    let from = ParsedImage::pull(&ImageName::parse(from)?, platform, session).await?;
    let to = ParsedImage::pull(&ImageName::parse(to)?, platform, session).await?;
    let changes = content::differences(&from, &to).await?;
    session.output.list(&changes, CHANGES, "/value")?;
    if changes.is_empty() { Ok(()) } else { Err(Failure::no()) }
}

pub async fn copy(args: CopyArgs, session: &CommandSession) -> Result<(), Failure> {
    let options = CopyOptions {
        platforms: args.platform,
        referrers: args.referrers,
        digest_tags: args.digest_tags,
        all_tags: args.all_tags,
        jobs: usize::from(args.jobs),
        no_clobber: args.no_clobber,
    };
    copy_image(&ImagePlace::parse(&args.source)?, &ImagePlace::parse(&args.target)?, &options, session).await
}

pub async fn export(args: ExportArgs, session: &CommandSession) -> Result<(), Failure> {
    let image = ImageName::parse(&args.image)?;
    let is_directory = args.target.as_os_str().to_string_lossy().ends_with('/') || args.target.is_dir();
    if is_directory && !args.docker {
        let options = CopyOptions { platforms: args.platform.into_iter().collect(), ..CopyOptions::default() };
        let name = image.tag.as_ref().map(|tag| tag.as_str().to_owned());
        let target = ImagePlace::Layout(args.target, name);
        return copy_image(&ImagePlace::Registry(image), &target, &options, session).await;
    }
    layout::archive::export(&image, &args.target, args.docker, args.platform.as_ref(), session).await
}

pub async fn import(args: ImportArgs, session: &CommandSession) -> Result<(), Failure> {
    let image = ImageName::parse(&args.image)?;
    layout::archive::import(&args.source, args.name.as_deref(), &image, session).await
}

async fn check_base(
    image: &str,
    base: Option<&str>,
    platform: Option<&Platform>,
    session: &CommandSession,
) -> Result<(), Failure> {
    const NAME: &str = "org.opencontainers.image.base.name";
    const DIGEST: &str = "org.opencontainers.image.base.digest";
    let image = ParsedImage::pull(&ImageName::parse(image)?, platform, session).await?;
    let said = |key: &str| image.manifest.annotations.get(key).cloned();
    let base = match base.map(str::to_owned).or_else(|| said(NAME)) {
        Some(base) => ImageName::parse(&base)?,
        None => return Err(Failure::usage(format!("the image does not say what its base is ({NAME}); name it"))),
    };
    let current = ParsedImage::pull(&base, platform, session).await?;
    let is_built_on = match said(DIGEST) {
        Some(digest) => digest == current.digest.as_str() || digest == current.tagged.as_str(),
        // An image begins with the layers of its base.
        None => image.layer_digests().starts_with(&current.layer_digests()),
    };
    session.output.note(&match is_built_on {
        true => format!("It is built on the current {base}."),
        false => format!("It is built on another version of {base}."),
    });
    if is_built_on { Ok(()) } else { Err(Failure::no()) }
}
