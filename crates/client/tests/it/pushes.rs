//! Pushes to registries that break connections, redirect, and accept only some kinds of requests.

use crate::{
    fake::{Answer, Asked, Fake},
    words::*,
};
use bytes::Bytes;
use client::{ErrorKind, ProgressCallback, PushOptions, PushOutcome, TransferPhase};
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SIZE: usize = 3 << 20;

/// An upload session of a well-behaved registry, for scripts that change parts of it.
#[derive(Clone, Default)]
struct Session(Arc<Mutex<Vec<u8>>>);

impl Session {
    fn answer(&self, asked: &Asked) -> Answer {
        let mut bytes = self.0.lock().unwrap();
        let at = |answer: Answer, bytes: &[u8]| {
            let range = format!("0-{}", bytes.len().saturating_sub(1));
            answer.header("location", "7?_state=a%2Fb").header("range", range)
        };
        match asked.method.as_str() {
            "HEAD" => Answer::new(404),
            "POST" => Answer::new(202).header("location", "/v2/a/blobs/uploads/7?_state=first"),
            "GET" => at(Answer::new(204), &bytes),
            "PATCH" => {
                let from = asked.header("content-range").split('-').next().unwrap().parse().unwrap_or(bytes.len());
                if from != bytes.len() {
                    return at(Answer::new(416), &bytes);
                }
                bytes.extend_from_slice(&asked.body);
                at(Answer::new(202), &bytes)
            }
            "PUT" => {
                bytes.extend_from_slice(&asked.body);
                Answer::new(201)
            }
            _ => Answer::new(204),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

async fn push(fake: &Fake, blob: &Bytes, options: PushOptions) -> Result<PushOutcome, client::Error> {
    fake.client().push_blob(&repository("a"), &digest(blob), blob.len() as u64, blob, &options).await
}

#[tokio::test]
async fn an_upload_resumes_where_the_connection_broke() {
    let (blob, session) = (content(SIZE), Session::default());
    let (serving, cuts) = (session.clone(), Mutex::new(vec![500_000, 1_000_000]));
    let fake = Fake::cutting(
        move |asked| if asked.method == "PATCH" { cuts.lock().unwrap().pop() } else { None },
        move |asked| serving.answer(asked),
    )
    .await;
    let seen: Arc<Mutex<Vec<(TransferPhase, u64)>>> = Arc::default();
    let log = seen.clone();
    let progress: ProgressCallback = Arc::new(move |phase, bytes| log.lock().unwrap().push((phase, bytes)));
    let pushed = push(&fake, &blob, PushOptions { progress: Some(progress), ..Default::default() }).await;
    assert_eq!(pushed.unwrap(), PushOutcome::Uploaded);
    assert_eq!(session.bytes(), blob);
    let ranges: Vec<String> =
        fake.asked().iter().filter(|a| a.method == "PATCH").map(|a| a.header("content-range").to_owned()).collect();
    assert_eq!(ranges, ["", "1000000-3145727", "1500000-3145727"]);
    let last = fake.asked().pop().unwrap();
    let hex = digest(&blob).hex().to_owned();
    assert_eq!(last.target, format!("/v2/a/blobs/uploads/7?_state=a%2Fb&digest=sha256%3A{hex}"));
    let resumed = seen.lock().unwrap().iter().filter(|(phase, _)| *phase == TransferPhase::Resuming).count();
    assert_eq!(resumed, 2);
}

#[tokio::test]
async fn an_upload_whose_session_is_lost_starts_over() {
    let (blob, session) = (content(SIZE), Session::default());
    let (serving, first) = (session.clone(), Mutex::new(Some(1000)));
    let fake = Fake::cutting(
        move |asked| if asked.method == "PATCH" { first.lock().unwrap().take() } else { None },
        move |asked| match asked.method.as_str() {
            "GET" => {
                serving.0.lock().unwrap().clear();
                Answer::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#)
            }
            _ => serving.answer(asked),
        },
    )
    .await;
    push(&fake, &blob, PushOptions::default()).await.unwrap();
    assert_eq!(session.bytes(), blob);
    assert_eq!(fake.asked().iter().filter(|asked| asked.method == "POST").count(), 2);
}

#[tokio::test]
async fn a_closing_request_whose_response_is_lost_may_have_succeeded() {
    let (blob, session) = (content(SIZE), Session::default());
    let is_there = Arc::new(Mutex::new(false));
    let published = is_there.clone();
    let fake = Fake::cutting(
        |asked| (asked.method == "PUT").then_some(0),
        move |asked| match asked.method.as_str() {
            "HEAD" if *is_there.lock().unwrap() => Answer::new(200).header("content-length", SIZE),
            "PUT" => {
                *published.lock().unwrap() = true;
                Answer::new(201)
            }
            _ => session.answer(asked),
        },
    )
    .await;
    assert_eq!(push(&fake, &blob, PushOptions::default()).await.unwrap(), PushOutcome::Uploaded);
    assert_eq!(fake.asked().iter().filter(|asked| asked.method == "PUT").count(), 1);
}

#[tokio::test]
async fn a_registry_that_accepts_only_chunks_gets_chunks() {
    let (blob, session) = (content(SIZE), Session::default());
    let serving = session.clone();
    let fake = Fake::start(move |asked| match (asked.method.as_str(), asked.header("content-range")) {
        ("PATCH", "") => Answer::new(405),
        ("PUT", _) if !asked.body.is_empty() => Answer::new(405),
        _ => serving.answer(asked),
    })
    .await;
    push(&fake, &blob, PushOptions::default()).await.unwrap();
    assert_eq!(session.bytes(), blob);
    session.0.lock().unwrap().clear();
    let small = content(10);
    push(&fake, &small, PushOptions::default()).await.unwrap();
    assert_eq!(session.bytes(), small);
}

#[tokio::test]
async fn chunks_have_the_minimum_size_of_the_registry() {
    let (blob, session) = (content(SIZE), Session::default());
    let serving = session.clone();
    let fake = Fake::start(move |asked| {
        let answer = serving.answer(asked);
        if asked.method == "POST" { answer.header("oci-chunk-min-length", 1 << 20) } else { answer }
    })
    .await;
    push(&fake, &blob, PushOptions { chunk: Some(1000), ..Default::default() }).await.unwrap();
    let lengths: Vec<usize> =
        fake.asked().iter().filter(|asked| asked.method == "PATCH").map(|asked| asked.body.len()).collect();
    assert_eq!((lengths, session.bytes()), (vec![1 << 20; 3], blob.to_vec()));
}

#[tokio::test]
async fn bytes_that_the_registry_lost_are_sent_again() {
    let (blob, session) = (content(SIZE), Session::default());
    let (serving, first) = (session.clone(), Mutex::new(true));
    let fake = Fake::start(move |asked| {
        if asked.method == "PATCH" && std::mem::take(&mut *first.lock().unwrap()) {
            // It keeps a part, and reports so.
            serving.0.lock().unwrap().extend_from_slice(&asked.body[..1 << 20]);
            return Answer::new(202).header("range", format!("0-{}", (1 << 20) - 1));
        }
        serving.answer(asked)
    })
    .await;
    push(&fake, &blob, PushOptions::default()).await.unwrap();
    assert_eq!(session.bytes(), blob);
}

#[tokio::test]
async fn a_session_of_one_byte_that_looks_empty_is_detected_by_the_refusal() {
    let (blob, session) = (content(2), Session::default());
    let (serving, first) = (session.clone(), Mutex::new(Some(1)));
    let fake = Fake::cutting(
        move |asked| if asked.method == "PATCH" { first.lock().unwrap().take() } else { None },
        move |asked| serving.answer(asked),
    )
    .await;
    push(&fake, &blob, PushOptions { chunk: Some(1), ..Default::default() }).await.unwrap();
    assert_eq!(session.bytes(), blob);
}

#[tokio::test]
async fn a_location_on_another_host_gets_no_credentials_and_no_plain_http() {
    let (blob, session) = (content(100), Session::default());
    let serving = session.clone();
    let elsewhere = Fake::start(move |asked| serving.answer(asked)).await;
    let location = format!("http://{}/put/7?sig=x", elsewhere.address);
    let fake = Fake::start(move |asked| match (asked.method.as_str(), asked.header("authorization")) {
        (_, "") => Answer::new(401).header("www-authenticate", "Basic realm=\"r\""),
        ("HEAD", _) => Answer::new(404),
        _ => Answer::new(202).header("location", &location),
    })
    .await;
    let alice = fake.builder().credentials(crate::daemon::password("alice", "alice!")).build();
    alice.push_blob(&repository("a"), &digest(&blob), 100, &blob, &PushOptions::default()).await.unwrap();
    assert_eq!(session.bytes(), blob);
    assert!(elsewhere.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));

    let fake = Fake::start(|asked| match asked.method.as_str() {
        "HEAD" => Answer::new(404),
        _ => Answer::new(202).header("location", "http://evil.example/upload"),
    })
    .await;
    let error = push(&fake, &blob, PushOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn full_disks_and_exceeded_quotas_are_not_retried() {
    for (status, body, kind) in [
        (507, "", ErrorKind::Status),
        (413, "", ErrorKind::TooLarge),
        (403, r#"{"errors":[{"code":"DENIED","message":"quota exceeded"}]}"#, ErrorKind::Denied),
    ] {
        let session = Session::default();
        let fake = Fake::start(move |asked| match asked.method.as_str() {
            "PATCH" => Answer::new(status).body(body),
            _ => session.answer(asked),
        })
        .await;
        let error = push(&fake, &content(SIZE), PushOptions::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_temporary()), (kind, false), "{error}");
        let methods: Vec<String> = fake.asked().into_iter().map(|asked| asked.method).collect();
        assert_eq!(methods, ["HEAD", "POST", "PATCH", "DELETE"], "the session is cancelled");
    }
}

#[tokio::test]
async fn a_mount_that_is_refused_becomes_an_upload() {
    for status in [401, 403, 404, 405] {
        let (blob, session) = (content(10), Session::default());
        let serving = session.clone();
        let fake = Fake::start(move |asked| match asked.target.contains("mount=") {
            true => Answer::new(status),
            false => serving.answer(asked),
        })
        .await;
        let options = PushOptions { mount_from: Some(repository("b")), ..Default::default() };
        assert_eq!(push(&fake, &blob, options).await.unwrap(), PushOutcome::Uploaded);
        assert_eq!(session.bytes(), blob);
        let hex = digest(&blob).hex().to_owned();
        assert_eq!(fake.lines()[1], format!("POST /v2/a/blobs/uploads/?mount=sha256%3A{hex}&from=b"));
    }
}

#[tokio::test]
async fn several_tags_are_set_in_one_request_or_one_by_one() {
    let manifest = image(b"layer");
    let tags = [tag("a"), tag("b"), tag("c")];
    for (said, tagged) in [("a, b,c", vec![]), ("a,B", vec!["b", "c"]), ("", vec!["a", "b", "c"])] {
        let fake = Fake::start(move |_| Answer::new(201).header("oci-tag", said)).await;
        fake.client().push_manifest(&repository("a"), OCI_MANIFEST, manifest.clone(), &tags).await.unwrap();
        let mut lines = vec![format!("PUT /v2/a/manifests/{}?tag=a&tag=b&tag=c", digest(&manifest))];
        lines.extend(tagged.iter().map(|tag| format!("PUT /v2/a/manifests/{tag}")));
        assert_eq!(fake.lines(), lines);
        assert_eq!(fake.asked()[0].header("content-type"), OCI_MANIFEST);
    }
    let fake = Fake::start(|_| Answer::new(201)).await;
    fake.client().push_manifest(&repository("a"), OCI_MANIFEST, manifest.clone(), &tags[..1]).await.unwrap();
    fake.client().push_manifest(&repository("a"), OCI_MANIFEST, manifest.clone(), &[]).await.unwrap();
    assert_eq!(
        fake.lines(),
        ["PUT /v2/a/manifests/a".to_owned(), format!("PUT /v2/a/manifests/{}", digest(&manifest))]
    );
}

#[tokio::test]
async fn tags_are_set_one_by_one_if_the_registry_ignores_them_in_the_query() {
    let fake = Fake::start(|asked| Answer::new(if asked.target.contains('?') { 414 } else { 201 })).await;
    let tags = [tag("a"), tag("b")];
    fake.client().push_manifest(&repository("a"), OCI_MANIFEST, image(b"layer"), &tags).await.unwrap();
    assert_eq!(fake.lines()[1..], ["PUT /v2/a/manifests/a", "PUT /v2/a/manifests/b"]);
}

#[tokio::test]
async fn a_blob_exists_even_if_the_object_store_refuses_head() {
    let store = Fake::start(|_| Answer::new(403)).await;
    let location = format!("http://{}/blob?sig=x", store.address);
    let fake = Fake::start(move |_| Answer::new(307).header("location", &location)).await;
    assert_eq!(push(&fake, &content(10), PushOptions::default()).await.unwrap(), PushOutcome::Existed);
    let error = fake.client().head_blob(&repository("a"), &digest(b"x")).await.unwrap_err();
    assert!(error.to_string().ends_with("the answer does not say how long the blob is"), "{error}");
}

/// A registry without the referrers API; it stores manifests by tag.
async fn without_referrers(index: Arc<Mutex<Option<Value>>>, conflicts: usize) -> Fake {
    let conflicts = Mutex::new(conflicts);
    Fake::start(move |asked| {
        let mut index = index.lock().unwrap();
        match (asked.method.as_str(), asked.target.contains("/manifests/sha256-"), &*index) {
            ("GET", true, Some(index)) => {
                Answer::new(200).header("content-type", OCI_INDEX).header("etag", "\"7\"").body(index.to_string())
            }
            ("GET", ..) => Answer::new(404),
            ("PUT", true, _) => {
                let mut left = conflicts.lock().unwrap();
                if *left > 0 {
                    *left -= 1;
                    return Answer::new(412);
                }
                *index = Some(serde_json::from_slice(&asked.body).unwrap());
                Answer::new(201)
            }
            _ => Answer::new(201),
        }
    })
    .await
}

#[tokio::test]
async fn without_the_referrers_api_the_fallback_tag_is_updated() {
    let subject = digest(b"subject");
    let artifact = |kind: &str| {
        let subject = json!({ "mediaType": OCI_MANIFEST, "digest": subject, "size": 7 });
        image_with(b"x", json!({ "subject": subject, "artifactType": kind, "annotations": { "kind": kind } }))
    };
    let (app, index) = (repository("a"), Arc::new(Mutex::new(None)));
    let fake = without_referrers(index.clone(), 1).await;
    let client = fake.client();
    assert_eq!(client.referrers(&app, &subject, None).await.unwrap(), []);
    for kind in ["application/sbom", "application/sig", "application/sig"] {
        client.push_manifest(&app, OCI_MANIFEST, artifact(kind), &[]).await.unwrap();
    }
    let kept = index.lock().unwrap().clone().unwrap();
    assert_eq!((&kept["schemaVersion"], &kept["mediaType"]), (&json!(2), &json!(OCI_INDEX)));
    let sbom = artifact("application/sbom");
    let first = json!({
        "mediaType": OCI_MANIFEST, "digest": digest(&sbom), "size": sbom.len(),
        "artifactType": "application/sbom", "annotations": { "kind": "application/sbom" },
    });
    assert_eq!((kept["manifests"].as_array().unwrap().len(), &kept["manifests"][0]), (2, &first));

    assert_eq!(client.referrers(&app, &subject, None).await.unwrap().len(), 2);
    let found = client.referrers(&app, &subject, Some("application/sig")).await.unwrap();
    assert_eq!(
        found.iter().map(|found| found.digest.clone()).collect::<Vec<_>>(),
        [digest(&artifact("application/sig"))]
    );

    // The list is created only if it does not exist, and changed only if it has not changed since it was read.
    let puts: Vec<Asked> =
        fake.asked().into_iter().filter(|asked| asked.target.contains("/manifests/sha256-")).collect();
    let conditions: Vec<(String, String)> = puts
        .iter()
        .filter(|asked| asked.method == "PUT")
        .map(|asked| (asked.header("if-none-match").to_owned(), asked.header("if-match").to_owned()))
        .collect();
    let pair = |none: &str, is: &str| (none.to_owned(), is.to_owned());
    assert_eq!(conditions, [pair("*", ""), pair("*", ""), pair("", "\"7\"")]);

    // A deleted referrer is removed from the list, and nothing else changes.
    index.lock().unwrap().as_mut().unwrap()["annotations"] = json!({ "kept": "yes" });
    let deleting = index.clone();
    let served = sbom.clone();
    let deleter =
        Fake::start(move |asked| match (asked.method.as_str(), asked.target.contains("/manifests/sha256-")) {
            ("GET", true) => Answer::new(200)
                .header("content-type", OCI_INDEX)
                .body(deleting.lock().unwrap().clone().unwrap().to_string()),
            ("GET", false) if asked.target.contains("/referrers/") => Answer::new(404),
            ("GET", false) => Answer::new(200).header("content-type", OCI_MANIFEST).body(&served),
            ("PUT", _) => {
                *deleting.lock().unwrap() = Some(serde_json::from_slice(&asked.body).unwrap());
                Answer::new(201)
            }
            _ => Answer::new(202),
        })
        .await;
    deleter.client().delete_manifest(&app, &digest(&sbom)).await.unwrap();
    let kept = index.lock().unwrap().clone().unwrap();
    assert_eq!(kept["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&kept["manifests"][0]["artifactType"], &kept["annotations"]["kept"]),
        (&json!("application/sig"), &json!("yes"))
    );

    let fake = without_referrers(Arc::default(), usize::MAX).await;
    let error = fake.client().push_manifest(&app, OCI_MANIFEST, artifact("application/sig"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

/// Distribution 2: it takes a tag that is to be deleted for a digest. Whether the digest can be deleted is up to the test.
fn distribution(deletes: bool) -> impl Fn(&Asked) -> Answer {
    let tagged = Arc::new(Mutex::new(br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()));
    move |asked| {
        let mut tagged = tagged.lock().unwrap();
        match (asked.method.as_str(), asked.target.as_str()) {
            ("GET", "/v2/a/manifests/v1") => Answer::new(200).header("content-type", OCI_INDEX).body(&*tagged),
            ("PUT", "/v2/a/manifests/v1") => {
                *tagged = asked.body.clone();
                Answer::new(201)
            }
            ("DELETE", "/v2/a/manifests/v1") => Answer::new(400)
                .body(r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#),
            ("DELETE", _) if deletes => Answer::new(202),
            ("DELETE", _) => Answer::new(405),
            _ => Answer::new(200).header("content-length", "2"),
        }
    }
}

#[tokio::test]
async fn a_tag_is_deleted_where_only_digests_can_be() {
    let fake = Fake::start(distribution(true)).await;
    fake.client().delete_tag(&repository("a"), &tag("v1")).await.unwrap();
    let asked = fake.asked();
    let put = asked.iter().find(|asked| asked.method == "PUT").unwrap();
    let digest = oci::Hasher::digest(oci::Algorithm::Sha256, &put.body);
    assert_eq!(asked.last().unwrap().line(), format!("DELETE /v2/a/manifests/{digest}"));
    let placeholder: Value = serde_json::from_slice(&put.body).unwrap();
    assert_eq!(placeholder["annotations"]["tag"], "a:v1");
}

#[tokio::test]
async fn a_tag_that_cannot_be_deleted_gets_its_manifest_back() {
    let fake = Fake::start(distribution(false)).await;
    let error = fake.client().delete_tag(&repository("a"), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let puts: Vec<_> = fake.asked().into_iter().filter(|asked| asked.method == "PUT").collect();
    assert_eq!(puts.last().unwrap().body, br#"{"schemaVersion":2,"manifests":[]}"#);
    // Where tags can be deleted, or nothing can, nothing is replaced.
    for status in [202, 403, 404, 405] {
        let fake = Fake::start(move |_| Answer::new(status)).await;
        assert_eq!(fake.client().delete_tag(&repository("a"), &tag("v1")).await.is_ok(), status == 202);
        assert_eq!(fake.lines(), ["DELETE /v2/a/manifests/v1"]);
    }
}
