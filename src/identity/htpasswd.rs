//! htpasswd files: `name:hash`, bcrypt only.
//!
//! A line `name:!hash` is a locked user, and `name:!` a robot: neither can log in by password. Every other program that
//! reads the file takes them for hashes that match no password.

use crate::who::Subject;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hint::black_box,
    ops::{Bound, RangeInclusive},
};

/// The users of an htpasswd file.
#[derive(Clone)]
pub struct Users {
    /// What follows the colon, by name.
    lines: BTreeMap<String, String>,
    /// The highest cost in the file. Every wrong password takes as much work as a hash of this cost, so that the time
    /// reveals neither which users exist nor what their hashes cost.
    highest: u32,
    /// The hash that an unknown user's password is compared with.
    dummy: String,
}

/// An invalid line. Never quotes the line: it may contain a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidLine {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// Whether a user can log in by password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// Yes.
    Person,
    /// Not until they are unlocked.
    Locked,
    /// Never: there is no password. Robots use API keys.
    Robot,
}

/// What a line of a user who cannot log in by password has before the hash, if there is one.
pub(super) const LOCK: &str = "!";

impl UserKind {
    /// The kind of user with this after the colon of their line.
    fn of(line: &str) -> Self {
        match line.strip_prefix(LOCK) {
            None => Self::Person,
            Some("") => Self::Robot,
            Some(_) => Self::Locked,
        }
    }
}

/// The accepted hash costs. Less is not valid bcrypt; a higher cost would let logins overload the registry.
pub const COSTS: RangeInclusive<u32> = 4..=14;

/// The default cost.
pub const USUAL_COST: u32 = 10;

impl Users {
    /// Parses a file's text.
    ///
    /// # Errors
    /// All invalid lines.
    pub fn parse(text: &str) -> Result<Self, Vec<InvalidLine>> {
        let (mut lines, mut problems) = (BTreeMap::new(), Vec::new());
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut cost = None;
        for (i, line) in text.split('\n').enumerate() {
            let mut wrong = |message: String| problems.push(InvalidLine { line: i + 1, message });
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains('\r') {
                wrong("ends with a carriage return: save the file with Unix line ends".to_owned());
                continue;
            }
            let Some((name, hash)) = line.split_once(':') else {
                wrong("is not of the form name:hash".to_owned());
                continue;
            };
            if !Subject::is_user_name(name) {
                wrong(format!("{name:?} cannot be a user's name"));
            } else if let Some(first) = numbers.insert(name, i + 1) {
                wrong(format!("user {name:?} is on line {first} already"));
            } else {
                let checked = match UserKind::of(hash) {
                    UserKind::Person => cost_of(hash).map(|found| cost = cost.max(Some(found))),
                    UserKind::Locked => cost_of(&hash[LOCK.len()..]).map(drop),
                    UserKind::Robot => Ok(()),
                };
                match checked {
                    Ok(()) => drop(lines.insert(name.to_owned(), hash.to_owned())),
                    Err(why) => wrong(format!("user {name:?}: {why}")),
                }
            }
        }
        match problems.is_empty() {
            true => Ok(Self::of(lines, cost.unwrap_or(USUAL_COST))),
            false => Err(problems),
        }
    }

    fn of(lines: BTreeMap<String, String>, highest: u32) -> Self {
        Self { lines, highest, dummy: dummy(highest) }
    }

    /// Whether the user exists, locked or not.
    pub fn contains(&self, name: &str) -> bool {
        self.lines.contains_key(name)
    }

    /// The kind of a user; `None` if there is no such user.
    pub fn kind(&self, name: &str) -> Option<UserKind> {
        self.line(name).map(UserKind::of)
    }

    /// What follows the colon on a user's line: whatever proves a login ends with it when it changes.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.lines.get(name).map(String::as_str)
    }

    /// The users whose names follow `after`, in byte order.
    pub fn after<'u>(&'u self, after: Option<&str>) -> impl Iterator<Item = (&'u str, UserKind)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.lines.range::<str, _>((start, Bound::Unbounded));
        users.map(|(name, line)| (name.as_str(), UserKind::of(line)))
    }

    /// Number of users.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether the file has no users.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether this is the user's password; takes as long if there is no such user, or if they cannot log in by
    /// password. For single checks:
    /// [`Passwords`](super::Passwords) serves many clients.
    pub fn verify(&self, name: &str, password: &str) -> bool {
        let (hash, known) = self.hash(name);
        holds(hash, password, self.highest) && known
    }

    /// The work of every wrong password, as a cost.
    pub(super) fn highest_cost(&self) -> u32 {
        self.highest
    }

    /// The hash to compare a password with, and whether it belongs to a user who can log in.
    pub(super) fn hash(&self, name: &str) -> (&str, bool) {
        match self.line(name) {
            Some(hash) if UserKind::of(hash) == UserKind::Person => (hash, true),
            _ => (&self.dummy, false),
        }
    }
}

impl Default for Users {
    fn default() -> Self {
        Self::of(BTreeMap::new(), USUAL_COST)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.lines.len())
    }
}

/// Whether a hash is that of a password. A correct password takes the work of its own hash, a wrong one that of
/// `highest`.
pub(super) fn holds(hash: &str, password: &str, highest: u32) -> bool {
    held_by(hash, highest, |hash| {
        // Passwords longer than bcrypt's limit are rejected, not cut.
        black_box(bcrypt::non_truncating_verify(password.as_bytes(), hash).ok())
    })
}

