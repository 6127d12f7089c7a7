//! Retention rules on a registry: plans, their application, pull times, immutable tags.

use super::{RemovedManifests, RetentionPlan};
use crate::{
    registry::{
        Condition, Intent, Registry, RegistryError, Settings, pulls,
        settings::{ImmutableTags, RetentionRule},
    },
    storage::{
        Dir, Durability, FactKey, Facts, Mem, Put,
        fs::{Fs, Init},
    },
};
use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Patterns, Reference, RepositoryName, Tag};
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
    let descriptor = |digest: &&Digest| json!({"mediaType": oci::media_type::OCI_INDEX, "digest": digest, "size": 1});
    let mut index = json!({
        "schemaVersion": 2, "mediaType": oci::media_type::OCI_INDEX, "annotations": {"is": says},
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
    let pushed = registry.repository(&app()).put_manifest(reference, &[], None, bytes.clone(), Condition::None).await?;
    // As if it were long ago: the push no longer needs its intent.
    let mut settled = registry.settings().clone();
    settled.collection.settle = Duration::ZERO;
    registry.under(Arc::new(settled)).forget_fulfilled().await?;
    Ok(pushed.digest)
}

/// Pushes an index under a tag.
async fn push_tag(registry: &Registry, name: &str, bytes: &Bytes) -> Digest {
    push(registry, &Reference::Tag(tag(name)), bytes).await.unwrap()
}

/// What the rules decide as of a time.
async fn plan_at(registry: &Registry, now: SystemTime) -> crate::registry::Result<RetentionPlan> {
    registry.repository(&app()).retention_plan(now, &RemovedManifests::default()).await
}

/// Makes a fact look as if it had been written this many days ago.
fn age(root: &Path, key: &FactKey, days: u32) {
    let file = std::fs::File::options().write(true).open(root.join(key.path())).unwrap();
    file.set_modified(SystemTime::now() - days * DAY).unwrap();
}

async fn tags(registry: &Registry) -> Vec<String> {
    registry.repository(&app()).tags(None, None).await.unwrap().entries.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn tags_are_deleted_by_the_rule_and_manifests_left_to_collections() {
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
    let revision = |digest: &Digest| FactKey::Revision(app(), digest.clone());
    age(dir.path(), &FactKey::Tag(app(), tag("old")), 11);
    age(dir.path(), &revision(&moved_away), 4);
    age(dir.path(), &revision(&old), 11);

    let plan = plan_at(&registry, SystemTime::now()).await.unwrap();
    let goes: Vec<_> = plan.deleted_tags().map(|planned| planned.tag.as_str()).collect();
    assert_eq!(goes, ["old"]);
    assert_eq!(plan.untagged.len(), 1, "the manifest of a deleted tag stays for its time: {plan:?}");
    assert_eq!(plan.deleted_manifests().count(), 0);
    assert_eq!(registry.repository(&app()).apply_retention(&plan).await.unwrap(), 1);
    assert_eq!(tags(&registry).await, ["latest"]);
    registry.repository(&app()).manifest(&Reference::Digest(old.clone())).await.expect("still there by its digest");

    age(dir.path(), &revision(&moved_away), 6);
    let plan = plan_at(&registry, SystemTime::now()).await.unwrap();
    let condemned: Vec<_> = plan.deleted_manifests().map(|planned| &planned.digest).collect();
    assert_eq!(condemned, [&moved_away]);
    assert_eq!(registry.repository(&app()).apply_retention(&plan).await.unwrap(), 0);
    let waits = plan.untagged.iter().find(|planned| planned.digest == old).unwrap();
    assert!(waits.verdict.keep, "the time as untagged begins when the tag is deleted: {waits:?}");
    registry
        .repository(&app())
        .manifest(&Reference::Digest(moved_away))
        .await
        .expect("collection takes it, not the rule");
}

#[tokio::test]
async fn indexes_keep_their_children_and_subjects_their_referrers() {
    let (dir, registry) = on_disk(settings(|rule| rule.delete_untagged = Some(DAY), &[]));
    let by_digest = async |bytes: &Bytes| {
        let digest = push(&registry, &Reference::Digest(digest_of(bytes)), bytes).await.unwrap();
        age(dir.path(), &FactKey::Revision(app(), digest.clone()), 2);
        digest
    };
    let child = by_digest(&index("child", &[], None)).await;
    let parent = push_tag(&registry, "v1", &index("parent", &[&child], None)).await;
    let signature = by_digest(&index("signature", &[], Some(&child))).await;
    let alone = by_digest(&index("alone", &[], None)).await;
    let note = by_digest(&index("note", &[], Some(&alone))).await;
    let plan = plan_at(&registry, SystemTime::now()).await.unwrap();
    let mut goes: Vec<_> = plan.deleted_manifests().map(|planned| planned.digest.clone()).collect();
    let mut expected = vec![alone, note];
    goes.sort();
    expected.sort();
    assert_eq!(goes, expected);
    let output = |digest: &Digest| plan.untagged.iter().find(|p| p.digest == *digest).unwrap().verdict.to_string();
    assert_eq!(output(&child), format!("an index that stays lists it, {parent}"));
    assert_eq!(output(&signature), format!("refers to a manifest that stays, {child}"));
}

#[tokio::test]
async fn references_of_a_push_in_progress_stay() {
    let registry = Registry::new(Arc::new(Mem::default()), settings(|rule| rule.delete_untagged = Some(DAY), &[]));
    let bytes = index("old", &[], None);
    let named = push(&registry, &Reference::Digest(digest_of(&bytes)), &bytes).await.unwrap();
    let later = SystemTime::now() + 9 * DAY;
    let plan = async || plan_at(&registry, later).await.unwrap();
    assert_eq!(plan().await.deleted_manifests().count(), 1);
    let intent = Intent { manifest: digest_of(b"a new index"), refers: vec![named], instance: None };
    let pushing = registry.repository(&app()).declare(&intent).await.unwrap();
    let planned = plan().await;
    assert_eq!(planned.untagged[0].verdict.to_string(), "a push under way needs it");
    assert_eq!(planned.deleted_manifests().count(), 0);
    registry.repository(&app()).withdraw(pushing).await;
    assert_eq!(plan().await.deleted_manifests().count(), 1);
}

#[tokio::test]
async fn a_tag_pushed_again_since_the_plan_stays() {
    let (dir, registry) = on_disk(settings(|rule| rule.keep_younger = Some(DAY), &[]));
    let bytes = index("same", &[], None);
    for name in ["nightly", "forgotten"] {
        push_tag(&registry, name, &bytes).await;
        age(dir.path(), &FactKey::Tag(app(), tag(name)), 2);
    }
    let plan = plan_at(&registry, SystemTime::now()).await.unwrap();
    assert_eq!(plan.deleted_tags().count(), 2);
    push_tag(&registry, "nightly", &bytes).await;
    registry.repository(&app()).apply_retention(&plan).await.unwrap();
    assert_eq!(tags(&registry).await, ["nightly"], "though it points to the same manifest");
}

#[tokio::test]
async fn unreadable_content_stops_the_plan() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.delete_untagged = Some(DAY), &[]));
    push_tag(&registry, "v1", &index("x", &[], None)).await;
    let damaged = Put::any(FactKey::Tag(app(), tag("cut")), "sha256:12");
    store.put(vec![damaged], Durability::Process).await.unwrap();
    assert!(plan_at(&registry, SystemTime::now()).await.is_err());
}

