//! docs/layout.md is correct: its table of names matches the paths that the code uses, and following its example gives
//! the output that it shows.
//!
//! After a change, `cargo test --test layout -- --ignored` writes the output of the example.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, Tag, UploadId};
use wharfinger::artifacts::{ArtifactId, ArtifactRepositoryName};
use wharfinger::registry::{Chunk, Condition, Interruption, Registry, Settings};
use wharfinger::storage::fs::{Fs, Init};
use wharfinger::storage::{
    AccountKey, ArtifactFact, ArtifactKey, ArtifactLogEntry, ArtifactLogKind, Condemned, FactKey, Item, PushId, RunId,
    SESSION_KEY, SIGNING_KEY, TrashId, UserFile, Why,
};
use wharfinger::who::{ApiKeyId, SessionId};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/layout.md")
}

fn document() -> String {
    std::fs::read_to_string(path()).unwrap()
}

fn repository() -> RepositoryName {
    "library/hello".parse().unwrap()
}

fn stream(bytes: impl Into<Bytes>) -> impl futures_util::Stream<Item = Result<Bytes, Interruption>> + Unpin + Send {
    futures_util::stream::iter([Ok(bytes.into())])
}

/// The files that the page's `printf '…' > file` lines write.
fn files(document: &str) -> BTreeMap<&str, String> {
    let printf = |line| {
        let (text, file) = str::strip_prefix(line, "printf '")?.rsplit_once("' > ")?;
        Some((file, text.replace("\\n", "\n")))
    };
    document.lines().filter_map(printf).collect()
}

/// Does one step of the page's client.
async fn act(registry: &Registry, document: &str, step: &str) {
    let (repository, files) = (registry.repository(&repository()), files(document));
    let digest = |file| Hasher::digest(Algorithm::Sha256, files[file].as_bytes());
    match step {
        "push" => {
            for file in ["config", "layer"] {
                assert!(document.contains(&format!("@{file} \"$R/blobs/uploads/?digest={}\"", digest(file))), "{file}");
                let bytes = stream(files[file].clone());
                repository.push_blob(&digest(file), Chunk::default(), bytes).await.unwrap();
            }
            assert!(document.contains(&format!("@note -X PUT \"$R/manifests/{}\"", digest("note"))));
            for (file, reference) in
                [("manifest", Reference::Tag("1.0".parse().unwrap())), ("note", Reference::Digest(digest("note")))]
            {
                let bytes = files[file].clone().into();
                let media_type = Some("application/vnd.oci.image.manifest.v1+json");
                repository.put_manifest(&reference, &[], media_type, bytes, Condition::None).await.unwrap();
            }
        }
        "begin an upload" => {
            let upload = repository.begin_upload(Algorithm::Sha256).await.unwrap();
            let bytes = stream("Hello, ");
            repository.append_upload(&upload.id, Chunk::default(), bytes).await.unwrap();
        }
        "delete the manifest" => {
            let manifest = digest("manifest");
            assert!(document.contains(&format!("`DELETE $R/manifests/{manifest}`")));
            repository.delete_manifest(&Reference::Digest(manifest)).await.unwrap();
        }
        other => panic!("the page has the step {other:?}, which this test does not know"),
    }
}

/// The page, with the output of every command replaced by that in a real store after the same steps.
async fn followed(document: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let store = Fs::open(dir.path(), Init::EmptyDirectory).unwrap().0;
    let registry = Registry::new(Arc::new(store), Arc::new(Settings::default()));
    let (mut out, mut in_console, mut in_output) = (String::new(), false, false);
    for line in document.split_inclusive('\n') {
        if let Some(step) = line.strip_prefix("<!-- example: ") {
            act(&registry, document, step.trim_end().trim_end_matches(" -->")).await;
        }
        if line.starts_with("```") {
            in_console = line == "```console\n";
            in_output = false;
        }
        if let Some(command) = line.strip_prefix("$ ").filter(|_| in_console) {
            in_output = true;
            let done =
                Command::new("sh").args(["-c", command]).env("LC_ALL", "C").current_dir(dir.path()).output().unwrap();
            assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
            let said = String::from_utf8(done.stdout).unwrap();
            out.push_str(line);
            out.push_str(&said);
            if !said.is_empty() && !said.ends_with('\n') {
                out.push('\n');
            }
        } else if !in_output {
            out.push_str(line);
        }
    }
    out
}

/// Replaces times, random ids and run ids, which differ each time.
fn masked(text: &str) -> String {
    let mask = |word: &str| {
        let is_time = word.parse::<jiff::Timestamp>().is_ok();
        let is_id = uuid::Uuid::try_parse(word).is_ok_and(|_| word.contains('-'));
        if is_time || is_id || ulid::Ulid::from_string(word).is_ok() { "…".to_owned() } else { word.to_owned() }
    };
    let ends = |c: char| matches!(c, '"' | '/' | '\n');
    text.split_inclusive(ends)
        .map(|word| match word.char_indices().last() {
            Some((at, end)) if ends(end) => format!("{}{end}", mask(&word[..at])),
            _ => mask(word),
        })
        .collect()
}

#[tokio::test]
async fn following_the_example_gives_what_it_shows() {
    let document = document();
    let followed = followed(&document).await;
    let (documented, found) = (masked(&document), masked(&followed));
    for (i, (documented, found)) in documented.lines().zip(found.lines()).enumerate() {
        assert_eq!(documented, found, "docs/layout.md:{}", i + 1);
    }
    assert_eq!(documented, found);
    assert!(document.matches("\n$ ").count() > 10);
}

#[tokio::test]
#[ignore = "writes docs/layout.md"]
async fn write_what_the_example_shows() {
    let document = document();
    let followed = followed(&document).await;
    if masked(&document) != masked(&followed) {
        std::fs::write(path(), followed).unwrap();
    }
}

