//! The decision, by examples and by properties.

use super::*;
use crate::oci::{Algorithm, Hasher};
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

fn days_ago(days: u32) -> SystemTime {
    now() - days * DAY
}

fn digest(of: &str) -> Digest {
    Hasher::digest(Algorithm::Sha256, of.as_bytes())
}

fn app() -> RepositoryName {
    "team/app".parse().unwrap()
}

/// Pulls that are known since long, the last so many days ago.
fn pulls(last: Option<u32>) -> Pulls {
    Pulls { last: last.map(days_ago), known_since: days_ago(9000) }
}

fn tag(name: &str, pushed: u32, pulled: Option<u32>) -> TagFacts {
    TagFacts { tag: name.parse().unwrap(), digest: digest(name), pushed: days_ago(pushed), pulls: pulls(pulled) }
}

fn manifest(name: &str, age: u32) -> ManifestFacts {
    let (digest, since) = (digest(name), days_ago(age));
    ManifestFacts {
        digest,
        pushed: since,
        since,
        pulls: pulls(None),
        subject: None,
        children: Vec::new(),
        in_use: false,
    }
}

fn rule(change: impl FnOnce(&mut RetentionRule)) -> RetentionRule {
    let mut rule = RetentionRule { repositories: vec!["**".parse().unwrap()].into(), ..RetentionRule::default() };
    change(&mut rule);
    rule
}

fn plan(rules: &[RetentionRule], facts: Facts) -> Plan {
    decide(&app(), rules, &[], facts, now())
}

/// The names of the tags that stay.
fn stay(rules: &[RetentionRule], tags: Vec<TagFacts>) -> Vec<String> {
    let plan = plan(rules, Facts { tags, ..Facts::default() });
    plan.tags.iter().filter(|tag| tag.verdict.keep).map(|tag| tag.tag.to_string()).collect()
}

/// What is said of each tag.
fn said(rules: &[RetentionRule], tags: Vec<TagFacts>) -> Vec<String> {
    let plan = plan(rules, Facts { tags, ..Facts::default() });
    let word = |keep| if keep { "keep" } else { "delete" };
    plan.tags.iter().map(|t| format!("{} {}: {}", word(t.verdict.keep), t.tag, t.verdict)).collect()
}

#[test]
fn without_a_rule_everything_stays() {
    let elsewhere = rule(|r| {
        r.repositories = vec!["other/**".parse().unwrap()].into();
        r.keep_last = Some(1);
        r.delete_untagged = Some(Duration::ZERO);
    });
    let facts = Facts {
        tags: vec![tag("a", 900, None), tag("b", 900, None)],
        manifests: vec![manifest("x", 900)],
        ..Facts::default()
    };
    let plan = plan(&[elsewhere], facts);
    assert!(plan.tags.iter().all(|t| t.verdict.keep && t.verdict.to_string() == "no rule"));
    assert!(plan.untagged.iter().all(|m| m.verdict.keep && m.verdict.to_string() == "no rule"));
}

#[test]
fn the_first_rule_for_a_repository_decides_alone() {
    let first = rule(|r| {
        r.repositories = vec!["nothing".parse().unwrap(), "team/*".parse().unwrap()].into();
        r.keep_last = Some(1);
    });
    let second = rule(|r| r.keep_matching = Some(".*".parse().unwrap()));
    let tags = || vec![tag("new", 1, None), tag("old", 2, None)];
    assert_eq!(stay(&[first.clone(), second.clone()], tags()), ["new"]);
    assert_eq!(stay(&[second, first], tags()), ["new", "old"]);
}

#[test]
fn a_rule_without_a_reason_to_keep_deletes_no_tag() {
    let only_untagged = rule(|r| r.delete_untagged = Some(DAY));
    assert_eq!(said(&[only_untagged], vec![tag("a", 900, None)]), ["keep a: retention[0]: deletes no tags"]);
}

#[test]
fn the_last_are_those_pushed_last_and_of_one_time_the_first_by_name() {
    let rule = rule(|r| r.keep_last = Some(3));
    let tags = vec![tag("b", 5, None), tag("e", 1, None), tag("a", 9, None), tag("d", 5, None), tag("c", 5, None)];
    assert_eq!(stay(&[rule], tags), ["b", "c", "e"]);
}

