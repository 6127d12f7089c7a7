//! Rules over a registry: plans, their application, pull times, immutable tags.

use super::{RemovedManifests, pulls};
use crate::{
    oci::{Algorithm, Digest, Hasher, Patterns, Reference, RepositoryName, Tag},
    registry::{
        Condition, Error, Registry, Settings,
        intent::Intent,
        settings::{ImmutableTags, RetentionRule},
    },
    storage::{
        Dir, Durability, Facts, Key, Mem, Put,
        fs::{Fs, Init},
    },
};
use bytes::Bytes;
use serde_json::json;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

const DAY: Duration = Duration::from_secs(86_400);

fn app() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn digest_of(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// An index that lists these, and refers to that one.
fn index(says: &str, children: &[&Digest], subject: Option<&Digest>) -> Bytes {
    let descriptor =
        |digest: &&Digest| json!({"mediaType": crate::oci::media_type::OCI_INDEX, "digest": digest, "size": 1});
    let mut index = json!({
        "schemaVersion": 2, "mediaType": crate::oci::media_type::OCI_INDEX, "annotations": {"is": says},
        "manifests": children.iter().map(descriptor).collect::<Vec<_>>(),
    });
    if let Some(subject) = subject {
        index["subject"] = descriptor(&subject);
    }
    index.to_string().into()
}

fn settings(rule: impl FnOnce(&mut RetentionRule), immutable: &[&str]) -> Arc<Settings> {
    let all = || Patterns::from(vec!["**".parse().unwrap()]);
    let mut first = RetentionRule { repositories: all(), ..RetentionRule::default() };
    rule(&mut first);
    let immutable = immutable.iter().map(|tags| ImmutableTags { repositories: all(), tags: tags.parse().unwrap() });
    Arc::new(Settings { retention: vec![first], immutable: immutable.collect(), ..Settings::default() })
}

/// A registry on disk, whose files' times can be set.
fn on_disk(settings: Arc<Settings>) -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (store, _) = Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
    (dir, Registry::new(Arc::new(store), settings))
}

async fn push(registry: &Registry, reference: &Reference, bytes: &Bytes) -> crate::registry::Result<Digest> {
    let pushed = registry.put_manifest(&app(), reference, &[], None, bytes.clone(), Condition::None).await?;
    // As if it were long ago: the push does not need what it pushed any more.
    let mut settled = registry.settings().clone();
    settled.collection.settle = Duration::ZERO;
    registry.under(Arc::new(settled)).forget_fulfilled().await?;
    Ok(pushed.digest)
}

/// Pushes an index under a tag.
async fn push_tag(registry: &Registry, name: &str, bytes: &Bytes) -> Digest {
    push(registry, &Reference::Tag(tag(name)), bytes).await.unwrap()
}

/// Makes a fact look as if it had been written so many days ago.
fn age(root: &Path, key: &Key, days: u32) {
    let file = std::fs::File::options().write(true).open(root.join(key.path())).unwrap();
    file.set_modified(SystemTime::now() - days * DAY).unwrap();
}

async fn tags(registry: &Registry) -> Vec<String> {
    registry.tags(&app(), None, None).await.unwrap().entries
}

