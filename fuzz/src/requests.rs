//! A client's whole session against the service, without a socket: any request, any headers.

use super::{path, text, wait};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
};
use tower::ServiceExt;
use wharfinger::{
    access::Rights,
    config::{Limits, Live},
    oci::{Algorithm, Digest, Hasher, Reference, UploadId, media_type},
    registry::{Registry, Settings},
    service::{App, Face, Login, RequestBody, State, Telemetry, app, conn::Conn, endpoint::Endpoint},
    storage::Mem,
};

/// Requests, with `---` on a line between two: a line with method and target, lines with headers,
/// an empty line, the body. Words in braces stand for what a client would know: `{upload}` the
/// id of the session begun last, `{body}` the digest of this body, `{all}` that of all bytes sent
/// to that session and this body; `{blob}`, `{config}` and `{manifest}` what is there already.
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
    /// What was sent to a session, as far as that is known.
    sessions: HashMap<UploadId, Vec<u8>>,
    /// The session begun last.
    upload: Option<UploadId>,
    manifest: Digest,
}

fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

impl Client {
    /// A client of a registry with a small image in `a`, as tag `v1`.
    async fn new() -> Self {
        let registry = Registry::new(Arc::new(Mem::default()), Arc::new(Settings::default()));
        let state = State {
            registry,
            limits: Limits::default(),
            // Everybody is believed, so that what they say is read.
            trusted_proxies: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            face: Face::Everything,
            draining: Arc::new(AtomicBool::new(false)),
            live: Arc::new(ArcSwap::from_pointee(Live { rights: Rights::Open.into(), ..Live::default() })),
            login: Login::None,
            telemetry: Arc::new(Telemetry::default()),
        };
        let descriptor = |bytes: &[u8]| serde_json::json!({"mediaType": "application/octet-stream", "digest": sha256(bytes), "size": bytes.len()});
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor(CONFIG),
            "layers": [descriptor(BLOB)],
        });
        let manifest = manifest.to_string();
        let mut client = Self {
            app: app(Arc::new(state)),
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

    /// Sends one request and holds the answer against what must be true of any.
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
        let conn = Conn { peer: ([127, 0, 0, 1], 1).into(), tls: false, ambiguous: false, slot: None };
        request.extensions_mut().insert(conn);
        let uri = request.uri().clone();
        let endpoint = Endpoint::parse(&method, uri.path(), uri.query().unwrap_or_default());
        let asked = request.headers().clone();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, answer) = response.into_parts();
        let answer = answer.collect().await.expect("an answer is whole").to_bytes();
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

    /// Keeps account of the sessions.
    fn follow(&mut self, endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, asked: &HeaderMap, body: &[u8]) {
        let stands = |sent: &[u8]| {
            let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
            assert_eq!(range, Some(format!("0-{}", sent.len().saturating_sub(1)).as_str()));
        };
        let brings_nothing = asked.get(header::CONTENT_LENGTH).is_some_and(|len| len == "0");
        let comes_back = !asked.contains_key(header::CONTENT_RANGE) && !brings_nothing;
        // All that was taken was told, so nothing of it is cut off by whoever comes back to an earlier place.
        let keeps = |offset: Option<u64>, sent: &[u8]| {
            if let Some(offset) = offset.filter(|_| comes_back) {
                assert_eq!(offset, sent.len() as u64, "a request goes on where it says");
            }
        };
        match endpoint {
            Endpoint::UploadBegin(..) | Endpoint::BlobMount { .. } if status == StatusCode::ACCEPTED => {
                let id: UploadId = headers["docker-upload-uuid"].to_str().unwrap().parse().unwrap();
                self.upload = Some(id);
                self.sessions.insert(id, Vec::new());
            }
            Endpoint::UploadStatus(_, place) if status == StatusCode::NO_CONTENT => {
                self.sessions.get(&place.id).into_iter().for_each(|sent| stands(sent));
            }
            Endpoint::UploadAppend(_, place) => match status {
                StatusCode::ACCEPTED => {
                    if let Some(sent) = self.sessions.get_mut(&place.id) {
                        keeps(place.offset, sent);
                        if let Some(range) = asked.get(header::CONTENT_RANGE) {
                            let expected = format!("{}-{}", sent.len(), sent.len() + body.len() - 1);
                            let digits = |text: &str| {
                                text.split('-').map(|n| n.trim_start_matches('0').to_owned()).collect::<Vec<_>>()
                            };
                            assert_eq!(digits(range.to_str().unwrap()), digits(&expected), "a chunk is where it says");
                        }
                        sent.extend_from_slice(body);
                        stands(sent);
                    }
                }
                StatusCode::RANGE_NOT_SATISFIABLE => {}
                // How much of the body was taken before it was refused is not known here.
                _ => drop(self.sessions.remove(&place.id)),
            },
            Endpoint::UploadFinish(_, place, digest) => {
                let sent = match status {
                    StatusCode::RANGE_NOT_SATISFIABLE => None,
                    _ => self.sessions.remove(&place.id),
                };
                if let (StatusCode::CREATED, Some(mut sent)) = (status, sent) {
                    keeps(place.offset, &sent);
                    sent.extend_from_slice(body);
                    assert_eq!(Hasher::digest(digest.algorithm(), &sent), *digest, "what is named was sent");
                }
            }
            Endpoint::UploadCancel(_, place) if status.is_success() => drop(self.sessions.remove(&place.id)),
            Endpoint::BlobPush(_, digest) if status == StatusCode::CREATED => {
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
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

/// What holds of every answer.
fn is_proper(method: &Method, status: StatusCode, headers: &HeaderMap, answer: &[u8]) {
    assert!(!status.is_server_error(), "{status}: {}", String::from_utf8_lossy(answer));
    if *method == Method::HEAD {
        assert!(answer.is_empty());
    } else if status.is_client_error() {
        let json: serde_json::Value =
            serde_json::from_slice(answer).expect("an error is told as the specification says");
        let errors = json["errors"].as_array().unwrap();
        let told = |error: &serde_json::Value| error["code"].is_string() && error["message"].is_string();
        assert!(!errors.is_empty() && errors.iter().all(told));
    }
    if let Some(len) = headers.get(header::CONTENT_LENGTH).filter(|_| *method != Method::HEAD) {
        assert_eq!(len.to_str().unwrap(), answer.len().to_string());
    }
    if let Some(location) = headers.get(header::LOCATION) {
        let location = location.to_str().unwrap();
        assert!(location.starts_with("/v2/") && !location.contains("..") && !location.contains("//"), "{location}");
    }
}

/// Bytes under a digest are the bytes with that digest, and parts are parts of them.
fn serves_what_was_asked(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap, answer: &[u8]) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    match (endpoint, status) {
        (Endpoint::BlobRead(_, digest), StatusCode::OK) => {
            assert_eq!(Hasher::digest(digest.algorithm(), answer), *digest);
        }
        (Endpoint::BlobRead(_, digest), StatusCode::PARTIAL_CONTENT) if *digest == sha256(BLOB) => {
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
        (Endpoint::ManifestRead(_, reference), StatusCode::OK) => {
            let digest: Digest = text("docker-content-digest").unwrap().parse().unwrap();
            assert_eq!(Hasher::digest(digest.algorithm(), answer), digest);
            if let Reference::Digest(asked) = reference {
                assert_eq!(*asked, digest);
            }
        }
        (Endpoint::Tags(..) | Endpoint::Catalog(_) | Endpoint::Referrers { .. }, StatusCode::OK) => {
            serde_json::from_slice::<serde_json::Value>(answer).unwrap();
            if let Some(link) = text("link") {
                assert!(link.starts_with("</v2/") && link.ends_with(">; rel=\"next\""), "{link}");
            }
        }
        _ => {}
    }
}