#[test]
fn each_reason_alone_keeps_a_tag() {
    let rule = rule(|r| {
        r.keep_last = Some(1);
        r.keep_younger = Some(7 * DAY);
        r.keep_pulled = Some(14 * DAY);
        r.keep_matching = Some("v[0-9]+".parse().unwrap());
    });
    let tags = vec![
        tag("last", 0, None),
        tag("old", 20, None),
        tag("pulled", 20, Some(13)),
        tag("pulled-long-ago", 20, Some(14)),
        tag("v1", 500, None),
        tag("young", 6, None),
        tag("young-no-more", 7, Some(15)),
    ];
    assert_eq!(
        said(&[rule], tags),
        [
            "keep last: retention[0]: keep_last = 1",
            "delete old: retention[0]: nothing keeps it",
            "keep pulled: retention[0]: keep_pulled_within_days = 14",
            "delete pulled-long-ago: retention[0]: nothing keeps it",
            "keep v1: retention[0]: keep_matching = \"v[0-9]+\"",
            "keep young: retention[0]: keep_younger_than_days = 7",
            "keep young-no-more: retention[0]: keep_pulled_within_days = 14",
        ]
    );
}

#[test]
fn what_a_rule_does_not_speak_of_stays_and_is_not_counted() {
    let rule = rule(|r| {
        r.tags = Some("dev-.*".parse().unwrap());
        r.keep_last = Some(1);
    });
    let tags = vec![tag("dev-1", 9, None), tag("dev-2", 8, None), tag("v1", 1, None)];
    let said = said(&[rule], tags);
    assert_eq!(said[0], "delete dev-1: retention[0]: nothing keeps it");
    assert_eq!(said[1], "keep dev-2: retention[0]: keep_last = 1");
    assert_eq!(said[2], "keep v1: retention[0]: tags = \"dev-.*\" does not match");
}

#[test]
fn pulls_that_cannot_be_known_count_as_done() {
    let rule = rule(|r| r.keep_pulled = Some(30 * DAY));
    let mut since_yesterday = tag("a", 300, None);
    since_yesterday.pulls.known_since = days_ago(1);
    let mut long_enough = tag("b", 300, None);
    long_enough.pulls.known_since = days_ago(30);
    let said = said(&[rule], vec![since_yesterday, long_enough]);
    assert!(said[0].ends_with("keep_pulled_within_days = 30, and pulls are not known for so long yet"), "{said:?}");
    assert_eq!(said[1], "delete b: retention[0]: nothing keeps it");
}

#[test]
fn a_clock_that_went_back_deletes_nothing_for_its_age() {
    let rule = rule(|r| r.keep_younger = Some(DAY));
    let mut future = tag("a", 0, None);
    future.pushed = now() + 400 * DAY;
    assert_eq!(stay(&[rule], vec![future]), ["a"]);
}

#[test]
fn immutable_tags_and_those_beside_a_manifest_stay() {
    let rule = rule(|r| r.keep_last = Some(1));
    let immutable =
        ImmutableTags { repositories: vec!["team/**".parse().unwrap()].into(), tags: "v.*".parse().unwrap() };
    let (here, gone) = (digest("image").fallback_tag(), digest("gone").fallback_tag());
    let signature = format!("{here}.sig");
    let names = ["v1", "latest", here.as_str(), &signature, gone.as_str()];
    let tags = names.iter().zip([50, 40, 1, 1, 60]).map(|(name, age)| tag(name, age, None)).collect();
    let facts = Facts { tags, manifests: vec![manifest("image", 50)], ..Facts::default() };
    let plan = decide(&app(), &[rule], &[immutable], facts, now());
    let mut stays: Vec<_> = plan.tags.iter().filter(|t| t.verdict.keep).map(|t| t.tag.to_string()).collect();
    stays.sort();
    let mut expected = vec!["latest".to_owned(), "v1".to_owned(), here.to_string(), signature];
    expected.sort();
    assert_eq!(stays, expected, "the one beside a manifest that is gone is judged as any other");
}

