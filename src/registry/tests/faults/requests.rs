//! Requests of clients: deletions complete or report a failure, and what cannot be read does not count as absent.

use super::*;
use crate::registry::Everything;

async fn is_gone(registry: &Registry, when: &str) {
    for reference in ["doomed1", "doomed2", sha256(&doomed()).as_str()] {
        let found = registry.repository(&name()).manifest(&reference.parse().unwrap()).await;
        assert!(matches!(found, Err(RegistryError::ManifestUnknown(_))), "{when}: {reference}: {found:?}");
    }
    let found = registry.repository(&name()).blob(&sha256(b"doomed")).await.map(drop);
    assert!(matches!(found, Err(RegistryError::BlobUnknown(_))), "{when}: {found:?}");
    let referrers = registry.repository(&name()).referrers(&sha256(b"anything"), &[], None).await.unwrap();
    assert!(referrers.descriptors.is_empty(), "{when}");
}

/// Deletes a tag, its manifest with the other tag, and a blob; returns the result of each.
async fn delete(registry: &Registry) -> [Result<(), RegistryError>; 3] {
    [
        registry.repository(&name()).delete_manifest(&"doomed1".parse().unwrap()).await,
        registry.repository(&name()).delete_manifest(&Reference::Digest(sha256(&doomed()))).await,
        registry.repository(&name()).delete_blob(&sha256(b"doomed")).await,
    ]
}

#[tokio::test]
async fn a_deletion_with_a_failing_system_call_is_done_or_can_be_repeated() {
    deletions(5).await;
}

#[tokio::test]
#[ignore = "takes a minute: the same as its neighbour, at every call"]
async fn a_deletion_with_any_failing_system_call_is_done_or_can_be_repeated() {
    deletions(1).await;
}

async fn deletions(step: usize) {
    let (original, _) = prepared().await;
    let calls = at_every_call(original.path(), step, delete, async |outcome| {
        let Outcome { dir, returned, when, .. } = outcome;
        let registry = over(open(dir));
        let again = delete(&registry).await;
        for (first, again) in returned.iter().zip(&again) {
            let unknown = matches!(again, Err(RegistryError::ManifestUnknown(_) | RegistryError::BlobUnknown(_)));
            assert!(unknown || (again.is_ok() && first.is_err()), "{when}: {first:?}, then {again:?}");
        }
        is_gone(&registry, when).await;
        drop(registry);
        collected(dir, when).await;
        is_gone(&over(open(dir)), when).await;
    });
    assert!(calls.await > 30, "deletions make calls");
}

#[tokio::test]
async fn unreadable_content_is_an_error_and_never_missing() {
    let (original, _) = prepared().await;
    for (errno, trouble) in [(Errno::IO, Trouble::Once), (Errno::IO, Trouble::Lasting), (Errno::MFILE, Trouble::Once)] {
        for at in 0.. {
            let plan = FaultPlan::of(at, errno, trouble);
            let registry = failing(original.path(), &plan);
            let when = format!("{errno}, {trouble:?}, at call {at}");
            let as_it_is = |read: Result<bool, RegistryError>| {
                let is_right = matches!(&read, Ok(true) | Err(RegistryError::Storage(_)));
                assert!(is_right, "{when}: {read:?}");
            };
            let kept = sha256(&manifest("kept", None));
            as_it_is(
                registry.repository(&name()).manifest(&"v1".parse().unwrap()).await.map(|found| found.digest == kept),
            );
            as_it_is(registry.manifest_bytes(&kept).await.map(|bytes| bytes == manifest("kept", None)));
            let child = Reference::Digest(sha256(&child()));
            as_it_is(registry.repository(&name()).manifest(&child).await.map(|_| true));
            for content in [b"{}".as_ref(), b"layer"] {
                as_it_is(
                    registry
                        .repository(&name())
                        .blob(&sha256(content))
                        .await
                        .map(|blob| blob.len() == content.len() as u64),
                );
            }
            let tags = registry.repository(&name()).tags(None, None).await;
            as_it_is(
                tags.map(|page| page.entries == ["doomed1", "doomed2", "index", "v1"].map(|tag| tag.parse().unwrap())),
            );
            let referrers = registry.repository(&name()).referrers(&sha256(b"anything"), &[], None).await;
            as_it_is(referrers.map(|found| found.descriptors.len() == 1));
            let catalog = registry.catalog(None, None, &Everything).await;
            as_it_is(catalog.map(|page| page.entries == [name(), ruled()]));
            if !plan.was_reached() {
                assert!(at > 30, "reads make calls: {at}");
                break;
            }
        }
    }
}
