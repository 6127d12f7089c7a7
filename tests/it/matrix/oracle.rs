//! What must come of a request, from the words of the design: who may do what (section 4), how he
//! shows it (5) and what the operator has switched off (7). Nothing of the registry's code decides here.

use super::{
    cast::{Auth, CALLERS, Caller, Cell, EVERY, Mode, Permission, Proof, Realm, Rules},
    rows::{Does, Needs, Route, Row, Sent},
    site::Source,
};
use crate::people::{ELSEWHERE, SERVICE};
use std::net::SocketAddr;

/// The owner of the sessions that a foreigner uses.
pub const OWNER: &str = "owner";

/// The repository that no rule speaks of.
pub const HIDDEN: &str = "hidden/app";

/// What the operator says about a switch.
pub const MESSAGE: &str = "we are moving";

/// An answer, as far as it is foretold.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    /// Of a refusal.
    pub code: Option<&'static str>,
    /// The whole challenge.
    pub challenge: Option<String>,
    /// The methods that go on, sorted.
    pub allow: Option<Vec<&'static str>>,
    /// What a refusal's message says.
    pub says: &'static str,
}

/// Why somebody is asked to log in, in the words of a challenge.
const ABSENT: &str = "";
const INVALID: &str = ",error=\"invalid_token\"";
const INSUFFICIENT: &str = ",error=\"insufficient_scope\"";

