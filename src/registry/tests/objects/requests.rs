//! How many requests to the object store an operation costs. They cost money and time each.

use super::*;
use crate::registry::Everything;

struct Counted {
    registry: Registry,
    calls: Arc<FaultyObjects>,
}

impl Counted {
    async fn on(objects: &Arc<MemObjects>) -> Self {
        let calls = FaultyObjects::new(objects.clone(), ObjectFaults::Never);
        Self { registry: over(calls.clone()).await, calls }
    }

    /// Fails if an operation made more calls than this.
    fn at_most(&self, most: usize, operation: &str) {
        let calls = self.calls.taken();
        assert!(calls.len() <= most, "{operation} made {} requests: {calls:#?}", calls.len());
    }
}

async fn push_image(registry: &Registry, tag: &str) {
    let repository = registry.repository(&name());
    for content in [b"{}".as_ref(), b"layer"] {
        let upload = repository.begin_upload(Algorithm::Sha256).await.unwrap();
        let sent = repository.append_upload(&upload.id, at(0), once(content)).await.unwrap();
        repository.finish_upload(&upload.id, &sha256(content), at(sent.len), once(b"")).await.unwrap();
    }
    let tag: Reference = tag.parse().unwrap();
    repository.put_manifest(&tag, &[], None, manifest("image", None), Condition::None).await.unwrap();
}

#[tokio::test]
async fn pulls_cost_few_requests() {
    let objects = Arc::new(MemObjects::default());
    push_image(&over(objects.clone()).await, "v1").await;
    let counted = Counted::on(&objects).await;
    let repository = counted.registry.repository(&name());
    let digest = sha256(&manifest("image", None));
    counted.calls.taken();
    let by_tag = async || {
        let stored = repository.manifest(&"v1".parse().unwrap()).await.unwrap();
        counted.registry.manifest_bytes(&stored.digest).await.unwrap();
    };
    by_tag().await;
    counted.at_most(5, "the first pull of a manifest by tag");
    by_tag().await;
    counted.at_most(2, "the next pull of a manifest by tag");
    let stored = repository.manifest(&Reference::Digest(digest.clone())).await.unwrap();
    counted.registry.manifest_len(&stored).await.unwrap();
    counted.at_most(1, "HEAD of a manifest that was pulled before");
    let pull = async || {
        let blob = repository.blob(&sha256(b"layer")).await.unwrap();
        assert_eq!(blob.read(Span { start: 0, len: 2 }).await.unwrap(), "la");
        assert_eq!(blob.read(Span { start: 2, len: 3 }).await.unwrap(), "yer");
    };
    pull().await;
    counted.at_most(3, "the first pull of a blob");
    pull().await;
    counted.at_most(2, "the next pull of a blob");
}

#[tokio::test]
async fn pushes_cost_a_bounded_number_of_requests() {
    let objects = Arc::new(MemObjects::default());
    let counted = Counted::on(&objects).await;
    let repository = counted.registry.repository(&name());
    counted.calls.taken();
    let upload = repository.begin_upload(Algorithm::Sha256).await.unwrap();
    counted.at_most(2, "POST");
    let sent = repository.append_upload(&upload.id, at(0), once(b"layer")).await.unwrap();
    counted.at_most(3, "PATCH");
    repository.finish_upload(&upload.id, &sha256(b"layer"), at(sent.len), once(b"")).await.unwrap();
    counted.at_most(7, "PUT");
    push_image(&counted.registry, "v1").await;
    counted.calls.taken();
    let tag: Reference = "v2".parse().unwrap();
    repository.put_manifest(&tag, &[], None, manifest("other", None), Condition::None).await.unwrap();
    counted.at_most(24, "PUT of a manifest of two blobs");
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn described(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": sha256(bytes).to_string(), "size": bytes.len()})
}

fn bytes_of(blob: &[u8]) -> impl crate::registry::IncomingBytes {
    futures_util::stream::iter([Ok(Bytes::copy_from_slice(blob))])
}

/// What docs/object-storage.md says of a push.
#[tokio::test]
async fn a_push_of_ten_layers_costs_a_bounded_number_of_requests() {
    let counted = Counted::on(&Arc::new(MemObjects::default())).await;
    let repository = counted.registry.repository(&name());
    counted.calls.taken();
    let config = b"{}".to_vec();
    let blobs: Vec<Vec<u8>> = (0..10u8).map(|n| vec![n; 2 << 20]).chain([config]).collect();
    for blob in &blobs {
        // As docker does: HEAD, POST, one PATCH, PUT.
        assert!(repository.blob_to_rely_on(&sha256(blob)).await.is_err());
        let upload = repository.begin_upload(Algorithm::Sha256).await.unwrap();
        let sent = repository.append_upload(&upload.id, at(0), bytes_of(blob)).await.unwrap();
        repository.finish_upload(&upload.id, &sha256(blob), at(sent.len), once(b"")).await.unwrap();
    }
    counted.at_most(140, "a push of ten layers and a configuration");
    let layers: Vec<_> = blobs[..10].iter().map(|layer| described(LAYER, layer)).collect();
    let image = serde_json::json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_MANIFEST,
        "config": described("application/vnd.oci.image.config.v1+json", &blobs[10]), "layers": layers,
    });
    let image = Bytes::from(image.to_string());
    repository.put_manifest(&"v1".parse().unwrap(), &[], None, image, Condition::None).await.unwrap();
    counted.at_most(75, "a push of their manifest");
}

#[tokio::test]
async fn a_page_of_the_catalog_costs_few_lists() {
    let objects = Arc::new(MemObjects::default());
    let registry = over(objects.clone()).await;
    for i in 0..60 {
        let repository = registry.repository(&format!("team-{}/app{i}", i % 3).parse().unwrap());
        for content in [b"{}".as_ref(), b"layer"] {
            repository.push_blob(&sha256(content), Chunk::default(), once(content)).await.unwrap();
        }
        let tag: Reference = "v1".parse().unwrap();
        repository.put_manifest(&tag, &[], None, manifest("image", None), Condition::None).await.unwrap();
    }
    let counted = Counted::on(&objects).await;
    counted.calls.taken();
    let page = counted.registry.catalog(None, Some(10), &Everything).await.unwrap();
    assert_eq!(page.entries.len(), 10);
    let calls = counted.calls.taken();
    // Each repository is asked whether anything is in it.
    assert!(calls.len() <= 60, "{} requests", calls.len());
}
