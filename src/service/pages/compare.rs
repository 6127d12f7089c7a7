//! How two tags of a repository differ.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, RepositoryEndpoint},
    },
    markup,
    repository::RepositoryHead,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::{
    Page,
    manifests::{ManifestComparison, ManifestPart, ManifestView, TagItem},
};
use askama::Template;
use http::{Response, StatusCode};
use oci::RepositoryName;
use serde_json::Value;
use std::collections::BTreeMap;

/// Tags that are offered to be compared.
const OFFERED: &str = "200";

/// A line of the difference of two configurations.
struct ConfigLine {
    key: String,
    from: Vec<String>,
    to: Vec<String>,
}

/// A layer or a child of one side or both.
struct PartRow {
    state: &'static str,
    part: ManifestPart,
    is_before: bool,
    is_after: bool,
}

#[derive(Template)]
#[template(path = "compare.html")]
struct CompareTemplate {
    shell: Shell,
    head: RepositoryHead,
    offered: Vec<String>,
    from: String,
    to: String,
    platforms: ComparedPlatforms,
    comparison: Option<ManifestComparison>,
    parts: Vec<PartRow>,
    largest: u64,
    to_download: u64,
    lines: Vec<ConfigLine>,
}

impl CompareTemplate {
    /// The difference of the sizes, with its sign.
    fn change(&self, comparison: &ManifestComparison) -> String {
        let sign = match comparison.size_difference {
            0 => "",
            difference if difference < 0 => "−",
            _ => "+",
        };
        format!("{sign}{}", markup::size_text(comparison.size_difference.unsigned_abs()))
    }

    fn path(&self, digest: &str) -> String {
        self.head.manifest(digest)
    }
}

pub(super) async fn show(granted: &Granted, name: &RepositoryName) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "tags").await?;
    let parameters = granted.parameters();
    let list = ManageEndpoint::Repository(RepositoryEndpoint::Tags(name.clone()));
    let tags: Option<Page<TagItem>> = granted.ask_if_allowed(list, &[("n", OFFERED), ("sort", "version")]).await?;
    let offered: Vec<_> = tags.map(|page| page.items).unwrap_or_default().into_iter().map(|tag| tag.name).collect();
    // Without a choice: the newest version and the one before.
    let chosen = |name: &str, place: usize| {
        let given = parameters.first(name).map(str::to_owned);
        given.or_else(|| offered.get(place).cloned()).unwrap_or_default()
    };
    let (from, to) = (chosen("from", 1), chosen("to", 0));
    let mut platforms = ComparedPlatforms::default();
    let comparison: Option<ManifestComparison> = match from.is_empty() || to.is_empty() {
        true => None,
        false => {
            let (before, after) = (children(granted, name, &from).await?, children(granted, name, &to).await?);
            platforms = ComparedPlatforms::of(&before, &after, parameters.first("platform").unwrap_or_default());
            let side = |children: &BTreeMap<String, String>, reference: &str| {
                children.get(&platforms.chosen).cloned().unwrap_or_else(|| reference.to_owned())
            };
            let (before, after) = (side(&before, &from), side(&after, &to));
            let compare = ManageEndpoint::Repository(RepositoryEndpoint::Compare(name.clone()));
            Some(granted.ask(compare, &[("from", &before), ("to", &after)]).await?)
        }
    };
    let parts = comparison.as_ref().map(parts).unwrap_or_default();
    page(
        StatusCode::OK,
        &CompareTemplate {
            shell: Shell::of(granted, "repositories").await,
            largest: parts.iter().map(|row| row.part.size).max().unwrap_or_default(),
            to_download: comparison.iter().flat_map(|found| &found.added).map(|part| part.size).sum(),
            lines: comparison.as_ref().map(lines).unwrap_or_default(),
            platforms,
            head,
            offered,
            from,
            to,
            comparison,
            parts,
        },
    )
}

/// The platforms of two image indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ComparedPlatforms {
    /// Those that both have.
    common: Vec<String>,
    removed: Vec<String>,
    added: Vec<String>,
    /// The one whose images are compared; empty if none are.
    chosen: String,
}

impl ComparedPlatforms {
    fn of(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, wanted: &str) -> Self {
        let only = |these: &BTreeMap<String, String>, others: &BTreeMap<String, String>| {
            these.keys().filter(|platform| !others.contains_key(*platform)).cloned().collect::<Vec<_>>()
        };
        let common: Vec<_> = before.keys().filter(|platform| after.contains_key(*platform)).cloned().collect();
        let chosen = common.iter().find(|platform| *platform == wanted).or(common.first()).cloned();
        let (removed, added) = (only(before, after), only(after, before));
        Self { common, removed, added, chosen: chosen.unwrap_or_default() }
    }
}

/// The images of an index by their platforms; none for other manifests.
async fn children(
    granted: &Granted,
    name: &RepositoryName,
    reference: &str,
) -> Result<BTreeMap<String, String>, ServiceError> {
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Manifest(name.clone(), reference.parse()?));
    let view: ManifestView = granted.ask(endpoint, &[]).await?;
    let present = view.children.into_iter().filter(|child| child.present != Some(false));
    Ok(present.filter_map(|child| Some((child.platform?, child.digest))).collect())
}

fn parts(comparison: &ManifestComparison) -> Vec<PartRow> {
    let row = |state, part: &ManifestPart| PartRow {
        state,
        part: part.clone(),
        is_before: state != "new",
        is_after: state != "gone",
    };
    let common = comparison.common.iter().map(|part| row("same", part));
    let removed = comparison.removed.iter().map(|part| row("gone", part));
    common.chain(removed).chain(comparison.added.iter().map(|part| row("new", part))).collect()
}

fn lines(comparison: &ManifestComparison) -> Vec<ConfigLine> {
    let line = |change: &api::manifests::ConfigDifference| {
        let (from, to) = (texts(change.from.as_ref()), texts(change.to.as_ref()));
        // Of two lists only the entries that differ are shown.
        let only = |these: &[String], others: &[String]| {
            these.iter().filter(|text| !others.contains(text)).cloned().collect::<Vec<_>>()
        };
        let (gone, new) = (only(&from, &to), only(&to, &from));
        match gone.is_empty() && new.is_empty() {
            true => ConfigLine { key: change.key.clone(), from, to },
            false => ConfigLine { key: change.key.clone(), from: gone, to: new },
        }
    };
    comparison.config.iter().map(line).collect()
}

/// A value of a configuration in lines.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(text).collect(),
        Some(Value::Object(object)) => object.iter().map(|(key, value)| format!("{key}={}", text(value))).collect(),
        Some(other) => vec![text(other)],
    }
}
