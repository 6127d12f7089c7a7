//! Every route with every method, by every caller, with every kind of authentication, in every mode.
//!
//! `cast` defines the callers, `rows` the requests (built from `Endpoint` itself), `site` their names and contents,
//! `oracle` the expected results according to the design, and `world` sets up the registry. Each request is sent over
//! HTTP, and both its response and what is stored afterwards are checked. Each is sent twice, the second time with
//! escapes in its path (`spelling`).

mod cast;
mod oracle;
mod rows;
mod site;
mod spelling;
mod world;

use cast::{Auth, Cell, MODES, Realm, Rules};
use http::Method;
use oracle::{Expected, MESSAGE};
use rows::{Needs, Row, Sent, row, samples};
use site::Site;
use spelling::Spelling;
use std::{collections::BTreeSet, fmt::Debug};
use testing::session::*;
use wharfinger::service::{endpoint::Endpoint, error::ServiceError};
use world::World;

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// The failures, and the number of cells checked.
#[derive(Default)]
struct Tally {
    cells: usize,
    wrong: Vec<String>,
}

async fn all_of(auth: Auth, rules: Rules, at_least: usize) {
    let mut tally = Tally::default();
    for mode in MODES {
        let mut world = World::new(Realm { auth, rules }, mode).await;
        for cell in world.cells() {
            tally.of_cell(&mut world, cell).await;
        }
    }
    println!("{auth:?}, {rules:?}: {} cells", tally.cells);
    assert!(tally.wrong.is_empty(), "{} of {} are wrong:\n{}", tally.wrong.len(), tally.cells, tally.report());
    assert!(tally.cells >= at_least, "only {} cells", tally.cells);
}

#[tokio::test]
async fn every_caller_without_authentication() {
    all_of(Auth::None, Rules::Absent, 6400).await;
}

#[tokio::test]
async fn every_caller_without_authentication_with_rules() {
    all_of(Auth::None, Rules::GivenWithGuests, 6400).await;
}

#[tokio::test]
async fn every_caller_with_passwords() {
    all_of(Auth::Basic, Rules::Absent, 6400).await;
}

#[tokio::test]
async fn every_caller_with_passwords_and_rules() {
    all_of(Auth::Basic, Rules::Given, 6400).await;
}

#[tokio::test]
async fn every_caller_with_passwords_and_anonymous_rules() {
    all_of(Auth::Basic, Rules::GivenWithGuests, 6400).await;
}

#[tokio::test]
async fn every_caller_with_built_in_tokens() {
    all_of(Auth::Own, Rules::Absent, 17_400).await;
}

#[tokio::test]
async fn every_caller_with_built_in_tokens_and_rules() {
    all_of(Auth::Own, Rules::Given, 17_400).await;
}

#[tokio::test]
async fn every_caller_with_built_in_tokens_and_anonymous_rules() {
    all_of(Auth::Own, Rules::GivenWithGuests, 17_400).await;
}

#[tokio::test]
async fn every_caller_with_external_tokens() {
    all_of(Auth::Elsewhere, Rules::Absent, 6400).await;
}

#[tokio::test]
async fn every_caller_with_external_tokens_and_rules() {
    all_of(Auth::Elsewhere, Rules::Given, 6400).await;
}

#[tokio::test]
async fn every_caller_with_external_tokens_and_anonymous_rules() {
    all_of(Auth::Elsewhere, Rules::GivenWithGuests, 6400).await;
}

impl Tally {
    /// All requests of one caller.
    async fn of_cell(&mut self, world: &mut World, cell: Cell) {
        let authorization = world.authorization(cell).await;
        let authorization = authorization.as_deref();
        let mut routes = BTreeSet::new();
        let site = world.site(cell.caller);
        for sample in 0..samples(&site).len() {
            for spelling in Spelling::ALL {
                self.of_sample(world, cell, authorization, sample, spelling).await;
                let planned = plan(&site, sample);
                if routes.insert((planned.route.path, spelling == Spelling::Plain)) {
                    self.of_other_methods(world, cell, authorization, &planned, spelling).await;
                }
            }
        }
    }

    /// The requests of one endpoint, in one spelling.
    async fn of_sample(
        &mut self,
        world: &mut World,
        cell: Cell,
        authorization: Option<&str>,
        sample: usize,
        spelling: Spelling,
    ) {
        let site = world.site(cell.caller);
        let mut last: Option<Reply> = None;
        let planned = plan(&site, sample);
        for nth in 0..planned.sent.len() {
            let mut site = world.site(cell.caller);
            world.freshen(cell, &mut site, planned.fresh).await;
            let row = plan(&site, sample);
            let sent = &spelled(&row.sent[nth], &site, spelling);
            // A challenge that is sent once is not repeated for the same request with escapes.
            let asked_before = nth + if spelling == Spelling::Plain { 0 } else { row.sent.len() };
            let expected = oracle::expect(cell, &row, sent, asked_before, world.registry.address());
            let open = world.open();
            let reply = world.send(cell, authorization, sent).await;
            let place = format!("{cell:?}: {} {}", sent.method, sent.target);
            self.cells += 1;
            self.judge(&place, &expected, &reply, sent);
            let done = reply.status.is_success() && reply.status == sent.status;
            if !world.has(cell, &site, &row.effect, done, open).await {
                self.wrong(&place, &row.effect, &format!("something else is stored after {}", reply.status));
            }
            if sent.method == "HEAD" {
                self.compare(&place, &row, last.as_ref(), &reply);
            } else if reply.status.is_success() {
                self.read(&place, cell, &row, sent, &reply);
            }
            last = Some(reply);
        }
    }

