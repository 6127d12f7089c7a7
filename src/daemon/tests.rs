//! How much work requests are: that tells strangers nothing about what exists.

use super::*;
use crate::{
    access::{DECIDED, Policy, Rights},
    identity::{Identity, Users},
    registry::{Condition, NewRepository},
    server::Trigger,
    storage::{
        Mem,
        faulty::{Fault, Faulty},
    },
    wire::{RequestBody, conn::Conn, outbox::Outbox},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use oci::{Algorithm, Hasher, Reference, RepositoryName, media_type};
use tower::ServiceExt;

const PRIVATE: &str = "alice/app";
const ABSENT: &str = "alice/xyz";

/// Everything that can be asked about a repository, its digest left out: methods, path, and whether it takes a body.
const REQUESTS: &[(&str, &str)] = &[
    ("GET HEAD DELETE PUT", "/v2/NAME/manifests/v1"),
    ("GET HEAD DELETE PUT", "/v2/NAME/manifests/DIGEST"),
    ("GET HEAD DELETE", "/v2/NAME/blobs/DIGEST"),
    ("POST", "/v2/NAME/blobs/uploads/"),
    ("POST", "/v2/NAME/blobs/uploads/?digest=DIGEST"),
    ("POST", "/v2/NAME/blobs/uploads/?mount=DIGEST"),
    ("POST", "/v2/bob/app/blobs/uploads/?mount=DIGEST&from=NAME"),
    ("GET HEAD PATCH PUT DELETE", "/v2/NAME/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=DIGEST"),
    ("GET", "/v2/NAME/tags/list"),
    ("GET", "/v2/NAME/referrers/DIGEST"),
    ("GET PATCH DELETE", "/api/v1/repositories/NAME"),
    ("GET PUT", "/api/v1/repositories/NAME/-/visibility"),
    ("PUT", "/api/v1/NAME/visibility"),
    ("GET", "/api/v1/repositories/NAME/-/access"),
    ("GET", "/api/v1/repositories/NAME/-/tags"),
    ("GET PUT DELETE", "/api/v1/repositories/NAME/-/tags/v1"),
    ("DELETE", "/api/v1/repositories/NAME/tags/v1"),
    ("POST", "/api/v1/repositories/NAME/-/tags/delete"),
    ("GET", "/api/v1/repositories/NAME/-/manifests/v1"),
    ("GET", "/api/v1/repositories/NAME/-/manifests/DIGEST"),
    ("GET", "/api/v1/repositories/NAME/-/untagged"),
    ("GET", "/api/v1/repositories/NAME/-/compare?from=v1&to=v2"),
    ("GET", "/api/v1/repositories/NAME/-/retention/plan"),
    ("POST", "/api/v1/repositories/NAME/-/copy"),
    ("GET DELETE", "/api/repositories/NAME"),
    ("GET", "/api/repositories/NAME/tags"),
    ("GET", "/repositories/NAME"),
    ("GET", "/repositories/NAME/-/tags"),
    ("GET", "/repositories/NAME/-/manifests/v1"),
    ("GET", "/repositories/NAME/-/manifests/DIGEST"),
    ("GET", "/repositories/NAME/-/settings"),
    ("GET", "/repositories/NAME/-/access"),
    ("GET", "/repositories/NAME/-/compare?from=v1&to=v2"),
];

/// Bodies that name a repository.
const BODIES: &[(&str, &str)] = &[
    ("/api/v1/repositories", r#"{"name": "NAME"}"#),
    ("/api/v1/repositories/visibility", r#"{"name": "NAME", "private": false}"#),
    ("/api/v1/repositories/bob/app/-/copy", r#"{"from": "NAME", "tags": ["v1"]}"#),
];

struct Registered {
    store: Arc<Faulty>,
    app: App,
    digest: String,
}

/// What a request cost, and how it was answered.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    status: StatusCode,
    calls: usize,
    decisions: u64,
}

impl Registered {
    /// Alice owns a private repository with an image; bob may do what he likes below his own name.
    async fn new() -> Self {
        let store = Faulty::new(Arc::new(Mem::default()), usize::MAX, Fault::Before);
        let rules = r#"{"defaultPolicy": "deny", "rules": [
            {"repository": "${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"]}
        ]}"#;
        let policy = Policy::parse(rules).unwrap().0;
        let users = ["alice", "bob"].map(|name| format!("{name}:{}\n", bcrypt::hash(name, 4).unwrap())).concat();
        let users = Arc::new(Users::parse(&users).unwrap());
        let live = Live {
            rights: Arc::new(Rights::Rules { policy, authenticated: true }),
            identity: Identity::Password { realm: "test".to_owned(), users, sessions: None },
            ..Live::default()
        };
        let live = Arc::new(ArcSwap::from_pointee(live));
        let daemon = Daemon::new(store.clone(), live, Vec::new(), Telemetry::default(), Trigger::new().1);
        let digest = fill(daemon.registry()).await;
        Self { app: daemon.app(Face::Everything), digest, store }
    }

    /// Asks by bob, or by nobody.
    async fn cost(&self, is_bob: bool, method: &str, target: String, body: String) -> Cost {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(&target);
        if is_bob {
            request = request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode("bob:bob")));
        }
        if target.starts_with("/v2/") && method == "PUT" {
            request = request.header(header::CONTENT_TYPE, media_type::OCI_MANIFEST);
        } else if !target.starts_with("/v2/") {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
        let mut request = request.body(RequestBody::new(body)).unwrap();
        let outbox = Outbox::new(ClientMemory::new(1 << 30).share(true));
        let peer = ([192, 0, 2, 1], 1).into();
        let conn = Conn { peer, tls: true, ambiguous: false, is_beyond_limit: false, outbox, slot: None };
        request.extensions_mut().insert(conn);
        let (calls, decisions) = (self.store.calls(), DECIDED.get());
        let response = self.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        response.into_body().collect().await.unwrap();
        Cost { status, calls: self.store.calls() - calls, decisions: DECIDED.get() - decisions }
    }
}

