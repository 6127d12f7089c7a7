//! One manifest: what it consists of, how it was built, and what refers to it.

use super::{
    super::{
        error::ServiceError,
        gate::Granted,
        manage::{ManageEndpoint, RepositoryEndpoint},
    },
    commands::{ToolCommand, pull},
    form_state::FormState,
    markup::{self, Markup},
    repository::RepositoryHead,
    shell::{Shell, page},
};
use crate::wire::ResponseBody;
use api::manifests::{ManifestPart, ManifestView};
use askama::Template;
use http::Response;
use oci::{Reference, RepositoryName};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tags of the same manifest that are shown.
const MOST_ALIASES: usize = 12;

/// A line of the table of layers: a step of the build, with the layer that it made.
struct LayerRow {
    /// Its number, for layers.
    number: Option<usize>,
    made_by: String,
    note: String,
    layer: Option<ManifestPart>,
}

impl LayerRow {
    fn share(&self, total: &u64) -> String {
        let tenths = self.layer.as_ref().map_or(0, |layer| u128::from(layer.size) * 1000 / u128::from((*total).max(1)));
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

/// What something attached probably is, by its type.
pub(super) struct ReferrerKind {
    pub(super) title: &'static str,
    pub(super) icon: &'static str,
}

impl ReferrerKind {
    pub(super) fn of(kind: &str) -> Self {
        let kind = kind.to_ascii_lowercase();
        let says = |words: [&str; 3]| words.iter().any(|word| kind.contains(word));
        let (title, icon) = match () {
            () if says(["cosign", "signature", "sigstore"]) => ("Signature", "seal"),
            () if says(["spdx", "cyclonedx", "sbom"]) => ("SBOM", "list"),
            () if says(["in-toto", "provenance", "slsa"]) => ("Provenance", "file"),
            () => ("Attachment", "file"),
        };
        Self { title, icon }
    }
}

/// Something that refers to the manifest.
struct ReferrerRow {
    title: &'static str,
    icon: &'static str,
    kind: String,
    digest: String,
    size: u64,
    annotations: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "manifest.html")]
struct ManifestTemplate {
    shell: Shell,
    head: RepositoryHead,
    view: ManifestView,
    reference: String,
    is_tag: bool,
    aliases: Vec<String>,
    more_aliases: usize,
    commands: Vec<ToolCommand>,
    by_digest: String,
    rows: Vec<LayerRow>,
    layers: Markup,
    layer_bytes: u64,
    own_bytes: u64,
    largest: u64,
    facts: Vec<(&'static str, String)>,
    environment: Vec<(String, String)>,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    config_text: String,
    created: Option<String>,
    referrers: Vec<ReferrerRow>,
    raw: String,
    platforms: PlatformSwitch,
    /// The form for another tag.
    form: FormState,
}

/// The images of an index, of which the page shows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PlatformSwitch {
    /// Their platforms, and the page of the index with each.
    choices: Vec<(String, String)>,
    /// The one that is shown.
    shown: String,
    digest: String,
}

impl ManifestTemplate {
    /// What it contains, where its kind does not say so.
    fn artifact_type(&self) -> Option<&str> {
        self.view.artifact_type.as_deref()
    }

    fn path(&self, digest: &str) -> String {
        self.head.manifest(digest)
    }