    /// The methods that a route does not have.
    async fn of_other_methods(
        &mut self,
        world: &mut World,
        cell: Cell,
        authorization: Option<&str>,
        row: &Row,
        spelling: Spelling,
    ) {
        let expected = oracle::wrong_method(cell, row);
        let site = world.site(cell.caller);
        for method in METHODS.into_iter().filter(|method| !row.route.methods.contains(method)) {
            let sent = spelled(&Sent { method, content_type: None, ..row.sent[0].clone() }, &site, spelling);
            let reply = world.send(cell, authorization, &sent).await;
            self.cells += 1;
            self.judge(&format!("{cell:?}: {method} {}", sent.target), &expected, &reply, &sent);
        }
    }

    fn judge(&mut self, place: &str, expected: &Expected, reply: &Reply, sent: &Sent) {
        let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        let allow = reply.has("allow").then(|| {
            let mut methods: Vec<_> = reply.items("allow").into_iter().filter(|method| !method.is_empty()).collect();
            methods.sort_unstable();
            methods
        });
        let wanted: Vec<_> = expected.challenge.iter().collect();
        if reply.status != expected.status || challenges != wanted || allow != expected.allow {
            self.wrong(place, expected, &format!("{reply:?}"));
        }
        if sent.method == "HEAD" {
            if !reply.body.is_empty() {
                self.wrong(place, expected, "a body");
            }
            return;
        }
        let Some(code) = expected.code else { return };
        let json = serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap_or_default();
        let message = json["errors"][0]["message"].as_str().unwrap_or_default();
        let says = expected.says.is_empty() || (message.contains(expected.says) && message.contains(MESSAGE));
        if json["errors"][0]["code"] != code || !says {
            self.wrong(place, expected, &format!("{reply:?}"));
        }
    }

    /// HEAD has the same status and headers as GET.
    fn compare(&mut self, place: &str, row: &Row, get: Option<&Reply>, head: &Reply) {
        let headers = |reply: &Reply| {
            let mut headers = reply.headers.clone();
            for name in ["date", "x-request-id", "docker-upload-uuid", "location"] {
                headers.remove(name);
            }
            // Tokens differ each time; readiness and counters change by themselves.
            if matches!(row.needs, Needs::Account | Needs::Inside) {
                headers.remove("content-length");
            }
            headers
        };
        if get.map(headers) != Some(headers(head)) {
            self.wrong(place, &get, &format!("{head:?}"));
        }
    }

    /// The content of a successful response.
    fn read(&mut self, place: &str, cell: Cell, row: &Row, sent: &Sent, reply: &Reply) {
        match row.needs {
            Needs::List => {
                let all = oracle::catalog(cell);
                let part: Vec<_> = all.iter().filter(|name| name.as_str() > "guest/").take(2).cloned().collect();
                let expected = if sent.target.contains('?') { part } else { all };
                if reply.strings("repositories") != expected {
                    self.wrong(place, &expected, &format!("{reply:?}"));
                }
            }
            Needs::Ready => {
                let detail = reply.json().get("generation").or(reply.json().get("config")).is_some();
                if detail != oracle::sees_inside(cell) {
                    self.wrong(place, &oracle::sees_inside(cell), &format!("{reply:?}"));
                }
            }
            Needs::Account if sent.target.contains('?') => {
                let expected = oracle::granted_scope(cell);
                if reply.json()["scope"] != expected.as_str() {
                    self.wrong(place, &expected, &format!("{reply:?}"));
                }
            }
            _ => {}
        }
    }

    fn wrong(&mut self, place: &str, expected: &impl Debug, got: &str) {
        self.wrong.push(format!("{place}\n  expected {expected:?}\n  got {got}"));
    }

    fn report(&self) -> String {
        self.wrong.iter().take(20).map(|wrong| format!("{wrong}\n")).collect()
    }
}

/// A request in one of the spellings, with other characters escaped each time.
fn spelled(sent: &Sent, site: &Site, spelling: Spelling) -> Sent {
    spelling.of(sent, site.repository.as_str(), usize::try_from(site.n).unwrap())
}

/// The requests of one sample; asserts that they parse as its endpoint.
fn plan(site: &Site, sample: usize) -> Row {
    let endpoint = &samples(site)[sample];
    let row = row(endpoint, site);
    let spellings = Spelling::ALL.map(|spelling| row.sent.iter().map(move |sent| spelled(sent, site, spelling)));
    for Sent { method, target, .. } in spellings.into_iter().flatten() {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let parsed = Endpoint::parse(&method.parse::<Method>().unwrap(), path, query);
        assert_eq!(parsed.as_ref().ok(), Some(endpoint), "{method} {target}: {parsed:?}");
    }
    row
}

#[test]
fn every_route_has_its_documented_methods() {
    let site = Site {
        repository: "a/b".parse().unwrap(),
        own_source: "a/c".parse().unwrap(),
        hidden_source: "d".parse().unwrap(),
        n: 1,
        session: oci::UploadId::random(),
    };
    for sample in 0..samples(&site).len() {
        let row = plan(&site, sample);
        for method in METHODS {
            let path = row.sent[0].target.split('?').next().unwrap();
            let parsed = Endpoint::parse(&method.parse().unwrap(), path, "");
            let lacks = matches!(parsed, Err(ServiceError::MethodNotAllowed(_)));
            assert_eq!(lacks, !row.route.methods.contains(&method), "{method} {path}");
        }
    }
}
