//! The text of an I/O error for the end of a sentence.

use std::io;

/// The cause without the error number: `address already in use`.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_ends_a_sentence() {
        assert_eq!(cause(&io::Error::from_raw_os_error(98)), "address already in use");
        assert_eq!(cause(&io::Error::other("cannot open /tmp: Busy")), "cannot open /tmp: Busy");
        assert_eq!(cause(&io::Error::other("")), "");
    }
}