    /// A command that downloads something attached.
    fn download(&self, digest: &str) -> String {
        format!("oras pull {}/{}@{digest}", self.shell.host, self.head.item.name)
    }
}

pub(super) async fn show(
    granted: &Granted,
    name: &RepositoryName,
    reference: &Reference,
    form: FormState,
) -> Result<Response<ResponseBody>, ServiceError> {
    let head = RepositoryHead::of(granted, name, "tags").await?;
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Manifest(name.clone(), reference.clone()));
    let view: ManifestView = granted.ask(endpoint, &[]).await?;
    let (platforms, view) = shown_image(granted, &head, name, reference, view).await?;
    let shell = Shell::of(granted, "repositories").await;
    let reference_text = reference.to_string();
    let is_tag = matches!(reference, Reference::Tag(_));
    let mut aliases: Vec<_> = view.tags.iter().filter(|tag| **tag != reference_text).cloned().collect();
    let more_aliases = aliases.len().saturating_sub(MOST_ALIASES);
    aliases.truncate(MOST_ALIASES);
    let commands = pull(&shell.host, &head.item.name, &reference_text, &view.kind);
    let by_digest = pull(&shell.host, &head.item.name, &view.digest, &view.kind);
    let config = view.config_content.as_ref();
    let inner = config.and_then(|config| config.get("config"));
    let is_shared = |layer: &ManifestPart| layer.shared_by.is_some_and(|others| others > 0);
    let own_bytes = view.layers.iter().filter(|layer| !is_shared(layer)).map(|layer| layer.size).sum();
    let sizes: Vec<_> = view.layers.iter().map(|layer| (layer.size, is_shared(layer))).collect();
    page(
        form.status(),
        &ManifestTemplate {
            form,
            is_tag,
            more_aliases,
            by_digest: by_digest.into_iter().next().map(|command| command.text).unwrap_or_default(),
            rows: rows(&view),
            layers: markup::strip(&sizes),
            layer_bytes: view.layers.iter().map(|layer| layer.size).sum(),
            own_bytes,
            largest: view.layers.iter().map(|layer| layer.size).max().unwrap_or_default(),
            facts: inner.map(facts).unwrap_or_default(),
            environment: inner.map(environment).unwrap_or_default(),
            labels: pairs(inner.and_then(|inner| inner.get("Labels"))),
            annotations: pairs(Some(&view.annotations)),
            config_text: config.and_then(|config| serde_json::to_string_pretty(config).ok()).unwrap_or_default(),
            created: config.and_then(|config| Some(config.get("created")?.as_str()?.to_owned())),
            referrers: view.referrers.iter().map(referrer).collect(),
            raw: raw(&view),
            platforms,
            reference: reference_text,
            shell,
            head,
            view,
            aliases,
            commands,
        },
    )
}

/// The image of an index that the address asks for, or the first one that is here: the index with the layers, the steps
/// and the configuration of that image.
async fn shown_image(
    granted: &Granted,
    head: &RepositoryHead,
    name: &RepositoryName,
    reference: &Reference,
    index: ManifestView,
) -> Result<(PlatformSwitch, ManifestView), ServiceError> {
    let parameters = granted.parameters();
    let wanted = parameters.first("platform").unwrap_or_default();
    // Builders put attestations into an index as images of an unknown platform.
    let is_image = |platform: &String| !platform.starts_with("unknown");
    let present = |part: &&ManifestPart| part.present != Some(false) && part.platform.as_ref().is_some_and(is_image);
    let images: Vec<_> = index.children.iter().filter(present).collect();
    let is_wanted = |part: &&&ManifestPart| part.platform.as_deref() == Some(wanted);
    let Some(chosen) = images.iter().find(is_wanted).or(images.first()) else {
        return Ok((PlatformSwitch::default(), index));
    };
    let digest: Reference = chosen.digest.parse()?;
    let endpoint = ManageEndpoint::Repository(RepositoryEndpoint::Manifest(name.clone(), digest));
    let Some(image) = granted.ask_if_allowed::<ManifestView>(endpoint, &[]).await? else {
        return Ok((PlatformSwitch::default(), index));
    };
    let path = |platform: &str| {
        let platform = super::super::query::encode(platform);
        format!("{}?platform={platform}", head.manifest(&reference.to_string()))
    };
    let choice = |part: &&ManifestPart| part.platform.clone().map(|platform| (platform.clone(), path(&platform)));
    let switch = PlatformSwitch {
        choices: images.iter().filter_map(choice).collect(),
        shown: chosen.platform.clone().unwrap_or_default(),
        digest: chosen.digest.clone(),
    };
    let ManifestView { config, config_content, history, layers, .. } = image;
    Ok((switch, ManifestView { config, config_content, history, layers, ..index }))
}

