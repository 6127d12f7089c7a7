//! Refused manifests: invalid ones, and ambiguous ones.

use serde_json::json;
use testing::{registry::Registry, session::*};

async fn ready() -> Registry {
    let registry = Registry::start().await;
    registry.push_blob("app", "{}").await;
    registry
}

/// Asserts that it is refused by tag and by digest, and that nothing of it is visible.
async fn is_refused(registry: &Registry, media_type: &str, text: &str) {
    for reference in ["v1".to_owned(), sha256(text.as_bytes()), sha512(text.as_bytes())] {
        let reply = registry.put_bytes("app", &reference, media_type, text.to_owned()).await;
        reply.refused(400, "MANIFEST_INVALID");
        registry.head(format!("/v2/app/manifests/{reference}")).await.is(404);
    }
}

#[tokio::test]
async fn docker_schema_1_is_refused_under_any_media_type() {
    let registry = ready().await;
    let old = json!({ "schemaVersion": 1, "name": "app", "tag": "v1", "fsLayers": [], "history": [] });
    let newer = json!({ "schemaVersion": 2, "config": descriptor(CONFIG, b"{}"), "layers": [], "fsLayers": [] });
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/json",
        "",
        OCI_MANIFEST,
    ] {
        is_refused(&registry, media_type, &old.to_string()).await;
        is_refused(&registry, media_type, &newer.to_string()).await;
    }
}

#[tokio::test]
async fn different_types_in_header_and_body_are_refused() {
    let registry = ready().await;
    let image = image(&descriptor(CONFIG, b"{}"), &[]).to_string();
    is_refused(&registry, OCI_INDEX, &image).await;
    is_refused(&registry, "application/vnd.docker.distribution.manifest.v2+json", &image).await;
    is_refused(&registry, OCI_MANIFEST, &index(&[]).to_string()).await;
    is_refused(&registry, "text/html", &image).await;
    is_refused(&registry, "image/png", "{}").await;
    let other = image.replace(OCI_MANIFEST, "application/vnd.example.other+json");
    is_refused(&registry, OCI_MANIFEST, &other).await;
}

#[tokio::test]
async fn a_repeated_key_is_refused_at_any_depth() {
    let registry = ready().await;
    let config = descriptor(CONFIG, b"{}").to_string();
    for text in [
        format!(r#"{{"schemaVersion":2,"schemaVersion":2,"config":{config},"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"layers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"\u006cayers":[]}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"annotations":{{"a":"1","a":"2"}}}}"#),
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"x":[{{"y":1,"y":1}}]}}"#),
    ] {
        is_refused(&registry, OCI_MANIFEST, &text).await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_both_image_and_index_is_refused() {
    let registry = ready().await;
    let config = descriptor(CONFIG, b"{}");
    let both = json!({ "schemaVersion": 2, "config": config, "layers": [], "manifests": [] });
    for media_type in [OCI_MANIFEST, OCI_INDEX, ""] {
        is_refused(&registry, media_type, &both.to_string()).await;
        for extra in ["manifests", "blobs"] {
            let mut image = image(&config, &[]);
            image[extra] = json!(null);
            is_refused(&registry, media_type, &image.to_string()).await;
        }
        for extra in ["layers", "config", "blobs"] {
            let mut index = index(&[]);
            index[extra] = if extra == "config" { config.clone() } else { json!([]) };
            is_refused(&registry, media_type, &index.to_string()).await;
        }
    }
}

#[tokio::test]
async fn an_invalid_manifest_is_refused() {
    let registry = ready().await;
    let config = descriptor(CONFIG, b"{}");
    let with = |key: &str, value: serde_json::Value| {
        let mut image = image(&config, &[]);
        image[key] = value;
        image.to_string()
    };
    let layer = |digest: &str, size: i64| json!([{ "mediaType": LAYER, "digest": digest, "size": size }]);
    for text in [
        String::new(),
        "null".into(),
        "[]".into(),
        "\"text\"".into(),
        "{}".into(),
        "{".into(),
        "{}{}".into(),
        "\u{feff}{}".into(),
        with("schemaVersion", json!(1)),
        with("schemaVersion", json!("2")),
        with("config", json!(null)),
        with("layers", json!({})),
        with("layers", json!([1])),
        with("layers", layer("sha256:short", 1)),
        with("layers", layer("../../etc/passwd", 1)),
        with("layers", layer(&sha256(b"x"), -1)),
        with("subject", json!("sha256:x")),
        with("subject", json!({ "mediaType": "a/b", "digest": "blake3:00", "size": 1 })),
        with("annotations", json!({ "a": 1 })),
        with("config", json!({ "mediaType": CONFIG, "digest": sha256(b"{}"), "size": 2, "data": "bm8=" })),
    ] {
        is_refused(&registry, OCI_MANIFEST, &text).await;
    }
    let latin = [b"{\"schemaVersion\":2,\"x\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat();
    registry.put_bytes("app", "v1", OCI_MANIFEST, latin).await.refused(400, "MANIFEST_INVALID");
}

#[tokio::test]
async fn a_manifest_with_a_wrong_digest_is_refused() {
    let registry = ready().await;
    let manifest = image(&descriptor(CONFIG, b"{}"), &[]);
    registry.put_manifest("app", &sha256(b"another"), &manifest).await.refused(400, "DIGEST_INVALID");
    registry.put_manifest("app", "blake3:00", &manifest).await.refused(400, "DIGEST_INVALID");
    registry.put_manifest("app", "-tag", &manifest).await.refused(400, "TAG_INVALID");
    registry.put_manifest("UPPER", "v1", &manifest).await.refused(400, "NAME_INVALID");
    registry.get("/v2/app/tags/list").await.refused(404, "NAME_UNKNOWN");
}
