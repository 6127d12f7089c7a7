//! Artifacts: files with versions, paths and properties, beside images.

mod args;
pub mod notes;
pub mod transfer;
mod unpack;

pub use args::{ArtifactCommand, DownloadArgs, FilterArgs, UploadArgs};

use crate::{
    commands::access::finish,
    failure::{ExitStatus, Failure},
    lists::{ARTIFACT_REPOSITORIES, ARTIFACTS, TRASH},
    management::{Management, query, segment},
    output::{Column, ColumnKind, count, warn},
    session::CommandSession,
};
use http::Method;
use serde_json::{Map, Value, json};

const RETENTION: &[Column] = &[
    Column::text("VERSION", "/version"),
    Column::text("PATH", "/path"),
    Column::of("KEPT", "/keep", ColumnKind::Flag),
    Column::text("RULE", "/rule"),
    Column::text("ID", "/id").wide(),
];

pub async fn run(command: ArtifactCommand, session: &CommandSession) -> Result<(), Failure> {
    let management = session.management()?;
    match command {
        ArtifactCommand::Create { repo, description, private } => {
            let body = json!({ "name": repo, "description": description, "private": private });
            let made = management.value(Method::POST, "/artifacts/repos", Some(&body)).await?;
            finish(session, Some(made), &format!("Created {repo}."))
        }
        ArtifactCommand::List => {
            session.output.list(&management.list("/artifacts/repos", &[], None).await?, ARTIFACT_REPOSITORIES, "/name")
        }
        ArtifactCommand::DeleteRepo { repo, confirm } => {
            match confirm {
                Some(typed) if typed == repo => {}
                Some(_) => return Err(Failure::usage(format!("--confirm is not {repo}; nothing was deleted"))),
                None => {
                    session.output.confirm_name(&format!("This deletes {repo} with all its artifacts."), &repo)?;
                }
            }
            management.send(Method::DELETE, &format!("/artifacts/repos/{}", segment(&repo)), None).await?;
            finish(session, None, &format!("Deleted {repo}."))
        }
        ArtifactCommand::Upload(args) => transfer::upload(args, &management, session).await,
        ArtifactCommand::Download(args) => transfer::download(args, &management, session).await,
        ArtifactCommand::Search { repo, filter, table: _ } => {
            let mut pairs = filter.pairs()?;
            pairs.extend(repo.map(|repo| ("repo".to_owned(), repo)));
            let found = search(&management, &pairs, filter.num).await?;
            session.output.list(&found, ARTIFACTS, "/id")
        }
        ArtifactCommand::Versions { repo } => {
            let versions = management.get(&format!("/artifacts/{}/versions", segment(&repo))).await?;
            match &versions {
                Value::Object(versions) if session.output.format == crate::output::OutputFormat::Table => {
                    let artifacts: Vec<Value> =
                        versions.values().filter_map(Value::as_array).flatten().cloned().collect();
                    session.output.list(&artifacts, ARTIFACTS, "/id")
                }
                _ => session.output.document(&versions),
            }
        }
        ArtifactCommand::Edit { repo, id, properties, unset } => {
            let artifact = find(&management, &repo, &id).await?;
            let mut all = artifact.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            all.extend(parse_properties(&properties)?.into_iter().map(|(key, value)| (key, value.into())));
            all.retain(|key, _| !unset.contains(key));
            let path = format!("/artifacts/{}/{}/properties", segment(&repo), segment(&id));
            let changed = management.value(Method::PUT, &path, Some(&Value::Object(all))).await?;
            session.output.one(&changed, ARTIFACTS, "/id")
        }
        ArtifactCommand::Rename { repo, id, version, path, name } => {
            let mut body = Map::new();
            body.insert("version".into(), version.into());
            body.extend(path.map(|path| ("path".to_owned(), path.into())));
            body.extend(name.map(|name| ("name".to_owned(), name.into())));
            let target = format!("/artifacts/{}/{}/rename", segment(&repo), segment(&id));
            let changed = management.value(Method::PUT, &target, Some(&Value::Object(body))).await?;
            session.output.one(&changed, ARTIFACTS, "/id")
        }
        ArtifactCommand::Delete { repo, version, paths, properties, all } => {
            let mut pairs = property_pairs(&properties)?;
            pairs.extend(all.then(|| ("all".to_owned(), "true".to_owned())));
            if paths.len() > 1 {
                session
                    .output
                    .confirm(&format!("Delete {} of {repo} {version}?", count(paths.len() as u64, "artifact")))?;
            }
            let mut failed = 0;
            for path in &paths {
                let target = file_path(&repo, &version, path, &pairs);
                match management.send(Method::DELETE, &target, None).await {
                    Ok(_) => session.output.note(&format!("{version}/{path} is in the trash.")),
                    Err(failure) if paths.len() == 1 => return Err(failure),
                    // The others are deleted all the same.
                    Err(failure) => {
                        warn(&format!("wharf: {version}/{path}: {failure}"));
                        failed += 1;
                    }
                }
            }
            match failed {
                0 => Ok(()),
                failed => Err(Failure::new(
                    ExitStatus::Partial,
                    format!("{failed} of {} could not be deleted", count(paths.len() as u64, "artifact")),
                )),
            }
        }
        ArtifactCommand::Trash { repo } => {
            let found = management.list(&format!("/artifacts/{}/trash", segment(&repo)), &[], None).await?;
            session.output.list(&found, TRASH, "/artifact/id")
        }
        ArtifactCommand::Restore { repo, id } => {
            let path = format!("/artifacts/{}/{}/restore", segment(&repo), segment(&id));
            let restored = management.value(Method::POST, &path, None).await?;
            finish(session, Some(restored), &format!("{id} is restored."))
        }
        ArtifactCommand::Retention { repo } => {
            let path = format!("/artifacts/repos/{}/retention/plan", segment(&repo));
            session.output.list(&management.list(&path, &[], None).await?, RETENTION, "/id")
        }
    }
}

