//! A pattern over repository names, as used in access rules, and its grammar. [`super::Patterns`] matches many at once.

use super::RepositoryName;
use std::{fmt, str::FromStr, sync::Arc};

/// Matches whole repository names. It consists of name characters and `*` (any characters within one component), `**`
/// as a whole component (any number of components; at the end at least one) and `${user}` as a whole component (the
/// caller's name).
///
/// So `org/**` matches everything below `org` and not `org` itself, and `**` matches all.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    /// Never two `**` in a row: the second would add nothing.
    parts: Arc<[PatternPart]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternPart {
    /// `**`.
    Many,
    User,
    /// A component, with or without `*`.
    One(Box<str>),
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Longer than any name it could match.
    #[error("a pattern must not be longer than {} bytes", Pattern::MAX)]
    TooLong,
    /// Two slashes in a row, a slash at an end, or an empty text.
    #[error("a pattern must not have an empty component")]
    Empty,
    /// `**` together with other characters in a component.
    #[error("'**' must be a whole component")]
    DoubleStar,
    /// `${user}` together with other characters in a component, or another variable.
    #[error("'${{user}}' must be a whole component, and is the only variable")]
    Variable,
    /// A character that no name can have.
    #[error("a pattern may have the characters of repository names, and '*'")]
    Character,
}

impl Pattern {
    /// The longest pattern in bytes.
    pub const MAX: usize = 512;

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name matches, for a caller with the name `user`.
    pub fn matches(&self, name: &RepositoryName, user: Option<&str>) -> bool {
        let (mut at, mut rest) = (0, Some(name.as_str()));
        // Where to continue if the rest after the last `**` does not match: `**` takes one more component then.
        let mut many = None;
        while let Some(left) = rest {
            let (component, after) = left.split_once('/').map_or((left, None), |(first, after)| (first, Some(after)));
            match self.parts.get(at) {
                Some(PatternPart::Many) if at + 1 == self.parts.len() => return true,
                Some(PatternPart::Many) => {
                    many = Some((at, after));
                    at += 1;
                }
                Some(part) if part.fits(component, user) => (at, rest) = (at + 1, after),
                _ => {
                    let Some((before, taken)) = many else { return false };
                    let Some(next) = taken else { return false };
                    many = Some((before, next.split_once('/').map(|(_, after)| after)));
                    (at, rest) = (before + 1, taken);
                }
            }
        }
        at == self.parts.len()
    }

    /// Whether a name below `prefix` could match; `false` only if surely none does.
    pub fn reaches(&self, prefix: &RepositoryName, user: Option<&str>) -> bool {
        let mut parts = self.parts.iter();
        for component in prefix.components() {
            match parts.next() {
                Some(PatternPart::Many) => return true,
                Some(part) if part.fits(component, user) => {}
                _ => return false,
            }
        }
        parts.next().is_some()
    }

    /// Whether it contains `${user}`.
    pub(super) fn is_personal(&self) -> bool {
        self.parts.contains(&PatternPart::User)
    }

    /// The pattern as a glob. `${user}` becomes any component, so the glob may match more.
    pub(super) fn glob(&self) -> String {
        self.parts.iter().map(PatternPart::glob).collect::<Vec<_>>().join("/")
    }

    /// Globs for the prefixes below which the pattern can match. They may match more.
    pub(super) fn prefixes(&self) -> Vec<String> {
        /// Names are rarely deeper, and longer ones are not worth a glob for each component.
        const DEEPEST: usize = 8;
        let (mut beginnings, mut begun) = (Vec::new(), String::new());
        for (i, part) in self.parts.iter().enumerate() {
            if *part == PatternPart::Many || i == DEEPEST {
                beginnings.push(begun + "**");
                break;
            }
            // The last part needs a component below the prefix.
            if i + 1 < self.parts.len() {
                begun.push_str(part.glob());
                beginnings.push(begun.clone());
                begun.push('/');
            }
        }
        beginnings
    }
}

impl PatternPart {
    /// Whether one component matches. `**` never gets here.
    fn fits(&self, component: &str, user: Option<&str>) -> bool {
        match self {
            Self::Many => false,
            Self::User => user.is_some_and(|user| is_users(user, component)),
            Self::One(glob) => glob_matches(glob, component),
        }
    }

    fn glob(&self) -> &str {
        match self {
            Self::Many => "**",
            Self::User => "*",
            Self::One(glob) => glob,
        }
    }
}

/// Whether a component is the caller's name. A name that is no valid component matches nothing, so a user called `**`
/// gains nothing.
fn is_users(user: &str, component: &str) -> bool {
    user == component && RepositoryName::is_component(user)
}

