use super::*;
use crate::artifacts::{
    Artifact, ArtifactFileName, ArtifactId, ArtifactMediaType, ArtifactMetadata, ArtifactPath, ArtifactVersion,
    Properties,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashSet;

fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

fn now() -> Timestamp {
    "2026-11-30T20:00:00Z".parse().unwrap()
}

fn artifact(version: &str, path: &str, days: i64, properties: &[(&str, &str)]) -> Artifact {
    let (version, path): (ArtifactVersion, ArtifactPath) = (version.parse().unwrap(), path.parse().unwrap());
    let mut all = Properties::default();
    properties.iter().for_each(|(key, value)| all.add(key, value).unwrap());
    Artifact {
        id: ArtifactId::of(&version, &path, &all),
        name: ArtifactFileName::of(&path),
        version,
        path,
        digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        size: 10,
        media_type: ArtifactMediaType::default(),
        properties: all,
        metadata: ArtifactMetadata::default(),
        created: days_ago(days),
        updated: days_ago(days),
        created_by: None,
        replaces: None,
    }
}

fn rules(change: impl FnOnce(&mut ArtifactRetention)) -> ArtifactRetention {
    let mut rules = ArtifactRetention { max_versions: 0, max_age_days: 0, ..ArtifactRetention::default() };
    change(&mut rules);
    rules
}

fn planned(artifacts: &[Artifact], rules: &ArtifactRetention) -> Vec<PlannedArtifact> {
    plan(&"builds".parse().unwrap(), artifacts, rules, now())
}

/// `version/path rule`, of what goes.
fn gone(artifacts: &[Artifact], rules: &ArtifactRetention) -> Vec<String> {
    let goes = planned(artifacts, rules).into_iter().filter(|one| !one.grounds.keep());
    goes.map(|one| format!("{}/{} {}", one.version, one.path, one.grounds.rule())).collect()
}

#[test]
fn a_release_of_many_files_stays_together() {
    let files = ["a", "b", "c", "d", "e", "f", "g"];
    let artifacts: Vec<_> = (1..=3)
        .flat_map(|release| files.map(|file| artifact(&format!("{release}"), file, 10 - release, &[("os", "linux")])))
        .collect();
    assert_eq!(gone(&artifacts, &rules(|rules| rules.max_versions = 3)), [""; 0]);
    let mut gone = gone(&artifacts, &rules(|rules| rules.max_versions = 2));
    gone.sort();
    assert_eq!(gone, files.map(|file| format!("1/{file} max_versions")));
}

#[test]
fn groups_differ_by_properties_except_those_that_are_ignored() {
    let artifacts = [
        artifact("1", "app", 3, &[("os", "linux"), ("build", "1")]),
        artifact("2", "app", 2, &[("os", "linux"), ("build", "2")]),
        artifact("3", "app", 4, &[("os", "macos")]),
    ];
    assert_eq!(gone(&artifacts, &rules(|rules| rules.max_versions = 1)), ["1/app max_versions"]);
    let by = |parts: &[GroupPart]| rules(|rules| (rules.max_versions, rules.group_by) = (1, parts.to_vec()));
    assert_eq!(gone(&artifacts, &by(&[GroupPart::Path])), ["1/app max_versions", "3/app max_versions"]);
    assert_eq!(gone(&artifacts, &by(&[GroupPart::Version])), [""; 0]);
    assert_eq!(gone(&artifacts, &by(&[])), ["1/app max_versions", "3/app max_versions"], "all are one group");
    let strict = rules(|rules| (rules.max_versions, rules.ignore) = (1, Vec::new()));
    assert_eq!(gone(&artifacts, &strict), [""; 0]);
}

#[test]
fn an_artifact_goes_when_it_is_older_than_allowed_and_not_before() {
    let artifacts = [artifact("1", "a", 30, &[]), artifact("2", "b", 31, &[]), artifact("3", "c", -1, &[])];
    assert_eq!(gone(&artifacts, &rules(|rules| rules.max_age_days = 30)), ["2/b max_age_days"]);
    let spared = rules(|rules| (rules.max_age_days, rules.exclude_latest) = (30, true));
    assert_eq!(gone(&artifacts, &spared), [""; 0]);
    assert_eq!(planned(&artifacts, &spared)[0].grounds.rule(), "exclude_latest");
}

#[test]
fn what_a_filter_keeps_stays_and_is_not_counted() {
    let artifacts = [
        artifact("1.0", "app", 5, &[("branch", "release/1")]),
        artifact("1.1", "app", 4, &[("branch", "main")]),
        artifact("1.2", "app", 3, &[("branch", "main")]),
    ];
    let keep = |text: &str| {
        rules(|rules| {
            (rules.max_versions, rules.max_age_days) = (1, 1);
            rules.group_by = vec![GroupPart::Path];
            rules.keep = vec![text.parse().unwrap()];
        })
    };
    assert_eq!(gone(&artifacts, &keep("branch=release/1")), ["1.2/app max_age_days", "1.1/app max_versions"]);
    assert_eq!(gone(&artifacts, &keep("version=latest")), ["1.1/app max_age_days", "1.0/app max_versions"]);
    assert_eq!(gone(&artifacts, &keep("repo=builds&path=a*")), [""; 0]);
    assert_eq!(gone(&artifacts, &keep("repo=other&path=a*")).len(), 3);
    assert_eq!(planned(&artifacts, &keep("version=1.0"))[2].grounds.to_string(), "kept by the filter version=1.0");
}

#[test]
fn the_oldest_go_until_the_rest_fits() {
    let artifacts: Vec<_> = (1..=4).map(|i| artifact(&format!("{i}"), "app", 10 - i, &[])).collect();
    let most = |bytes| rules(|rules| rules.max_total_size = bytes);
    assert_eq!(gone(&artifacts, &most(40)), [""; 0]);
    assert_eq!(gone(&artifacts, &most(39)), ["1/app max_total_size"]);
    assert_eq!(gone(&artifacts, &most(15)), ["3/app", "2/app", "1/app"].map(|one| format!("{one} max_total_size")));
    let newest = rules(|rules| (rules.max_total_size, rules.exclude_latest) = (1, true));
    assert_eq!(gone(&artifacts, &newest).len(), 3);
}

#[test]
fn a_repository_has_rules_of_its_own_over_the_settings() {
    let read = |json: &str| OwnRetention::parse(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
    let own = read(r#"{"enabled":true,"group_by":["name"],"keep":["branch=main"],"max_total_size":7}"#).unwrap();
    let all = own.clone().over(&ArtifactRetention::default());
    assert!(all.enabled && all.max_versions == 5 && all.max_total_size == 7);
    assert_eq!((all.group_by, all.keep[0].to_string()), (vec![GroupPart::Name], "branch=main".to_owned()));
    assert_eq!(read(&serde_json::to_string(&own).unwrap()).unwrap(), own);
    for bad in [
        r#"{"max_version":5}"#,
        r#"{"group_by":["color"]}"#,
        r#"{"keep":[""]}"#,
        r#"{"keep":["sort=name"]}"#,
        r#"{"ignore":["a b"]}"#,
        r#"{"max_versions":-1}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let list = |n: usize| OwnRetention { group_by: Some(vec![GroupPart::Path; n]), ..OwnRetention::default() };
    let written = |n: usize| read(&serde_json::to_string(&list(n)).unwrap());
    assert!(written(64).is_ok());
    assert_eq!(written(65), Err("group_by has more than 64 items".to_owned()));
}

prop_compose! {
    fn some_artifacts()(
        parts in proptest::collection::vec(("[123]", "[ab]", 0i64..9, proptest::option::of("[lm]"), 0u64..9), 0..16),
    ) -> Vec<Artifact> {
        let mut seen = HashSet::new();
        let one = |(version, path, days, os, size): (String, String, i64, Option<String>, u64)| {
            let properties: Vec<_> = os.iter().map(|os| ("os", os.as_str())).collect();
            Artifact { size, ..artifact(&version, &path, days, &properties) }
        };
        parts.into_iter().map(one).filter(|artifact| seen.insert(artifact.id)).collect()
    }
}

prop_compose! {
    fn some_rules()(
        max_versions in 0usize..4,
        max_age_days in 0u32..9,
        exclude_latest in any::<bool>(),
        group_by in proptest::sample::subsequence(vec![GroupPart::Path, GroupPart::Properties, GroupPart::Version], 0..3),
        keep in proptest::option::of("(version|path)=[1ab]"),
        max_total_size in 0u64..30,
    ) -> ArtifactRetention {
        let keep = keep.iter().map(|keep| keep.parse().unwrap()).collect();
        let ignore = Vec::new();
        ArtifactRetention { enabled: true, max_versions, max_age_days, exclude_latest, group_by, ignore, keep, max_total_size }
    }
}

proptest! {
    #[test]
    fn nothing_goes_without_a_rule_and_nothing_stays_against_one(artifacts in some_artifacts(), rules in some_rules()) {
        let plan = planned(&artifacts, &rules);
        let all: HashSet<ArtifactId> = plan.iter().map(|one| one.id).collect();
        prop_assert_eq!((plan.len(), all.len()), (artifacts.len(), artifacts.len()));
        for one in &plan {
            let artifact = artifacts.iter().find(|artifact| artifact.id == one.id).unwrap();
            let is_kept = |a: &Artifact| rules.keep.iter().any(|keep| !keep.filters.select(std::slice::from_ref(a)).is_empty());
            let same_group = |other: &&Artifact| rules.group_by.iter().all(|part| match part {
                GroupPart::Path => other.path == artifact.path,
                GroupPart::Name => other.name == artifact.name,
                GroupPart::Version => other.version == artifact.version,
                GroupPart::Properties => other.properties == artifact.properties,
            });
            let newer = artifacts.iter().filter(|other| !is_kept(other)).filter(same_group)
                .filter(|other| other.created > artifact.created).count();
            let too_old = rules.max_age_days > 0 && artifact.created < days_ago(rules.max_age_days.into());
            match &one.grounds {
                ArtifactGrounds::Kept(_) => prop_assert!(is_kept(artifact)),
                ArtifactGrounds::Newest => prop_assert!(rules.exclude_latest && newer == 0),
                ArtifactGrounds::Within => prop_assert!(!too_old && (rules.max_versions == 0 || newer < rules.max_versions)),
                ArtifactGrounds::Versions { .. } => prop_assert!(rules.max_versions > 0 && !is_kept(artifact)),
                ArtifactGrounds::Age { .. } => prop_assert!(too_old && !is_kept(artifact)),
                ArtifactGrounds::Size { .. } => prop_assert!(rules.max_total_size > 0 && !is_kept(artifact)),
            }
        }
        let sum = |grounds: &[&str]| plan.iter().filter(|one| grounds.contains(&one.grounds.rule())).map(|one| one.size).sum::<u64>();
        if rules.max_total_size > 0 && sum(&["none"]) > 0 {
            prop_assert!(sum(&["none", "keep", "exclude_latest"]) <= rules.max_total_size);
        }
        let mut turned = artifacts.clone();
        turned.reverse();
        prop_assert_eq!(plan, planned(&turned, &rules), "the order of the facts does not matter");
    }
}
