//! The expected result of a request, according to the design: permissions (section 4), credentials (5) and what the
//! operator has disabled (7). It uses none of the registry's code to decide.

use super::{
    cast::{Auth, CALLERS, Caller, Cell, EVERY, Mode, Permission, Proof, Realm, Rules},
    rows::{Does, Needs, Route, Row, Sent},
    site::Source,
};
use std::net::SocketAddr;
use testing::people::{ELSEWHERE, SERVICE};

/// The owner of the sessions that a foreigner uses.
pub const OWNER: &str = "owner";

/// The repository that no rule covers.
pub const HIDDEN: &str = "hidden/app";

/// The operator's message about what is disabled.
pub const MESSAGE: &str = "we are moving";

/// The expected part of a response.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    /// The error code of a refusal.
    pub code: Option<&'static str>,
    /// The complete challenge.
    pub challenge: Option<String>,
    /// The methods that are still allowed, sorted.
    pub allow: Option<Vec<&'static str>>,
    /// Text in the message of a refusal.
    pub says: &'static str,
}

/// Why a login is required, as the challenge names it.
const ABSENT: &str = "";
const INVALID: &str = ",error=\"invalid_token\"";
const INSUFFICIENT: &str = ",error=\"insufficient_scope\"";

/// The expected result.
pub fn expect(cell: Cell, row: &Row, sent: &Sent, asked_before: usize, address: SocketAddr) -> Expected {
    // There is a token service only with tokens of our own.
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
    // The form is incomplete without a user name.
    if row.needs == Needs::Account && sent.method == "POST" && !has_name(cell) {
        return refusal(400, "UNSUPPORTED");
    }
    // A session belongs to its subject; for others it does not exist.
    if row.in_session && cell.caller == Caller::Foreigner && cell.realm.auth != Auth::None {
        return refusal(404, "BLOB_UPLOAD_UNKNOWN");
    }
    // A mount requires pull on the source; without it an ordinary upload begins.
    match &row.mount {
        Some((_, source)) if !may_mount(cell, *source) => served(202),
        _ => served(sent.status),
    }
}

/// A method that the route does not have: reported to everybody, before anything else.
pub fn wrong_method(cell: Cell, row: &Row) -> Expected {
    match row.needs == Needs::Account && cell.realm.auth != Auth::Own {
        true => refusal(404, "UNSUPPORTED"),
        false => Expected { allow: Some(sorted(row.route.methods)), ..refusal(405, "UNSUPPORTED") },
    }
}

/// Whether this caller sees the daemon's internals in the response.
pub fn sees_inside(cell: Cell) -> bool {
    // Open to admins, to those with a role for it, and to everybody without authentication. A token with scopes does
    // not include it.
    let monitors = cell.caller == Caller::Monitor && cell.is_logged_in() && cell.realm.rules != Rules::Absent;
    cell.realm.auth == Auth::None || ((is_admin(cell) || monitors) && cell.proof != Proof::Scoped)
}

/// The repositories in the catalog.
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

/// The scopes a user's token grants, of everything in their own repository.
pub fn granted_scope(cell: Cell) -> String {
    let listed: Vec<_> =
        EVERY.iter().filter(|p| may(cell, Some(cell.caller), **p)).map(|permission| permission.word()).collect();
    match listed.is_empty() {
        true => String::new(),
        false => format!("repository:{}:{}", cell.caller.repository(), listed.join(",")),
    }
}