/// The steps of the build with their layers, or the layers alone if no history is known.
fn rows(view: &ManifestView) -> Vec<LayerRow> {
    let by_digest: BTreeMap<&str, (usize, &ManifestPart)> =
        view.layers.iter().enumerate().map(|(i, layer)| (layer.digest.as_str(), (i, layer))).collect();
    let title = |layer: &ManifestPart| {
        let annotated = layer.annotations.get("org.opencontainers.image.title").and_then(Value::as_str);
        annotated.unwrap_or(&layer.media_type).to_owned()
    };
    if view.history.is_empty() {
        let row = |(i, layer): (usize, &ManifestPart)| LayerRow {
            number: Some(i + 1),
            made_by: title(layer),
            note: if title(layer) == layer.media_type { String::new() } else { layer.media_type.clone() },
            layer: Some(layer.clone()),
        };
        return view.layers.iter().enumerate().map(row).collect();
    }
    let step = |step: &api::manifests::BuildStep| {
        let made = step.layer.as_deref().and_then(|digest| by_digest.get(digest));
        LayerRow {
            number: made.map(|(i, _)| i + 1),
            made_by: built_by(step.created_by.as_deref().unwrap_or_default()),
            note: step.comment.clone().filter(|comment| comment != "buildkit.dockerfile.v0").unwrap_or_default(),
            layer: made.map(|(_, layer)| (*layer).clone()),
        }
    };
    view.history.iter().map(step).collect()
}

/// A step as it was written in a Dockerfile, without what builders put around it.
fn built_by(command: &str) -> String {
    let command = command.strip_prefix("/bin/sh -c #(nop)").unwrap_or(command).trim();
    match command.strip_prefix("/bin/sh -c ") {
        Some(run) => format!("RUN {run}"),
        None => command.trim_end_matches("# buildkit").trim().to_owned(),
    }
}

/// What the configuration of an image says about running it.
fn facts(config: &Value) -> Vec<(&'static str, String)> {
    let text = |key: &str| match config.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(list) if !list.is_empty() => serde_json::to_string(list).ok(),
        Value::Object(keys) if !keys.is_empty() => Some(keys.keys().cloned().collect::<Vec<_>>().join(", ")),
        _ => None,
    };
    let named = [
        ("Entrypoint", "Entrypoint"),
        ("Command", "Cmd"),
        ("User", "User"),
        ("Working directory", "WorkingDir"),
        ("Ports", "ExposedPorts"),
        ("Volumes", "Volumes"),
        ("Stop signal", "StopSignal"),
        ("Shell", "Shell"),
    ];
    named.into_iter().filter_map(|(title, key)| Some((title, text(key)?))).collect()
}

fn environment(config: &Value) -> Vec<(String, String)> {
    let split = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    config.get("Env").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(split).collect()
}

/// The texts of an object, as of labels.
fn pairs(object: Option<&Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let object = object.and_then(Value::as_object);
    object.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn referrer(descriptor: &Value) -> ReferrerRow {
    let text = |key: &str| descriptor.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = if text("artifactType").is_empty() { text("mediaType") } else { text("artifactType") };
    let ReferrerKind { title, icon } = ReferrerKind::of(kind);
    ReferrerRow {
        title,
        icon,
        kind: kind.to_owned(),
        digest: text("digest").to_owned(),
        size: descriptor.get("size").and_then(Value::as_u64).unwrap_or_default(),
        annotations: pairs(descriptor.get("annotations")),
    }
}

/// The manifest as it was pushed; if it is written in one line, with line breaks.
fn raw(view: &ManifestView) -> String {
    let raw = view.raw.clone().unwrap_or_default();
    if raw.trim_end().contains('\n') {
        return raw;
    }
    let parsed: Result<Value, _> = oci::json::from_slice(raw.as_bytes());
    parsed.ok().and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or(raw)
}