/// What must come of it.
pub fn expect(cell: Cell, row: &Row, sent: &Sent, asked_before: usize, address: SocketAddr) -> Expected {
    // There is a token service only where there are tokens of our own.
    if row.needs == Needs::Account && cell.realm.auth != Auth::Own {
        return refusal(404, "UNSUPPORTED");
    }
    if let Some(unauthorized) = unauthorized(cell, row, sent, asked_before, address) {
        return unauthorized;
    }
    match (cell.mode, row.does) {
        (Mode::ReadOnly, Does::Writes | Does::Deletes) => {
            return switched_off(row.route, |method| matches!(method, "GET" | "HEAD"), "read-only");
        }
        (Mode::NoDelete, Does::Deletes) => return switched_off(row.route, |method| method != "DELETE", "disabled"),
        _ => {}
    }
    // The form of somebody without a name is incomplete.
    if row.needs == Needs::Account && sent.method == "POST" && !has_name(cell) {
        return refusal(400, "UNSUPPORTED");
    }
    // A session belongs to its subject; to others it does not exist.
    if row.in_session && cell.caller == Caller::Foreigner && cell.realm.auth != Auth::None {
        return refusal(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // Mount needs pull on the source; without it an ordinary upload begins.
    match &row.mount {
        Some((_, source)) if !may_mount(cell, *source) => served(202),
        _ => served(sent.status),
    }
}

/// A method the route does not have: said to everybody, before anything else.
pub fn wrong_method(cell: Cell, row: &Row) -> Expected {
    match row.needs == Needs::Account && cell.realm.auth != Auth::Own {
        true => refusal(404, "UNSUPPORTED"),
        false => Expected { allow: Some(sorted(row.route.methods)), ..refusal(405, "UNSUPPORTED") },
    }
}

/// Whether what the answer tells of the inside is for this caller.
pub fn sees_inside(cell: Cell) -> bool {
    // Open to admins, and where there is nothing to log in to. A token that says what it is good
    // for says nothing of this.
    cell.realm.auth == Auth::None || (is_admin(cell) && cell.proof != Proof::Scoped)
}

/// The repositories of the catalog.
pub fn catalog(cell: Cell) -> Vec<String> {
    let mut names: Vec<_> = callers(cell.realm)
        .filter(|about| lists_everything(cell) || may(cell, Some(*about), Permission::Pull))
        .map(Caller::repository)
        .collect();
    if lists_everything(cell) || may(cell, None, Permission::Pull) {
        names.push(HIDDEN.to_owned());
    }
    names.sort();
    names
}

/// The callers of a registry; each has a repository.
pub fn callers(realm: Realm) -> impl Iterator<Item = Caller> {
    CALLERS.into_iter().filter(move |caller| !caller.proofs(realm).is_empty())
}

/// What of everything in his own repository a user gets a token for.
pub fn granted_scope(cell: Cell) -> String {
    let listed: Vec<_> =
        EVERY.iter().filter(|p| may(cell, Some(cell.caller), **p)).map(|permission| permission.word()).collect();
    match listed.is_empty() {
        true => String::new(),
        false => format!("repository:{}:{}", cell.caller.repository(), listed.join(",")),
    }
}

/// Who is asked to log in, or turned away.
fn unauthorized(cell: Cell, row: &Row, sent: &Sent, asked_before: usize, address: SocketAddr) -> Option<Expected> {
    let challenge = |fault| Some(challenged(cell, row, fault, address));
    // What is not believed is never taken for anonymous, except where nobody looks at it.
    if cell.caller == Caller::Impostor && cell.realm.auth != Auth::None && row.needs != Needs::Nothing {
        let fault = if cell.proof == Proof::WrongToken { INVALID } else { ABSENT };
        return challenge(fault);
    }
    let allowed = match row.needs {
        Needs::Nothing | Needs::Ready => true,
        // A token is had for a name and a password, not for another token.
        Needs::Account if sent.method != "POST" && cell.is_by_token() => return challenge(ABSENT),
        Needs::Account => true,
        Needs::Entry => is_somebody(cell),
        Needs::List => may_list(cell),
        Needs::Inside => sees_inside(cell),
        Needs::Permission(permission) => {
            let caller = Some(cell.caller);
            may(cell, caller, permission) && says(cell, caller, permission)
        }
    };
    if !allowed {
        return match cell.proof {
            _ if cell.realm.auth == Auth::None => Some(refusal(403, "DENIED")),
            Proof::Nothing => challenge(ABSENT),
            Proof::Identity | Proof::Scoped => challenge(INSUFFICIENT),
            Proof::Password | Proof::WrongPassword | Proof::WrongToken => Some(refusal(403, "DENIED")),
        };
    }
    // Of a service elsewhere there may be a token that covers the source: asked for once.
    match &row.mount {
        Some((Some(_), Source::Hidden)) if cell.realm.auth == Auth::Elsewhere && asked_before == 0 => {
            challenge(INSUFFICIENT)
        }
        _ => None,
    }
}

/// The user's own rights, whatever he shows: the first rule that is about him, admins, and what
/// holds without rules. `None` is the repository that no rule speaks of.
fn may(cell: Cell, about: Option<Caller>, permission: Permission) -> bool {
    match (cell.realm.rules, cell.realm.auth) {
        (Rules::Absent, Auth::None) => true,
        (Rules::Absent, Auth::Basic | Auth::Own) => cell.is_logged_in(),
        // An external token exactly its `access`.
        (Rules::Absent, Auth::Elsewhere) => cell.is_by_token() && says(cell, about, permission),
        (Rules::Given | Rules::GivenWithGuests, _) => {
            let rules = cell.realm.rules();
            let rule = rules.iter().find(|(of, who, _)| {
                Some(*of) == about
                    && match *who {
                        "*" => cell.is_logged_in(),
                        "anonymous" => !cell.is_logged_in(),
                        user => cell.is_logged_in() && user == cell.caller.name(),
                    }
            });
            is_admin(cell) || rule.is_some_and(|(.., listed)| listed.contains(&permission))
        }
    }
}

/// What a token says it is good for; anything else may do all that its bearer may. Tokens of the
/// matrix are about the caller's own repositories.
pub fn says(cell: Cell, about: Option<Caller>, permission: Permission) -> bool {
    if cell.proof != Proof::Scoped {
        return true;
    }
    about == Some(cell.caller) && token_says(cell).contains(&permission)
}

/// What the token is asked for, or says.
pub fn token_says(cell: Cell) -> &'static [Permission] {
    match (cell.caller, cell.realm.auth, cell.realm.rules) {
        (Caller::Narrow, ..) => &[Permission::Pull],
        (Caller::Admin, ..) => EVERY,
        (caller, Auth::Elsewhere, Rules::Absent) => caller.rule().map_or(EVERY, |(_, listed)| listed),
        _ => EVERY,
    }
}

/// Whether the token says that repositories may be listed.
pub fn token_lists(cell: Cell) -> bool {
    match (cell.caller, cell.realm.auth, cell.realm.rules) {
        (Caller::Narrow, ..) => false,
        (caller, Auth::Elsewhere, Rules::Absent) => caller == Caller::Admin,
        // Our own service gives it to those whom it can show something.
        (Caller::Stranger | Caller::Guest, Auth::Own, rules) => rules == Rules::GivenWithGuests,
        _ => true,
    }
}

fn may_list(cell: Cell) -> bool {
    match cell.proof {
        Proof::Scoped => token_lists(cell),
        _ => is_somebody(cell) || cell.realm.rules == Rules::GivenWithGuests,
    }
}

fn lists_everything(cell: Cell) -> bool {
    cell.realm.auth == Auth::Elsewhere && cell.realm.rules == Rules::Absent
}

fn may_mount(cell: Cell, source: Source) -> bool {
    let about = match source {
        Source::Own => Some(cell.caller),
        Source::Hidden => None,
    };
    // Of our own tokens the user's rights count: one is asked for before the source is known.
    let said = cell.realm.auth != Auth::Elsewhere || says(cell, about, Permission::Pull);
    may(cell, about, Permission::Pull) && said
}

fn is_admin(cell: Cell) -> bool {
    let named = matches!(cell.caller, Caller::Admin | Caller::Narrow);
    named && cell.is_logged_in() && cell.realm.rules != Rules::Absent
}

/// Logged in, or with a token that the registry believes; without a login everybody is somebody.
fn is_somebody(cell: Cell) -> bool {
    cell.realm.auth == Auth::None || cell.is_logged_in() || cell.is_by_token()
}

/// Has a name to write into a form.
pub fn has_name(cell: Cell) -> bool {
    !matches!(cell.caller, Caller::Stranger | Caller::Guest)
}

/// Exactly one challenge, of the kind that was decided at boot.
fn challenged(cell: Cell, row: &Row, fault: &str, address: SocketAddr) -> Expected {
    let scope = match scopes(cell, row).join(" ") {
        scopes if scopes.is_empty() => String::new(),
        scopes => format!(",scope=\"{scopes}\""),
    };
    let challenge = match cell.realm.auth {
        Auth::Own if row.needs == Needs::Account => format!("Basic realm=\"{SERVICE}\", charset=\"UTF-8\""),
        Auth::None | Auth::Basic => "Basic realm=\"Registry\", charset=\"UTF-8\"".to_owned(),
        Auth::Own => format!("Bearer realm=\"http://{address}/auth/token\",service=\"{SERVICE}\"{scope}{fault}"),
        Auth::Elsewhere => format!("Bearer realm=\"{ELSEWHERE}\",service=\"{SERVICE}\"{scope}{fault}"),
    };
    Expected { challenge: Some(challenge), ..refusal(401, "UNAUTHORIZED") }
}

/// What the token must say.
fn scopes(cell: Cell, row: &Row) -> Vec<String> {
    let repository = cell.caller.repository();
    let own = match row.needs {
        Needs::List => Some("registry:catalog:*".to_owned()),
        Needs::Permission(Permission::Push) => Some(format!("repository:{repository}:pull,push")),
        Needs::Permission(permission) => Some(format!("repository:{repository}:{}", permission.word())),
        Needs::Nothing | Needs::Ready | Needs::Account | Needs::Entry | Needs::Inside => None,
    };
    let source = match &row.mount {
        Some((Some(from), _)) => Some(format!("repository:{from}:pull")),
        _ => None,
    };
    own.into_iter().chain(source).collect()
}

fn switched_off(route: &Route, goes_on: impl Fn(&str) -> bool, says: &'static str) -> Expected {
    let methods: Vec<_> = route.methods.iter().copied().filter(|method| goes_on(method)).collect();
    Expected { allow: Some(sorted(&methods)), says, ..refusal(405, "UNSUPPORTED") }
}

fn sorted(methods: &[&'static str]) -> Vec<&'static str> {
    let mut methods = methods.to_vec();
    methods.sort_unstable();
    methods
}

fn served(status: u16) -> Expected {
    Expected { status, code: None, challenge: None, allow: None, says: "" }
}

fn refusal(status: u16, code: &'static str) -> Expected {
    Expected { code: Some(code), ..served(status) }
}
