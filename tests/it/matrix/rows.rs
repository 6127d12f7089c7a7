//! Every [`Endpoint`] with its requests, the permissions they need and their effects.
//!
//! An endpoint without a row does not compile: the table is a `match` without `_`, and each arm defines its samples.

use super::{
    cast::Permission,
    site::{Site, Source},
};
use bytes::Bytes;
use oci::{Algorithm, Digest, Reference, RepositoryName, Tag};
use testing::session::OCI_INDEX;
use wharfinger::service::{
    DistributionEndpoint as Distribution, OpsEndpoint as Ops, TokenEndpoint, endpoint::Endpoint, query::Pagination,
};

/// The media type of token requests by `POST`.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A path and its methods.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    pub path: &'static str,
    pub methods: &'static [&'static str],
}

const fn route(path: &'static str, methods: &'static [&'static str]) -> Route {
    Route { path, methods }
}

static PING: Route = route("/v2/", &["GET", "HEAD"]);
static CATALOG: Route = route("/v2/_catalog", &["GET", "HEAD"]);
static TAGS: Route = route("/v2/<name>/tags/list", &["GET", "HEAD"]);
static REFERRERS: Route = route("/v2/<name>/referrers/<digest>", &["GET", "HEAD"]);
static MANIFESTS: Route = route("/v2/<name>/manifests/<reference>", &["GET", "HEAD", "PUT", "DELETE"]);
static BLOBS: Route = route("/v2/<name>/blobs/<digest>", &["GET", "HEAD", "DELETE"]);
static UPLOADS: Route = route("/v2/<name>/blobs/uploads/", &["POST"]);
static UPLOAD: Route = route("/v2/<name>/blobs/uploads/<id>", &["GET", "HEAD", "PATCH", "PUT", "DELETE"]);
static TOKEN: Route = route("/auth/token", &["GET", "HEAD", "POST"]);
static HEALTH: Route = route("/health", &["GET", "HEAD"]);
static READY: Route = route("/health/ready", &["GET", "HEAD"]);
static METRICS: Route = route("/metrics", &["GET", "HEAD"]);

/// What the caller needs to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anybody.
    Nothing,
    /// Anybody; some callers see more.
    Ready,
    /// A user name and password, or neither.
    Account,
    /// Access to the registry.
    Entry,
    /// A caller who may list.
    List,
    /// This permission in the repository.
    Permission(Permission),
    /// Permission to see the daemon's internals.
    Inside,
}

/// The effect of a request on what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Reads,
    Writes,
    /// Removes a manifest, a tag or a blob.
    Deletes,
}

/// What must be created for each request, because it may be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    Nothing,
    Manifest,
    Blob,
    /// An upload session of the caller; for a foreigner, of another.
    Session,
    /// A blob to mount.
    Sources,
}

/// What changes if a request succeeds, and only then.
#[derive(Clone, Debug)]
pub enum Effect {
    Nothing,
    /// The manifest exists, or does not.
    Manifest(Reference, bool),
    /// The blob exists, or does not.
    Blob(Digest, bool),
    /// The session has this many bytes, or does not exist.
    Session(Option<u64>),
    /// One more session is open.
    Begun,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: &'static str,
    pub target: String,
    pub content_type: Option<&'static str>,
    pub body: Bytes,
    /// The status if nothing prevents success.
    pub status: u16,
}

/// An endpoint's requests.
pub struct Row {
    pub route: &'static Route,
    pub needs: Needs,
    pub does: Does,
    pub fresh: Fresh,
    pub effect: Effect,
    pub sent: Vec<Sent>,
    /// A mount's source: given by name or to be found, and whose it is.
    pub mount: Option<(Option<RepositoryName>, Source)>,
    /// Only for the owner of the session.
    pub in_session: bool,
}

impl Row {
    fn new(route: &'static Route, needs: Needs, does: Does) -> Self {
        let (fresh, effect) = (Fresh::Nothing, Effect::Nothing);
        Self { route, needs, does, fresh, effect, sent: Vec::new(), mount: None, in_session: false }
    }