#[tokio::test]
async fn tags_go_by_the_rule_and_manifests_are_told_to_collection() {
    let (dir, registry) = on_disk(settings(
        |rule| {
            rule.keep_younger = Some(10 * DAY);
            rule.delete_untagged = Some(5 * DAY);
        },
        &[],
    ));
    let moved_away = push_tag(&registry, "latest", &index("first", &[], None)).await;
    push_tag(&registry, "latest", &index("second", &[], None)).await;
    let old = push_tag(&registry, "old", &index("old", &[], None)).await;
    let revision = |digest: &Digest| Key::Revision(app(), digest.clone());
    age(dir.path(), &Key::Tag(app(), tag("old")), 11);
    age(dir.path(), &revision(&moved_away), 4);
    age(dir.path(), &revision(&old), 11);

    let plan = registry.retention_plan(&app(), SystemTime::now(), &RemovedManifests::default()).await.unwrap();
    let goes: Vec<_> = plan.deleted_tags().map(|planned| planned.tag.as_str()).collect();
    assert_eq!(goes, ["old"]);
    assert_eq!(plan.untagged.len(), 1, "what a tag left is there until its time is over: {plan:?}");
    assert_eq!(plan.deleted_manifests().count(), 0);
    assert_eq!(registry.apply_retention(&app(), &plan).await.unwrap(), 1);
    assert_eq!(tags(&registry).await, ["latest"]);
    registry.manifest(&app(), &Reference::Digest(old.clone())).await.expect("still there by its digest");

    age(dir.path(), &revision(&moved_away), 6);
    let plan = registry.retention_plan(&app(), SystemTime::now(), &RemovedManifests::default()).await.unwrap();
    let condemned: Vec<_> = plan.deleted_manifests().map(|planned| &planned.digest).collect();
    assert_eq!(condemned, [&moved_away]);
    assert_eq!(registry.apply_retention(&app(), &plan).await.unwrap(), 0);
    let waits = plan.untagged.iter().find(|planned| planned.digest == old).unwrap();
    assert!(waits.verdict.keep, "its time as untagged began when its tag went: {waits:?}");
    registry.manifest(&app(), &Reference::Digest(moved_away)).await.expect("collection takes it, not the rule");
}

#[tokio::test]
async fn indexes_keep_their_children_and_subjects_their_referrers() {
    let (dir, registry) = on_disk(settings(|rule| rule.delete_untagged = Some(DAY), &[]));
    let by_digest = async |bytes: &Bytes| {
        let digest = push(&registry, &Reference::Digest(digest_of(bytes)), bytes).await.unwrap();
        age(dir.path(), &Key::Revision(app(), digest.clone()), 2);
        digest
    };
    let child = by_digest(&index("child", &[], None)).await;
    let parent = push_tag(&registry, "v1", &index("parent", &[&child], None)).await;
    let signature = by_digest(&index("signature", &[], Some(&child))).await;
    let alone = by_digest(&index("alone", &[], None)).await;
    let note = by_digest(&index("note", &[], Some(&alone))).await;
    let plan = registry.retention_plan(&app(), SystemTime::now(), &RemovedManifests::default()).await.unwrap();
    let mut goes: Vec<_> = plan.deleted_manifests().map(|planned| planned.digest.clone()).collect();
    let mut expected = vec![alone, note];
    goes.sort();
    expected.sort();
    assert_eq!(goes, expected);
    let told = |digest: &Digest| plan.untagged.iter().find(|p| p.digest == *digest).unwrap().verdict.to_string();
    assert_eq!(told(&child), format!("an index that stays lists it, {parent}"));
    assert_eq!(told(&signature), format!("refers to a manifest that stays, {child}"));
}

#[tokio::test]
async fn what_a_push_under_way_names_stays() {
    let registry = Registry::new(Arc::new(Mem::default()), settings(|rule| rule.delete_untagged = Some(DAY), &[]));
    let bytes = index("old", &[], None);
    let named = push(&registry, &Reference::Digest(digest_of(&bytes)), &bytes).await.unwrap();
    let later = SystemTime::now() + 9 * DAY;
    let plan = async || registry.retention_plan(&app(), later, &RemovedManifests::default()).await.unwrap();
    assert_eq!(plan().await.deleted_manifests().count(), 1);
    let intent = Intent { manifest: digest_of(b"a new index"), refers: vec![named], instance: None };
    let pushing = registry.declare(&app(), &intent).await.unwrap();
    let planned = plan().await;
    assert_eq!(planned.untagged[0].verdict.to_string(), "a push under way needs it");
    assert_eq!(planned.deleted_manifests().count(), 0);
    registry.withdraw(&app(), pushing).await;
    assert_eq!(plan().await.deleted_manifests().count(), 1);
}

#[tokio::test]
async fn a_tag_pushed_again_since_the_plan_stays() {
    let (dir, registry) = on_disk(settings(|rule| rule.keep_younger = Some(DAY), &[]));
    let bytes = index("same", &[], None);
    for name in ["nightly", "forgotten"] {
        push_tag(&registry, name, &bytes).await;
        age(dir.path(), &Key::Tag(app(), tag(name)), 2);
    }
    let plan = registry.retention_plan(&app(), SystemTime::now(), &RemovedManifests::default()).await.unwrap();
    assert_eq!(plan.deleted_tags().count(), 2);
    push_tag(&registry, "nightly", &bytes).await;
    registry.apply_retention(&app(), &plan).await.unwrap();
    assert_eq!(tags(&registry).await, ["nightly"], "though it points to the same manifest");
}

