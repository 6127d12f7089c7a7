use super::*;

pub(super) fn words() -> (RepositoryName, Digest, Tag) {
    ("org/app".parse().unwrap(), format!("sha256:{}", "ab".repeat(32)).parse().unwrap(), "v1".parse().unwrap())
}

#[test]
fn keys_have_the_documented_paths() {
    let (name, digest, tag) = words();
    let hex = "ab".repeat(32);
    for (key, path) in [
        (FactKey::Layer(name.clone(), digest.clone()), format!("_layers/sha256/{hex}")),
        (FactKey::Revision(name.clone(), digest.clone()), format!("_manifests/revisions/sha256/{hex}")),
        (FactKey::Tag(name.clone(), tag.clone()), "_manifests/tags/v1".into()),
        (FactKey::Tagged(name.clone(), digest.clone(), tag), format!("_manifests/tagged/sha256/{hex}/v1")),
        (FactKey::Deleted(name.clone(), digest.clone()), format!("_deleted/sha256/{hex}")),
        (FactKey::Visibility(name.clone()), "_facts/visibility".into()),
        (FactKey::Owner(name.clone()), "_facts/owner".into()),
        (FactKey::Description(name.clone()), "_facts/description".into()),
        (FactKey::OwnImmutable(name.clone()), "_facts/immutable_tags".into()),
        (FactKey::Created(name.clone()), "_facts/created".into()),
        (FactKey::Namespace(name.clone()), "_facts/namespace".into()),
        (
            FactKey::Referrer { repository: name.clone(), subject: digest.clone(), referrer: digest.clone() },
            format!("_manifests/referrers/sha256/{hex}/sha256-{hex}"),
        ),
    ] {
        assert_eq!(key.path(), format!("repositories/org/app/{path}"));
    }
    assert_eq!(FactKey::Recorded(name.clone()).path(), "repositories/_facts/org+app");
    assert_eq!(FactKey::PullsSince.path(), "state/pulls/since");
    assert_eq!(aside(&name, &"v1".parse().unwrap()), "state/aside/org+app/v1");
    assert_eq!(FactKey::Pulls(name, 0xa).path(), "state/pulls/a/org+app");
    assert_eq!(Item::Blob(digest).path(), format!("blobs/sha256/ab/{hex}"));
}
