use super::*;
use serde_json::{Value, json};

const BOUNDS: Bounds = Bounds { depth: 32, descriptors: 10 };

fn parse(manifest: &Value, content_type: Option<&str>) -> Result<Manifest, InvalidManifest> {
    Manifest::parse(manifest.to_string().as_bytes(), content_type, BOUNDS)
}

fn refusal(manifest: &Value, content_type: Option<&str>) -> String {
    parse(manifest, content_type).expect_err("must be refused").to_string()
}

fn descriptor(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", "a".repeat(64)), "size": 3})
}

fn image() -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar")]})
}

fn index() -> Value {
    json!({"schemaVersion": 2, "manifests": [descriptor(media_type::OCI_MANIFEST)]})
}

fn with(mut manifest: Value, key: &str, value: Value) -> Value {
    manifest[key] = value;
    manifest
}

fn without(mut manifest: Value, key: &str) -> Value {
    manifest.as_object_mut().unwrap().remove(key);
    manifest
}

#[test]
fn an_image_is_read() {
    let manifest = parse(&image(), Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).unwrap();
    assert_eq!(manifest.media_type, ManifestType::OciImage);
    assert_eq!((manifest.layers.len(), manifest.children.len()), (1, 0));
    assert_eq!(manifest.artifact_type(), Some("application/vnd.oci.image.config.v1+json"));
}

#[test]
fn the_type_comes_from_the_header_else_the_body_else_the_shape() {
    for generic in [None, Some("application/json"), Some("application/octet-stream")] {
        assert_eq!(parse(&image(), generic).unwrap().media_type, ManifestType::OciImage);
        assert_eq!(parse(&without(image(), "mediaType"), generic).unwrap().media_type, ManifestType::OciImage);
        assert_eq!(parse(&index(), generic).unwrap().media_type, ManifestType::OciIndex);
    }
    let docker = without(image(), "mediaType");
    assert_eq!(parse(&docker, Some(media_type::DOCKER_MANIFEST)).unwrap().media_type, ManifestType::DockerImage);
    assert!(refusal(&json!({"schemaVersion": 2}), None).contains("cannot tell what kind of manifest"));
}

#[test]
fn header_and_body_must_agree() {
    assert!(refusal(&image(), Some(media_type::DOCKER_MANIFEST)).contains("but Content-Type is"));
    assert!(refusal(&image(), Some("application/vnd.example+json")).contains("not accepted"));
}

#[test]
fn schema_1_is_refused() {
    let schema1 = json!({"schemaVersion": 1, "name": "a", "fsLayers": [], "history": []});
    for content_type in [
        None,
        Some("application/json"),
        Some("application/vnd.docker.distribution.manifest.v1+json"),
        Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
    ] {
        assert!(refusal(&schema1, content_type).contains("not accepted"));
    }
    assert!(refusal(&with(image(), "fsLayers", json!([])), None).contains("schema 1"));
    assert!(refusal(&with(image(), "schemaVersion", json!(1)), None).contains("schemaVersion"));
    assert!(refusal(&without(image(), "schemaVersion"), None).contains("schemaVersion"));
}

#[test]
fn two_kinds_in_one_document_are_refused() {
    assert!(refusal(&with(image(), "manifests", json!([])), None).contains("image manifest must not have"));
    assert!(refusal(&with(image(), "manifests", json!(null)), None).contains("image manifest must not have"));
    assert!(refusal(&with(index(), "layers", json!([])), None).contains("an index must not have"));
    let config = descriptor("application/vnd.oci.image.config.v1+json");
    assert!(refusal(&with(index(), "config", config), Some(media_type::OCI_INDEX)).contains("an index must not have"));
    assert!(refusal(&with(image(), "blobs", json!([])), None).contains("image manifest must not have"));
}

#[test]
fn lists_may_be_empty_or_null_but_not_absent() {
    assert!(parse(&with(image(), "layers", json!([])), None).is_ok());
    assert!(parse(&with(image(), "layers", json!(null)), None).is_ok());
    assert!(refusal(&without(image(), "layers"), None).contains("needs 'config' and 'layers'"));
    assert!(refusal(&without(image(), "config"), None).contains("needs 'config' and 'layers'"));
    assert!(parse(&with(index(), "manifests", json!([])), None).is_ok());
    assert!(refusal(&without(index(), "manifests"), Some(media_type::OCI_INDEX)).contains("needs 'manifests'"));
}

#[test]
fn an_artifact_manifest_has_no_schema_version() {
    let artifact = json!({"mediaType": media_type::OCI_ARTIFACT, "artifactType": "application/x",
        "blobs": [descriptor("text/plain")], "subject": descriptor(media_type::OCI_MANIFEST)});
    let manifest = parse(&artifact, None).unwrap();
    assert_eq!((manifest.layers.len(), manifest.artifact_type()), (1, Some("application/x")));
    assert!(manifest.subject.is_some());
    assert!(refusal(&with(artifact, "layers", json!([])), None).contains("artifact manifest must not have"));
}