#[test]
fn the_table_of_paths_matches_keys_and_items() {
    let (name, tag): (_, Tag) = (repository(), "1.0".parse().unwrap());
    let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let referrer: Digest = format!("sha512:{}", "cd".repeat(64)).parse().unwrap();
    let (id, run) = (UploadId::random(), RunId::fresh());
    let dead = |item, why| Condemned { run, item, why }.path();
    let link = Item::Link(name.clone(), digest.clone());
    let revision = Item::Revision(name.clone(), digest.clone());
    let upload = Item::Upload(id).path();
    let (session, key, user) = (SessionId::of([1; 16]), ApiKeyId::of([2; 8]), UserFile::of("alice"));
    let mut paths = vec![
        FactKey::Root.path(),
        Item::Blob(digest.clone()).path(),
        link.path(),
        revision.path(),
        FactKey::Tag(name.clone(), tag.clone()).path(),
        FactKey::Tagged(name.clone(), digest.clone(), tag.clone()).path(),
        FactKey::Referrer { repository: name.clone(), subject: digest.clone(), referrer: referrer.clone() }.path(),
        format!("{upload}/session.json"),
        format!("{upload}/data"),
        format!("{upload}/sealed"),
        dead(Item::Blob(digest.clone()), Why::Unreferenced),
        dead(link, Why::Unreferenced),
        dead(revision, Why::Unreferenced),
        dead(Item::Upload(id), Why::Unreferenced),
        dead(Item::Blob(digest.clone()), Why::Damaged),
        FactKey::Intent(name.clone(), PushId(run.0)).path(),
        FactKey::ExpiredIntent(name.clone(), PushId(run.0)).path(),
        FactKey::Deleted(name.clone(), digest.clone()).path(),
        FactKey::Visibility(name.clone()).path(),
        FactKey::Owner(name.clone()).path(),
        FactKey::Description(name.clone()).path(),
        FactKey::OwnImmutable(name.clone()).path(),
        FactKey::Created(name.clone()).path(),
        FactKey::Namespace(name.clone()).path(),
        FactKey::Recorded(name.clone()).path(),
        FactKey::CollectionReport.path(),
        FactKey::CollectionMark.path(),
        FactKey::Scrub.path(),
        FactKey::Migration(run.0).path(),
        "state/collection.lock".to_owned(),
        "state/spare".to_owned(),
        format!("state/instances/{id}"),
        format!("state/aside/{}/{tag}", name.as_str().replace('/', "+")),
        FactKey::PullsSince.path(),
        FactKey::Pulls(name.clone(), 0xa).path(),
        format!("{}/{id}", wharfinger::files::atomic::TEMPORARY),
        SIGNING_KEY.to_owned(),
        SESSION_KEY.to_owned(),
        FactKey::Account(AccountKey::Session(session)).path(),
        FactKey::Account(AccountKey::ApiKey(key)).path(),
        FactKey::Account(AccountKey::ApiKeyUse(key)).path(),
        FactKey::Account(AccountKey::User(user.clone())).path(),
        FactKey::Account(AccountKey::Tombstone(user)).path(),
    ];
    let (builds, artifact): (ArtifactRepositoryName, ArtifactId) =
        ("builds".parse().unwrap(), format!("art-{}", "a".repeat(26)).parse().unwrap());
    let facts = ArtifactFact::ALL.map(|fact| ArtifactKey::Fact(builds.clone(), fact));
    let logged = ArtifactLogEntry { at: run.0, change: ArtifactLogKind::Put, id: artifact };
    let more = [
        ArtifactKey::Record(builds.clone(), "1.0".parse().unwrap(), artifact),
        ArtifactKey::Intent(builds.clone(), PushId(run.0)),
        ArtifactKey::ExpiredIntent(builds.clone(), PushId(run.0)),
        ArtifactKey::Trash(builds.clone(), TrashId { at: run.0, id: artifact }),
        ArtifactKey::Log(builds.clone(), logged),
    ];
    paths.extend(facts.into_iter().chain(more).map(|key| FactKey::Artifact(key).path()));
    // The other files of an empty store.
    let dir = tempfile::tempdir().unwrap();
    Fs::open(dir.path(), Init::EmptyDirectory).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !paths.iter().any(|path| path.split('/').next() == Some(&name)) {
            paths.push(name);
        }
    }
    let document = document();
    let (_, table) = document.split_once("<!-- begin names -->").unwrap();
    let (table, _) = table.split_once("<!-- end names -->").unwrap();
    let mut documented: Vec<String> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split_once('`'))
        .map(|(pattern, _)| {
            [
                ("<name>", name.as_str()),
                ("<alg>", digest.algorithm().as_str()),
                ("<2 hex>", "ab"),
                ("<hex>", digest.hex()),
                ("<referrer alg>", referrer.algorithm().as_str()),
                ("<referrer hex>", referrer.hex()),
                ("<tag>", tag.as_str()),
                ("<id>", &id.to_string()),
                ("<run>", &run.0.to_string()),
                ("<push>", &run.0.to_string()),
                ("<why>", "unreferenced"),
                ("<digit>", "a"),
                ("<name with +>", "library+hello"),
                ("<session>", &session.to_string()),
                ("<key>", &key.to_string()),
                ("<user>", "alice"),
                ("<builds>", "builds"),
                ("<version>", "1.0"),
                ("<artifact>", &artifact.to_string()),
            ]
            .iter()
            .fold(pattern.to_owned(), |path, (word, text)| path.replace(word, text))
        })
        .collect();
    paths.sort();
    documented.sort();
    assert_eq!(documented, paths);
}
