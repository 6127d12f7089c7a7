//! Pulls from registries that redirect, break connections, and send wrong content.

use crate::{
    fake::{Answer, Asked, Fake},
    words::*,
};
use bytes::Bytes;
use client::{BlobDownload, ErrorKind, PulledManifest};
use oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const SIZE: usize = 300_000;

/// A response with the requested range.
fn ranged(asked: &Asked, blob: &Bytes) -> Answer {
    let from = asked.header("range").trim_start_matches("bytes=").trim_end_matches('-');
    match from.parse::<usize>() {
        Err(_) => Answer::new(200).header("etag", "\"one\"").body(blob),
        Ok(from) => Answer::new(206)
            .header("content-range", format!("bytes {from}-{}/{}", blob.len() - 1, blob.len()))
            .body(&blob[from..]),
    }
}

/// The bytes of a blob that arrived, and the error that ended the pull.
async fn received(mut blob: BlobDownload) -> (Vec<u8>, Option<client::Error>) {
    let mut all = Vec::new();
    loop {
        match blob.chunk().await {
            Ok(Some(bytes)) => all.extend_from_slice(&bytes),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

#[tokio::test]
async fn a_pull_resumes_where_the_connection_broke() {
    let blob = content(SIZE);
    let served = blob.clone();
    let fake = Fake::start(move |asked| {
        let answer = ranged(asked, &served);
        match asked.header("range") {
            "" => answer.cut(100_000),
            "bytes=100000-" => answer.cut(100_000),
            "bytes=200000-" => answer.cut(0),
            _ => panic!("{asked:?}"),
        }
    })
    .await;
    // If it breaks repeatedly at the same place, the client gives up.
    let (some, error) = received(fake.client().pull_blob(&repository("a"), &digest(&blob), None)).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Unreachable, true), "{error}");
    assert!(some.len() <= 200_000 && blob.starts_with(&some));
    let asked = fake.asked();
    // One request reached 200 000 bytes, and four more got no further.
    assert_eq!(asked.len(), 1 + 5, "{:?}", fake.lines());
    assert!(asked[1..].iter().all(|asked| asked.header("if-range") == "\"one\""));

    let served = blob.clone();
    let fake = Fake::start(move |asked| {
        let answer = ranged(asked, &served);
        if asked.header("range") == "bytes=200000-" { answer } else { answer.cut(100_000) }
    })
    .await;
    let pulled = fake.client().pull_blob(&repository("a"), &digest(&blob), Some(SIZE as u64));
    assert_eq!(pulled.bytes(SIZE).await.unwrap(), blob);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_again_from_the_beginning() {
    // The range is ignored, refused, or answered with another part: the result is the same.
    let refusals: [fn(&Bytes) -> Answer; 3] = [
        |blob| Answer::new(200).body(blob),
        |_| Answer::new(416).header("content-range", "bytes */300000"),
        |blob| Answer::new(206).header("content-range", "bytes 0-299999/300000").body(blob),
    ];
    for refusal in refusals {
        let blob = content(SIZE);
        let served = blob.clone();
        let first = AtomicUsize::new(0);
        let fake = Fake::start(move |asked| match (first.fetch_add(1, Ordering::SeqCst), asked.header("range")) {
            (0, _) => Answer::new(200).body(&served).cut(150_000),
            (_, "") => Answer::new(200).body(&served),
            (_, _) => refusal(&served),
        })
        .await;
        let pulled = fake.client().pull_blob(&repository("a"), &digest(&blob), None);
        assert_eq!(pulled.bytes(SIZE).await.unwrap(), blob, "{:?}", fake.lines());
    }
}

#[tokio::test]
async fn the_last_bytes_of_a_blob_with_a_wrong_digest_are_not_returned() {
    let (blob, other) = (content(SIZE), content(SIZE - 1));
    let mut wrong = blob.to_vec();
    wrong[SIZE - 1] ^= 1;
    for (served, said) in
        [(wrong, None), ([&blob[..], b"x"].concat(), Some(SIZE as u64)), (other.to_vec(), Some(SIZE as u64))]
    {
        let fake = Fake::start(move |_| Answer::new(200).body(&served)).await;
        let (some, error) = received(fake.client().pull_blob(&repository("a"), &digest(&blob), said)).await;
        assert_eq!(error.as_ref().map(client::Error::kind), Some(ErrorKind::Digest), "{error:?}");
        assert!(some.len() < SIZE && blob.starts_with(&some));
        assert_eq!(fake.asked().len(), 1, "wrong content is not requested again");
    }
}

#[tokio::test]
async fn a_blob_that_changed_before_the_resume_is_an_error() {
    let blob = content(SIZE);
    let served = blob.clone();
    let fake = Fake::start(move |asked| match asked.header("range") {
        "" => Answer::new(200).body(&served).cut(150_000),
        _ => Answer::new(206).header("content-range", "bytes 150000-299999/300000").body(vec![0; 150_000]),
    })
    .await;
    let (_, error) = received(fake.client().pull_blob(&repository("a"), &digest(&blob), None)).await;
    assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::Digest));
}

