//! The state that all actors of a campaign share, and requests to a daemon that may be killed at any time.

use crate::{
    artifacts::Artifacts,
    content::{Pool, Spec},
    dice::Dice,
    ledger::{Ledger, Moment},
    tally::Tally,
};
use bytes::Bytes;
use http::Method;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use testing::session::{Client, Reply};
use tokio::sync::watch;

/// Longest time until a response: neither a collection nor a suspension delays a request for long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers of manifests to keep at once. With few, collections are short, so several can run during one push. With many,
/// a collection takes long enough to be killed in any of its steps.
const CROWDS: [usize; 3] = [30, 150, 600];

/// How long a client waits before it repeats a request without a response.
const PAUSE: Duration = Duration::from_millis(20);

/// The shared part of a campaign.
pub struct World {
    pub pool: Pool,
    pub ledger: Ledger,
    pub artifacts: Artifacts,
    pub tally: Tally,
    /// Whether an index with missing children is refused.
    pub refuses_children: bool,
    /// Roughly how many manifests to keep.
    crowd: AtomicUsize,
    /// The daemon, while it is up.
    door: watch::Receiver<Option<Client>>,
    is_ending: AtomicBool,
}

/// A request and its response, for error messages.
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// The moment before it was sent.
    pub since: Moment,
    pub reply: Reply,
}

impl World {
    pub fn new(refuses_children: bool, door: watch::Receiver<Option<Client>>) -> Self {
        Self {
            pool: Pool::new(),
            ledger: Ledger::default(),
            artifacts: Artifacts::default(),
            tally: Tally::default(),
            refuses_children,
            crowd: AtomicUsize::new(CROWDS[0]),
            door,
            is_ending: AtomicBool::new(false),
        }
    }

    /// Asks the actors to stop after their current operation.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Roughly how many manifests to keep now.
    pub fn crowd(&self) -> usize {
        self.crowd.load(Ordering::Relaxed)
    }

    /// Chooses another number of manifests to keep.
    pub fn change_crowd(&self, dice: &mut Dice) {
        self.crowd.store(*dice.pick(&CROWDS), Ordering::Relaxed);
    }

    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Sends a request once a daemon is up. `None` if there was no complete response, or a 503: then it is unknown
    /// whether the request was carried out, and it is no longer in progress.
    pub async fn ask(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Option<Asked> {
        self.ask_with(method, target, &[], body).await
    }

    /// The same with headers.
    pub async fn ask_with(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Option<Asked> {
        let client = self.door.clone().wait_for(Option::is_some).await.expect("a campaign").clone().expect("a daemon");
        let line = format!("{method} {target}");
        let mut ask = client.ask(method.clone(), target).body(body);
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let (since, sent) = (self.ledger.now(), Instant::now());
        let answer = tokio::time::timeout(PATIENCE, ask.try_send()).await;
        let Ok(answer) = answer else { panic!("{line}: no response within {PATIENCE:?}") };
        self.tally.took("ms, the slowest answer", sent.elapsed());
        let Ok(reply) = answer else {
            self.tally.one("requests without an answer");
            tokio::time::sleep(PAUSE).await;
            return None;
        };
        let status = reply.status.as_u16();
        if status >= 400 {
            let code = if method == Method::HEAD { String::new() } else { reply.code() };
            self.tally.one(format!("answers {status} {code} to {}", kind(&method, target)));
        }
        self.tally.one("requests answered");
        match status {
            503 => {
                tokio::time::sleep(PAUSE).await;
                None
            }
            500.. => panic!("{line}: {reply:?}"),
            _ => Some(Asked { line, since, reply }),
        }
    }

    /// Panics if a blob or child that a response names as missing must exist.
    pub fn is_rightly_missing(&self, asked: &Asked, repository: &str, digest: &str) {
        if let Some(holder) = self.ledger.holder(repository, digest, asked.since) {
            panic!("{}: {digest} of {repository} is missing, although {holder} needs it", asked.line);
        }
    }
}

impl Asked {
    pub fn status(&self) -> u16 {
        self.reply.status.as_u16()
    }

    /// Panics, because this response is wrong.
    #[track_caller]
    pub fn unexpected(&self, why: &str) -> ! {
        let Reply { status, headers, body } = &self.reply;
        let body = &body[..body.len().min(2000)];
        panic!("{}: {why}: {status} {headers:?} {}", self.line, String::from_utf8_lossy(body))
    }

    /// Panics unless the response names this digest.
    #[track_caller]
    pub fn names(&self, digest: &str) {
        if self.reply.header("docker-content-digest") != digest {
            self.unexpected("another digest");
        }
    }
}

/// The path of a manifest.
pub fn manifest(spec: &Spec) -> String {
    format!("/v2/{}/manifests/{}", spec.repository, spec.digest)
}

/// The method and the kind of resource, without names.
fn kind(method: &Method, target: &str) -> String {
    let nouns = ["/blobs/uploads", "/blobs/", "/manifests/", "/referrers/", "/tags/"];
    let noun = nouns.iter().find(|noun| target.contains(**noun)).unwrap_or(&"");
    format!("{method} {}", noun.trim_matches('/'))
}

/// Waits for this time, unless the campaign is ending.
pub async fn rest(world: &Arc<World>, time: Duration) {
    if !world.is_ending() {
        tokio::time::sleep(time).await;
    }
}