/// A repository from which `image` was removed five days ago: its signature under a tag, and a referrer.
fn signed() -> Facts {
    let (image, name) = (digest("image"), format!("{}.sig", digest("image").fallback_tag()));
    let mut referrer = manifest("referrer", 9);
    referrer.subject = Some(image.clone());
    Facts {
        tags: vec![tag(&name, 8, None)],
        manifests: vec![ManifestFacts { digest: digest(&name), ..manifest("signature", 8) }, referrer],
        removed: [(image, days_ago(5))].into(),
        grace: DAY,
    }
}

/// How many tags and manifests go.
fn go(facts: Facts) -> (usize, usize) {
    let plan = plan(&[], facts);
    (plan.deleted_tags().count(), plan.deleted_manifests().count())
}

#[test]
fn what_is_attached_to_a_removed_manifest_goes_after_it_and_what_is_merely_absent_keeps_its_own() {
    assert_eq!(go(signed()), (1, 2));
    assert_eq!(go(Facts { removed: HashMap::new(), ..signed() }), (0, 0), "signed elsewhere, or before its subject");
    assert_eq!(go(Facts { grace: 6 * DAY, ..signed() }), (0, 0), "not within the lease");
    let mut back = signed();
    back.manifests.push(manifest("image", 1));
    assert_eq!(go(back), (0, 0), "it was pushed again");
    let told = plan(&[], signed());
    let why = format!("its subject was deleted: {}", digest("image"));
    assert!(told.tags.iter().all(|tag| tag.verdict.to_string() == why), "{told:?}");
    assert!(told.untagged.iter().all(|manifest| manifest.verdict.to_string() == why), "{told:?}");
}

#[test]
fn what_was_pushed_after_the_removal_or_is_needed_otherwise_stays() {
    let mut signed_again = signed();
    signed_again.tags[0].pushed = days_ago(4);
    assert_eq!(go(signed_again), (0, 1));
    let mut pushed_again = signed();
    pushed_again.manifests.iter_mut().for_each(|manifest| manifest.pushed = days_ago(5));
    assert_eq!(go(pushed_again), (0, 0), "at the same moment is not before");
    let mut in_use = signed();
    in_use.manifests.iter_mut().for_each(|manifest| manifest.in_use = true);
    assert_eq!(plan(&[], in_use.clone()).subjects, [digest("image")].into(), "it is not forgotten");
    assert_eq!(go(in_use), (0, 0));
    let mut tagged = signed();
    tagged.tags.push(TagFacts { digest: digest("referrer"), ..tag("mine", 9, None) });
    assert_eq!(go(tagged.clone()), (1, 1));
    tagged.tags.remove(0);
    tagged.manifests.remove(0);
    assert!(plan(&[], tagged).subjects.is_empty(), "nothing more is removed after it");
    let mut listed = signed();
    listed.manifests.push(ManifestFacts { children: vec![digest("referrer")], ..manifest("index", 9) });
    assert_eq!(go(listed), (1, 1));
}

#[test]
fn a_rule_does_not_count_what_is_attached_to_a_removed_manifest() {
    let rule = rule(|r| {
        r.keep_last = Some(1);
        r.delete_untagged = Some(100 * DAY);
    });
    let mut facts = signed();
    facts.grace = 6 * DAY;
    facts.tags.push(tag("latest", 30, None));
    facts.manifests.push(manifest("latest", 30));
    let plan = plan(&[rule], facts);
    assert!(plan.tags.iter().all(|tag| tag.verdict.keep), "{plan:?}");
    assert!(plan.untagged.iter().all(|manifest| manifest.verdict.keep), "{plan:?}");
}

