//! The circumstances and the callers: kinds of authentication, modes, callers and their credentials.

/// How callers authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    Basic,
    Own,
    Elsewhere,
}

/// Whether there is an `access-control.json`, and whether it covers anonymous callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    Absent,
    Given,
    GivenWithGuests,
}

/// The configuration of one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realm {
    pub auth: Auth,
    pub rules: Rules,
}

/// What the operator has disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Normal,
    ReadOnly,
    NoDelete,
}

pub const MODES: [Mode; 3] = [Mode::Normal, Mode::ReadOnly, Mode::NoDelete];

/// The caller. Each has a repository with their name, covered by one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Not logged in; the rule is about `*`, which is everybody who is.
    Stranger,
    /// Not logged in; the rule lets `anonymous` pull.
    Guest,
    /// A user whose rule lists no permission.
    Nobody,
    Puller,
    Pusher,
    Deleter,
    /// Of `adminUsers`; no rule.
    Admin,
    /// An operator of the daemon only: has a role with VIEW:SYSTEM.
    Monitor,
    /// May push, and uses the upload session of another.
    Foreigner,
    /// An admin with a token that is limited to pulling.
    Narrow,
    /// Not logged in; the repository is public and not covered by a rule.
    Visitor,
    /// Owns the repository, which no rule covers.
    Proprietor,
    /// Owns the repository, and the rule allows them to pull.
    Overruled,
    /// Presents invalid credentials. The rule would let `anonymous` do everything.
    Impostor,
}

pub const CALLERS: [Caller; 14] = [
    Caller::Stranger,
    Caller::Guest,
    Caller::Nobody,
    Caller::Puller,
    Caller::Pusher,
    Caller::Deleter,
    Caller::Admin,
    Caller::Monitor,
    Caller::Foreigner,
    Caller::Narrow,
    Caller::Visitor,
    Caller::Proprietor,
    Caller::Overruled,
    Caller::Impostor,
];

/// The credentials a caller sends with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Nothing,
    Password,
    /// A token of our own, requested without a scope.
    Identity,
    /// A token that is limited to scopes.
    Scoped,
    WrongPassword,
    WrongToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Pull,
    Push,
    Delete,
}

pub const EVERY: &[Permission] = &[Permission::Pull, Permission::Push, Permission::Delete];

/// One caller with one kind of credentials, in one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub realm: Realm,
    pub mode: Mode,
    pub caller: Caller,
    pub proof: Proof,
}

impl Caller {
    /// The user's name, and the first part of the repository's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Guest => "guest",
            Self::Nobody => "nobody",
            Self::Puller => "puller",
            Self::Pusher => "pusher",
            Self::Deleter => "deleter",
            Self::Admin => "admin",
            Self::Monitor => "monitor",
            Self::Foreigner => "foreigner",
            Self::Narrow => "narrow",
            Self::Visitor => "visitor",
            Self::Proprietor => "proprietor",
            Self::Overruled => "overruled",
            Self::Impostor => "impostor",
        }
    }

    /// The repository of this caller's requests.
    pub fn repository(self) -> String {
        format!("{}/app", self.name())
    }

    /// Has an account.
    pub fn is_user(self) -> bool {
        !matches!(self, Self::Stranger | Self::Guest | Self::Visitor | Self::Impostor)
    }

    /// The rule for this caller's repositories: its users, and the permissions it lists.
    pub fn rule(self) -> Option<(&'static str, &'static [Permission])> {
        use Permission::{Delete, Pull, Push};
        Some(match self {
            Self::Stranger => ("*", EVERY),
            Self::Guest => ("anonymous", &[Pull]),
            Self::Nobody => ("nobody", &[]),
            Self::Monitor => ("monitor", &[]),
            Self::Puller => ("puller", &[Pull]),
            Self::Pusher => ("pusher", &[Pull, Push]),
            Self::Deleter => ("deleter", &[Delete]),
            Self::Foreigner => ("foreigner", &[Pull, Push]),
            Self::Impostor => ("anonymous", EVERY),
            Self::Overruled => ("overruled", &[Pull]),
            Self::Admin | Self::Narrow | Self::Visitor | Self::Proprietor => return None,
        })
    }

    /// The recorded fact of this caller's repositories: the file and its content.
    pub fn fact(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Visitor => Some(("visibility", "public\n")),
            Self::Proprietor => Some(("owner", "proprietor\n")),
            Self::Overruled => Some(("owner", "overruled\n")),
            _ => None,
        }
    }

    /// The credentials this caller can send.
    pub fn proofs(self, realm: Realm) -> &'static [Proof] {
        use Proof::{Identity, Nothing, Password, Scoped, WrongPassword, WrongToken};
        match (self, realm.auth) {
            (Self::Guest, _) if realm.rules != Rules::GivenWithGuests => &[],
            (Self::Impostor, _) => &[WrongPassword, WrongToken],
            (Self::Narrow, Auth::None | Auth::Basic) => &[],
            (Self::Narrow, Auth::Own | Auth::Elsewhere) => &[Scoped],
            (Self::Stranger | Self::Guest | Self::Visitor, Auth::Own) => &[Nothing, Identity, Scoped],
            (Self::Stranger | Self::Guest | Self::Visitor, _) | (_, Auth::None) => &[Nothing],
            (_, Auth::Basic) => &[Password],
            (_, Auth::Own) => &[Password, Identity, Scoped],
            (_, Auth::Elsewhere) => &[Scoped],
        }
    }
}

impl Permission {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

impl Realm {
    /// The active rules: the caller whose repositories they cover, their users, and the permissions they list.
    pub fn rules(self) -> Vec<(Caller, &'static str, &'static [Permission])> {
        let all = CALLERS.into_iter().filter_map(|caller| caller.rule().map(|(who, listed)| (caller, who, listed)));
        match (self.rules, self.auth) {
            (Rules::Absent, _) => Vec::new(),
            (Rules::Given, Auth::Basic | Auth::Own | Auth::Elsewhere) => {
                all.filter(|(_, who, _)| *who != "anonymous").collect()
            }
            (Rules::GivenWithGuests, Auth::Basic | Auth::Own | Auth::Elsewhere) => all.collect(),
            // There are no other callers.
            (_, Auth::None) => {
                all.map(|(caller, who, listed)| (caller, if who == "*" { "*" } else { "anonymous" }, listed)).collect()
            }
        }
    }
}

impl Cell {
    pub fn is_logged_in(self) -> bool {
        self.realm.auth != Auth::None && self.caller.is_user()
    }

    pub fn is_by_token(self) -> bool {
        matches!(self.proof, Proof::Identity | Proof::Scoped)
    }
}
