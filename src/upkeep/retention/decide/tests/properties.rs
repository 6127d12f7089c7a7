//! The decision by properties, for any rule and any facts.

use super::*;
use proptest::prelude::*;

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
    ) -> RetentionFacts {
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
        RetentionFacts { tags: tags.collect(), manifests: manifests.collect(), ..RetentionFacts::default() }
    }
}

proptest! {
    #[test]
    fn nothing_kept_depends_on_anything_deleted(rule in some_rule(), facts in some_facts()) {
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
    fn a_tag_is_deleted_only_if_no_reason_keeps_it(rule in some_rule(), facts in some_facts()) {
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
        let names = |plan: RetentionPlan| {
            let tags = plan.tags.into_iter().map(|t| (t.tag.to_string(), t.verdict.keep));
            let manifests = plan.untagged.into_iter().map(|m| (m.digest.to_string(), m.verdict.keep));
            tags.chain(manifests).collect::<Vec<_>>()
        };
        prop_assert_eq!(names(plan(std::slice::from_ref(&rule), facts)), names(plan(&[rule], turned)));
    }
}