#[test]
fn untagged_manifests_go_after_their_time_unless_something_needs_them() {
    let rule = rule(|r| {
        r.keep_pulled = Some(3 * DAY);
        r.delete_untagged = Some(7 * DAY);
    });
    let mut index = manifest("index", 1);
    index.children = vec![digest("child"), digest("not here")];
    let mut old_index = manifest("old index", 9);
    old_index.children = vec![digest("orphan")];
    let mut pushing = manifest("pushing", 30);
    pushing.in_use = true;
    let mut used = manifest("used", 30);
    used.pulls = pulls(Some(2));
    let mut tagged_index = manifest("tagged", 400);
    tagged_index.children = vec![digest("part")];
    let plain = ["child", "orphan", "old", "part"].map(|name| manifest(name, 30));
    let mut manifests = vec![index, old_index, pushing, used, tagged_index, manifest("young", 6)];
    manifests.extend(plain);
    let plan = plan(&[rule], Facts { tags: vec![tag("tagged", 400, Some(1))], manifests, ..Facts::default() });
    let verdict = |name: &str| {
        let found = plan.untagged.iter().find(|m| m.digest == digest(name));
        found.map(|m| format!("{} {}", m.verdict.keep, m.verdict))
    };
    assert_eq!(verdict("tagged"), None, "it has a tag");
    for (name, expected) in [
        ("index", "true retention[0]: delete_untagged_after_days = 7 are not over".to_owned()),
        ("child", format!("true an index that stays lists it, {}", digest("index"))),
        ("part", format!("true an index that stays lists it, {}", digest("tagged"))),
        ("old index", "false retention[0]: delete_untagged_after_days = 7".to_owned()),
        ("orphan", "false retention[0]: delete_untagged_after_days = 7".to_owned()),
        ("old", "false retention[0]: delete_untagged_after_days = 7".to_owned()),
        ("pushing", "true a push under way needs it".to_owned()),
        ("used", "true retention[0]: keep_pulled_within_days = 3".to_owned()),
        ("young", "true retention[0]: delete_untagged_after_days = 7 are not over".to_owned()),
    ] {
        assert_eq!(verdict(name), Some(expected), "{name}");
    }
}

#[test]
fn referrers_follow_their_subject() {
    let rule = rule(|r| {
        r.keep_last = Some(9);
        r.delete_untagged = Some(7 * DAY);
    });
    let refers = |name: &str, age, subject: &str| {
        let mut manifest = manifest(name, age);
        manifest.subject = Some(digest(subject));
        manifest
    };
    let manifests = vec![
        manifest("image", 500),
        refers("signature", 400, "image"),
        refers("signature of it", 300, "signature"),
        manifest("old", 500),
        refers("fresh note", 1, "old"),
        refers("old note", 400, "nobody has it"),
        refers("young note", 1, "nobody has it"),
    ];
    let plan = plan(&[rule], Facts { tags: vec![tag("image", 500, None)], manifests, ..Facts::default() });
    let stays = |name: &str| plan.untagged.iter().find(|m| m.digest == digest(name)).unwrap().verdict.keep;
    assert!(stays("signature") && stays("signature of it"), "as long as the image");
    assert!(!stays("old") && !stays("fresh note"), "together");
    assert!(!stays("old note") && stays("young note"), "without a subject they are as any other");
}

#[test]
fn a_manifest_whose_tag_goes_stays_until_its_time_as_untagged_is_over() {
    let rule = rule(|r| {
        r.keep_younger = Some(DAY);
        r.delete_untagged = Some(Duration::ZERO);
    });
    let plan = plan(
        &[rule],
        Facts { tags: vec![tag("old", 9, None)], manifests: vec![manifest("old", 9)], ..Facts::default() },
    );
    assert_eq!(plan.deleted_tags().count(), 1);
    assert_eq!(plan.untagged, []);
}

prop_compose! {
    fn some_rule()(
        tags in proptest::option::of("[ab]\\*"),
        keep_last in proptest::option::of(1usize..4),
        keep_younger in proptest::option::of(1u32..9),
        keep_pulled in proptest::option::of(1u32..9),
        keep_matching in proptest::option::of("[ab]"),
        delete_untagged in proptest::option::of(0u32..9),
    ) -> RetentionRule {
        rule(|r| {
            r.tags = tags.map(|t| t.replace('*', ".*").parse().unwrap());
            r.keep_last = keep_last;
            r.keep_younger = keep_younger.map(|d| d * DAY);
            r.keep_pulled = keep_pulled.map(|d| d * DAY);
            r.keep_matching = keep_matching.map(|t| format!("{t}.*").parse().unwrap());
            r.delete_untagged = delete_untagged.map(|d| d * DAY);
        })
    }
}

