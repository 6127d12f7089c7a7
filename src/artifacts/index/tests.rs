//! The index against a plain model of search, and how much it takes at a million artifacts.

use super::*;
use crate::artifacts::{
    ArtifactFileName, ArtifactFilters, ArtifactMediaType, ArtifactMetadata, ArtifactOrder, ArtifactPath, ArtifactQuery,
    ArtifactSort, ArtifactVersion, Properties, Wildcard,
};
use oci::order::by_version;
use proptest::prelude::*;
use std::{
    cmp::Ordering,
    time::{Duration, Instant},
};

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn artifact(version: &str, path: &str, properties: &[(&str, &str)]) -> Artifact {
    let (version, path): (ArtifactVersion, ArtifactPath) = (version.parse().unwrap(), path.parse().unwrap());
    let mut all = Properties::default();
    properties.iter().for_each(|(key, value)| all.add(key, value).unwrap());
    Artifact {
        id: ArtifactId::of(&version, &path, &all),
        name: ArtifactFileName::of(&path),
        version,
        path,
        digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
        size: 7,
        media_type: ArtifactMediaType::default(),
        properties: all,
        metadata: ArtifactMetadata::default(),
        created: time(0),
        updated: time(0),
        created_by: None,
        replaces: None,
    }
}

fn index(artifacts: &[Artifact]) -> ArtifactIndex {
    let mut index = ArtifactIndex::new(&["branch".parse().unwrap(), "build".parse().unwrap()]);
    artifacts.iter().for_each(|artifact| index.put(artifact));
    index
}

fn versions(index: &ArtifactIndex, query: &str) -> Vec<String> {
    let query = ArtifactQuery::parse(query).unwrap();
    let found = index.search(&query.filters, query.order(ArtifactOrder::default()), usize::MAX);
    assert_eq!(found.total, found.first.len());
    found.first.iter().map(|found| found.version.to_string()).collect()
}

#[test]
fn the_newest_version_is_that_of_what_the_other_filters_match() {
    let index = index(&[
        artifact("1.9", "app", &[]),
        artifact("1.10", "app", &[("os", "linux")]),
        artifact("1.10", "app", &[("os", "macos")]),
        artifact("2.0-rc1", "other", &[]),
        artifact("nightly", "app", &[]),
    ]);
    assert_eq!(versions(&index, "version=latest"), ["2.0-rc1"]);
    assert_eq!(versions(&index, "version=latest&path=app"), ["1.10", "1.10"]);
    assert_eq!(versions(&index, "version=latest&version=night*&path=app&sort=version"), ["1.10", "1.10", "nightly"]);
    assert_eq!(versions(&index, "version=latest&os=windows"), [""; 0]);
    assert_eq!(versions(&index, "sort=version&order=asc&path=app&os=linux&os=macos"), ["1.10", "1.10"]);
    assert_eq!(versions(&index, "sort=version&order=asc&path=app"), ["nightly", "1.9", "1.10", "1.10"]);
}

#[test]
fn an_artifact_that_was_replaced_stays_away_whatever_comes_first() {
    let old = artifact("1", "a", &[]);
    let new = Artifact { replaces: Some(old.id), updated: time(5), ..artifact("2", "a", &[]) };
    let again = Artifact { updated: time(6), ..old.clone() };
    for order in [[&old, &new], [&new, &old]] {
        assert_eq!(versions(&index(&order.map(Clone::clone)), ""), ["2"]);
    }
    assert_eq!(versions(&index(&[new.clone(), again.clone()]), "sort=version"), ["2", "1"]);
    assert_eq!(versions(&index(&[again, new]), "sort=version"), ["2", "1"], "it was published again after that");
}

#[test]
fn totals_count_what_is_there() {
    let (a, b) = (artifact("1", "a", &[]), artifact("1", "b", &[]));
    let mut index = index(&[a.clone(), b.clone(), a.clone(), artifact("2", "a", &[])]);
    assert_eq!(index.totals(), ArtifactTotals { artifacts: 3, versions: 2, size: 21 });
    assert!(index.remove(&a.id) && !index.remove(&a.id));
    assert_eq!(index.totals(), ArtifactTotals { artifacts: 2, versions: 2, size: 14 });
    assert!(index.remove(&b.id) && !index.has(&b.id));
    assert_eq!(index.totals(), ArtifactTotals { artifacts: 1, versions: 1, size: 7 });
}