    fn reads(route: &'static Route, needs: Needs) -> Self {
        Self::new(route, needs, Does::Reads)
    }

    fn pulls(route: &'static Route) -> Self {
        Self::reads(route, Needs::Permission(Permission::Pull))
    }

    fn pushes(route: &'static Route, effect: Effect) -> Self {
        Self { effect, ..Self::new(route, Needs::Permission(Permission::Push), Does::Writes) }
    }

    fn deletes(route: &'static Route, fresh: Fresh, effect: Effect) -> Self {
        Self { fresh, effect, ..Self::new(route, Needs::Permission(Permission::Delete), Does::Deletes) }
    }

    fn in_session(self) -> Self {
        Self { in_session: true, fresh: Fresh::Session, ..self }
    }

    fn mounts(self, from: Option<&RepositoryName>, source: Source) -> Self {
        Self { mount: Some((from.cloned(), source)), fresh: Fresh::Sources, ..self }
    }

    fn send(mut self, method: &'static str, target: impl Into<String>, body: Bytes, status: u16) -> Self {
        self.sent.push(Sent { method, target: target.into(), content_type: None, body, status });
        self
    }

    fn of_type(mut self, content_type: &'static str) -> Self {
        for sent in &mut self.sent {
            sent.content_type = Some(content_type);
        }
        self
    }

    /// Adds a GET and the corresponding HEAD.
    fn get(self, target: impl Into<String>, status: u16) -> Self {
        let target = target.into();
        self.send("GET", target.clone(), Bytes::new(), status).send("HEAD", target, Bytes::new(), status)
    }
}

/// At least one sample of every endpoint.
pub fn samples(site: &Site) -> Vec<Endpoint> {
    [distribution::samples(site), token::samples(site), ops::samples(site)].concat()
}

/// An endpoint's requests.
pub fn row(endpoint: &Endpoint, site: &Site) -> Row {
    match endpoint {
        Endpoint::Distribution(endpoint) => distribution::row(endpoint, site),
        Endpoint::Token(endpoint) => token::row(endpoint, site),
        Endpoint::Ops(endpoint) => ops::row(endpoint, site),
        Endpoint::Manage(endpoint) => unreachable!("{endpoint:?} is in the matrix of tests/it/manage"),
        Endpoint::Pages(endpoint) => unreachable!("{endpoint:?} is in tests/it/pages"),
    }
}

/// The rows of one family of endpoints.
macro_rules! rows {
    ($family:ident: $endpoint:ty, |$site:ident| $($pattern:pat => [$($sample:expr),+ $(,)?] $row:expr;)+) => {
        mod $family {
            use super::*;

            pub(super) fn samples($site: &Site) -> Vec<Endpoint> {
                let _ = $site;
                vec![$($($sample.into()),+),+]
            }

            pub(super) fn row(endpoint: &$endpoint, $site: &Site) -> Row {
                match endpoint {
                    $($pattern => $row),+
                }
            }
        }
    };
}