prop_compose! {
    /// Manifests that refer only to earlier ones, as hashes would have it, and tags to some.
    fn some_facts()(
        shapes in proptest::collection::vec(
            (0u32..12, proptest::option::of(0u32..12), proptest::option::of(0usize..12),
             proptest::collection::vec(0usize..12, 0..3), proptest::bool::weighted(0.1)), 0..12),
        tags in proptest::collection::btree_map("[abc]{1,2}", (0usize..12, 0u32..12, proptest::option::of(0u32..12)), 0..8),
    ) -> Facts {
        let name = |i: usize| digest(&i.to_string());
        let manifests = shapes.into_iter().enumerate().map(|(i, (age, pulled, subject, children, in_use))| ManifestFacts {
            digest: name(i),
            pushed: days_ago(age),
            since: days_ago(age),
            pulls: pulls(pulled),
            subject: subject.filter(|s| *s < i).map(name),
            children: children.into_iter().filter(|c| *c < i).map(name).collect(),
            in_use,
        });
        let tags = tags.into_iter().map(|(text, (of, pushed, pulled))| TagFacts {
            digest: name(of), ..tag(&text, pushed, pulled)
        });
        Facts { tags: tags.collect(), manifests: manifests.collect(), ..Facts::default() }
    }
}

proptest! {
    #[test]
    fn nothing_that_stays_needs_what_goes(rule in some_rule(), facts in some_facts()) {
        let plan = plan(std::slice::from_ref(&rule), facts.clone());
        let goes: HashSet<&Digest> = plan.deleted_manifests().map(|m| &m.digest).collect();
        for manifest in facts.manifests.iter().filter(|m| !goes.contains(&m.digest)) {
            for child in &manifest.children {
                prop_assert!(!goes.contains(child), "an index that stays lists what goes");
            }
        }
        let all: HashSet<&Digest> = facts.manifests.iter().map(|m| &m.digest).collect();
        for manifest in facts.manifests.iter().filter(|m| goes.contains(&m.digest)) {
            prop_assert!(!facts.tags.iter().any(|t| t.digest == manifest.digest), "it has a tag");
            prop_assert!(!manifest.in_use);
            if let Some(subject) = manifest.subject.as_ref().filter(|s| all.contains(s)) {
                prop_assert!(goes.contains(subject), "a referrer goes and its subject stays");
            }
        }
        prop_assert!(rule.delete_untagged.is_some() || goes.is_empty());
        prop_assert_eq!(plan.tags.len(), facts.tags.len());
    }

    #[test]
    fn a_tag_goes_only_if_no_reason_holds(rule in some_rule(), facts in some_facts()) {
        let plan = plan(std::slice::from_ref(&rule), facts.clone());
        let within = |time: Option<Duration>, moment| time.is_some_and(|t| is_within(t, moment, now()));
        for gone in plan.deleted_tags() {
            prop_assert!(rule.keeps_some() && rule.speaks_of(&gone.tag));
            prop_assert!(!rule.keep_matching.as_ref().is_some_and(|e| e.matches(&gone.tag)));
            prop_assert!(!within(rule.keep_younger, gone.pushed) && !within(rule.keep_pulled, gone.pushed));
            prop_assert!(!gone.pulled.is_some_and(|pulled| within(rule.keep_pulled, pulled)));
            let newer = facts.tags.iter().filter(|t| rule.speaks_of(&t.tag) && t.pushed >= gone.pushed && t.tag != gone.tag);
            prop_assert!(rule.keep_last.is_none_or(|most| newer.count() >= most));
        }
        let kept = plan.tags.iter().filter(|t| t.verdict.keep && rule.speaks_of(&t.tag)).count();
        let spoken_of = facts.tags.iter().filter(|t| rule.speaks_of(&t.tag)).count();
        prop_assert!(rule.keep_last.is_none_or(|most| kept >= most.min(spoken_of)));
    }

    #[test]
    fn the_order_of_facts_does_not_matter(rule in some_rule(), facts in some_facts()) {
        let mut turned = facts.clone();
        turned.tags.reverse();
        turned.manifests.reverse();
        let names = |plan: Plan| {
            let tags = plan.tags.into_iter().map(|t| (t.tag.to_string(), t.verdict.keep));
            let manifests = plan.untagged.into_iter().map(|m| (m.digest.to_string(), m.verdict.keep));
            tags.chain(manifests).collect::<Vec<_>>()
        };
        prop_assert_eq!(names(plan(std::slice::from_ref(&rule), facts)), names(plan(&[rule], turned)));
    }
}
