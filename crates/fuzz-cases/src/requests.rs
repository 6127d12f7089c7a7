//! Whole sessions of a client with the service, without a socket, with any requests and headers.

use super::{path, text, wait};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use oci::{Algorithm, Digest, Hasher, Reference, UploadId, media_type};
use std::{collections::HashMap, sync::Arc};
use tower::ServiceExt;
use wharfinger::{
    access::Rights,
    config::Live,
    daemon::Daemon,
    server::Trigger,
    service::{App, DistributionEndpoint as Distribution, Face, Telemetry, endpoint::Endpoint},
    storage::Mem,
    wire::{ClientMemory, RequestBody, conn::Conn, outbox::Outbox},
};

/// Requests, separated by lines with `---`: a line with method and target, lines with headers, an empty line, the body.
/// Words in braces are replaced by what a client would know: `{upload}` is the id of the last session, `{body}` the
/// digest of this body, `{all}` the digest of all bytes sent to that session and this body; `{blob}`, `{config}` and
/// `{manifest}` are the digests of existing content.
pub fn requests(data: &[u8]) {
    let Some(text) = text(data) else { return };
    wait(async {
        let mut client = Client::new().await;
        for request in text.split("\n---\n").take(12) {
            client.say(request).await;
        }
    });
}

const BLOB: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const CONFIG: &[u8] = b"{}";

struct Client {
    app: App,
    /// The bytes sent to each session, if known.
    sessions: HashMap<UploadId, Vec<u8>>,
    /// The last session that was opened.
    upload: Option<UploadId>,
    manifest: Digest,
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

impl Client {
    /// A client of a registry with a small image in `a`, as tag `v1`.
    async fn new() -> Self {
        let live = Arc::new(ArcSwap::from_pointee(Live { rights: Rights::Open.into(), ..Live::default() }));
        // Every client is a trusted proxy, so that forwarding headers are parsed.
        let proxies = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        let daemon = Daemon::new(Arc::new(Mem::default()), live, proxies, Telemetry::default(), Trigger::new().1);
        let descriptor = |bytes: &[u8]| serde_json::json!({"mediaType": "application/octet-stream", "digest": sha256(bytes), "size": bytes.len()});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor(CONFIG),
            "layers": [descriptor(BLOB)],
        });
        let manifest = manifest.to_string();
        let mut client = Self {
            app: daemon.app(Face::Everything),
            sessions: HashMap::new(),
            upload: None,
            manifest: sha256(manifest.as_bytes()),
        };
        for blob in [BLOB, CONFIG] {
            let push = format!("POST /v2/a/blobs/uploads/?digest={{body}}\n\n{}", std::str::from_utf8(blob).unwrap());
            assert_eq!(client.say(&push).await, Some(StatusCode::CREATED));
        }
        let push = format!("PUT /v2/a/manifests/v1\n\n{manifest}");
        assert_eq!(client.say(&push).await, Some(StatusCode::CREATED));
        client
    }

    fn filled_in(&self, text: &str, body: &[u8]) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        let all = || {
            let sent = self.upload.and_then(|id| self.sessions.get(&id)).cloned().unwrap_or_default();
            sha256(&[&sent, body].concat()).to_string()
        };
        let words: [(&str, &dyn Fn() -> String); 6] = [
            ("{upload}", &|| self.upload.map_or_else(String::new, |id| id.to_string())),
            ("{body}", &|| sha256(body).to_string()),
            ("{all}", &all),
            ("{blob}", &|| sha256(BLOB).to_string()),
            ("{config}", &|| sha256(CONFIG).to_string()),
            ("{manifest}", &|| self.manifest.to_string()),
        ];
        let mut text = text.to_owned();
        for (word, value) in words {
            if text.contains(word) {
                text = text.replace(word, &value());
            }
        }
        text
    }

    /// Sends one request and checks the properties that every response must have.
    async fn say(&mut self, request: &str) -> Option<StatusCode> {
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let body = self.filled_in(body, b"").into_bytes();
        let head = self.filled_in(head, &body);
        let mut lines = head.split('\n');
        let (method, target) = lines.next()?.split_once(' ')?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let mut request = Request::builder().method(method.clone()).uri(target).body(chunks(&body)).ok()?;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.trim().as_bytes()))
            {
                request.headers_mut().append(name, value);
            }
        }
        let (peer, outbox) = (([127, 0, 0, 1], 1).into(), Outbox::new(ClientMemory::new(1 << 30).share(true)));
        let conn = Conn { peer, tls: false, ambiguous: false, is_beyond_limit: false, outbox, slot: None };
        request.extensions_mut().insert(conn);
        let uri = request.uri().clone();
        let endpoint = Endpoint::parse(&method, uri.path(), uri.query().unwrap_or_default());
        let asked = request.headers().clone();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, answer) = response.into_parts();
        let answer = answer.collect().await.expect("the response is complete").to_bytes();
        is_proper(&method, parts.status, &parts.headers, &answer);
        if let Ok(endpoint) = endpoint {
            path::is_sound(&method, uri.path(), &endpoint);
            if method != Method::HEAD {
                serves_what_was_asked(&endpoint, parts.status, &parts.headers, &answer);
            }
            self.follow(&endpoint, parts.status, &parts.headers, &asked, &body);
        } else {
            assert!(parts.status.is_client_error());
        }
        Some(parts.status)
    }

    /// Tracks the sessions.
    fn follow(&mut self, endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, asked: &HeaderMap, body: &[u8]) {
        let stands = |sent: &[u8]| {
            let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
            assert_eq!(range, Some(format!("0-{}", sent.len().saturating_sub(1)).as_str()));
        };
        let brings_nothing = asked.get(header::CONTENT_LENGTH).is_some_and(|len| len == "0");
        let comes_back = !asked.contains_key(header::CONTENT_RANGE) && !brings_nothing;
        // All accepted bytes were reported, so a request at an earlier offset truncates none of them.
        let keeps = |offset: Option<u64>, sent: &[u8]| {
            if let Some(offset) = offset.filter(|_| comes_back) {
                assert_eq!(offset, sent.len() as u64, "a request continues at its offset");
            }
        };
        let Endpoint::Distribution(endpoint) = endpoint else { return };
        match endpoint {
            Distribution::UploadBegin(..) | Distribution::BlobMount { .. } if status == StatusCode::ACCEPTED => {
                let id: UploadId = headers["docker-upload-uuid"].to_str().unwrap().parse().unwrap();
                self.upload = Some(id);
                self.sessions.insert(id, Vec::new());
            }
            Distribution::UploadStatus(_, place) if status == StatusCode::NO_CONTENT => {
                self.sessions.get(&place.id).into_iter().for_each(|sent| stands(sent));
            }
            Distribution::UploadAppend(_, place) => match status {
                StatusCode::ACCEPTED => {
                    if let Some(sent) = self.sessions.get_mut(&place.id) {
                        keeps(place.offset, sent);
                        if let Some(range) = asked.get(header::CONTENT_RANGE) {
                            let expected = format!("{}-{}", sent.len(), sent.len() + body.len() - 1);
                            let digits = |text: &str| {
                                text.split('-').map(|n| n.trim_start_matches('0').to_owned()).collect::<Vec<_>>()
                            };
                            assert_eq!(digits(range.to_str().unwrap()), digits(&expected), "a chunk is at its range");
                        }
                        sent.extend_from_slice(body);
                        stands(sent);
                    }
                }
                StatusCode::RANGE_NOT_SATISFIABLE => {}
                // It is unknown how much of the body was read before the refusal.
                _ => drop(self.sessions.remove(&place.id)),
            },
            Distribution::UploadFinish(_, place, digest) => {
                let sent = match status {
                    StatusCode::RANGE_NOT_SATISFIABLE => None,
                    _ => self.sessions.remove(&place.id),
                };
                if let (StatusCode::CREATED, Some(mut sent)) = (status, sent) {
                    keeps(place.offset, &sent);
                    sent.extend_from_slice(body);
                    assert_eq!(
                        Hasher::digest(digest.algorithm(), &sent),
                        *digest,
                        "the digest is that of the bytes sent"
                    );
                }
            }
            Distribution::UploadCancel(_, place) if status.is_success() => drop(self.sessions.remove(&place.id)),
            Distribution::BlobPush(_, digest) if status == StatusCode::CREATED => {
                assert_eq!(Hasher::digest(digest.algorithm(), body), *digest);
            }
            _ => {}
        }
    }
}