#[tokio::test]
async fn pulls_are_written_in_batches_and_survive_a_restart() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.keep_pulled = Some(DAY), &[]));
    let (one, two) = (push_tag(&registry, "one", &index("1", &[], None)).await, digest_of(b"two"));
    registry.flush_pulls().await.unwrap();
    registry.repository(&app()).pulled(&one);
    registry.repository(&app()).pulled(&one);
    registry.repository(&app()).pulled(&two);
    let pulled = async |registry: &Registry| {
        let plan = plan_at(registry, SystemTime::now()).await.unwrap();
        plan.tags[0].pulled
    };
    assert!(pulled(&registry).await.is_some(), "known to this process at once");
    let files = async || store.children(&Dir::Pulls(pulls::part(&one)), None, 9).await.unwrap().entries.len();
    assert_eq!(files().await, 0, "not written by the reader");
    assert_eq!(registry.flush_pulls().await.unwrap(), 2);
    registry.repository(&app()).pulled(&one);
    assert_eq!(registry.flush_pulls().await.unwrap(), 0, "nothing new within the hour");
    let again = Registry::new(store.clone(), Arc::new(registry.settings().clone()));
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
    let goes = async || plan_at(&registry, later).await.unwrap().deleted_tags().count();
    assert_eq!(goes().await, 0, "it is unknown since when pulls are recorded");
    registry.flush_pulls().await.unwrap();
    assert_eq!(goes().await, 1, "not pulled for thirty days");
    let torn = Put::any(FactKey::Pulls(app(), pulls::part(&digest)), "{\"since\":\"2026-");
    store.put(vec![torn], Durability::Process).await.unwrap();
    assert_eq!(goes().await, 0);
    registry.repository(&app()).pulled(&digest_of(b"another"));
    registry.repository(&app()).pulled(&digest);
    registry.flush_pulls().await.unwrap();
    assert_eq!(goes().await, 1, "it started over");
}

