//! Values of the variables for an SFTP server.

use super::values::Value;
use client::Secret;

/// The name or address of a host, without scheme, port or path.
pub(super) fn host_name(text: &str) -> Value<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    match (1..=253).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not the name or address of a host; leave out scheme, user and path")),
    }
}

/// The text of a private key; line ends may be escaped, for files that hold one variable to a line.
pub(super) fn private_key(text: &str) -> Value<Secret> {
    match text.contains('\n') {
        true => Ok(Secret::new(text)),
        false => Ok(Secret::new(text.replace("\\n", "\n"))),
    }
}

/// A directory of a server.
pub(super) fn remote_directory(text: &str) -> Value<String> {
    let is_good = |name: &str| name != ".." && !name.contains(char::is_control);
    match text.split('/').all(is_good) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a directory: leave out `..`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_keys_and_directories_are_what_they_seem() {
        for good in ["a.example", "10.0.0.1", "::1", "box_1"] {
            assert_eq!(host_name(good).as_deref(), Ok(good));
        }
        for bad in ["sftp://a", "user@a", "a/b", "-a", "a b"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
        assert_eq!(private_key("a\\nb").unwrap().expose(), "a\nb");
        assert_eq!(private_key("a\\n\nb").unwrap().expose(), "a\\n\nb");
        assert!(remote_directory("/a/b").is_ok() && remote_directory(".").is_ok());
        assert!(remote_directory("a/../b").is_err());
    }
}
