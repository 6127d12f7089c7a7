//! Every kind of content that the suite knows, each through all steps of its [`Set`].

use super::{set::Set, *};
use serde_json::{Value, json};
use std::slice::from_ref;
use testing::registry::Registry;
use wharfinger::registry::MissingReferences;

const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const ARTIFACT: &str = "application/vnd.example.conformance";

/// Runs a set with both algorithms, in a registry of its own that accepts missing references or does not.
async fn both(missing: MissingReferences, fill: impl Fn(&mut Set)) {
    for naming in NAMINGS {
        let registry = Registry::with(|setup| setup.settings.missing_references = missing).await;
        let mut set = Set::new(naming);
        fill(&mut set);
        if naming(b"") == sha512(b"") {
            // The protocol has no other way to tag a manifest by its sha512 digest.
            set.tags_in_query = true;
        }
        set.goes_well(&registry, REPO).await;
    }
}

async fn goes_well(fill: impl Fn(&mut Set)) {
    both(MissingReferences::Children, &fill).await;
    both(MissingReferences::Refuse, &fill).await;
}

/// A manifest with additional keys.
fn with(mut manifest: Value, more: Value) -> Value {
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest
}

fn platform(descriptor: Value, architecture: &str) -> Value {
    with(descriptor, json!({ "platform": { "os": "linux", "architecture": architecture } }))
}

#[tokio::test]
async fn images_pass_every_step() {
    goes_well(|set| {
        set.image("image", 1);
        let config = set.blob(CONFIG, "{}");
        let layer = set.blob("application/vnd.oci.image.layer.v1.tar+gzip", noise(100, 3));
        set.manifest("gzip", image(&config, &[layer]));
        set.manifest("no-layers", image(&config, &[]));
    })
    .await;
}

#[tokio::test]
async fn a_manifest_of_almost_4_mib_passes_every_step() {
    goes_well(|set| {
        let annotations: serde_json::Map<_, _> =
            (0..390).map(|i| (format!("org.example.{i}"), "x".repeat(10_000).into())).collect();
        let large = with(set.image_json(2), json!({ "annotations": annotations }));
        set.manifest("large", large);
    })
    .await;
}

#[tokio::test]
async fn nested_and_empty_indexes_pass_every_step() {
    goes_well(|set| {
        let children = [platform(set.image("", 1), "amd64"), platform(set.image("", 5), "arm64")];
        let inner = set.manifest("index", index(&children));
        let other = [platform(set.image("", 9), "riscv64")];
        let other = set.manifest("other", index(&other));
        set.manifest("nested", index(&[inner, other]));
        set.manifest("empty", index(&[]));
    })
    .await;
}

#[tokio::test]
async fn artifacts_pass_every_step() {
    goes_well(|set| {
        let config = set.blob(EMPTY, "{}");
        let layer = set.blob("text/plain", noise(99, 1));
        let artifact = json!({ "artifactType": ARTIFACT });
        let first = set.manifest("artifact", with(image(&config, &[layer]), artifact.clone()));
        set.manifest("bare", with(image(&config, from_ref(&config)), artifact.clone()));
        set.manifest("index", with(index(&[first]), artifact));
    })
    .await;
}

#[tokio::test]
async fn referrers_of_an_image_an_index_and_a_missing_subject_pass_every_step() {
    goes_well(|set| {
        let subject = set.image("image", 1);
        let config = set.blob(EMPTY, "{}");
        let to = |subject: &Value, more: Value| with(json!({ "subject": subject }), more);
        let plain = with(set.image_json(7), to(&subject, json!({ "annotations": { "org.example.key": "value" } })));
        set.manifest("", plain);
        let signature = json!({ "artifactType": ARTIFACT, "annotations": { "a": "1", "b": "2" } });
        set.manifest("", with(image(&config, from_ref(&config)), to(&subject, signature)));
        let sbom = json!({ "artifactType": "application/vnd.example.sbom+json" });
        set.manifest("tagged", with(image(&config, &[]), to(&subject, sbom.clone())));
        let many = set.manifest("index", index(&[subject]));
        set.manifest("", with(index(&[]), to(&many, sbom)));
        set.manifest("", with(index(&[]), to(&many, json!({}))));
        let absent = set.describe(OCI_MANIFEST, b"nobody pushed this");
        set.manifest("", with(image(&config, &[]), to(&absent, json!({}))));
    })
    .await;
}

#[tokio::test]
async fn descriptors_with_embedded_data_and_unknown_keys_pass_every_step() {
    goes_well(|set| {
        let config = with(set.blob(EMPTY, "{}"), json!({ "data": "e30=" }));
        let artifact = with(image(&config, from_ref(&config)), json!({ "artifactType": ARTIFACT }));
        set.manifest("data", artifact);
        let custom = with(set.image_json(3), json!({ "org.example": [1, { "deep": null }] }));
        let child = with(set.manifest("custom", custom), json!({ "x-of-a-descriptor": true }));
        set.manifest("custom-index", with(index(&[child]), json!({ "x": "y" })));
    })
    .await;
}

#[tokio::test]
async fn layers_that_are_not_for_distribution_need_not_be_pushed() {
    goes_well(|set| {
        let foreign = |set: &Set, seed| {
            let layer = set.describe("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", &noise(77, seed));
            with(layer, json!({ "urls": ["https://store.example.com/layer"] }))
        };
        let config = set.blob(CONFIG, "{}");
        let layers = [foreign(set, 1), foreign(set, 2)];
        set.manifest("foreign", image(&config, &layers));
    })
    .await;
}

fn sparse_image(set: &mut Set) {
    let config = set.blob(CONFIG, "{}");
    let layers = [set.blob(LAYER, noise(10, 1)), set.describe(LAYER, b"missing")];
    set.manifest("sparse", image(&config, &layers));
}

fn sparse_index(set: &mut Set) {
    let children = [set.image("", 1), set.describe(OCI_MANIFEST, b"missing")];
    set.manifest("sparse", index(&children));
}

#[tokio::test]
async fn sparse_images_and_indexes_are_accepted_if_the_operator_allows_them() {
    both(MissingReferences::Accept, sparse_image).await;
    both(MissingReferences::Accept, sparse_index).await;
}

#[tokio::test]
async fn by_default_an_index_may_be_sparse_and_an_image_may_not() {
    both(MissingReferences::Children, sparse_index).await;
    let registry = Registry::start().await;
    let mut set = Set::new(sha256);
    sparse_image(&mut set);
    for blob in &set.blobs {
        registry.push_blob(REPO, blob.clone()).await;
    }
    let refused = registry.put_manifest(REPO, "sparse", &set.manifests[0].json).await;
    refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
}
