//! Digests, names, tags, references and upload ids. What is accepted follows the grammar, parses back to itself, and
//! forms a path that stays in its directory. What is refused does not follow the grammar.

use super::{grammar, text};
use oci::{Algorithm, Digest, InvalidDigest, Reference, RepositoryName, Tag, UploadId};
use wharfinger::storage::{Dir, FactKey, Item, key};

/// A digest, reference or upload id, one per input.
pub fn digest(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match text.parse::<Digest>() {
        Ok(digest) => {
            assert!(grammar::is_digest(text));
            one_spelling(&digest, text);
        }
        Err(InvalidDigest::Unsupported) => {
            assert!(grammar::is_any_digest(text) && !grammar::is_digest(text));
            let algorithm = text.split(':').next().unwrap();
            assert!(Algorithm::ALL.iter().all(|known| known.as_str() != algorithm));
        }
        Err(InvalidDigest::Grammar) => {
            let algorithm = text.split(':').next().unwrap();
            let known = Algorithm::ALL.iter().any(|known| known.as_str() == algorithm);
            assert!(!grammar::is_digest(text) && (known || !grammar::is_any_digest(text)));
        }
    }
    let id = text.parse::<UploadId>();
    assert_eq!(id.is_ok(), grammar::is_upload_id(text));
    if let Ok(id) = id {
        assert_eq!(id.to_string(), text);
        assert!(grammar::stays_below(&Item::Upload(id).path(), "uploads"));
    }
    if let Some(referrer) = key::referrer(text) {
        assert_eq!(format!("{}-{}", referrer.algorithm(), referrer.hex()), text.replacen(':', "-", 1));
    }
    // The name of an entry has one spelling too, otherwise a referrer could be listed twice.
    let subject: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    if Dir::Referrers("a".parse().unwrap(), subject).lists(text) {
        let listed = key::referrer(text).unwrap();
        assert_eq!(format!("{}-{}", listed.algorithm(), listed.hex()), text);
    }
}

fn one_spelling(digest: &Digest, text: &str) {
    assert_eq!(digest.to_string(), text);
    assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), text);
    assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
    let json = serde_json::to_string(digest).unwrap();
    assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), *digest);
    assert!(grammar::is_tag(digest.fallback_tag().as_str()));
    assert_eq!(key::referrer(&text.replacen(':', "-", 1)).as_ref(), Some(digest));
    assert!(grammar::stays_below(&Item::Blob(digest.clone()).path(), "blobs"));
}

/// One text, parsed as a repository name, a tag and a reference.
pub fn name(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let name = text.parse::<RepositoryName>();
    assert_eq!(name.is_ok(), grammar::is_name(text), "{name:?}");
    if let Ok(name) = name {
        assert_eq!(name.to_string(), text);
        assert!(text.split('/').all(RepositoryName::is_component));
        let (digest, tag): (Digest, Tag) =
            (format!("sha512:{}", "0".repeat(128)).parse().unwrap(), "v1".parse().unwrap());
        let own = format!("repositories/{name}");
        let referrer =
            FactKey::Referrer { repository: name.clone(), subject: digest.clone(), referrer: digest.clone() };
        for path in [
            FactKey::Layer(name.clone(), digest.clone()).path(),
            FactKey::Revision(name.clone(), digest.clone()).path(),
            FactKey::Tagged(name.clone(), digest.clone(), tag).path(),
            Dir::Names(Some(name.clone())).path() + "/x",
            referrer.path(),
        ] {
            assert!(grammar::stays_below(&path, &own), "{path}");
        }
        // The internal directories of a repository can never be other repositories.
        assert!(!text.split('/').any(|component| component.starts_with('_')));
    }
    let tag = text.parse::<Tag>();
    assert_eq!(tag.is_ok(), grammar::is_tag(text));
    if let Ok(tag) = &tag {
        assert_eq!(tag.to_string(), text);
        let path = FactKey::Tag("a".parse().unwrap(), tag.clone()).path();
        assert!(grammar::stays_below(&path, "repositories/a/_manifests/tags"), "{path}");
        assert_eq!(path.matches('/').count(), 4);
    }
    match text.parse::<Reference>() {
        Ok(reference) => {
            assert_eq!(reference.to_string(), text);
            assert_eq!(matches!(reference, Reference::Tag(_)), tag.is_ok());
        }
        Err(_) => assert!(!grammar::is_tag(text) && !grammar::is_digest(text)),
    }
}