#[test]
fn an_index_that_is_made_anew_finds_the_same() {
    let artifacts: Vec<_> = (0..MOST_REMOVED * 2)
        .map(|i| {
            artifact(&format!("{}", i % 100), &format!("{i}"), &[("branch", "main"), ("os", &format!("{}", i % 7))])
        })
        .collect();
    let mut index = index(&artifacts);
    let (gone, kept) = artifacts.split_at(MOST_REMOVED + 100);
    gone.iter().for_each(|artifact| assert!(index.remove(&artifact.id)));
    assert!(index.rows.len() < artifacts.len() - 4000, "it was not made anew");
    assert_eq!(index.totals().artifacts, kept.len());
    let query = ArtifactQuery::parse("branch=main&os=3").unwrap();
    let found = index.search(&query.filters, ArtifactOrder::default(), usize::MAX);
    let expected = kept.iter().filter(|artifact| artifact.properties.get("os").unwrap().as_str() == "3").count();
    assert_eq!(found.total, expected);
}

#[test]
fn what_several_repositories_have_is_one_list() {
    let one = index(&[artifact("1", "a", &[]), artifact("3", "a", &[])]);
    let two = index(&[artifact("2", "a", &[]), artifact("10", "a", &[])]);
    let order = ArtifactOrder { sort: ArtifactSort::Version, descending: true };
    let all = ArtifactFilters::default();
    let found = [("one", one.search(&all, order, 3)), ("two", two.search(&all, order, 3))];
    let (total, page) = merged(found, order, 1, 2);
    let page: Vec<_> = page.iter().map(|(repository, found)| (*repository, found.version.as_str())).collect();
    assert_eq!((total, page), (4, vec![("one", "3"), ("two", "2")]));
}

/// Search by its definition.
fn plainly(artifacts: &[Artifact], filters: &ArtifactFilters, order: ArtifactOrder) -> Vec<ArtifactId> {
    let matches = |values: &[Wildcard], text: &str| values.iter().any(|value| value.matches(text, &mut Vec::new()));
    let passes = |values: &[Wildcard], text: &str| values.is_empty() || matches(values, text);
    let mut found: Vec<&Artifact> = artifacts
        .iter()
        .filter(|a| passes(&filters.names, a.name.as_str()) && passes(&filters.paths, a.path.as_str()))
        .filter(|a| {
            let own = [a.name.as_str(), a.path.as_str(), a.version.as_str()];
            let texts = own.into_iter().chain(a.properties.iter().map(|(_, value)| value.as_str()));
            filters.contained.is_empty() || texts.into_iter().any(|text| matches(&filters.contained, text))
        })
        .filter(|a| {
            filters
                .properties
                .iter()
                .all(|(key, values)| a.properties.get(key.as_str()).is_some_and(|value| values.contains(value)))
        })
        .collect();
    let newest = found.iter().map(|a| a.version.clone()).max_by(|a, b| by_version(a.as_str(), b.as_str()));
    found.retain(|a| match filters.latest {
        true => Some(&a.version) == newest.as_ref() || matches(&filters.versions, a.version.as_str()),
        false => passes(&filters.versions, a.version.as_str()),
    });
    found.sort_by(|a, b| {
        let by_value = match order.sort {
            ArtifactSort::Name => a.name.as_str().cmp(b.name.as_str()),
            ArtifactSort::Path => a.path.as_str().cmp(b.path.as_str()),
            ArtifactSort::Version => by_version(a.version.as_str(), b.version.as_str()),
            ArtifactSort::Size => a.size.cmp(&b.size),
            ArtifactSort::CreatedAt => a.created.cmp(&b.created),
            ArtifactSort::UpdatedAt => a.updated.cmp(&b.updated),
        };
        let by_value = if order.descending { by_value.reverse() } else { by_value };
        by_value.then(Ordering::Equal).then_with(|| a.id.cmp(&b.id))
    });
    found.iter().map(|a| a.id).collect()
}

/// What happens to an index.
#[derive(Clone, Debug)]
enum Happens {
    Put(Box<Artifact>),
    /// The artifact that was put at this place.
    Removed(usize),
}