/// Everything that a search finds, up to `most`.
pub async fn search(
    management: &Management,
    pairs: &[(String, String)],
    most: Option<usize>,
) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    loop {
        let offset = found.len().to_string();
        let most_left = most.map(|most| (most - found.len()).to_string());
        let page = [("offset", offset.as_str())].into_iter().chain(most_left.as_deref().map(|num| ("num", num)));
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(page);
        let mut answer = management.get(&format!("/artifacts/search{}", query(pairs))).await?;
        let total = answer.get("total").and_then(Value::as_u64).unwrap_or_default();
        let Some(Value::Array(results)) = answer.get_mut("results").map(Value::take) else { return Ok(found) };
        let is_last = results.is_empty();
        found.extend(results);
        if is_last || found.len() as u64 >= total || most.is_some_and(|most| found.len() >= most) {
            return Ok(found);
        }
    }
}

/// One artifact of a repository, by its id.
async fn find(management: &Management, repo: &str, id: &str) -> Result<Value, Failure> {
    let versions = management.get(&format!("/artifacts/{}/versions", segment(repo))).await?;
    let all = versions.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_array).flatten();
    let found = all.into_iter().find(|artifact| artifact["id"] == id);
    found.cloned().ok_or_else(|| Failure::not_found(format!("{repo} has no artifact {id}")))
}

/// The path of one file.
fn file_path(repo: &str, version: &str, path: &str, pairs: &[(String, String)]) -> String {
    let path: Vec<_> = path.split('/').map(segment).collect();
    let query = query(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    format!("/artifacts/{}/{}/{}{query}", segment(repo), segment(version), path.join("/"))
}

impl FilterArgs {
    /// As parameters of a query.
    fn pairs(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut pairs = property_pairs(&self.properties)?;
        for (key, value) in
            [("version", &self.version), ("path", &self.path), ("sort", &self.sort), ("order", &self.order)]
        {
            pairs.extend(value.clone().map(|value| (key.to_owned(), value)));
        }
        Ok(pairs)
    }
}

/// Properties as parameters of a query, so that one may be called `version`.
fn property_pairs(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let properties = parse_properties(texts)?;
    Ok(properties.into_iter().map(|(key, value)| (format!("property.{key}"), value)).collect())
}

/// `KEY=VALUE,KEY=VALUE`, where `\,` is a comma in a value.
pub fn parse_properties(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut properties = Vec::new();
    for text in texts {
        let mut parts = vec![String::new()];
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match (c, characters.peek()) {
                ('\\', Some(',')) => {
                    parts.last_mut().into_iter().for_each(|part| part.push(','));
                    characters.next();
                }
                (',', _) => parts.push(String::new()),
                _ => parts.last_mut().into_iter().for_each(|part| part.push(c)),
            }
        }
        for part in parts {
            let (key, value) =
                part.split_once('=').ok_or_else(|| Failure::usage(format!("{part:?} is not KEY=VALUE")))?;
            properties.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_split_at_commas() {
        let texts = ["os=linux,build=77".to_owned(), r"note=a\,b=c".to_owned()];
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            parse_properties(&texts).unwrap(),
            [pair("os", "linux"), pair("build", "77"), pair("note", "a,b=c")]
        );
        assert!(parse_properties(&["os".to_owned()]).is_err());
    }
}
