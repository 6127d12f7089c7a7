//! A set of related contents and the steps each set goes through: pushed, listed, read by tag and digest, found as
//! referrers, deleted, gone.

use super::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Blobs, and manifests in the order they are pushed.
pub struct Set {
    pub naming: Naming,
    pub blobs: Vec<Bytes>,
    pub manifests: Vec<Document>,
    /// Which tag points to which manifest.
    pub tags: BTreeMap<String, usize>,
    /// Tags are set by the push by digest, not by pushes of their own.
    pub tags_in_query: bool,
}

/// A manifest as bytes.
pub struct Document {
    pub json: Value,
    pub bytes: Bytes,
    pub digest: String,
}

impl Set {
    pub fn new(naming: Naming) -> Self {
        Self { naming, blobs: Vec::new(), manifests: Vec::new(), tags: BTreeMap::new(), tags_in_query: false }
    }

    /// The descriptor of content that is not pushed.
    pub fn describe(&self, media_type: &str, content: &[u8]) -> Value {
        json!({ "mediaType": media_type, "digest": (self.naming)(content), "size": content.len() })
    }

    /// Adds a blob; returns its descriptor.
    pub fn blob(&mut self, media_type: &str, content: impl Into<Bytes>) -> Value {
        let content = content.into();
        let descriptor = self.describe(media_type, &content);
        self.blobs.push(content);
        descriptor
    }

    /// Adds a manifest, under a tag unless that is empty; returns its descriptor.
    pub fn manifest(&mut self, tag: &str, json: Value) -> Value {
        let bytes = Bytes::from(json.to_string());
        let descriptor = self.describe(json["mediaType"].as_str().expect("a media type"), &bytes);
        if !tag.is_empty() {
            self.tags.insert(tag.to_owned(), self.manifests.len());
        }
        self.manifests.push(Document { digest: (self.naming)(&bytes), json, bytes });
        descriptor
    }

    /// Adds an image with a config and layers under a tag; returns its descriptor. Each seed gives different content.
    pub fn image(&mut self, tag: &str, seed: u64) -> Value {
        let image = self.image_json(seed);
        self.manifest(tag, image)
    }

    pub fn image_json(&mut self, seed: u64) -> Value {
        let config = self.blob(CONFIG, format!("{{\"architecture\":\"amd64\",\"seed\":{seed}}}"));
        let layers = [self.blob(LAYER, noise(1000, seed)), self.blob(LAYER, noise(2000, seed + 1))];
        image(&config, &layers)
    }

    /// All steps.
    pub async fn goes_well(&self, client: &Client, name: &str) {
        for blob in &self.blobs {
            post_and_put(client, name, &(self.naming)(blob), blob.clone()).await.is(201);
        }
        self.is_pushed(client, name).await;
        self.is_listed(client, name).await;
        self.is_read(client, name).await;
        self.refers(client, name).await;
        self.is_deleted(client, name).await;
    }

    async fn is_pushed(&self, client: &Client, name: &str) {
        for (i, manifest) in self.manifests.iter().enumerate() {
            let tags: Vec<_> = self.tags.iter().filter(|(_, of)| **of == i).map(|(tag, _)| tag.as_str()).collect();
            let mut target = format!("/v2/{name}/manifests/{}", manifest.digest);
            if self.tags_in_query {
                target +=
                    &tags.iter().map(|tag| format!("tag={tag}")).fold("?".to_owned(), |all, tag| all + &tag + "&");
            }
            let reply = manifest.put(client, &target).await;
            location_leads_to(client, &reply, &manifest.bytes).await;
            if self.tags_in_query {
                assert_eq!(reply.items("oci-tag"), tags);
                continue;
            }
            for tag in tags {
                let reply = manifest.put(client, &format!("/v2/{name}/manifests/{tag}")).await;
                location_leads_to(client, &reply, &manifest.bytes).await;
            }
        }
    }

    async fn is_listed(&self, client: &Client, name: &str) {
        if self.tags.is_empty() {
            return;
        }
        let listed = client.tags(name).await;
        assert!(listed.is_sorted());
        assert_eq!(listed, self.tags.keys().cloned().collect::<Vec<_>>());
        let (before, after) = listed.split_at(listed.len() / 2);
        if let Some(last) = before.last() {
            let rest = client.read(format!("/v2/{name}/tags/list?last={last}")).await;
            assert_eq!(rest.strings("tags"), after);
        }
    }