/// A body that arrives in two parts.
fn chunks(body: &[u8]) -> RequestBody {
    let (first, second) = body.split_at(body.len() / 2);
    let frames = [first, second].map(|part| Ok(http_body::Frame::data(Bytes::copy_from_slice(part))));
    RequestBody::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// Checks the properties that every response must have.
fn is_proper(method: &Method, status: StatusCode, headers: &HeaderMap, answer: &[u8]) {
    assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(answer));
    if *method == Method::HEAD {
        assert!(answer.is_empty());
    } else if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/html; charset=utf-8") {
        assert!(answer.starts_with(b"<!doctype html>"), "a whole page");
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY), "no page without a policy for its scripts");
    } else if status.is_client_error() {
        let json: serde_json::Value =
            serde_json::from_slice(answer).expect("errors have the format of the specification");
        let errors = json["errors"].as_array().unwrap();
        let reply = |error: &serde_json::Value| error["code"].is_string() && error["message"].is_string();
        assert!(!errors.is_empty() && errors.iter().all(reply));
    }
    if let Some(len) = headers.get(header::CONTENT_LENGTH).filter(|_| *method != Method::HEAD) {
        assert_eq!(len.to_str().unwrap(), answer.len().to_string());
    }
    if let Some(location) = headers.get(header::LOCATION) {
        let location = location.to_str().unwrap();
        assert!(location.starts_with('/') && !location.contains("..") && !location.contains("//"), "{location}");
    }
}

/// Content served under a digest has that digest, and ranges are parts of it.
fn serves_what_was_asked(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, answer: &[u8]) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let Endpoint::Distribution(endpoint) = endpoint else { return };
    match (endpoint, status) {
        (Distribution::BlobRead(_, digest), StatusCode::OK) => {
            assert_eq!(Hasher::digest(digest.algorithm(), answer), *digest);
        }
        (Distribution::BlobRead(_, digest), StatusCode::PARTIAL_CONTENT) if *digest == sha256(BLOB) => {
            if let Some(range) = text("content-range") {
                let (range, len) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
                let (first, last) = range.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                assert_eq!(len, BLOB.len().to_string());
                assert_eq!(answer, &BLOB[first..=last]);
            } else {
                assert!(text("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
            }
        }
        (Distribution::ManifestRead(_, reference), StatusCode::OK) => {
            let digest: Digest = text("docker-content-digest").unwrap().parse().unwrap();
            assert_eq!(Hasher::digest(digest.algorithm(), answer), digest);
            if let Reference::Digest(asked) = reference {
                assert_eq!(*asked, digest);
            }
        }
        (Distribution::Tags(..) | Distribution::Catalog(_) | Distribution::Referrers { .. }, StatusCode::OK) => {
            serde_json::from_slice::<serde_json::Value>(answer).unwrap();
            if let Some(link) = text("link") {
                assert!(link.starts_with("</v2/") && link.ends_with(">; rel=\"next\""), "{link}");
            }
        }
        _ => {}
    }
}
