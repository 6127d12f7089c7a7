//! A real registry of another kind, filled over HTTP; what it wrote is imported and compared over HTTP.

use super::{fsck, import};
use crate::PROGRAM;
use serde_json::{Value, json};
use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use testing::{
    daemon::Daemon,
    session::{CONFIG, Client, LAYER, OCI_MANIFEST, descriptor, image, index, noise, sha256},
};

/// Debian's package docker-registry, version 2.8; killed when dropped.
struct Distribution {
    child: Child,
    client: Client,
}

impl Distribution {
    /// `None` where it is not installed.
    async fn start(dir: &Path, root: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n",
            root.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        command.env_clear();
        let Ok(child) = command.spawn() else {
            eprintln!("skipped: docker-registry is not installed");
            return None;
        };
        let client = Client::new(([127, 0, 0, 1], port).into());
        let registry = Self { child, client };
        for _ in 0..500 {
            if registry.client.ask(http::Method::GET, "/v2/").try_send().await.is_ok() {
                return Some(registry);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("docker-registry does not answer");
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every manifest of a registry by repository and tag, with its media type and bytes.
async fn manifests(client: &Client) -> Vec<(String, String, String, Vec<u8>)> {
    let mut found = Vec::new();
    for name in client.get("/v2/_catalog?n=1000").await.strings("repositories") {
        for tag in client.tags(&name).await {
            let accept = format!("{OCI_MANIFEST}, {}", testing::content::OCI_INDEX);
            let ask = client.ask(http::Method::GET, format!("/v2/{name}/manifests/{tag}")).header("accept", accept);
            let reply = ask.send().await.is(200);
            found.push((name.clone(), tag, reply.header("content-type").to_owned(), reply.body.to_vec()));
        }
    }
    found.sort();
    found
}

/// An image whose blobs are pushed in the way of docker: a session, a chunk, the end.
async fn push(client: &Client, name: &str, tag: &str, seed: u64) -> Value {
    let config = format!(r#"{{"os":"linux","seed":{seed}}}"#);
    let layers = [noise(200_000, seed), noise(3000, seed + 1)];
    for content in [config.as_bytes(), &layers[0], &layers[1]] {
        let location = client.locate(name).await;
        let location = client.patch(&location, content.to_vec()).await.is(202).header("location").to_owned();
        let digest = sha256(content);
        client.put(format!("{location}&digest={digest}"), "").await.is(201);
    }
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(LAYER, layer)).collect();
    let manifest = image(&descriptor(CONFIG, config.as_bytes()), &layers);
    client.put_manifest(name, tag, &manifest).await.is(201);
    let bytes = serde_json::to_vec(&manifest).unwrap();
    json!({ "mediaType": OCI_MANIFEST, "digest": sha256(&bytes), "size": bytes.len() })
}

#[tokio::test]
async fn what_a_real_distribution_wrote_is_served_byte_for_byte() {
    let home = tempfile::tempdir().unwrap();
    let (theirs, ours) = (home.path().join("theirs"), home.path().join("data"));
    let Some(registry) = Distribution::start(home.path(), &theirs).await else { return };
    let old = &registry.client;
    let mut images = Vec::new();
    for (i, name) in ["app", "team/app", "team/app/nested", "tools/a.b_c-d"].into_iter().enumerate() {
        for (j, tag) in ["v1", "v2", "latest"].into_iter().enumerate() {
            images.push(push(old, name, tag, (i * 100 + j * 10) as u64).await);
        }
    }
    old.put_manifest("app", "multi", &index(&images[..2])).await.is(201);
    // A tag that moved, one that was deleted with its manifest, an upload that was never finished, and one image only by
    // digest.
    push(old, "app", "v1", 5000).await;
    let gone = push(old, "app", "gone", 6000).await;
    old.delete(format!("/v2/app/manifests/{}", gone["digest"].as_str().unwrap())).await.is(202);
    let location = old.locate("app").await;
    old.patch(&location, "half").await.is(202);

    // While it runs, and again after a last push.
    let ran = import(&ours, &theirs, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    push(old, "app", "last", 7000).await;
    let expected = manifests(old).await;
    let first = images[0]["digest"].as_str().unwrap();
    let ask = old.ask(http::Method::GET, format!("/v2/app/manifests/{first}")).header("accept", OCI_MANIFEST);
    let untagged = ask.send().await.is(200).body;
    drop(registry);
    let ran = import(&ours, &theirs, &[]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.errors);
    assert_eq!(super::tally(&ran.report(), "manifests").0, 1, "{}", ran.out);

    let daemon = Daemon::start(PROGRAM, &ours, &[]);
    assert_eq!(manifests(&daemon).await, expected);
    assert_eq!(daemon.get(format!("/v2/app/manifests/{first}")).await.is(200).body, untagged);
    for (name, _, _, bytes) in &expected {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        for blob in manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config")) {
            let digest = blob["digest"].as_str().unwrap();
            let body = daemon.get(format!("/v2/{name}/blobs/{digest}")).await.is(200).body;
            assert_eq!(sha256(&body), digest);
        }
    }
    drop(daemon);
    fsck(&ours);
}