#[tokio::test]
async fn an_object_store_gets_no_credentials() {
    let blob = content(1000);
    let served = blob.clone();
    let store = Fake::start(move |_| Answer::new(200).body(&served)).await;
    let signed = format!("http://{}/bucket/blob?X-Signature=s3cret", store.address);
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        "" => Answer::new(401).header("www-authenticate", "Basic realm=\"r\""),
        _ => Answer::new(307).header("location", &signed),
    })
    .await;
    let client = fake.builder().credentials(crate::daemon::password("alice", "alice!")).build();
    assert_eq!(client.pull_blob(&repository("a"), &digest(&blob), None).bytes(1000).await.unwrap(), blob);
    let asked = store.asked();
    assert_eq!(asked[0].target, "/bucket/blob?X-Signature=s3cret");
    assert!(!asked[0].headers.contains_key("authorization"), "{asked:?}");
}

#[tokio::test]
async fn redirects_are_limited_and_restricted() {
    let fake = Fake::start(|asked| Answer::new(302).header("location", format!("{}x", asked.target))).await;
    let error = fake.client().ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().ends_with("more than 10 redirects"), "{error}");
    assert_eq!(fake.asked().len(), 11);

    for (target, why) in [
        (
            "http://registry.example.com/v2/?token=s3cret",
            "points to http://registry.example.com/v2/, which is plain HTTP",
        ),
        ("ftp://registry.example.com/", "which is not a URL over http or https"),
        ("https://user:s3cret@evil.example/", "which is not a URL over http or https"),
    ] {
        let fake = Fake::start(move |_| Answer::new(302).header("location", target)).await;
        // Plain HTTP was not enabled; only a registry on this machine uses it by default.
        let error = fake.client().ping().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("token="), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_refused() {
    let right = image(b"layer");
    for (headers, body) in [
        (vec![], image(b"other")),
        (vec![("docker-content-digest", digest(&right).to_string())], image(b"other")),
        (vec![("docker-content-digest", digest(b"other").to_string())], right.clone()),
    ] {
        let fake = Fake::start(move |_| {
            let answer = Answer::new(200).header("content-type", OCI_MANIFEST).body(&body);
            headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
        })
        .await;
        let error = fake.client().pull_manifest(&repository("a"), &by(&digest(&right))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Digest, "{error}");
    }
}

#[tokio::test]
async fn a_manifest_is_asked_for_in_every_form_and_read_without_headers() {
    let served = image(b"layer");
    let fake = Fake::start(move |_| Answer::new(200).header("content-type", "text/plain").body(&served)).await;
    let pulled: PulledManifest = fake.client().pull_manifest(&repository("a"), &tagged("v1")).await.unwrap();
    assert_eq!((pulled.media_type.as_str(), pulled.digest), (OCI_MANIFEST, digest(&image(b"layer"))));
    let asked = &fake.asked()[0];
    assert_eq!(asked.line(), "GET /v2/a/manifests/v1");
    for wanted in [OCI_INDEX, OCI_MANIFEST, oci::media_type::DOCKER_LIST, oci::media_type::DOCKER_MANIFEST] {
        assert!(asked.header("accept").contains(wanted), "{asked:?}");
    }
}

#[tokio::test]
async fn a_manifest_larger_than_the_limit_is_not_read() {
    let fake = Fake::start(|_| Answer::new(200).header("content-type", OCI_MANIFEST).body(vec![b' '; 1001])).await;
    let client = fake.builder().most_manifest(1001).build();
    // At the limit it is read, and fails only because its digest differs.
    let error = client.pull_manifest(&repository("a"), &by(&digest(b"x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Digest, "{error}");
    let client = fake.builder().most_manifest(1000).build();
    let error = client.pull_manifest(&repository("a"), &by(&digest(b"x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::TooLarge, false), "{error}");
}

#[tokio::test]
async fn requests_to_busy_registries_are_retried_and_refusals_are_not() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let fake = Fake::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::new(429).header("retry-after", "0"),
        1 => Answer::new(503).header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
        2 => Answer::new(502),
        _ => Answer::new(200),
    })
    .await;
    fake.client().ping().await.unwrap();
    assert_eq!(fake.asked().len(), 4);

    for (status, attempts) in [(408, 5), (504, 5), (500, 1), (403, 1), (404, 1), (507, 1), (413, 1)] {
        let fake = Fake::start(move |_| Answer::new(status)).await;
        let error = fake.client().ping().await.unwrap_err();
        assert_eq!((error.status().unwrap().as_u16(), fake.asked().len()), (status, attempts), "{error}");
    }
    // If the wait would be too long, the client gives up at once.
    let fake = Fake::start(|_| Answer::new(429).header("retry-after", "3600")).await;
    let error = fake.client().ping().await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary(), fake.asked().len()), (ErrorKind::TooManyRequests, true, 1));
}

#[tokio::test]
async fn a_registry_that_stops_responding_times_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry: client::RegistryAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
    let short = std::time::Duration::from_millis(50);
    let timeouts = client::Timeouts { connect: short, stall: short, answer: short };
    let retries = client::Retries { attempts: 2, ..quick() };
    let client = client::Client::builder(registry).timeouts(timeouts).retries(retries).build();
    let error = client.ping().await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Timeout, true), "{error}");
    assert!(error.to_string().ends_with("the registry does not answer"), "{error}");
    // Nothing listens on the port.
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client::Client::builder(address.to_string().parse().unwrap()).retries(retries).build();
    let error = client.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}
