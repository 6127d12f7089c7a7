//! htpasswd files: `name:hash`, bcrypt only.

use crate::who::Subject;
use std::{collections::HashMap, fmt, ops::RangeInclusive};

/// The users of a file.
#[derive(Clone, Default)]
pub struct Users {
    hashes: HashMap<String, String>,
    /// What an unknown user's password is held against: of the cost of the file's own hashes, so
    /// that the time does not tell who exists.
    dummy: String,
}

/// A line that cannot be used. Never quotes the line: it may hold a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The costs of hashes that are accepted. Less is no bcrypt; a line with more would be a way to
/// stop the registry.
pub const COSTS: RangeInclusive<u32> = 4..=14;

/// The cost of a hash where nobody says another.
pub const USUAL_COST: u32 = 10;

impl Users {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Every line that cannot be used.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let (mut hashes, mut problems) = (HashMap::new(), Vec::new());
        let mut lines: HashMap<&str, usize> = HashMap::new();
        let mut cost = None;
        for (i, line) in text.split('\n').enumerate() {
            let mut wrong = |message: String| problems.push(Problem { line: i + 1, message });
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
            } else if let Some(first) = lines.insert(name, i + 1) {
                wrong(format!("user {name:?} is on line {first} already"));
            } else {
                match cost_of(hash) {
                    Ok(found) => {
                        cost = cost.max(Some(found));
                        hashes.insert(name.to_owned(), hash.to_owned());
                    }
                    Err(why) => wrong(format!("user {name:?}: {why}")),
                }
            }
        }
        match problems.is_empty() {
            true => Ok(Self { hashes, dummy: dummy(cost.unwrap_or(USUAL_COST)) }),
            false => Err(problems),
        }
    }

    /// Whether there is such a user.
    pub fn contains(&self, name: &str) -> bool {
        self.hashes.contains_key(name)
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether this is the user's password; takes as long for one who is not there. For one
    /// question: [`Passwords`](super::Passwords) answers those of many clients.
    pub fn verify(&self, name: &str, password: &str) -> bool {
        let (hash, known) = self.hash(name);
        holds(hash, password) && known
    }

    /// The hash to hold a password against, and whether it is anybody's.
    pub(super) fn hash(&self, name: &str) -> (&str, bool) {
        match self.hashes.get(name) {
            Some(hash) => (hash, true),
            None => (&self.dummy, false),
        }
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}

/// Whether a hash is that of a password.
pub(super) fn holds(hash: &str, password: &str) -> bool {
    // Longer passwords than bcrypt looks at are refused, not cut.
    bcrypt::non_truncating_verify(password.as_bytes(), hash).unwrap_or(false)
}

/// The cost of a bcrypt hash, or why it is none.
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

/// A hash of no password anybody knows.
fn dummy(cost: u32) -> String {
    format!("$2b${cost:02}$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

    #[test]
    fn users_comments_and_empty_lines() {
        let users = Users::parse(&format!("# people\nalice:{HASH}\n\nbob:{}\n", HASH.replace("2y", "2a"))).unwrap();
        assert!(users.contains("alice") && users.contains("bob") && !users.contains("Alice"));
        assert!(users.hash("carol").0.starts_with("$2b$05$"), "a stranger costs what the others do");
        assert_eq!(format!("{users:?}"), "Users(2)");
        assert!(Users::parse("").unwrap().is_empty());
    }

    #[test]
    fn every_bad_line_is_told_and_no_hash_is_shown() {
        let text = format!(
            "alice:{HASH}\nplain:secret\nsha:{{SHA}}x\nmd5:$apr1$x$y\nalice:{HASH}\nnocolon\n*:{HASH}\n@g:{HASH}\nanonymous:{HASH}\n \
             :{HASH}\ncostly:{}\ncrlf:{HASH}\r\nshort:$2y$05$abc\n",
            HASH.replace("$05$", "$20$")
        );
        let problems = Users::parse(&text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert!(problems[3].message.contains("line 1 already"));
        let told = format!("{problems:?}");
        assert!(!told.contains("secret") && !told.contains("bvIG6"), "{told}");
    }

    #[test]
    fn the_dummy_can_be_verified_against() {
        assert!(!bcrypt::verify("x", &dummy(4)).unwrap());
    }
}
