//! One registry of the matrix: its rules, its users, and what each request finds there.

use super::{
    cast::{Auth, Caller, Cell, Mode, Permission, Proof, Realm, Rules},
    oracle::{self, HIDDEN, MESSAGE, OWNER},
    rows::{Effect, FORM, Fresh, Sent},
    site::{Site, Source},
};
use crate::facts::record;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, UploadId};
use serde_json::{Value, json};
use testing::{
    people::{Service, access, basic, catalog_access, htpasswd, password},
    registry::Registry,
    session::*,
};
use wharfinger::{
    config::Operator,
    identity::new_signing_key,
    registry::{Chunk, Condition, Repository},
    who::Subject,
};

/// Another host: callers on this machine see all of the daemon's internals.
const FROM: &str = "203.0.113.9";

pub struct World {
    pub registry: Registry,
    realm: Realm,
    mode: Mode,
    service: Service,
    stranger: Service,
    n: u64,
}

impl World {
    pub async fn new(realm: Realm, mode: Mode) -> Self {
        let (service, stranger) = (Service::new(), Service::new());
        let registry = Registry::with(|setup| {
            setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            setup.rules = (realm.rules != Rules::Absent).then(|| rules(realm));
            if matches!(realm.auth, Auth::Basic | Auth::Own) {
                let users = oracle::callers(realm).filter(|caller| caller.is_user()).map(Caller::name);
                setup.htpasswd = Some(htpasswd(&users.collect::<Vec<_>>()));
            }
            setup.signing_key = (realm.auth == Auth::Own).then(|| new_signing_key().unwrap());
            setup.elsewhere = (realm.auth == Auth::Elsewhere).then(|| service.verifier());
            setup.operator = (mode != Mode::Normal).then(|| Operator {
                read_only: mode == Mode::ReadOnly,
                delete: mode != Mode::NoDelete,
                message: MESSAGE.into(),
            });
        })
        .await;
        let world = Self { registry, realm, mode, service, stranger, n: 0 };
        for caller in oracle::callers(realm) {
            for repository in ["app", "source"].map(|last| format!("{}/{last}", caller.name())) {
                if let Some((fact, value)) = caller.fact() {
                    record(world.registry.root(), &repository, fact, value);
                }
            }
        }
        let mut repositories: Vec<_> = oracle::callers(realm).map(Caller::repository).collect();
        repositories.push(HIDDEN.to_owned());
        for repository in repositories {
            let repository = repository.parse().unwrap();
            world.put_manifest(&repository, "v1", index(&[]).to_string().into()).await;
            world.put_blob(&Subject::Anonymous, &repository, "a blob".into()).await;
        }
        world
    }

    /// Every caller with each of their credentials.
    pub fn cells(&self) -> Vec<Cell> {
        let (realm, mode) = (self.realm, self.mode);
        let cell =
            |caller: Caller| caller.proofs(realm).iter().map(move |proof| Cell { realm, mode, caller, proof: *proof });
        oracle::callers(realm).flat_map(cell).collect()
    }

    /// The names and contents of a request by this caller, before they are created.
    pub fn site(&mut self, caller: Caller) -> Site {
        self.n += 1;
        Site {
            repository: caller.repository().parse().unwrap(),
            own_source: format!("{}/source", caller.name()).parse().unwrap(),
            hidden_source: HIDDEN.parse().unwrap(),
            n: self.n,
            session: UploadId::random(),
        }
    }

    /// Creates what the next request may use up.
    pub async fn freshen(&self, cell: Cell, site: &mut Site, fresh: Fresh) {
        match fresh {
            Fresh::Nothing => {}
            Fresh::Manifest => self.put_manifest(&site.repository, site.tag().as_str(), site.manifest()).await,
            Fresh::Blob => self.put_blob(&Subject::Anonymous, &site.repository, site.content()).await,
            Fresh::Sources => {
                // A mount without a source is tried where its caller has seen the blob, whatever identity that was
                // with.
                for met_by in [Subject::Anonymous, Subject::User(cell.caller.name().into())] {
                    self.put_blob(&met_by, &site.own_source, site.source_content(Source::Own)).await;
                    self.put_blob(&met_by, &site.hidden_source, site.source_content(Source::Hidden)).await;
                }
            }
            Fresh::Session => {
                let repository = self.repository(&owner(cell), &site.repository);
                site.session = repository.begin_upload(Algorithm::Sha256).await.unwrap().id;
            }
        }
    }

    async fn put_manifest(&self, repository: &RepositoryName, tag: &str, bytes: Bytes) {
        let reference = Reference::Tag(tag.parse().unwrap());
        let repository = self.repository(&Subject::Anonymous, repository);
        repository.put_manifest(&reference, &[], Some(OCI_INDEX), bytes, Condition::None).await.unwrap();
    }

    async fn put_blob(&self, by: &Subject, repository: &RepositoryName, bytes: Bytes) {
        let digest = Hasher::digest(Algorithm::Sha256, &bytes);
        let (chunk, incoming) = (Chunk::default(), stream::iter([Ok(bytes)]));
        self.repository(by, repository).push_blob(&digest, chunk, incoming).await.unwrap();
    }

    /// A repository as somebody meets it.
    fn repository(&self, by: &Subject, name: &RepositoryName) -> Repository {
        self.registry.inner().asked_by(by.clone()).repository(name)
    }