/// Like [`holds`], with a given `verify`, which returns `None`, without having worked, for an invalid hash or password.
fn held_by(hash: &str, highest: u32, verify: impl Fn(&str) -> Option<bool>) -> bool {
    match (verify(hash), cost_of(hash)) {
        (Some(true), _) => return true,
        // A hash of cost c takes 2^c steps: with 2^c, 2^(c+1), … and 2^(highest-1) more, that is 2^highest.
        (Some(false), Ok(cost)) => (cost..highest).for_each(|cost| {
            verify(&dummy(cost));
        }),
        (None, _) | (_, Err(_)) => {
            verify(&dummy(highest));
        }
    }
    false
}

/// The cost of a bcrypt hash, or why it is invalid.
fn cost_of(hash: &str) -> Result<u32, String> {
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "2y" | "2a" | "2b", cost, rest] = parts.as_slice() else {
        return Err("only bcrypt hashes ($2y$, $2a$, $2b$) are accepted; make one with htpasswd -B".to_owned());
    };
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
    match cost.parse::<u32>() {
        Ok(cost) if cost.to_string().len() <= 2 && COSTS.contains(&cost) => {
            match rest.len() == 53 && rest.bytes().all(alphabet) {
                true => Ok(cost),
                false => Err("the bcrypt hash is not whole".to_owned()),
            }
        }
        Ok(cost) if cost > *COSTS.end() => Err(format!("a bcrypt cost of {cost} is more than {}", COSTS.end())),
        _ => Err("the bcrypt hash has no cost".to_owned()),
    }
}

/// A hash whose password nobody knows.
fn dummy(cost: u32) -> String {
    format!("$2b${cost:02}$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

    #[test]
    fn users_comments_and_empty_lines_are_read() {
        let users = Users::parse(&format!("# people\nalice:{HASH}\n\nbob:{}\n", HASH.replace("2y", "2a"))).unwrap();
        assert!(users.contains("alice") && users.contains("bob") && !users.contains("Alice"));
        assert!(users.hash("carol").0.starts_with("$2b$05$"), "a stranger costs what the others do");
        assert_eq!(format!("{users:?}"), "Users(2)");
        assert!(Users::parse("").unwrap().is_empty());
    }

    #[test]
    fn locked_users_and_robots_exist_and_have_no_password() {
        let costly = HASH.replace("$05$", "$12$");
        let users = Users::parse(&format!("bob:!{HASH}\nalice:{HASH}\ndave:!{costly}\nci:!\n")).unwrap();
        let kinds: Vec<_> = users.after(None).collect();
        use UserKind::{Locked, Person, Robot};
        assert_eq!(kinds, [("alice", Person), ("bob", Locked), ("ci", Robot), ("dave", Locked)]);
        assert_eq!(users.after(Some("bob")).map(|(name, _)| name).collect::<Vec<_>>(), ["ci", "dave"]);
        for name in ["bob", "ci", "nobody"] {
            assert_eq!(users.hash(name), (users.dummy.as_str(), false), "{name}");
        }
        assert_eq!(users.highest_cost(), 5, "locked hashes do not count");
        assert_eq!((users.kind("ci"), users.line("ci"), users.kind("nobody")), (Some(Robot), Some("!"), None));
        for line in ["bob:!!", "bob:! ", "bob:!plain", &format!("bob:!!{HASH}"), &format!("bob: !{HASH}")] {
            assert!(Users::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_bad_line_is_reported_and_no_hash_is_shown() {
        let text = format!(
            "alice:{HASH}\nplain:secret\nsha:{{SHA}}x\nmd5:$apr1$x$y\nalice:{HASH}\nnocolon\n*:{HASH}\n@g:{HASH}\nanonymous:{HASH}\n \
             :{HASH}\ncostly:{}\ncrlf:{HASH}\r\nshort:$2y$05$abc\n",
            HASH.replace("$05$", "$20$")
        );
        let problems = Users::parse(&text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert!(problems[3].message.contains("line 1 already"));
        let output = format!("{problems:?}");
        assert!(!output.contains("secret") && !output.contains("bvIG6"), "{output}");
    }

    #[test]
    fn every_wrong_password_takes_the_work_of_the_highest_cost_and_a_right_one_its_own() {
        let highest = 12;
        let work = |hash: &str, answer: Option<bool>| {
            let steps = Cell::new(0);
            let right = held_by(hash, highest, |asked| {
                // What cannot be verified takes no work.
                let done = if asked == hash { answer } else { Some(false) };
                steps.set(steps.get() + done.map_or(0, |_| 1_u64 << cost_of(asked).unwrap()));
                done
            });
            (right, steps.get())
        };
        for cost in 4..=highest {
            let hash = HASH.replace("$05$", &format!("${cost:02}$"));
            assert_eq!(work(&hash, Some(false)), (false, 1 << highest), "cost {cost}");
            assert_eq!(work(&hash, Some(true)), (true, 1 << cost), "cost {cost}");
            assert_eq!(work(&hash, None), (false, 1 << highest), "a hash that cannot be decoded, cost {cost}");
        }
        assert_eq!(work(&dummy(highest), Some(false)), (false, 1 << highest), "an unknown user");
    }

    #[test]
    fn the_highest_cost_is_that_of_the_file() {
        let line = |name: &str, cost: u32| format!("{name}:{}\n", HASH.replace("$05$", &format!("${cost:02}$")));
        let highest = |text: &str| Users::parse(text).unwrap().highest_cost();
        assert_eq!(highest(&[line("a", 4), line("b", 12), line("c", 10)].concat()), 12);
        assert_eq!((highest(""), Users::default().highest_cost()), (USUAL_COST, USUAL_COST));
    }

    #[test]
    fn the_dummy_can_be_verified_against() {
        assert!(!bcrypt::verify("x", &dummy(4)).unwrap());
    }
}
