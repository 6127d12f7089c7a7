//! Views of what strangers pushed.

use super::*;
use crate::registry::{Condition, Registry, Settings};
use oci::{Algorithm, Hasher, Reference};
use serde_json::json;
use std::sync::Arc;

fn registry() -> Registry {
    Registry::new(Arc::new(crate::storage::Mem::default()), Arc::new(Settings::default()))
}

#[tokio::test]
async fn a_configuration_that_the_repository_does_not_have_is_not_read() {
    let registry = registry();
    let push = async |name: &str, blob: Option<&'static str>, config: &'static str| {
        let repository = registry.repository(&name.parse().unwrap());
        if let Some(blob) = blob {
            let bytes = futures_util::stream::iter([Ok(bytes::Bytes::from_static(blob.as_bytes()))]);
            let digest = Hasher::digest(Algorithm::Sha256, blob.as_bytes());
            repository.push_blob(&digest, crate::registry::Chunk::default(), bytes).await.unwrap();
        }
        let digest = Hasher::digest(Algorithm::Sha256, config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST, "layers": [],
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len() },
        });
        let tag = Reference::Tag("v1".parse().unwrap());
        let settings =
            Settings { missing_references: crate::registry::MissingReferences::Accept, ..Settings::default() };
        let lenient = registry.under(Arc::new(settings)).repository(repository.name());
        lenient
            .put_manifest(&tag, &[], Some(oci::media_type::OCI_MANIFEST), manifest.to_string().into(), Condition::None)
            .await
            .unwrap();
        repository.one_tag_detail(&"v1".parse().unwrap()).await.unwrap().unwrap()
    };
    let secret = r#"{"os":"linux","architecture":"amd64"}"#;
    let owners = push("secret/app", Some(secret), secret).await;
    assert_eq!(owners.platforms.iter().map(PlatformName::as_str).collect::<Vec<_>>(), ["linux/amd64"]);
    let strangers = push("stranger/app", None, secret).await;
    assert_eq!((strangers.platforms.len(), strangers.manifest.unwrap().kind()), (0, ManifestKind::Image));
}
