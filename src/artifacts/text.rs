//! What all texts about artifacts have in common.

use unicode_normalization::is_nfc;

/// Whether a text can be shown and compared: no control characters, and in Unicode's composed form. Otherwise two texts
/// that look the same could be two versions.
pub(super) fn is_plain(text: &str) -> bool {
    // Most are ASCII.
    !text.chars().any(char::is_control) && (text.is_ascii() || is_nfc(text))
}
