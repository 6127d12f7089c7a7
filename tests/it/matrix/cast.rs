//! Under which circumstances, and who: kinds of login, modes, callers and what they show.

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    Basic,
    Own,
    Elsewhere,
}

/// Whether there is an `access-control.json`, and whether it speaks of those who are not logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    Absent,
    Given,
    GivenWithGuests,
}

/// What one registry is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realm {
    pub auth: Auth,
    pub rules: Rules,
}

/// What the operator has switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Normal,
    ReadOnly,
    NoDelete,
}

pub const MODES: [Mode; 3] = [Mode::Normal, Mode::ReadOnly, Mode::NoDelete];

/// Who asks. Each has a repository of that name, of which one rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Not logged in; the rule is about `*`, which is everybody who is.
    Stranger,
    /// Not logged in; the rule lets `anonymous` pull.
    Guest,
    /// A user, and the rule lists nothing.
    Nobody,
    Puller,
    Pusher,
    Deleter,
    /// Of `adminUsers`; no rule.
    Admin,
    /// May push, and uses the upload session of another.
    Foreigner,
    /// An admin with a token that is good for pulling.
    Narrow,
    /// Shows what nobody gave him. The rule would let `anonymous` do everything.
    Impostor,
}

pub const CALLERS: [Caller; 10] = [
    Caller::Stranger,
    Caller::Guest,
    Caller::Nobody,
    Caller::Puller,
    Caller::Pusher,
    Caller::Deleter,
    Caller::Admin,
    Caller::Foreigner,
    Caller::Narrow,
    Caller::Impostor,
];

/// What a caller shows with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Nothing,
    Password,
    /// A token of our own that was asked for without a scope.
    Identity,
    /// A token that says what it is good for.
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

/// One caller with one proof, in one registry.
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
            Self::Foreigner => "foreigner",
            Self::Narrow => "narrow",
            Self::Impostor => "impostor",
        }
    }

    /// Where the requests of this caller go.
    pub fn repository(self) -> String {
        format!("{}/app", self.name())
    }

    /// Has an account.
    pub fn is_user(self) -> bool {
        !matches!(self, Self::Stranger | Self::Guest | Self::Impostor)
    }

    /// The rule about this caller's repositories: for whom, and what it lists.
    pub fn rule(self) -> Option<(&'static str, &'static [Permission])> {
        use Permission::{Delete, Pull, Push};
        Some(match self {
            Self::Stranger => ("*", EVERY),
            Self::Guest => ("anonymous", &[Pull]),
            Self::Nobody => ("nobody", &[]),
            Self::Puller => ("puller", &[Pull]),
            Self::Pusher => ("pusher", &[Pull, Push]),
            Self::Deleter => ("deleter", &[Delete]),
            Self::Foreigner => ("foreigner", &[Pull, Push]),
            Self::Impostor => ("anonymous", EVERY),
            Self::Admin | Self::Narrow => return None,
        })
    }

    /// What this caller can show.
    pub fn proofs(self, realm: Realm) -> &'static [Proof] {
        use Proof::{Identity, Nothing, Password, Scoped, WrongPassword, WrongToken};
        match (self, realm.auth) {
            (Self::Guest, _) if realm.rules != Rules::GivenWithGuests => &[],
            (Self::Impostor, _) => &[WrongPassword, WrongToken],
            (Self::Narrow, Auth::None | Auth::Basic) => &[],
            (Self::Narrow, Auth::Own | Auth::Elsewhere) => &[Scoped],
            (Self::Stranger | Self::Guest, Auth::Own) => &[Nothing, Identity, Scoped],
            (Self::Stranger | Self::Guest, _) | (_, Auth::None) => &[Nothing],
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
    /// The rules in force: about which caller's repositories, for whom, and what they list.
    pub fn rules(self) -> Vec<(Caller, &'static str, &'static [Permission])> {
        let all = CALLERS.into_iter().filter_map(|caller| caller.rule().map(|(who, listed)| (caller, who, listed)));
        match (self.rules, self.auth) {
            (Rules::Absent, _) => Vec::new(),
            (Rules::Given, Auth::Basic | Auth::Own | Auth::Elsewhere) => {
                all.filter(|(_, who, _)| *who != "anonymous").collect()
            }
            (Rules::GivenWithGuests, Auth::Basic | Auth::Own | Auth::Elsewhere) => all.collect(),
            // There is nobody else.
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
