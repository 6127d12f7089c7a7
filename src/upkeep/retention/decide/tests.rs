//! The decision, by examples.

mod properties;

use super::*;
use crate::registry::settings::ImmutableTags;
use oci::{Algorithm, Hasher};

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

/// Pulls that have been recorded for long, the last one this many days ago.
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

fn plan(rules: &[RetentionRule], facts: RetentionFacts) -> RetentionPlan {
    decide(&app(), rules, &ImmutableHere::default(), facts, now())
}

/// The names of the tags that stay.
fn stay(rules: &[RetentionRule], tags: Vec<TagFacts>) -> Vec<String> {
    let plan = plan(rules, RetentionFacts { tags, ..RetentionFacts::default() });
    plan.tags.iter().filter(|tag| tag.verdict.keep).map(|tag| tag.tag.to_string()).collect()
}

/// The reason given for each tag.
fn said(rules: &[RetentionRule], tags: Vec<TagFacts>) -> Vec<String> {
    let plan = plan(rules, RetentionFacts { tags, ..RetentionFacts::default() });
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
    let facts = RetentionFacts {
        tags: vec![tag("a", 900, None), tag("b", 900, None)],
        manifests: vec![manifest("x", 900)],
        ..RetentionFacts::default()
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
fn the_last_tags_are_ordered_by_push_time_and_then_by_name() {
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
fn tags_outside_a_rule_stay_and_are_not_counted() {
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
    let facts = RetentionFacts { tags, manifests: vec![manifest("image", 50)], ..RetentionFacts::default() };
    let immutable = ImmutableHere::of(&[immutable], &app(), None);
    let plan = decide(&app(), &[rule], &immutable, facts, now());
    let mut stays: Vec<_> = plan.tags.iter().filter(|t| t.verdict.keep).map(|t| t.tag.to_string()).collect();
    stays.sort();
    let mut expected = vec!["latest".to_owned(), "v1".to_owned(), here.to_string(), signature];
    expected.sort();
    assert_eq!(stays, expected, "the companion of a deleted manifest is an ordinary tag");
}

/// A repository from which `image` was removed five days ago: its signature under a tag, and a referrer.
fn signed() -> RetentionFacts {
    let (image, name) = (digest("image"), format!("{}.sig", digest("image").fallback_tag()));
    let mut referrer = manifest("referrer", 9);
    referrer.subject = Some(image.clone());
    RetentionFacts {
        tags: vec![tag(&name, 8, None)],
        manifests: vec![ManifestFacts { digest: digest(&name), ..manifest("signature", 8) }, referrer],
        removed: [(image, days_ago(5))].into(),
        grace: DAY,
    }
}

/// How many tags and manifests are deleted.
fn go(facts: RetentionFacts) -> (usize, usize) {
    let plan = plan(&[], facts);
    (plan.deleted_tags().count(), plan.deleted_manifests().count())
}

#[test]
fn attachments_follow_a_removed_manifest_but_not_a_missing_one() {
    assert_eq!(go(signed()), (1, 2));
    assert_eq!(
        go(RetentionFacts { removed: HashMap::new(), ..signed() }),
        (0, 0),
        "signed elsewhere, or before its subject"
    );
    assert_eq!(go(RetentionFacts { grace: 6 * DAY, ..signed() }), (0, 0), "not within the lease");
    let mut back = signed();
    back.manifests.push(manifest("image", 1));
    assert_eq!(go(back), (0, 0), "it was pushed again");
    let output = plan(&[], signed());
    let why = format!("its subject was deleted: {}", digest("image"));
    assert!(output.tags.iter().all(|tag| tag.verdict.to_string() == why), "{output:?}");
    assert!(output.untagged.iter().all(|manifest| manifest.verdict.to_string() == why), "{output:?}");
}

#[test]
fn attachments_pushed_after_the_removal_or_needed_otherwise_stay() {
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
fn untagged_manifests_are_deleted_after_their_time_unless_needed() {
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
    let plan = plan(
        &[rule],
        RetentionFacts { tags: vec![tag("tagged", 400, Some(1))], manifests, ..RetentionFacts::default() },
    );
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
    let plan =
        plan(&[rule], RetentionFacts { tags: vec![tag("image", 500, None)], manifests, ..RetentionFacts::default() });
    let stays = |name: &str| plan.untagged.iter().find(|m| m.digest == digest(name)).unwrap().verdict.keep;
    assert!(stays("signature") && stays("signature of it"), "as long as the image");
    assert!(!stays("old") && !stays("fresh note"), "together");
    assert!(!stays("old note") && stays("young note"), "without a subject they are as any other");
}

#[test]
fn a_manifest_that_loses_its_tag_stays_for_the_time_of_untagged_manifests() {
    let rule = rule(|r| {
        r.keep_younger = Some(DAY);
        r.delete_untagged = Some(Duration::ZERO);
    });
    let plan = plan(
        &[rule],
        RetentionFacts {
            tags: vec![tag("old", 9, None)],
            manifests: vec![manifest("old", 9)],
            ..RetentionFacts::default()
        },
    );
    assert_eq!(plan.deleted_tags().count(), 1);
    assert_eq!(plan.untagged, []);
}