#[tokio::test]
async fn what_cannot_be_read_stops_the_plan() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.delete_untagged = Some(DAY), &[]));
    push_tag(&registry, "v1", &index("x", &[], None)).await;
    let damaged = Put::any(Key::Tag(app(), tag("cut")), "sha256:12");
    store.put(vec![damaged], Durability::Process).await.unwrap();
    assert!(registry.retention_plan(&app(), SystemTime::now(), &RemovedManifests::default()).await.is_err());
}

#[tokio::test]
async fn pulls_are_written_in_batches_and_survive_a_restart() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.keep_pulled = Some(DAY), &[]));
    let (one, two) = (push_tag(&registry, "one", &index("1", &[], None)).await, digest_of(b"two"));
    registry.flush_pulls().await.unwrap();
    registry.pulled(&app(), &one);
    registry.pulled(&app(), &one);
    registry.pulled(&app(), &two);
    let pulled = async |registry: &Registry| {
        let plan = registry.retention_plan(&app(), SystemTime::now(), &RemovedManifests::default()).await.unwrap();
        plan.tags[0].pulled
    };
    assert!(pulled(&registry).await.is_some(), "known here at once");
    let files = async || store.children(&Dir::Pulls(pulls::part(&one)), None, 9).await.unwrap().entries.len();
    assert_eq!(files().await, 0, "not written by the reader");
    assert_eq!(registry.flush_pulls().await.unwrap(), 2);
    registry.pulled(&app(), &one);
    assert_eq!(registry.flush_pulls().await.unwrap(), 0, "nothing new within the hour");
    let again = Registry::new(store.clone(), registry.settings.clone());
    let hour = pulled(&again).await.expect("known after a restart");
    assert!(hour <= SystemTime::now() && hour > SystemTime::now() - Duration::from_secs(7200));
    assert_eq!(files().await, 1);
}

#[tokio::test]
async fn damaged_pull_times_keep_everything() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.keep_pulled = Some(DAY), &[]));
    let digest = push_tag(&registry, "one", &index("1", &[], None)).await;
    let later = SystemTime::now() + 30 * DAY;
    let goes = async || {
        registry.retention_plan(&app(), later, &RemovedManifests::default()).await.unwrap().deleted_tags().count()
    };
    assert_eq!(goes().await, 0, "nobody knows since when pulls are known");
    registry.flush_pulls().await.unwrap();
    assert_eq!(goes().await, 1, "not pulled for thirty days");
    let torn = Put::any(Key::Pulls(app(), pulls::part(&digest)), "{\"since\":\"2026-");
    store.put(vec![torn], Durability::Process).await.unwrap();
    assert_eq!(goes().await, 0);
    registry.pulled(&app(), &digest_of(b"another"));
    registry.pulled(&app(), &digest);
    registry.flush_pulls().await.unwrap();
    assert_eq!(goes().await, 1, "begun anew");
}

#[tokio::test]
async fn the_memory_of_pulls_is_bounded_and_what_is_lost_deletes_nothing() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.keep_pulled = Some(DAY), &[]));
    store.put(vec![Put::any(Key::PullsSince, "2020-01-01T00:00:00Z\n")], Durability::Process).await.unwrap();
    for i in 0..1000 {
        registry.pulled(&app(), &digest_of(format!("{i}").as_bytes()));
    }
    assert_eq!(registry.flush_pulls().await.unwrap(), 64, "the bound in tests");
    let since = store.get(&Key::PullsSince).await.unwrap().unwrap().bytes;
    assert!(!since.starts_with(b"2020"), "the others count as pulled now");
    for i in 1000..1064 {
        registry.pulled(&app(), &digest_of(format!("{i}").as_bytes()));
    }
    assert_eq!(registry.flush_pulls().await.unwrap(), 64, "what is written makes room");
}

