//! Referrers of a manifest.

use serde_json::{Value, json};
use testing::{registry::Registry, session::*};

const SIGNATURE: &str = "application/vnd.example.signature";
const SBOM: &str = "application/vnd.example.sbom+json";

/// An index that refers to a subject; each seed gives different content.
fn about(subject: &Value, artifact_type: &str, seed: &str) -> Value {
    let mut manifest = index(&[]);
    manifest["subject"] = subject.clone();
    manifest["annotations"] = json!({ "seed": seed });
    if !artifact_type.is_empty() {
        manifest["artifactType"] = artifact_type.into();
    }
    manifest
}

fn digest(manifest: &Value) -> String {
    sha256(manifest.to_string().as_bytes())
}

async fn push(client: &Client, manifest: &Value) -> String {
    let reply = client.put_manifest("app", &digest(manifest), manifest).await.is(201);
    assert_eq!(reply.header("oci-subject"), manifest["subject"]["digest"].as_str().unwrap_or_default());
    digest(manifest)
}

/// The referrers on one page.
async fn listed(client: &Client, target: &str) -> Vec<Value> {
    let reply = client.read(target).await;
    assert_eq!(reply.header("content-type"), OCI_INDEX, "clients compare it for equality");
    let list = reply.json();
    assert_eq!((&list["schemaVersion"], &list["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    list["manifests"].as_array().unwrap().clone()
}

fn digests(list: &[Value]) -> Vec<String> {
    let mut digests: Vec<_> = list.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests
}

fn sorted<const N: usize>(mut digests: [String; N]) -> Vec<String> {
    digests.sort();
    digests.into()
}

#[tokio::test]
async fn a_subject_without_referrers_has_an_empty_list_and_is_never_unknown() {
    let registry = Registry::start().await;
    let (pushed, _) = registry.push_image("app", "v1", "x").await;
    for (name, digest) in [("app", &pushed), ("app", &sha256(b"x")), ("nobodys", &sha512(b"x"))] {
        for query in ["", "?artifactType=a%2Fb"] {
            assert!(listed(&registry, &format!("/v2/{name}/referrers/{digest}{query}")).await.is_empty());
        }
    }
    // As a client probes for the endpoint.
    listed(&registry, &format!("/v2/app/referrers/sha256:{}", "0".repeat(64))).await;
    registry.get("/v2/app/referrers/v1").await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn applied_filters_are_reported_and_several_are_alternatives() {
    let registry = Registry::start().await;
    let subject = descriptor(OCI_MANIFEST, b"absent");
    let signature = push(&registry, &about(&subject, SIGNATURE, "a")).await;
    let sbom = push(&registry, &about(&subject, SBOM, "b")).await;
    let untyped = push(&registry, &about(&subject, "", "c")).await;
    let path = format!("/v2/app/referrers/{}", subject["digest"].as_str().unwrap());
    assert_eq!(digests(&listed(&registry, &path).await), sorted([signature.clone(), sbom.clone(), untyped]));
    let encoded = "application%2Fvnd.example.sbom%2Bjson";
    for (query, expected) in [
        (format!("artifactType={SIGNATURE}"), vec![signature.clone()]),
        (format!("artifactType={encoded}"), vec![sbom.clone()]),
        (format!("artifactType={SIGNATURE}&artifactType={encoded}"), sorted([signature, sbom])),
        ("artifactType=another%2Ftype".into(), vec![]),
    ] {
        let target = format!("{path}?{query}");
        assert_eq!(digests(&listed(&registry, &target).await), expected, "{query}");
        assert_eq!(registry.read(&target).await.header("oci-filters-applied"), "artifactType");
    }
    assert!(!registry.read(&path).await.has("oci-filters-applied"));
}

#[tokio::test]
async fn a_referrer_is_described_by_its_own_type_or_that_of_its_config() {
    let registry = Registry::start().await;
    registry.push_blob("app", "{}").await;
    let subject = descriptor(OCI_MANIFEST, b"absent");
    let of_config = {
        let mut image = image(&descriptor("application/vnd.example.config+json", b"{}"), &[]);
        image["subject"] = subject.clone();
        image["annotations"] = json!({ "org.example.a": "1", "org.example.b": "é\"" });
        image
    };
    let mut own = of_config.clone();
    own["artifactType"] = SBOM.into();
    let bare = about(&subject, "", "x");
    for manifest in [&of_config, &own, &bare] {
        push(&registry, manifest).await;
    }
    let list = listed(&registry, &format!("/v2/app/referrers/{}", subject["digest"].as_str().unwrap())).await;
    for (manifest, artifact_type) in
        [(&of_config, json!("application/vnd.example.config+json")), (&own, json!(SBOM)), (&bare, Value::Null)]
    {
        let entry = list.iter().find(|entry| entry["digest"] == digest(manifest)).unwrap();
        assert_eq!(entry["artifactType"], artifact_type);
        assert_eq!(entry.get("artifactType").is_some(), !artifact_type.is_null(), "left out, and not null");
        assert_eq!(entry["mediaType"], manifest["mediaType"]);
        assert_eq!(entry["size"], manifest.to_string().len());
        assert_eq!(entry["annotations"], manifest["annotations"]);
    }
}

#[tokio::test]
async fn a_referrer_is_listed_until_it_is_deleted_even_without_its_subject() {
    let registry = Registry::start().await;
    let (subject_digest, subject) = registry.push_image("app", "v1", "x").await;
    let subject = descriptor(OCI_MANIFEST, subject.to_string().as_bytes());
    let path = format!("/v2/app/referrers/{subject_digest}");
    let first = push(&registry, &about(&subject, SIGNATURE, "1")).await;
    let second = push(&registry, &about(&subject, SIGNATURE, "2")).await;
    registry.put_manifest("app", "signature", &about(&subject, SIGNATURE, "2")).await.is(201);
    registry.delete("/v2/app/manifests/signature").await.is(202);
    assert_eq!(listed(&registry, &path).await.len(), 2, "a tag is not the manifest");
    registry.delete(format!("/v2/app/manifests/{subject_digest}")).await.is(202);
    assert_eq!(listed(&registry, &path).await.len(), 2);
    registry.delete(format!("/v2/app/manifests/{first}")).await.is(202);
    assert_eq!(digests(&listed(&registry, &path).await), [second]);
    assert!(listed(&registry, &path.replace("/app/", "/other/")).await.is_empty());
    push(&registry, &about(&subject, SIGNATURE, "1")).await;
    assert_eq!(listed(&registry, &path).await.len(), 2, "and it comes back");
}

#[tokio::test]
async fn a_subject_is_returned_as_it_was_written() {
    let registry = Registry::start().await;
    let mut subject = descriptor(OCI_MANIFEST, b"subject");
    let by_sha256 = push(&registry, &about(&subject, SBOM, "1")).await;
    subject["digest"] = sha512(b"subject").into();
    let by_sha512 = push(&registry, &about(&subject, SBOM, "2")).await;
    assert_eq!(digests(&listed(&registry, &format!("/v2/app/referrers/{}", sha256(b"subject"))).await), [by_sha256]);
    assert_eq!(digests(&listed(&registry, &format!("/v2/app/referrers/{}", sha512(b"subject"))).await), [by_sha512]);
}

#[tokio::test]
async fn docker_manifests_have_no_subject() {
    let registry = Registry::start().await;
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let mut manifest = about(&descriptor(OCI_MANIFEST, b"subject"), "", "x");
    manifest["mediaType"] = list.into();
    let reply = registry.put_manifest("app", "v1", &manifest).await.is(201);
    assert!(!reply.has("oci-subject"));
    assert!(listed(&registry, &format!("/v2/app/referrers/{}", sha256(b"subject"))).await.is_empty());
}

/// The index under the fallback tag that clients maintain on registries without this endpoint.
async fn fallback(registry: &Registry, naming: Naming, entries: &[Value]) -> String {
    let tag: String = naming(b"subject").replace(':', "-").chars().take(7 + 64).collect();
    registry.put_manifest("app", &tag, &index(entries)).await.is(201);
    tag
}

#[tokio::test]
async fn referrers_under_the_fallback_tag_are_listed_too() {
    for naming in NAMINGS {
        let registry = Registry::start().await;
        let mut subject = descriptor(OCI_MANIFEST, b"subject");
        subject["digest"] = naming(b"subject").into();
        let path = format!("/v2/app/referrers/{}", naming(b"subject"));
        let entry = |manifest: &Value, artifact_type: &str| {
            let mut entry = descriptor(OCI_INDEX, manifest.to_string().as_bytes());
            entry["artifactType"] = artifact_type.into();
            entry
        };
        let (ours, foreign) = (about(&subject, SBOM, "ours"), about(&json!(subject), SBOM, "never pushed"));
        let mut unrelated = index(&[]);
        unrelated["annotations"] = json!({ "no": "subject" });
        push(&registry, &ours).await;
        push(&registry, &unrelated).await;
        let tag =
            fallback(&registry, naming, &[entry(&ours, SIGNATURE), entry(&foreign, SBOM), entry(&unrelated, SBOM)])
                .await;
        let list = listed(&registry, &path).await;
        assert_eq!(digests(&list), [digest(&ours)], "once; not what is absent or refers to nothing");
        assert_eq!(list[0]["artifactType"], SBOM, "the manifest's own word counts");
        // It is an ordinary tag.
        assert!(registry.tags("app").await.contains(&tag));
        registry.read(format!("/v2/app/manifests/{tag}")).await;
        registry
            .put_manifest("app", &tag, &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }))
            .await
            .is(201);
        assert_eq!(listed(&registry, &path).await.len(), 1);
    }
}

#[tokio::test]
async fn many_referrers_are_listed_once_even_if_the_fallback_tag_names_them() {
    let registry = Registry::start().await;
    let subject = descriptor(OCI_MANIFEST, b"subject");
    let manifests: Vec<_> = (0..600).map(|i| about(&subject, SBOM, &i.to_string())).collect();
    for manifest in &manifests {
        push(&registry, manifest).await;
    }
    let entries: Vec<_> = manifests.iter().map(|m| descriptor(OCI_INDEX, m.to_string().as_bytes())).collect();
    fallback(&registry, sha256, &entries).await;
    let mut expected: Vec<_> = manifests.iter().map(digest).collect();
    expected.sort();
    let list = listed(&registry, &format!("/v2/app/referrers/{}", sha256(b"subject"))).await;
    assert_eq!(list.len(), 600);
    assert_eq!(digests(&list), expected);
}

#[tokio::test]
async fn the_referrers_read_for_one_page_are_limited() {
    let registry = Registry::with(|setup| setup.settings.referrers_max = 3).await;
    let subject = descriptor(OCI_MANIFEST, b"subject");
    let path = format!("/v2/app/referrers/{}", sha256(b"subject"));
    let mut pushed = Vec::new();
    for i in 0..3 {
        pushed.push(push(&registry, &about(&subject, SBOM, &i.to_string())).await);
    }
    pushed.sort();
    let page = registry.read(&path).await;
    assert_eq!((digests(page.json()["manifests"].as_array().unwrap()), page.next()), (pushed.clone(), None));
    pushed.push(push(&registry, &about(&subject, SBOM, "one more")).await);
    pushed.sort();
    let filtered = format!("{path}?artifactType=another%2Ftype");
    for (target, expected) in [(&path, [3, 1]), (&filtered, [0, 0])] {
        let first = registry.read(target).await;
        let second = registry.read(first.next().expect("more follow")).await;
        let found = [&first, &second].map(|page| page.json()["manifests"].as_array().unwrap().clone());
        assert_eq!((found.each_ref().map(Vec::len), second.next()), (expected, None));
        let last = format!("last={}", pushed[2].replace(':', "-"));
        assert!(first.next().unwrap().ends_with(&last), "{first:?}");
        if expected[0] > 0 {
            assert_eq!(digests(&found.concat()), pushed);
        }
    }
}

#[tokio::test]
async fn a_list_beyond_4_mib_continues_with_a_link() {
    let registry = Registry::start().await;
    let subject = descriptor(OCI_MANIFEST, b"subject");
    let mut expected = Vec::new();
    for i in 0..11 {
        let artifact_type = if i == 10 { SIGNATURE } else { SBOM };
        expected.push(push(&registry, &about(&subject, artifact_type, &format!("{i}{}", "x".repeat(900_000)))).await);
    }
    let path = format!("/v2/app/referrers/{}", sha256(b"subject"));
    let encoded = "application%2Fvnd.example.sbom%2Bjson";
    let one = expected.pop().unwrap();
    expected.sort();
    for (query, wanted) in [
        (String::new(), digests(&expected.iter().chain([&one]).map(|d| json!({ "digest": d })).collect::<Vec<_>>())),
        (format!("?artifactType={encoded}"), expected),
    ] {
        let (mut found, mut pages, mut target) = (Vec::new(), 0, format!("{path}{query}"));
        loop {
            let page = registry.read(&target).await;
            assert!(page.body.len() <= 4 << 20);
            assert_eq!(page.header("content-type"), OCI_INDEX);
            assert_eq!(page.has("oci-filters-applied"), !query.is_empty());
            found.extend(page.json()["manifests"].as_array().unwrap().clone());
            pages += 1;
            let Some(next) = page.next() else { break };
            assert!(next.starts_with("/v2/app/referrers/"), "relative");
            target = next.to_owned();
        }
        assert_eq!(found.len(), wanted.len());
        assert_eq!(digests(&found), wanted);
        assert_eq!(pages, 3);
    }
}