    /// The caller's credentials, as a header.
    pub async fn authorization(&self, cell: Cell) -> Option<String> {
        let name = cell.caller.name();
        match (cell.proof, cell.realm.auth) {
            (Proof::Nothing, _) => None,
            (Proof::Password, _) => Some(basic(name)),
            (Proof::WrongPassword, _) => Some(password("pusher", "wrong")),
            (Proof::WrongToken, _) => {
                let all = json!([access(&cell.caller.repository(), &["pull", "push", "delete"]), catalog_access()]);
                Some(format!("Bearer {}", self.stranger.token("admin", &all)))
            }
            (Proof::Identity, _) => Some(self.own_token(cell, "").await),
            (Proof::Scoped, Auth::Elsewhere) => Some(format!("Bearer {}", self.service.token(name, &said(cell)))),
            (Proof::Scoped, _) => {
                let catalog = if cell.caller == Caller::Narrow { "" } else { "&scope=registry:catalog:*" };
                let words = words(oracle::token_says(cell)).join(",");
                let name = cell.caller.name();
                let own = ["app", "source"].map(|last| format!("scope=repository:{name}/{last}:{words}")).join("&");
                let query = format!("?{own}{catalog}");
                Some(self.own_token(cell, &query).await)
            }
        }
    }

    async fn own_token(&self, cell: Cell, query: &str) -> String {
        let ask = self.registry.ask(Method::GET, format!("/auth/token{query}"));
        let ask = if oracle::has_name(cell) { ask.header("authorization", basic(cell.caller.name())) } else { ask };
        format!("Bearer {}", ask.send().await.is(200).json()["token"].as_str().unwrap())
    }

    pub async fn send(&self, cell: Cell, authorization: Option<&str>, sent: &Sent) -> Reply {
        let mut ask = self.registry.ask(sent.method.parse().unwrap(), &sent.target).header("x-forwarded-for", FROM);
        if let Some(authorization) = authorization {
            ask = ask.header("authorization", authorization);
        }
        if let Some(content_type) = sent.content_type {
            ask = ask.header("content-type", content_type);
        }
        let body = match sent.content_type {
            Some(FORM) => form(cell).into(),
            _ => sent.body.clone(),
        };
        ask.body(body).send().await
    }

    /// Number of open sessions.
    pub fn open(&self) -> usize {
        self.registry.inner().open_uploads()
    }

    /// Whether the state is as after the request (`done`), or as before.
    pub async fn has(&self, cell: Cell, site: &Site, effect: &Effect, done: bool, open_before: usize) -> bool {
        let repository = self.repository(&owner(cell), &site.repository);
        match effect {
            Effect::Nothing => true,
            Effect::Manifest(reference, there) => repository.manifest(reference).await.is_ok() == (*there == done),
            Effect::Blob(digest, there) => self.has_blob(site, digest).await == (*there == done),
            Effect::Session(len) => {
                let found = repository.upload(&site.session).await;
                found.map(|upload| upload.len).ok() == if done { *len } else { Some(0) }
            }
            Effect::Begun => self.open() == open_before + usize::from(done),
        }
    }

    async fn has_blob(&self, site: &Site, digest: &Digest) -> bool {
        self.repository(&Subject::Anonymous, &site.repository).blob(digest).await.is_ok()
    }
}

/// The owner of the sessions that a caller uses.
fn owner(cell: Cell) -> Subject {
    match (cell.caller, cell.is_logged_in()) {
        (_, false) => Subject::Anonymous,
        (Caller::Foreigner, true) => Subject::User(OWNER.into()),
        (caller, true) => Subject::User(caller.name().into()),
    }
}

/// The claims of an external service's token.
fn said(cell: Cell) -> Value {
    let words = words(oracle::token_says(cell));
    let own = ["app", "source"].map(|name| access(&format!("{}/{name}", cell.caller.name()), &words));
    let catalog = oracle::token_lists(cell).then(catalog_access);
    own.into_iter().chain(catalog).collect()
}

fn words(permissions: &[Permission]) -> Vec<&'static str> {
    permissions.iter().map(|permission| permission.word()).collect()
}

/// The form by which a caller requests a token.
fn form(cell: Cell) -> String {
    let name = cell.caller.name();
    match cell.proof {
        Proof::WrongPassword => "grant_type=password&username=pusher&password=wrong".to_owned(),
        Proof::WrongToken => "grant_type=refresh_token&refresh_token=none.of.ours".to_owned(),
        _ if !oracle::has_name(cell) => "grant_type=password".to_owned(),
        _ => format!("grant_type=password&username={name}&password={name}!"),
    }
}

/// `access-control.json`.
fn rules(realm: Realm) -> String {
    let rule = |(about, who, listed): &(Caller, &str, &[Permission])| {
        let repository = format!("{}/**", about.name());
        json!({ "repository": repository, "users": [who], "permissions": words(listed) })
    };
    let rules: Vec<_> = realm.rules().iter().map(rule).collect();
    json!({
        "defaultPolicy": "deny", "adminUsers": ["admin", "narrow"], "rules": rules,
        "groups": { "operations": { "members": ["monitor"], "roles": ["monitoring"] } },
        "roles": { "monitoring": { "permissions": ["VIEW:SYSTEM"] } },
    })
    .to_string()
}
