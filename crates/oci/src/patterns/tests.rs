use super::*;
use crate::pattern::tests::naive;
use proptest::prelude::*;

fn patterns(texts: &[String]) -> Patterns {
    texts.iter().map(|text| text.parse::<Pattern>().unwrap()).collect()
}

/// Matches with the simplest implementation.
fn plainly(pattern: &str, name: &str, user: Option<&str>) -> bool {
    let (parts, names): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), name.split('/').collect());
    naive(&parts, &names, user)
}

/// Patterns for each strategy of the library: literal, prefix, suffix, last component, ending, expression.
const PATTERN: &str =
    "(\\*\\*|\\$\\{user\\}|[ab*]{1,3}|[ab]|[ab]\\.[ab*])(/(\\*\\*|\\$\\{user\\}|[ab*]{1,3}|[ab]|[ab*]\\.[ab])){0,4}";
const NAME: &str = "[ab](\\.?[ab]){0,2}(/[ab](\\.?[ab]){0,2}){0,5}";

proptest! {
    #[test]
    fn the_first_match_is_that_of_a_naive_search(
        texts in proptest::collection::vec(PATTERN, 0..40),
        name in NAME,
        user in proptest::option::of("[ab]{1,2}"),
        skipped in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let texts: Vec<_> = texts.into_iter().filter(|text| text.parse::<Pattern>().is_ok()).collect();
        let (list, parsed) = (patterns(&texts), name.parse::<RepositoryName>().unwrap());
        let user = user.as_deref();
        let expected = (0..texts.len()).find(|&i| !skipped[i] && plainly(&texts[i], &name, user));
        prop_assert_eq!(list.first(&parsed, user, |i| !skipped[i]), expected, "{:?} {}", texts, name);
        for (text, pattern) in texts.iter().zip(list.as_slice()) {
            prop_assert_eq!(pattern.matches(&parsed, user), plainly(text, &name, user), "{} {}", text, name);
        }
        // A name that matches is reached from each prefix, and a prefix is reached if some pattern reaches it.
        for (end, _) in name.match_indices('/') {
            let prefix: RepositoryName = name[..end].parse().unwrap();
            let reached = list.reach(&prefix, user, |i| !skipped[i]);
            prop_assert!(reached || expected.is_none(), "{:?} {}", texts, prefix);
            let by_one = list.as_slice().iter().zip(&skipped).any(|(p, skipped)| !skipped && p.reaches(&prefix, user));
            prop_assert_eq!(reached, by_one, "{:?} {}", texts, prefix);
        }
    }
}

#[test]
fn the_order_of_the_list_decides_across_chunks() {
    let mut texts: Vec<_> = (0..3 * CHUNK).map(|i| format!("team-{i}/*")).collect();
    texts[CHUNK + 7] = "**".to_owned();
    texts[2 * CHUNK] = "home/${user}/**".to_owned();
    let list = patterns(&texts);
    let first =
        |name: &str, accepts: &dyn Fn(usize) -> bool| list.first(&name.parse().unwrap(), Some("alice"), accepts);
    assert_eq!(list.whole.len(), 3);
    assert_eq!(first("team-3/app", &|_| true), Some(3));
    assert_eq!(first("team-600/app", &|_| true), Some(CHUNK + 7));
    assert_eq!(first("team-600/app", &|i| i != CHUNK + 7), Some(600));
    assert_eq!(first("home/alice/x", &|i| i != CHUNK + 7), Some(2 * CHUNK));
    assert_eq!(first("home/bob/x", &|i| i != CHUNK + 7), None);
    assert!(list.reach(&"team-700".parse().unwrap(), None, |i| i != CHUNK + 7));
    assert!(!list.reach(&"team-700/x".parse().unwrap(), None, |i| i != CHUNK + 7));
}

/// The library limits the memory of an expression, but the longest patterns fit into that limit.
#[test]
fn the_longest_patterns_are_compiled() {
    let texts: Vec<_> = (0..CHUNK).map(|i| format!("{}{i}", "a*b*".repeat((Pattern::MAX - 4) / 4))).collect();
    assert!(texts.iter().all(|text| text.len() <= Pattern::MAX));
    assert!(set(&texts).is_some());
}

#[test]
fn a_deep_pattern_has_few_prefixes_and_all_of_them_are_visited() {
    let deep: Pattern = vec!["a"; 100].join("/").parse().unwrap();
    assert!(deep.prefixes().len() < 12);
    let list: Patterns = std::iter::repeat_n(deep, 10).collect();
    let reached = |depth: usize| list.reach(&vec!["a"; depth].join("/").parse().unwrap(), None, |_| true);
    assert!(reached(1) && reached(8) && reached(9) && reached(99) && !reached(100));
}