rows! { distribution: Distribution, |site|
    Distribution::Ping => [Distribution::Ping]
        Row::reads(&PING, Needs::Entry).get("/v2/", 200).get("/v2", 200);

    Distribution::Catalog(page) => [
        Distribution::Catalog(Pagination::default()),
        Distribution::Catalog(Pagination { n: Some(2), last: Some("guest/".to_owned()) }),
    ]
        Row::reads(&CATALOG, Needs::List).get(format!("/v2/_catalog{}", paged(page)), 200);

    Distribution::Tags(name, page) => [Distribution::Tags(site.repository.clone(), Pagination::default())]
        Row::pulls(&TAGS).get(format!("/v2/{name}/tags/list{}", paged(page)), 200);

    Distribution::Referrers { repository, subject, types, .. } => [
        Distribution::Referrers {
            repository: site.repository.clone(), subject: site.image_digest(), types: Vec::new(), last: None,
        },
        Distribution::Referrers {
            repository: site.repository.clone(), subject: site.blob_digest(), types: vec!["a/b".to_owned()], last: None,
        },
    ]
        Row::pulls(&REFERRERS).get(format!("/v2/{repository}/referrers/{subject}{}", filtered(types)), 200);

    Distribution::ManifestRead(name, reference) => [
        Distribution::ManifestRead(site.repository.clone(), Reference::Tag("v1".parse().unwrap())),
        Distribution::ManifestRead(site.repository.clone(), Reference::Digest(site.image_digest())),
    ]
        Row::pulls(&MANIFESTS).get(format!("/v2/{name}/manifests/{}", shown(reference)), 200);

    Distribution::ManifestPush(name, reference, tags) => [
        Distribution::ManifestPush(site.repository.clone(), Reference::Tag(site.tag()), Vec::new()),
        Distribution::ManifestPush(site.repository.clone(), Reference::Digest(site.manifest_digest()), Vec::new()),
        Distribution::ManifestPush(
            site.repository.clone(), Reference::Digest(site.manifest_digest()), vec![site.tag(), site.other_tag()],
        ),
    ]
        Row::pushes(&MANIFESTS, Effect::Manifest(tags.last().cloned().map_or(reference.clone(), Reference::Tag), true))
            .send("PUT", format!("/v2/{name}/manifests/{}{}", shown(reference), tagged(tags)), site.manifest(), 201)
            .of_type(OCI_INDEX);

    Distribution::ManifestDelete(name, reference) => [
        Distribution::ManifestDelete(site.repository.clone(), Reference::Tag(site.tag())),
        Distribution::ManifestDelete(site.repository.clone(), Reference::Digest(site.manifest_digest())),
    ]
        Row::deletes(&MANIFESTS, Fresh::Manifest, Effect::Manifest(reference.clone(), false))
            .send("DELETE", format!("/v2/{name}/manifests/{}", shown(reference)), Bytes::new(), 202);

    Distribution::BlobRead(name, digest) => [Distribution::BlobRead(site.repository.clone(), site.blob_digest())]
        Row::pulls(&BLOBS).get(format!("/v2/{name}/blobs/{digest}"), 200);

    Distribution::BlobDelete(name, digest) => [Distribution::BlobDelete(site.repository.clone(), site.digest())]
        Row::deletes(&BLOBS, Fresh::Blob, Effect::Blob(digest.clone(), false))
            .send("DELETE", format!("/v2/{name}/blobs/{digest}"), Bytes::new(), 202);

    Distribution::UploadBegin(name, algorithm) => [
        Distribution::UploadBegin(site.repository.clone(), Algorithm::Sha256),
        Distribution::UploadBegin(site.repository.clone(), Algorithm::Sha512),
    ]
        match algorithm {
            Algorithm::Sha256 => Row::pushes(&UPLOADS, Effect::Begun)
                .send("POST", format!("/v2/{name}/blobs/uploads/"), Bytes::new(), 202)
                .send("POST", format!("/v2/{name}/blobs/uploads"), Bytes::new(), 202)
                // No repository has this name, so there is nothing to mount.
                .send(
                    "POST", format!("/v2/{name}/blobs/uploads/?mount={}&from=NO", site.blob_digest()), Bytes::new(), 202,
                ),
            algorithm => Row::pushes(&UPLOADS, Effect::Begun)
                .send("POST", format!("/v2/{name}/blobs/uploads/?digest-algorithm={algorithm}"), Bytes::new(), 202),
        };

    Distribution::BlobPush(name, digest) => [Distribution::BlobPush(site.repository.clone(), site.digest())]
        Row::pushes(&UPLOADS, Effect::Blob(digest.clone(), true))
            .send("POST", format!("/v2/{name}/blobs/uploads/?digest={digest}"), site.content(), 201);

    Distribution::BlobMount { repository, digest, from } => [
        mount(site, Source::Own, Some(&site.own_source)),
        mount(site, Source::Own, None),
        mount(site, Source::Hidden, Some(&site.hidden_source)),
        mount(site, Source::Hidden, None),
    ] {
        let source = if *digest == site.source_digest(Source::Own) { Source::Own } else { Source::Hidden };
        let from_query = from.as_ref().map(|from| format!("&from={from}")).unwrap_or_default();
        let target = format!("/v2/{repository}/blobs/uploads/?mount={digest}{from_query}");
        // Twice: a caller who could get a token for the source is challenged once.
        Row::pushes(&UPLOADS, Effect::Blob(digest.clone(), true))
            .mounts(from.as_ref(), source)
            .send("POST", target.clone(), Bytes::new(), 201)
            .send("POST", target, Bytes::new(), 201)
    };

    Distribution::UploadAppend(name, place) => [Distribution::UploadAppend(site.repository.clone(), site.place())]
        Row::pushes(&UPLOAD, Effect::Session(Some(site.content().len() as u64)))
            .in_session()
            .send("PATCH", format!("/v2/{name}/blobs/uploads/{place}"), site.content(), 202);

    Distribution::UploadFinish(name, place, digest) => [
        Distribution::UploadFinish(site.repository.clone(), site.place(), site.digest()),
    ]
        Row::pushes(&UPLOAD, Effect::Blob(digest.clone(), true))
            .in_session()
            .send("PUT", format!("/v2/{name}/blobs/uploads/{place}?digest={digest}"), site.content(), 201);

    Distribution::UploadStatus(name, place) => [Distribution::UploadStatus(site.repository.clone(), site.place())]
        Row::reads(&UPLOAD, Needs::Permission(Permission::Push))
            .in_session()
            .get(format!("/v2/{name}/blobs/uploads/{place}"), 204);

    Distribution::UploadCancel(name, place) => [Distribution::UploadCancel(site.repository.clone(), site.place())]
        Row::pushes(&UPLOAD, Effect::Session(None))
            .in_session()
            .send("DELETE", format!("/v2/{name}/blobs/uploads/{place}"), Bytes::new(), 204);

}

