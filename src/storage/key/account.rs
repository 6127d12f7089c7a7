//! Keys of users, sessions and API keys: small files below `identity`.

use crate::who::{ApiKeyId, SessionId};
use oci::{Algorithm, Hasher};

/// What is kept of users, their logins and their API keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountKey {
    /// A login of a user.
    Session(SessionId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// When an API key was used last; may be lost.
    ApiKeyUse(ApiKeyId),
    /// When a user logged in last, and which of their logins are void.
    User(UserFile),
    /// A user who was deleted: the rights of this name must not pass to a new user.
    Tombstone(UserFile),
}

/// A directory of [`AccountKey`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountDir {
    /// [`AccountKey::Session`].
    Sessions,
    /// [`AccountKey::ApiKey`].
    ApiKeys,
    /// [`AccountKey::User`].
    Users,
    /// [`AccountKey::Tombstone`].
    Tombstones,
}

/// A user's name as a file name. Different names have different files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserFile(String);

/// Longer names are hashed: most file systems allow 255 bytes.
const LONGEST_NAME: usize = 200;

/// Marks a hashed name. In a name that is written out it would be escaped.
const HASHED: char = '=';

const ROOT: &str = "identity";
const RECORD: &str = ".json";
const USE: &str = ".used";

impl AccountDir {
    const ALL: [Self; 4] = [Self::Sessions, Self::ApiKeys, Self::Users, Self::Tombstones];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::ApiKeys => "api-keys",
            Self::Users => "users",
            Self::Tombstones => "tombstones",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dir| dir.as_str() == name)
    }

    pub(super) fn path(self) -> String {
        format!("{ROOT}/{}", self.as_str())
    }
}

impl AccountKey {
    pub(super) fn path(&self) -> String {
        let file = |dir: AccountDir, name: &str, end: &str| format!("{}/{name}{end}", dir.path());
        match self {
            Self::Session(id) => file(AccountDir::Sessions, &id.to_string(), RECORD),
            Self::ApiKey(id) => file(AccountDir::ApiKeys, &id.to_string(), RECORD),
            Self::ApiKeyUse(id) => file(AccountDir::ApiKeys, &id.to_string(), USE),
            Self::User(user) => file(AccountDir::Users, &user.0, RECORD),
            Self::Tombstone(user) => file(AccountDir::Tombstones, &user.0, RECORD),
        }
    }

    /// The key of a file in a directory.
    pub(super) fn parse(dir: AccountDir, name: &str) -> Option<Self> {
        let record = name.strip_suffix(RECORD);
        match dir {
            AccountDir::Sessions => record?.parse().ok().map(Self::Session),
            AccountDir::ApiKeys => match record {
                Some(id) => id.parse().ok().map(Self::ApiKey),
                None => name.strip_suffix(USE)?.parse().ok().map(Self::ApiKeyUse),
            },
            AccountDir::Users => UserFile::parse(record?).map(Self::User),
            AccountDir::Tombstones => UserFile::parse(record?).map(Self::Tombstone),
        }
    }
}

impl UserFile {
    /// The file name of a user. A name may hold any character and have any length.
    pub fn of(user: &str) -> Self {
        let mut written = String::with_capacity(user.len());
        for byte in user.bytes() {
            match byte {
                // A file that begins with a dot is hidden, and `.` and `..` are directories.
                b'.' if written.is_empty() => written.push_str("%2e"),
                plain if is_plain(plain) => written.push(plain.into()),
                other => written.push_str(&format!("%{other:02x}")),
            }
        }
        if written.len() > LONGEST_NAME {
            written = format!("{HASHED}{}", Hasher::digest(Algorithm::Sha256, user.as_bytes()).hex());
        }
        Self(written)
    }

    fn parse(name: &str) -> Option<Self> {
        let is_of_name = !name.is_empty()
            && !name.starts_with('.')
            && name.len() <= LONGEST_NAME
            && name.bytes().all(|byte| is_plain(byte) || byte == b'%');
        let is_hash = |hex: &str| format!("sha256:{hex}").parse::<oci::Digest>().is_ok();
        (is_of_name || name.strip_prefix(HASHED).is_some_and(is_hash)).then(|| Self(name.to_owned()))
    }
}

/// Capital letters are escaped too: some file systems do not distinguish them.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'@' | b'+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_file_of_its_own() {
        let long = "x".repeat(LONGEST_NAME + 1);
        let files = [
            ("alice", "alice"),
            ("Alice", "%41lice"),
            ("a.b@example", "a.b@example"),
            ("..", "%2e."),
            ("a/b", "a%2fb"),
            ("=x", "%3dx"),
            ("%41", "%2541"),
            ("jürgen", "j%c3%bcrgen"),
        ];
        for (user, file) in files {
            assert_eq!(UserFile::of(user).0, file);
        }
        for user in files.iter().map(|(user, _)| *user).chain([long.as_str(), &long[1..]]) {
            let file = UserFile::of(user);
            assert!(file.0.len() <= LONGEST_NAME, "{user}");
            assert_eq!(UserFile::parse(&file.0), Some(file), "{user}");
        }
        assert!(UserFile::of(&long).0.starts_with(HASHED) && !UserFile::of(&long[1..]).0.starts_with(HASHED));
    }
}
