//! Spellings of a path: plain, and with escapes (RFC 9110 §4.2.3). They must not make a difference.

use super::rows::Sent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    Plain,
    Escaped,
}

impl Spelling {
    pub const ALL: [Self; 2] = [Self::Plain, Self::Escaped];

    /// The same request in this spelling. `n` chooses which characters are escaped.
    pub fn of(self, sent: &Sent, repository: &str, n: usize) -> Sent {
        match self {
            Self::Plain => sent.clone(),
            Self::Escaped => Sent { target: escaped(&sent.target, repository, n), ..sent.clone() },
        }
    }
}

/// Escapes the slash within the repository's name and one character of each segment.
fn escaped(target: &str, repository: &str, n: usize) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = path.replacen(&format!("/{repository}/"), &format!("/{}/", repository.replace('/', "%2F")), 1);
    let segments: Vec<_> = path.split('/').map(|segment| one_escaped(segment, n)).collect();
    query.into_iter().fold(segments.join("/"), |path, query| format!("{path}?{query}"))
}

fn one_escaped(segment: &str, n: usize) -> String {
    let plain = segment.find('%').unwrap_or(segment.len());
    if plain == 0 {
        return segment.to_owned();
    }
    let at = n % plain;
    format!("{}%{:02x}{}", &segment[..at], segment.as_bytes()[at], &segment[at + 1..])
}

#[test]
fn a_target_is_spelled_with_escapes() {
    assert_eq!(escaped("/v2/a/b/tags/list?n=1", "a/b", 1), "/v%32/%61%2Fb/t%61gs/l%69st?n=1");
    assert_eq!(escaped("/v2/", "a/b", 0), "/%762/");
}