#[tokio::test]
async fn pulls_of_what_is_gone_are_forgotten() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), Arc::default());
    let kept = push_tag(&registry, "v1", &index("1", &[], None)).await;
    let gone: RepositoryName = "gone".parse().unwrap();
    for (repository, digest) in [(app(), kept.clone()), (app(), digest_of(b"2")), (gone.clone(), digest_of(b"3"))] {
        registry.pulled(&repository, &digest);
    }
    registry.flush_pulls().await.unwrap();
    registry.forget_pulls().await.unwrap();
    let there = async |repository: &RepositoryName, digest: &Digest| {
        let times = Registry::new(store.clone(), Arc::default()).pull_times(repository, SystemTime::now()).await;
        times.unwrap().of(digest).last.is_some()
    };
    assert!(there(&app(), &kept).await);
    assert!(!there(&app(), &digest_of(b"2")).await && !there(&gone, &digest_of(b"3")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_race_for_an_immutable_tag_one_wins() {
    for round in 0..20 {
        let (_dir, registry) = on_disk(settings(|_| {}, &["v.*"]));
        let racers = (0..16).map(|i| {
            let (registry, bytes) = (registry.clone(), index(&format!("{round} {i}"), &[], None));
            tokio::spawn(async move {
                // Half of them bring the tag beside another.
                let other = Reference::Tag(format!("other{i}").parse().unwrap());
                let (reference, tags) = match i % 2 {
                    0 => (Reference::Tag(tag("v1")), vec![]),
                    _ => (other, vec![tag("v1")]),
                };
                registry.put_manifest(&app(), &reference, &tags, None, bytes, Condition::None).await
            })
        });
        let mut won = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Ok(pushed) => won.push(pushed),
                Err(Error::TagImmutable(refused)) => assert_eq!(refused, tag("v1")),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won.len(), 1);
        let now = registry.manifest(&app(), &Reference::Tag(tag("v1"))).await.unwrap();
        assert_eq!(now.digest, won[0].digest);
        assert_eq!(tags(&registry).await.len(), won[0].tags.len(), "a push that is refused sets none of its tags");
    }
}

#[tokio::test]
async fn an_immutable_tag_stays_where_it_is() {
    let registry = Registry::new(Arc::new(Mem::default()), settings(|rule| rule.keep_last = Some(1), &["v.*"]));
    let (first, second) = (index("1", &[], None), index("2", &[], None));
    let digest = push_tag(&registry, "v1", &first).await;
    push_tag(&registry, "v1", &first).await;
    let v1 = Reference::Tag(tag("v1"));
    assert!(matches!(push(&registry, &v1, &second).await, Err(Error::TagImmutable(_))));
    for reference in [v1.clone(), Reference::Digest(digest.clone())] {
        let refused = registry.delete_manifest(&app(), &reference).await;
        assert!(matches!(refused, Err(Error::TagImmutable(_))), "{reference}: {refused:?}");
    }
    // A precondition counts as it does anywhere.
    let put = async |condition| {
        registry.put_manifest(&app(), &v1, &[], None, first.clone(), condition).await.map(|pushed| pushed.digest)
    };
    assert!(matches!(put(Condition::Absent).await, Err(Error::PreconditionFailed)));
    assert_eq!(put(Condition::OneOf(vec![digest.clone()])).await.unwrap(), digest);
    for name in ["v2", "latest"] {
        push_tag(&registry, name, &second).await;
    }
    let plan =
        registry.retention_plan(&app(), SystemTime::now() + 90 * DAY, &RemovedManifests::default()).await.unwrap();
    assert!(plan.deleted_tags().all(|planned| !planned.tag.as_str().starts_with('v')), "{plan:?}");
    registry.delete_manifest(&app(), &Reference::Tag(tag("latest"))).await.unwrap();
}

#[tokio::test]
async fn tags_beside_a_manifest_are_rewritten_also_where_all_are_immutable() {
    let registry = Registry::new(Arc::new(Mem::default()), settings(|_| {}, &[".*"]));
    let image = push_tag(&registry, "v1", &index("image", &[], None)).await;
    for name in [image.fallback_tag().to_string(), format!("{}.sig", image.fallback_tag())] {
        push_tag(&registry, &name, &index("one signature", &[], None)).await;
        push_tag(&registry, &name, &index("two signatures", &[], None)).await;
        registry.delete_manifest(&app(), &name.parse().unwrap()).await.unwrap();
    }
}
