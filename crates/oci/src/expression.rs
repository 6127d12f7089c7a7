//! Regular expressions over tags, for rules about tags.

use super::Tag;
use std::{fmt, str::FromStr};

/// A regular expression over whole tags: `v[0-9]+` matches `v12` but neither `v12-rc` nor `dev12`. Matching takes
/// linear time, whatever the expression.
#[derive(Clone)]
pub struct Expression {
    text: Box<str>,
    regex: regex_lite::Regex,
}

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExpression {
    /// Longer than [`Expression::MAX`].
    #[error("an expression must not be longer than {} bytes", Expression::MAX)]
    TooLong,
    /// Empty: it would match no tag.
    #[error("an empty expression matches no tag; '.*' matches every one")]
    Empty,
    /// Invalid syntax, or too large when compiled; in the words of the library.
    #[error("not a regular expression: {0}")]
    Syntax(String),
}

impl Expression {
    /// The longest expression in bytes.
    pub const MAX: usize = 512;

    /// Most bytes of a compiled expression: nested repetitions grow fast.
    const COMPILED: usize = 256 << 10;

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole tag.
    pub fn matches(&self, tag: &Tag) -> bool {
        self.regex.is_match(tag.as_str())
    }
}

impl FromStr for Expression {
    type Err = InvalidExpression;

    fn from_str(text: &str) -> Result<Self, InvalidExpression> {
        if text.is_empty() {
            return Err(InvalidExpression::Empty);
        }
        if text.len() > Self::MAX {
            return Err(InvalidExpression::TooLong);
        }
        let compile = |text: &str| {
            let mut builder = regex_lite::RegexBuilder::new(text);
            builder.size_limit(Self::COMPILED).build().map_err(|e| InvalidExpression::Syntax(e.to_string()))
        };
        // First on its own: `a)|(b` is invalid, but would be valid between the brackets below.
        compile(text)?;
        let regex = compile(&format!("^(?:{text})$"))?;
        Ok(Self { text: text.into(), regex })
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn an_expression_matches_whole_tags() {
        for (expression, yes, no) in [
            ("v[0-9]+", vec!["v1", "v12"], vec!["v", "v1-rc", "dev1", "V1"]),
            ("latest|stable", vec!["latest", "stable"], vec!["latest2", "unstable"]),
            (r"v?\d+\.\d+\.\d+(-.*)?", vec!["1.2.3", "v1.2.3-rc.1"], vec!["1.2", "v1.2.3.4"]),
            (".*", vec!["a", "_"], vec![]),
            ("(?i)release-.*", vec!["Release-1"], vec!["release"]),
            ("^v1$", vec!["v1"], vec!["v11"]),
        ] {
            let matches = |tag: &str| expression.parse::<Expression>().unwrap().matches(&tag.parse().unwrap());
            yes.iter().for_each(|tag| assert!(matches(tag), "{expression} {tag}"));
            no.iter().for_each(|tag| assert!(!matches(tag), "{expression} {tag}"));
        }
    }

    #[test]
    fn an_invalid_expression_is_refused() {
        for text in ["(", "a)|(b", "[z-a]", "*", "a{3,2}", r"\p{Greek}", "(?=a)", "(((a{100}){100}){100})"] {
            assert!(matches!(text.parse::<Expression>(), Err(InvalidExpression::Syntax(_))), "{text}");
        }
        assert_eq!("".parse::<Expression>(), Err(InvalidExpression::Empty));
        assert_eq!("a".repeat(513).parse::<Expression>(), Err(InvalidExpression::TooLong));
    }

    #[test]
    fn no_expression_takes_long_to_match() {
        let tag: Tag = "a".repeat(Tag::MAX).parse().unwrap();
        for text in ["(a*)*b", "(a|a)*b", "(a|aa)+b", "(.*)(.*)(.*)(.*)(.*)b", "(a?){30}(a{30}){30}b"] {
            let Ok(expression) = text.parse::<Expression>() else { continue };
            let start = Instant::now();
            assert!(!expression.matches(&tag));
            assert!(start.elapsed() < Duration::from_secs(1), "{text}: {:?}", start.elapsed());
        }
    }
}
