//! `WWW-Authenticate`: how a registry wants its callers to log in (RFC 9110, section 11.6.1).

/// One challenge. The header may hold several, and may be there several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case; values without their quotes.
    params: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter; the first counts.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All challenges of the header's values. What cannot be read is left out.
    pub(crate) fn parse<'v>(values: impl IntoIterator<Item = &'v str>) -> Vec<Self> {
        values.into_iter().flat_map(|value| ChallengeReader { rest: value }.challenges()).collect()
    }
}

struct ChallengeReader<'v> {
    rest: &'v str,
}

impl<'v> ChallengeReader<'v> {
    fn challenges(mut self) -> Vec<Challenge> {
        let mut found: Vec<Challenge> = Vec::new();
        loop {
            self.skip(|c| c.is_ascii_whitespace() || c == ',');
            let word = self.take(is_token);
            if word.is_empty() {
                return found;
            }
            let spaced = !self.skip(|c| c.is_ascii_whitespace()).is_empty();
            match (self.rest.strip_prefix('='), found.last_mut()) {
                (Some(rest), Some(challenge)) => {
                    self.rest = rest;
                    let value = self.value();
                    challenge.params.push((word.to_ascii_lowercase(), value));
                }
                // A parameter of nothing.
                (Some(_), None) => return found,
                (None, _) => {
                    found.push(Challenge { scheme: word.to_ascii_lowercase(), params: Vec::new() });
                    if spaced {
                        self.skip_token68();
                    }
                }
            }
        }
    }

    /// A parameter's value: a token, or quoted.
    fn value(&mut self) -> String {
        self.skip(|c| c.is_ascii_whitespace());
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // Some registries do not quote a realm; nothing but a comma or a space can end it then.
            return self.take(|c| c != ',' && !c.is_ascii_whitespace()).to_owned();
        };
        let (mut value, mut chars) = (String::new(), quoted.char_indices());
        loop {
            match chars.next() {
                Some((at, '"')) => {
                    self.rest = &quoted[at + 1..];
                    return value;
                }
                Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| c)),
                Some((_, c)) => value.push(c),
                None => {
                    self.rest = "";
                    return value;
                }
            }
        }
    }

    /// Passes over what `Negotiate` and its like have in place of parameters.
    fn skip_token68(&mut self) {
        let end = self.rest.find(|c: char| !is_token68(c)).unwrap_or(self.rest.len());
        let after = self.rest[end..].trim_start_matches('=');
        if end > 0 && (after.trim_start().is_empty() || after.trim_start().starts_with(',')) {
            self.rest = after;
        }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'v str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, unwanted: impl Fn(char) -> bool) -> &'v str {
        self.take(unwanted)
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_token68(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~+/".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(values: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        Challenge::parse(values.iter().copied()).into_iter().map(|c| (c.scheme, c.params)).collect()
    }

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_bearer_challenge_is_parsed() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope""#;
        let read = Challenge::parse([hub]);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].get("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(read[0].get("scope"), Some("repository:a/b:pull,push repository:c:pull"));
        assert_eq!(read[0].get("error"), Some("insufficient_scope"));
        assert_eq!(read[0].get("nothing"), None);
    }

    #[test]
    fn several_challenges_are_parsed_from_one_header_or_several() {
        let bearer = ("bearer".to_owned(), params(&[("realm", "https://a/t?x=1,2"), ("service", "a")]));
        let basic = ("basic".to_owned(), params(&[("realm", "a \"b\", c")]));
        let one = r#"Bearer realm="https://a/t?x=1,2" , service=a, BASIC Realm = "a \"b\", c""#;
        assert_eq!(parse(&[one]), [bearer.clone(), basic.clone()]);
        let two = [r#"Bearer realm="https://a/t?x=1,2",service="a""#, r#"Basic realm="a \"b\", c""#];
        assert_eq!(parse(&two), [bearer, basic]);
    }

    #[test]
    fn schemes_without_parameters_or_with_a_token_are_parsed() {
        let bare = |scheme: &str| (scheme.to_owned(), vec![]);
        let basic = ("basic".to_owned(), params(&[("realm", "r")]));
        assert_eq!(parse(&["Negotiate, NTLM, Basic realm=r"]), [bare("negotiate"), bare("ntlm"), basic.clone()]);
        assert_eq!(parse(&["Negotiate YII+a/b==, Basic realm=\"r\""]), [bare("negotiate"), basic]);
    }

    #[test]
    fn an_unquoted_realm_is_read_whole_and_garbage_is_left_out() {
        let realm = ("bearer".to_owned(), params(&[("realm", "https://a/token?b=c"), ("service", "x")]));
        assert_eq!(parse(&["Bearer realm=https://a/token?b=c,service=x"]), [realm]);
        assert_eq!(parse(&["Bearer realm=\"https://a"]), [("bearer".to_owned(), params(&[("realm", "https://a")]))]);
        for garbage in ["", ",,", "=x", "\"Bearer\"", "é"] {
            assert_eq!(parse(&[garbage]), [], "{garbage}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(value in "[ -~é]{0,60}") {
            let _ = parse(&[&value]);
        }
    }
}