#[test]
fn descriptors_are_checked() {
    let layer = |key: &str, value: Value| with(image(), "layers", json!([with(descriptor("a/b"), key, value)]));
    for (key, value, why) in [
        ("digest", json!("sha256:short"), "layers[0].digest: \"sha256:short\" is not a digest"),
        ("digest", json!(format!("sha256:{}", "A".repeat(64))), "is not a digest"),
        ("size", json!(-1), "layers[0].size: -1 is negative"),
        ("size", json!(1e40), "layers[0].size: expected a whole number, found 1e+40"),
        ("size", json!("3"), "layers[0].size: expected a whole number, found string \"3\""),
        ("mediaType", json!(""), "layers[0].mediaType: must not be empty"),
        ("mediaType", json!(null), "layers[0].mediaType: expected a string, found null"),
        ("data", json!("***"), "layers[0].data: is not base64"),
        ("data", json!("YWJj"), "layers[0].data: does not match"),
        ("annotations", json!({"a": []}), "layers[0].annotations.a: expected a string, found a list"),
    ] {
        let refused = refusal(&layer(key, value), None);
        assert!(refused.contains(why), "{key}: {refused}");
    }
    let long = refusal(&layer("digest", json!("x".repeat(100_000))), None);
    assert!(long.len() < 300, "a refusal repeats the beginning only: {} bytes", long.len());
    let foreign = parse(&layer("digest", json!("blake3:abc")), None).unwrap();
    assert_eq!(foreign.layers[0].digest, ReferencedDigest::Foreign("blake3:abc".into()));
    let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let data = json!({"mediaType": "a/b", "digest": abc, "size": 3, "data": "YWJj"});
    assert!(parse(&with(image(), "layers", json!([data])), None).is_ok());
}

#[test]
fn a_refusal_says_which_field_is_wrong() {
    for (manifest, says) in [
        (
            json!({"schemaVersion": 2, "manifests": [descriptor("a/b"), {"digest": "x", "size": 1}]}),
            "manifests[1]: 'mediaType' is missing",
        ),
        (with(image(), "config", json!("x")), "config: expected an object, found string \"x\""),
        (with(image(), "layers", json!({})), "layers: expected a list, found an object"),
        (
            with(image(), "subject", json!({"mediaType": "a/b", "digest": "blake3:abc", "size": 1})),
            "subject.digest: \"blake3:abc\" is neither",
        ),
        (
            with(image(), "layers", json!([with(descriptor("a/b"), "Size", json!(1))])),
            "layers[0]: key \"Size\" in another case",
        ),
        (json!([]), "invalid manifest: expected an object, found a list"),
    ] {
        let refused = refusal(&manifest, None);
        assert!(refused.contains(says), "{refused}");
    }
    for (text, says) in [
        ("{\"layers\": [}", "not valid JSON: expected value at line 1, column 13"),
        ("{", "not valid JSON: it ends too early, at line 1, column 1"),
    ] {
        let refused = Manifest::parse(text.as_bytes(), None, BOUNDS).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn the_number_of_descriptors_is_bounded() {
    let layers = |n| with(image(), "layers", Value::Array(vec![descriptor("a/b"); n]));
    assert!(parse(&layers(10), None).is_ok());
    assert!(refusal(&layers(11), None).contains("more than 10"));
}

#[test]
fn a_repeated_key_is_refused_even_in_unknown_parts() {
    let text = image().to_string();
    for (from, to) in [("{", r#"{"x":1,"x":1,"#), ("\"layers\"", "\"layers\":[],\"layers\"")] {
        let bytes = text.replacen(from, to, 1);
        let refused = Manifest::parse(bytes.as_bytes(), None, BOUNDS).unwrap_err().to_string();
        assert!(refused.contains("duplicate"), "{refused}");
    }
}

#[test]
fn a_subject_must_be_of_an_algorithm_we_can_list_by() {
    let subject = json!({"mediaType": "a/b", "digest": "blake3:abc", "size": 1});
    assert!(refusal(&with(image(), "subject", subject), None).contains("subject"));
    let docker = with(with(image(), "mediaType", json!(media_type::DOCKER_MANIFEST)), "subject", descriptor("a/b"));
    assert!(parse(&docker, None).unwrap().subject.is_none(), "docker manifests have none");
}

#[test]
fn a_list_is_not_a_manifest_or_descriptor() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let fields = json!(["a/b", digest, 3, null, null, null]);
    for (mut manifest, pointer) in [
        (image(), "/config"),
        (image(), "/layers/0"),
        (index(), "/manifests/0"),
        (with(image(), "subject", json!({})), "/subject"),
    ] {
        *manifest.pointer_mut(pointer).unwrap() = fields.clone();
        assert!(refusal(&manifest, None).contains("expected an object"), "{pointer}");
    }
    let whole = json!([2, media_type::OCI_INDEX, null, null, null, null, [], null, null, null]);
    assert!(refusal(&whole, None).contains("expected an object"));
}