prop_compose! {
    fn some_artifact()(
        version in "(1|2|1\\.1|1\\.10|1\\.9|1\\.10-rc|[ab])",
        path in "[ab](/[aB]){0,2}(\\.zip)?",
        branch in proptest::option::of("[ab]"),
        build in proptest::option::of("[12]?"),
        os in proptest::option::of("[lm]"),
        size in 0u64..4,
        created in 0i64..4,
        updated in 0i64..4,
    ) -> Artifact {
        let properties: Vec<_> = [("branch", &branch), ("build", &build), ("os", &os)]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_deref()?)))
            .collect();
        Artifact { size, created: time(created), updated: time(updated), ..artifact(&version, &path, &properties) }
    }
}

fn something() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => some_artifact().prop_map(|artifact| Happens::Put(artifact.into())),
        1 => (0usize..40).prop_map(Happens::Removed),
    ]
}

fn some_query() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "(name|path|version|q)=[abB1](/|\\*|%25|\\.)?[ab1]?",
        "path=\\*?[abB/]{1,2}%?",
        Just("version=latest".to_owned()),
        "(branch|build|os)=[ablm12]?",
        "property\\.(branch|build)=[ab12]",
    ];
    let order = "sort=(name|version|path|size|created_at|updated_at)&order=(asc|desc)";
    (proptest::collection::vec(part, 0..4), order).prop_map(|(parts, order)| format!("{}&{order}", parts.join("&")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn a_search_finds_what_a_plain_search_finds(
        happens in proptest::collection::vec(something(), 0..40),
        query in some_query(),
        most in 0usize..12,
    ) {
        let (mut index, mut model) = (index(&[]), Vec::<Artifact>::new());
        let mut put = Vec::new();
        for happens in happens {
            match happens {
                Happens::Put(artifact) => {
                    index.put(&artifact);
                    model.retain(|other| other.id != artifact.id);
                    put.push(artifact.id);
                    model.push(*artifact);
                }
                Happens::Removed(at) => {
                    let Some(id) = put.get(at) else { continue };
                    let before = model.len();
                    model.retain(|other| other.id != *id);
                    prop_assert_eq!(index.remove(id), model.len() < before);
                }
            }
        }
        let query = ArtifactQuery::parse(query.trim_matches('&')).unwrap();
        let order = query.order(ArtifactOrder::default());
        let (found, expected) = (index.search(&query.filters, order, most), plainly(&model, &query.filters, order));
        prop_assert_eq!(found.total, expected.len());
        let first: Vec<_> = found.first.iter().map(|found| found.id).collect();
        prop_assert_eq!(&first, &expected[..most.min(expected.len())]);
        let distinct: std::collections::BTreeSet<_> = model.iter().map(|artifact| &artifact.version).collect();
        let size = model.iter().map(|artifact| artifact.size).sum();
        prop_assert_eq!(index.totals(), ArtifactTotals { artifacts: model.len(), versions: distinct.len(), size });
    }
}

/// `cargo test --release --lib artifacts::index -- --ignored a_million --nocapture`
#[test]
#[ignore = "measures memory and time at a million artifacts"]
fn a_million_artifacts() {
    let keys: Vec<PropertyKey> = ["build", "branch", "commit"].map(|key| key.parse().unwrap()).into();
    let (mut index, start) = (ArtifactIndex::new(&keys), Instant::now());
    let targets = ["linux", "macos", "windows", "freebsd", "android"];
    for i in 0..1_000_000_u64 {
        // Twenty files of each build.
        let (build, file) = (i / 20, i % 20);
        let commit = format!("{:016x}{:016x}{:08x}", build.wrapping_mul(0x9e37_79b9_7f4a_7c15), !build, build as u32);
        let version = format!("{}.{}.{}", build / 2500, build / 50 % 50, build % 50);
        let target = targets[(file % 5) as usize];
        let path = format!("releases/{version}/{target}/component-{file:02}-{build}.tar.gz");
        let one = artifact(
            &version,
            &path,
            &[
                ("build", &build.to_string()),
                ("branch", ["main", "develop", &format!("feature/{}", build % 500)][(build % 3) as usize]),
                ("commit", &commit),
                ("os", target),
                ("arch", ["amd64", "arm64"][(file % 2) as usize]),
                ("kind", ["bin", "lib", "doc", "debug"][(file % 4) as usize]),
                ("pipeline", &(build / 3).to_string()),
                ("runner", &format!("runner-{}", build % 40)),
                ("signed", ["true", "false"][(build % 2) as usize]),
                ("checksum", &format!("{:08x}", i.wrapping_mul(2_654_435_761) as u32)),
            ],
        );
        index.put(&Artifact { size: i, created: time(i as i64), ..one });
    }
    println!("built in {:.1?} with making the artifacts", start.elapsed());
    println!("memory: {} MiB", index.bytes() >> 20);
    index.shrink();
    println!("without room to grow: {} MiB", index.bytes() >> 20);
    for query in [
        "build=31337",
        "commit=0000000000000000",
        "branch=main",
        "branch=main&os=linux&arch=amd64",
        "os=linux&arch=amd64",
        "checksum=00000000",
        "branch=main&version=latest",
        "version=3.14.*",
        "path=*component-07-31*",
        "path=*LINUX*&branch=develop",
        "name=component-1?-*",
        "q=31337",
        "q=e",
        "sort=version",
        "sort=path&order=asc",
        "",
    ] {
        let query_parsed = ArtifactQuery::parse(query).unwrap();
        let order = query_parsed.order(ArtifactOrder::default());
        let mut times = Vec::new();
        let mut total = 0;
        for _ in 0..9 {
            let start = Instant::now();
            total = index.search(&query_parsed.filters, order, 100).total;
            times.push(start.elapsed());
        }
        times.sort();
        println!("{query:40} {total:>8} found, p50 {:>10.2?}", times[4]);
    }
    let start = Instant::now();
    let mut changed = 0_u32;
    while start.elapsed() < Duration::from_secs(1) {
        let one = artifact("99.0", &format!("new/{changed}"), &[("build", "x"), ("branch", "main")]);
        index.put(&one);
        index.remove(&one.id);
        changed += 1;
    }
    println!("put and removed {changed} in a second");
}

#[test]
fn a_repository_is_counted_by_version_directory_and_property() {
    let index = index(&[
        artifact("1.9", "app", &[("os", "linux"), ("branch", "main")]),
        artifact("1.10", "app", &[("os", "linux"), ("branch", "main")]),
        artifact("1.10", "app", &[("os", "windows"), ("branch", "next")]),
        artifact("1.10", "docs/a/x", &[("os", "Linux")]),
        artifact("1.10", "docs/y", &[]),
    ]);
    let totals: Vec<_> =
        index.version_totals().iter().map(|one| (one.version.to_string(), one.artifacts, one.size)).collect();
    assert_eq!(totals, [("1.10".to_owned(), 4, 28), ("1.9".to_owned(), 1, 7)]);
    let version: ArtifactVersion = "1.10".parse().unwrap();
    let root = index.directory(&version, "");
    let names: Vec<_> = root.directories.iter().map(|(name, totals)| (&**name, totals.artifacts)).collect();
    assert_eq!((names, root.files.len()), (vec![("docs", 2)], 2));
    let docs = index.directory(&version, "docs/");
    assert_eq!((docs.directories.len(), docs.files[0].0.as_str()), (1, "docs/y"));
    assert_eq!(index.directory(&version, "doc/"), ArtifactDirectory::default());
    assert_eq!(index.directory(&"3".parse().unwrap(), ""), ArtifactDirectory::default());
    assert_eq!(index.variants(&version, &"app".parse().unwrap()).len(), 2);
    assert!(index.variants(&version, &"docs".parse().unwrap()).is_empty());

    let counts = |query: &str, key, like| {
        let filters = ArtifactQuery::parse(query).unwrap().filters;
        let found = index.property_counts(&filters, key, like, 1);
        let one = |one: &PropertyCounts| format!("{} {} of {}: {:?}", one.key, one.artifacts, one.distinct, one.values);
        found.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(counts("", None, ""), ["os 4 of 3: [(\"linux\", 2)]", "branch 3 of 2: [(\"main\", 2)]"]);
    assert_eq!(counts("", Some("os"), "LINUX"), ["os 3 of 2: [(\"linux\", 2)]"]);
    assert_eq!(counts("branch=next", None, ""), ["branch 1 of 1: [(\"next\", 1)]", "os 1 of 1: [(\"windows\", 1)]"]);
    assert!(counts("path=docs/y", None, "").is_empty());

    let id = artifact("1.9", "app", &[("os", "linux"), ("branch", "main")]).id;
    assert_eq!(versions(&index, &format!("id={id}&id=art-{}", "a".repeat(26))), ["1.9"]);
    assert!(versions(&index, &format!("id={id}&os=windows")).is_empty());
    assert!(ArtifactQuery::parse("id=nonsense").is_err());
}