    async fn is_read(&self, client: &Client, name: &str) {
        for blob in &self.blobs {
            is_served(client, name, &(self.naming)(blob), blob).await;
        }
        let by_digest = self.manifests.iter().map(|manifest| (manifest.digest.as_str(), manifest));
        let by_tag = self.tags.iter().map(|(tag, i)| (tag.as_str(), &self.manifests[*i]));
        for (reference, manifest) in by_digest.chain(by_tag) {
            for method in [Method::HEAD, Method::GET] {
                let is_head = method == Method::HEAD;
                let ask = client.ask(method, format!("/v2/{name}/manifests/{reference}"));
                let reply = ask.header("accept", OCI_INDEX).header("accept", OCI_MANIFEST).send().await.is(200);
                assert_eq!(reply.header("content-type"), manifest.media_type());
                assert_eq!(reply.header("content-length"), manifest.bytes.len().to_string());
                assert_eq!(reply.header("docker-content-digest"), manifest.digest);
                assert_eq!(reply.body, if is_head { "".into() } else { manifest.bytes.clone() });
            }
        }
    }

    async fn refers(&self, client: &Client, name: &str) {
        let mut expected: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for manifest in &self.manifests {
            expected.entry(&manifest.digest).or_default();
            if let Some(subject) = manifest.json["subject"]["digest"].as_str() {
                expected.entry(subject).or_default().push(manifest.as_referrer());
            }
        }
        for (subject, expected) in expected {
            let path = format!("/v2/{name}/referrers/{subject}");
            let reply = client.read(&path).await;
            assert_eq!(reply.header("content-type"), OCI_INDEX);
            assert!(!reply.has("oci-filters-applied"));
            assert_eq!(sorted(reply.json()["manifests"].as_array().unwrap()), sorted(&expected));
            for artifact_type in expected.iter().filter_map(|entry| entry["artifactType"].as_str()) {
                let query: String = form_urlencoded::byte_serialize(artifact_type.as_bytes()).collect();
                let reply = client.read(format!("{path}?artifactType={query}")).await;
                assert_eq!(reply.header("oci-filters-applied"), "artifactType");
                let fitting: Vec<_> =
                    expected.iter().filter(|entry| entry["artifactType"] == artifact_type).cloned().collect();
                assert_eq!(sorted(reply.json()["manifests"].as_array().unwrap()), sorted(&fitting));
            }
        }
    }

    async fn is_deleted(&self, client: &Client, name: &str) {
        for tag in self.tags.keys() {
            let path = format!("/v2/{name}/manifests/{tag}");
            client.delete(&path).await.is(202);
            client.head(&path).await.is(404);
        }
        // Parents are pushed after their children, and deleted before them.
        for manifest in self.manifests.iter().rev() {
            let path = format!("/v2/{name}/manifests/{}", manifest.digest);
            client.delete(&path).await.is(202);
            client.head(&path).await.is(404);
        }
        for blob in &self.blobs {
            goes_away(client, name, &(self.naming)(blob)).await;
        }
    }
}

impl Document {
    fn media_type(&self) -> &str {
        self.json["mediaType"].as_str().expect("a media type")
    }

    /// Go sends a manifest without a length.
    async fn put(&self, client: &Client, target: &str) -> Reply {
        let ask = client.ask(Method::PUT, target).header("content-type", self.media_type());
        let reply = ask.stream(vec![self.bytes.clone()]).send().await.is(201);
        assert_eq!(reply.header("oci-subject"), self.json["subject"]["digest"].as_str().unwrap_or_default());
        reply
    }

    /// The descriptor in a list of referrers.
    fn as_referrer(&self) -> Value {
        let mut entry = json!({ "mediaType": self.media_type(), "digest": self.digest, "size": self.bytes.len() });
        let of_config = self.json["config"]["mediaType"].as_str();
        if let Some(artifact_type) = self.json["artifactType"].as_str().or(of_config) {
            entry["artifactType"] = artifact_type.into();
        }
        if let Some(annotations) = self.json.get("annotations") {
            entry["annotations"] = annotations.clone();
        }
        entry
    }
}

fn sorted(list: &[Value]) -> Vec<String> {
    let mut list: Vec<_> = list.iter().map(Value::to_string).collect();
    list.sort();
    list
}