#[tokio::test]
async fn remembered_pulls_are_bounded_and_losing_them_deletes_nothing() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), settings(|rule| rule.keep_pulled = Some(DAY), &[]));
    store.put(vec![Put::any(FactKey::PullsSince, "2020-01-01T00:00:00Z\n")], Durability::Process).await.unwrap();
    for i in 0..1000 {
        registry.repository(&app()).pulled(&digest_of(format!("{i}").as_bytes()));
    }
    assert_eq!(registry.flush_pulls().await.unwrap(), 64, "the bound in tests");
    let since = store.get(&FactKey::PullsSince).await.unwrap().unwrap().bytes;
    assert!(!since.starts_with(b"2020"), "the others count as pulled now");
    for i in 1000..1064 {
        registry.repository(&app()).pulled(&digest_of(format!("{i}").as_bytes()));
    }
    assert_eq!(registry.flush_pulls().await.unwrap(), 64, "what is written makes room");
}

#[tokio::test]
async fn pull_times_of_deleted_manifests_are_forgotten() {
    let store = Arc::new(Mem::default());
    let registry = Registry::new(store.clone(), Arc::default());
    let kept = push_tag(&registry, "v1", &index("1", &[], None)).await;
    let gone: RepositoryName = "gone".parse().unwrap();
    for (repository, digest) in [(app(), kept.clone()), (app(), digest_of(b"2")), (gone.clone(), digest_of(b"3"))] {
        registry.repository(&repository).pulled(&digest);
    }
    registry.flush_pulls().await.unwrap();
    registry.forget_pulls().await.unwrap();
    let there = async |repository: &RepositoryName, digest: &Digest| {
        let times =
            Registry::new(store.clone(), Arc::default()).repository(repository).pull_times(SystemTime::now()).await;
        times.unwrap().of(digest).last.is_some()
    };
    assert!(there(&app(), &kept).await);
    assert!(!there(&app(), &digest_of(b"2")).await && !there(&gone, &digest_of(b"3")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_pushes_to_an_immutable_tag_wins() {
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
                registry.repository(&app()).put_manifest(&reference, &tags, None, bytes, Condition::None).await
            })
        });
        let mut won = Vec::new();
        for racer in racers.collect::<Vec<_>>() {
            match racer.await.unwrap() {
                Ok(pushed) => won.push(pushed),
                Err(RegistryError::TagImmutable(refused)) => assert_eq!(refused, tag("v1")),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(won.len(), 1);
        let now = registry.repository(&app()).manifest(&Reference::Tag(tag("v1"))).await.unwrap();
        assert_eq!(now.digest, won[0].digest);
        assert_eq!(tags(&registry).await.len(), won[0].tags.len(), "a push that is refused sets none of its tags");
    }
}

#[tokio::test]
async fn an_immutable_tag_cannot_be_moved() {
    let registry = Registry::new(Arc::new(Mem::default()), settings(|rule| rule.keep_last = Some(1), &["v.*"]));
    let (first, second) = (index("1", &[], None), index("2", &[], None));
    let digest = push_tag(&registry, "v1", &first).await;
    push_tag(&registry, "v1", &first).await;
    let v1 = Reference::Tag(tag("v1"));
    assert!(matches!(push(&registry, &v1, &second).await, Err(RegistryError::TagImmutable(_))));
    for reference in [v1.clone(), Reference::Digest(digest.clone())] {
        let refused = registry.repository(&app()).delete_manifest(&reference).await;
        assert!(matches!(refused, Err(RegistryError::TagImmutable(_))), "{reference}: {refused:?}");
    }
    // A precondition counts as it does anywhere.
    let put = async |condition| {
        registry
            .repository(&app())
            .put_manifest(&v1, &[], None, first.clone(), condition)
            .await
            .map(|pushed| pushed.digest)
    };
    assert!(matches!(put(Condition::Absent).await, Err(RegistryError::PreconditionFailed)));
    assert_eq!(put(Condition::OneOf(vec![digest.clone()])).await.unwrap(), digest);
    for name in ["v2", "latest"] {
        push_tag(&registry, name, &second).await;
    }
    let plan = plan_at(&registry, SystemTime::now() + 90 * DAY).await.unwrap();
    assert!(plan.deleted_tags().all(|planned| !planned.tag.as_str().starts_with('v')), "{plan:?}");
    registry.repository(&app()).delete_manifest(&Reference::Tag(tag("latest"))).await.unwrap();
}

#[tokio::test]
async fn companion_tags_can_be_rewritten_where_tags_are_immutable() {
    let registry = Registry::new(Arc::new(Mem::default()), settings(|_| {}, &[".*"]));
    let image = push_tag(&registry, "v1", &index("image", &[], None)).await;
    for name in [image.fallback_tag().to_string(), format!("{}.sig", image.fallback_tag())] {
        push_tag(&registry, &name, &index("one signature", &[], None)).await;
        push_tag(&registry, &name, &index("two signatures", &[], None)).await;
        registry.repository(&app()).delete_manifest(&name.parse().unwrap()).await.unwrap();
    }
}
