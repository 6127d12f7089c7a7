//! What new passwords must be like. Existing ones are not judged: their owners could not log in to change them.

use super::common_password::is_common;

/// bcrypt takes no more bytes.
const MAX_LENGTH: usize = 71;

/// What new passwords must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Minimum length in bytes.
    pub min_length: usize,
    /// Whether passwords that everybody tries first are accepted.
    pub accepts_common: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 10, accepts_common: false }
    }
}

impl PasswordPolicy {
    /// Checks a new password of a user.
    ///
    /// # Errors
    /// Everything that is wrong with it, for people.
    pub fn check(&self, user: &str, password: &str) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        if password.len() < self.min_length {
            problems.push(format!("must have at least {} bytes, not {}", self.min_length, password.len()));
        }
        if password.len() > MAX_LENGTH {
            problems.push(format!("must have at most {MAX_LENGTH} bytes, not {}", password.len()));
        }
        if password.contains(['\0', '\r', '\n']) {
            problems.push("must not have a line break or a NUL character".to_owned());
        }
        if password.eq_ignore_ascii_case(user) {
            problems.push("must not be the user's name".to_owned());
        } else if !self.accepts_common && is_common(password) {
            problems.push("is one of those that are tried first: common words, sequences or repetitions".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_bounds_and_is_not_guessed_at_once() {
        let policy = PasswordPolicy::default();
        let problems = |password: &str| policy.check("alexandria", password).err().unwrap_or_default().len();
        for good in ["tR4#kq9wLz", "correct horse battery staple", &"aB3$x".repeat(14)] {
            assert_eq!(problems(good), 0, "{good}");
        }
        for (bad, count) in [
            ("tR4#kq9wL", 1),
            ("", 1),
            (&*format!("{}tR4#kq", "xY7&".repeat(17)), 1),
            ("alexandria", 1),
            ("ALEXANDRIA", 1),
            ("password12", 1),
            ("passw0rd", 2),
            ("tR4#kq9wLz\n", 1),
        ] {
            assert_eq!(problems(bad), count, "{bad:?}");
        }
        let lax = PasswordPolicy { min_length: 1, accepts_common: true };
        assert!(lax.check("alice", "a").is_ok() && lax.check("alice", "password").is_ok());
        assert!(lax.check("alice", "alice").is_err());
    }
}