/// Fills the private repository; returns a digest in it.
async fn fill(registry: &Registry) -> String {
    let repository = registry.repository(&PRIVATE.parse::<RepositoryName>().unwrap());
    repository.create(NewRepository { owner: "alice".parse().ok(), ..NewRepository::default() }).await.unwrap();
    let config = Bytes::from_static(b"{}");
    let digest = Hasher::digest(Algorithm::Sha256, &config);
    let bytes = futures_util::stream::iter([Ok(config)]);
    repository.push_blob(&digest, Default::default(), bytes).await.unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "application/json", "digest": digest, "size": 2},
    });
    let (media, bytes) = (Some(media_type::OCI_MANIFEST), Bytes::from(manifest.to_string()));
    let pushed = Hasher::digest(Algorithm::Sha256, &bytes);
    let tag = Reference::Tag("v1".parse().unwrap());
    repository.put_manifest(&tag, &[], media, bytes, Condition::None).await.unwrap();
    pushed.to_string()
}

#[tokio::test]
async fn a_repository_that_the_caller_may_not_see_is_as_much_work_as_none() {
    let registered = Registered::new().await;
    let each = REQUESTS.iter().flat_map(|(methods, path)| methods.split(' ').map(move |method| (method, *path, "")));
    let with_bodies = BODIES.iter().map(|(path, body)| ("POST", *path, *body));
    let mut with_facts = 0;
    for (method, path, body) in each.chain(with_bodies) {
        for is_bob in [false, true] {
            let of = |name: &str| {
                let target = path.replace("DIGEST", &registered.digest).replace("NAME", name);
                registered.cost(is_bob, method, target, body.replace("NAME", name))
            };
            // Bob's password is verified with the first request, and what each costs first may be remembered.
            let first = (of(PRIVATE).await, of(ABSENT).await);
            assert_eq!(first.0.status, first.1.status, "{method} {path} by bob: {is_bob}");
            let (private, absent) = (of(PRIVATE).await, of(ABSENT).await);
            assert_eq!(private, absent, "{method} {path} {body} by bob: {is_bob}");
            assert!(!private.status.is_server_error(), "{method} {path}: {private:?}");
            with_facts += usize::from(private.calls > 0);
        }
    }
    assert!(with_facts > 40, "{with_facts} requests have looked at facts");
}