/// Callers who are asked to log in.
fn unauthorized(cell: Cell, row: &Row, sent: &Sent, asked_before: usize, address: SocketAddr) -> Option<Expected> {
    let challenge = |fault| Some(challenged(cell, row, fault, address));
    // Invalid credentials are never treated as anonymous, except where they are not examined.
    if cell.caller == Caller::Impostor && cell.realm.auth != Auth::None && row.needs != Needs::Nothing {
        let fault = if cell.proof == Proof::WrongToken { INVALID } else { ABSENT };
        return challenge(fault);
    }
    let allowed = match row.needs {
        Needs::Nothing | Needs::Ready => true,
        // A token is issued for a user name and password, not for another token.
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
    // A token that includes the source too is asked for once, if it would suffice.
    match &row.mount {
        Some((Some(_), source)) if asked_before == 0 && !may_mount(cell, *source) && could_mount(cell, *source) => {
            challenge(INSUFFICIENT)
        }
        _ => None,
    }
}

/// The user's own rights, whatever their credentials: the first rule about them, admins, and the default without rules.
/// `None` is the repository that no rule covers.
fn may(cell: Cell, about: Option<Caller>, permission: Permission) -> bool {
    match (cell.realm.rules, cell.realm.auth) {
        (Rules::Absent, Auth::None) => true,
        (Rules::Absent, Auth::Basic | Auth::Own) => cell.is_logged_in() || by_facts(cell, about, permission),
        // An external token grants exactly its `access`.
        (Rules::Absent, Auth::Elsewhere) if cell.is_by_token() => says(cell, about, permission),
        (Rules::Absent, Auth::Elsewhere) => by_facts(cell, about, permission),
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
            // A rule is final: recorded facts do not change its result.
            let by_rule = rule.map(|(.., listed)| listed.contains(&permission));
            is_admin(cell) || by_rule.unwrap_or_else(|| by_facts(cell, about, permission))
        }
    }
}

/// Recorded facts: everybody may pull what is public, and owners may do everything.
fn by_facts(cell: Cell, about: Option<Caller>, permission: Permission) -> bool {
    match about {
        Some(Caller::Visitor) => permission == Permission::Pull,
        Some(owner @ (Caller::Proprietor | Caller::Overruled)) => cell.is_logged_in() && cell.caller == owner,
        _ => false,
    }
}

/// Whether the credentials include a permission; credentials other than tokens with scopes include everything. The
/// tokens of the matrix are about the caller's own repositories.
pub fn says(cell: Cell, about: Option<Caller>, permission: Permission) -> bool {
    if cell.proof != Proof::Scoped {
        return true;
    }
    about == Some(cell.caller) && token_says(cell).contains(&permission)
}

/// The permissions that the token is requested for, or that it lists.
pub fn token_says(cell: Cell) -> &'static [Permission] {
    match (cell.caller, cell.realm.auth, cell.realm.rules) {
        (Caller::Narrow, ..) => &[Permission::Pull],
        (Caller::Admin, ..) => EVERY,
        (caller, Auth::Elsewhere, Rules::Absent) => caller.rule().map_or(EVERY, |(_, listed)| listed),
        _ => EVERY,
    }
}

/// Whether the token permits listing repositories.
pub fn token_lists(cell: Cell) -> bool {
    match (cell.caller, cell.realm.auth, cell.realm.rules) {
        (Caller::Narrow, ..) => false,
        (caller, Auth::Elsewhere, Rules::Absent) => caller == Caller::Admin,
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
    may(cell, source.about(cell), Permission::Pull) && says(cell, source.about(cell), Permission::Pull)
}

/// Whether another token would let the caller mount.
fn could_mount(cell: Cell, source: Source) -> bool {
    let any_token_counts = cell.realm.auth == Auth::Elsewhere && cell.realm.rules == Rules::Absent;
    cell.is_by_token() && (any_token_counts || may(cell, source.about(cell), Permission::Pull))
}

impl Source {
    /// The caller whose rule covers the source.
    fn about(self, cell: Cell) -> Option<Caller> {
        match self {
            Self::Own => Some(cell.caller),
            Self::Hidden => None,
        }
    }
}

fn is_admin(cell: Cell) -> bool {
    let named = matches!(cell.caller, Caller::Admin | Caller::Narrow);
    named && cell.is_logged_in() && cell.realm.rules != Rules::Absent
}

/// Logged in, or with a valid token; without authentication this is everybody.
fn is_somebody(cell: Cell) -> bool {
    cell.realm.auth == Auth::None || cell.is_logged_in() || cell.is_by_token()
}

/// Has a user name for a form.
pub fn has_name(cell: Cell) -> bool {
    !matches!(cell.caller, Caller::Stranger | Caller::Guest | Caller::Visitor)
}

/// Exactly one challenge, of the kind that was chosen at startup.
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

/// The scopes that the token needs.
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