/// Whether a component's pattern with `*` matches `text`. Linear in both: only the last star is ever tried again.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut g, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(byte) if *byte == text[t] => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (g, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|&byte| byte == b'*')
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() > Self::MAX {
            return Err(InvalidPattern::TooLong);
        }
        let part = |component: &str| match component {
            "" => Err(InvalidPattern::Empty),
            "**" => Ok(PatternPart::Many),
            "${user}" => Ok(PatternPart::User),
            _ if component.contains("**") => Err(InvalidPattern::DoubleStar),
            _ if component.contains('$') => Err(InvalidPattern::Variable),
            _ => {
                let fits =
                    |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'*');
                match component.bytes().all(fits) {
                    true => Ok(PatternPart::One(component.into())),
                    false => Err(InvalidPattern::Character),
                }
            }
        };
        let mut parts = text.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
        parts.dedup_by(|next, part| *next == PatternPart::Many && *part == PatternPart::Many);
        Ok(Self { parts: parts.into(), text: text.into() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(&name.parse().unwrap(), Some("alice"))
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, yes, no) in [
            ("**", vec!["a", "a/b", "a/b/c"], vec![]),
            ("*", vec!["a", "abc"], vec!["a/b"]),
            ("org/*", vec!["org/a"], vec!["org", "org/a/b", "orga", "xorg/a"]),
            ("org/**", vec!["org/a", "org/a/b"], vec!["org", "orga/b"]),
            ("**/app", vec!["app", "a/app", "a/b/app"], vec!["apps", "app/a", "xapp"]),
            ("org/**/app", vec!["org/app", "org/a/app", "org/a/b/app"], vec!["org", "app", "org/a"]),
            ("team-*", vec!["team-a", "team-a-b"], vec!["team", "team2/x", "team-a/x"]),
            ("*-*", vec!["a-b", "a-b-c"], vec!["ab"]),
            ("**/b/*", vec!["b/x", "b/b/x", "a/b/x"], vec!["b", "b/x/y", "a/b"]),
            ("a/**/**", vec!["a/b", "a/b/c"], vec!["a"]),
            ("a/**/**/b", vec!["a/b", "a/x/b"], vec!["a", "b"]),
            ("a*b*c", vec!["abc", "axxbyyc", "abcbc"], vec!["ab", "acb"]),
            ("${user}/**", vec!["alice/x", "alice/x/y"], vec!["alice", "bob/x"]),
            ("home/${user}", vec!["home/alice"], vec!["home/bob"]),
        ] {
            yes.iter().for_each(|name| assert!(matches(pattern, name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!matches(pattern, name), "{pattern} {name}"));
        }
    }

    #[test]
    fn a_user_whose_name_cannot_be_a_component_matches_nothing() {
        let pattern: Pattern = "${user}/**".parse().unwrap();
        let name: RepositoryName = "a/b".parse().unwrap();
        for user in [Some("**"), Some("*"), Some("a/b"), Some("A"), Some(""), Some(".."), None] {
            assert!(!pattern.matches(&name, user), "{user:?}");
        }
        assert!(pattern.matches(&name, Some("a")));
    }

    #[test]
    fn an_invalid_pattern_is_refused() {
        use InvalidPattern as I;
        for (text, why) in [
            ("", I::Empty),
            ("/a", I::Empty),
            ("a/", I::Empty),
            ("a//b", I::Empty),
            ("a**", I::DoubleStar),
            ("org/**a", I::DoubleStar),
            ("***", I::DoubleStar),
            ("${user}x", I::Variable),
            ("$user", I::Variable),
            ("${group}", I::Variable),
            ("a?", I::Character),
            ("[ab]", I::Character),
            ("{a,b}", I::Character),
            ("!a", I::Character),
            ("a\\*", I::Character),
            ("A", I::Character),
            ("a b", I::Character),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(why), "{text}");
        }
        assert_eq!("a".repeat(513).parse::<Pattern>(), Err(I::TooLong));
    }

    /// The simplest implementation of the grammar, with exponential time.
    pub(in super::super) fn naive(parts: &[&str], names: &[&str], user: Option<&str>) -> bool {
        fn one(glob: &[u8], text: &[u8]) -> bool {
            match (glob.split_first(), text.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) => one(rest, text) || (!text.is_empty() && one(glob, &text[1..])),
                (Some((g, gs)), Some((t, ts))) => g == t && one(gs, ts),
                _ => false,
            }
        }
        match parts.split_first() {
            None => names.is_empty(),
            Some((&"**", [])) => !names.is_empty(),
            Some((&"**", rest)) => (0..=names.len()).any(|n| naive(rest, &names[n..], user)),
            Some((part, rest)) => names.split_first().is_some_and(|(name, names)| {
                let fits = match *part {
                    "${user}" => user.is_some_and(|user| user == *name && RepositoryName::is_component(user)),
                    part => one(part.as_bytes(), name.as_bytes()),
                };
                fits && naive(rest, names, user)
            }),
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_a_naive_one(
            pattern in "(\\*\\*|[ab*]{1,4})(/(\\*\\*|[ab*]{1,4})){0,4}",
            name in "[ab]{1,4}(/[ab]{1,3}){0,5}",
        ) {
            let Ok(parsed) = pattern.parse::<Pattern>() else { return Ok(()) };
            let name_parsed: RepositoryName = name.parse().unwrap();
            let (parts, names): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), name.split('/').collect());
            prop_assert_eq!(parsed.matches(&name_parsed, None), naive(&parts, &names, None), "{} {}", pattern, name);
            // A name that matches is reached from each of its prefixes.
            if parsed.matches(&name_parsed, None) {
                for (i, _) in name.match_indices('/') {
                    let prefix: RepositoryName = name[..i].parse().unwrap();
                    prop_assert!(parsed.reaches(&prefix, None), "{} {}", pattern, prefix);
                }
            }
        }
    }

    #[test]
    fn prefixes_without_matches_are_pruned() {
        let reaches = |pattern: &str, prefix: &str| {
            pattern.parse::<Pattern>().unwrap().reaches(&prefix.parse().unwrap(), Some("alice"))
        };
        assert!(reaches("org/**", "org") && reaches("org/**", "org/a"));
        assert!(!reaches("org/*", "org/a") && reaches("org/*", "org"));
        assert!(!reaches("org/*", "other") && !reaches("*", "a"));
        assert!(reaches("**", "a/b/c") && reaches("**/app", "x"));
        assert!(reaches("${user}/*", "alice") && !reaches("${user}/*", "bob"));
    }
}