rows! { token: TokenEndpoint, |site|
    TokenEndpoint::Issue => [TokenEndpoint::Issue]
        Row::reads(&TOKEN, Needs::Account)
            .get("/auth/token", 200)
            .get(format!("/auth/token?scope=repository:{}:delete,pull,push", site.repository), 200)
            // `world` adds the caller to the form.
            .send("POST", "/auth/token", Bytes::new(), 200)
            .of_type(FORM);

}

rows! { ops: Ops, |_site|
    Ops::Health => [Ops::Health]
        Row::reads(&HEALTH, Needs::Nothing).get("/health", 200);

    Ops::Ready => [Ops::Ready]
        Row::reads(&READY, Needs::Ready).get("/health/ready", 200);

    Ops::Metrics => [Ops::Metrics]
        Row::reads(&METRICS, Needs::Inside).get("/metrics", 200);
}

fn mount(site: &Site, source: Source, from: Option<&RepositoryName>) -> Distribution {
    let (repository, digest) = (site.repository.clone(), site.source_digest(source));
    Distribution::BlobMount { repository, digest, from: from.cloned() }
}

fn shown(reference: &Reference) -> &str {
    match reference {
        Reference::Tag(tag) => tag.as_str(),
        Reference::Digest(digest) => digest.as_str(),
    }
}

/// The query of a list's page.
fn paged(page: &Pagination) -> String {
    let n = page.n.map(|n| format!("n={n}"));
    let last = page.last.as_ref().map(|last| format!("last={last}"));
    query(n.into_iter().chain(last))
}

fn filtered(types: &[String]) -> String {
    query(types.iter().map(|t| format!("artifactType={t}")))
}

fn tagged(tags: &[Tag]) -> String {
    query(tags.iter().map(|tag| format!("tag={tag}")))
}

fn query(pairs: impl Iterator<Item = String>) -> String {
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}
