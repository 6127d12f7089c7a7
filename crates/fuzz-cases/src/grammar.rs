//! The grammars of the distribution specification, written as in its text and without regard to speed. The parsers are
//! compared with them.

/// Takes characters from the front while they fit; `None` if none does.
fn run(text: &str, fits: impl Fn(char) -> bool) -> Option<&str> {
    let rest = text.trim_start_matches(&fits);
    (rest.len() < text.len()).then_some(rest)
}

fn lower(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn component(text: &str) -> bool {
    let Some(mut rest) = run(text, lower) else { return false };
    while !rest.is_empty() {
        let after =
            rest.strip_prefix("__").or_else(|| rest.strip_prefix(['.', '_'])).or_else(|| run(rest, |c| c == '-'));
        match after.and_then(|after| run(after, lower)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    true
}

/// `component(/component)*`, of at most 255 bytes.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 255 && text.split('/').all(component)
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub(crate) fn is_tag(text: &str) -> bool {
    let word = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '_');
    let Some(first) = text.chars().next() else { return false };
    word(first) && text.len() <= 128 && text.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// `sha256:` and 64, or `sha512:` and 128 of `[a-f0-9]`.
pub(crate) fn is_digest(text: &str) -> bool {
    let hex = |hex: &str, len| hex.len() == len && hex.chars().all(|c| matches!(c, 'a'..='f' | '0'..='9'));
    text.strip_prefix("sha256:").is_some_and(|rest| hex(rest, 64))
        || text.strip_prefix("sha512:").is_some_and(|rest| hex(rest, 128))
}

/// `algorithm:encoded` of image-spec, whatever the algorithm.
pub(crate) fn is_any_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else { return false };
    let Some(mut rest) = run(algorithm, lower) else { return false };
    while !rest.is_empty() {
        match rest.strip_prefix(['+', '.', '_', '-']).and_then(|after| run(after, lower)) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    let letter = |c: char| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '=' | '_' | '-');
    !encoded.is_empty() && encoded.chars().all(letter)
}

/// A UUID in lower case with hyphens.
pub(crate) fn is_upload_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &&str| part.chars().all(|c| matches!(c, 'a'..='f' | '0'..='9'));
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(hex)
}

/// A path below the storage root that stays there, whichever file system reads it.
pub(crate) fn stays_below(path: &str, root: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
        && path
            .split('/')
            .all(|name| !name.is_empty() && name != "." && name != ".." && name.len() <= 255 && name.chars().all(plain))
}
