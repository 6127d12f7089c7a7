//! docs/layout.md says what is true: its table of names is what the code makes of keys, and its
//! example is what a person finds who follows it.
//!
//! After a change: `cargo test --test layout -- --ignored` writes the example's output.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use wharfinger::oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, Tag, UploadId};
use wharfinger::registry::{Chunk, Condition, Interruption, Registry, Settings};
use wharfinger::storage::fs::{Fs, Init};
use wharfinger::storage::{Condemned, Item, Key, PushId, RunId, Why};
use wharfinger::who::Subject;

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

/// What the page's `printf '…' > file` lines write.
fn files(document: &str) -> BTreeMap<&str, String> {
    let printf = |line| {
        let (text, file) = str::strip_prefix(line, "printf '")?.rsplit_once("' > ")?;
        Some((file, text.replace("\\n", "\n")))
    };
    document.lines().filter_map(printf).collect()
}

/// Does what the page says a client does.
async fn act(registry: &Registry, document: &str, step: &str) {
    let (name, who, files) = (repository(), Subject::Anonymous, files(document));
    let digest = |file| Hasher::digest(Algorithm::Sha256, files[file].as_bytes());
    match step {
        "push" => {
            for file in ["config", "layer"] {
                assert!(document.contains(&format!("@{file} \"$R/blobs/uploads/?digest={}\"", digest(file))), "{file}");
                let bytes = stream(files[file].clone());
                registry.push_blob(&name, &who, &digest(file), Chunk::default(), bytes).await.unwrap();
            }
            assert!(document.contains(&format!("@note -X PUT \"$R/manifests/{}\"", digest("note"))));
            for (file, reference) in
                [("manifest", Reference::Tag("1.0".parse().unwrap())), ("note", Reference::Digest(digest("note")))]
            {
                let bytes = files[file].clone().into();
                let media_type = Some("application/vnd.oci.image.manifest.v1+json");
                registry.put_manifest(&name, &reference, &[], media_type, bytes, Condition::None).await.unwrap();
            }
        }
        "begin an upload" => {
            let upload = registry.begin_upload(&name, &who, Algorithm::Sha256).await.unwrap();
            let bytes = stream("Hello, ");
            registry.append_upload(&name, &who, &upload.id, Chunk::default(), bytes).await.unwrap();
        }
        "delete the manifest" => {
            let manifest = digest("manifest");
            assert!(document.contains(&format!("`DELETE $R/manifests/{manifest}`")));
            registry.delete_manifest(&name, &Reference::Digest(manifest)).await.unwrap();
        }
        other => panic!("the page asks for {other:?}, which this test does not know"),
    }
}

/// The page with the output of every command as it is in a store that was treated as it says.
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

/// Times, random ids and runs differ each time.
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
async fn who_follows_the_example_finds_what_it_shows() {
    let document = document();
    let followed = followed(&document).await;
    let (told, found) = (masked(&document), masked(&followed));
    for (i, (told, found)) in told.lines().zip(found.lines()).enumerate() {
        assert_eq!(told, found, "docs/layout.md:{}", i + 1);
    }
    assert_eq!(told, found);
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
fn the_table_of_names_is_what_keys_and_items_have_as_paths() {
    let (name, tag): (_, Tag) = (repository(), "1.0".parse().unwrap());
    let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    let referrer: Digest = format!("sha512:{}", "cd".repeat(64)).parse().unwrap();
    let (id, run) = (UploadId::random(), RunId::fresh());
    let dead = |item, why| Condemned { run, item, why }.path();
    let link = Item::Link(name.clone(), digest.clone());
    let revision = Item::Revision(name.clone(), digest.clone());
    let upload = Item::Upload(id).path();
    let mut paths = vec![
        Key::Root.path(),
        Item::Blob(digest.clone()).path(),
        link.path(),
        revision.path(),
        Key::Tag(name.clone(), tag.clone()).path(),
        Key::Tagged(name.clone(), digest.clone(), tag.clone()).path(),
        Key::Referrer { repository: name.clone(), subject: digest.clone(), referrer: referrer.clone() }.path(),
        format!("{upload}/session.json"),
        format!("{upload}/data"),
        format!("{upload}/sealed"),
        dead(Item::Blob(digest.clone()), Why::Unreferenced),
        dead(link, Why::Unreferenced),
        dead(revision, Why::Unreferenced),
        dead(Item::Upload(id), Why::Unreferenced),
        dead(Item::Blob(digest.clone()), Why::Damaged),
        Key::Intent(name.clone(), PushId(run.0)).path(),
        Key::ExpiredIntent(name.clone(), PushId(run.0)).path(),
        Key::Deleted(name.clone(), digest.clone()).path(),
        Key::CollectionReport.path(),
        Key::CollectionMark.path(),
        Key::Scrub.path(),
        "state/collection.lock".to_owned(),
        "state/spare".to_owned(),
        format!("state/instances/{id}"),
        format!("state/aside/{}/{tag}", name.as_str().replace('/', "+")),
        Key::PullsSince.path(),
        Key::Pulls(name.clone(), 0xa).path(),
        format!("{}/{id}", wharfinger::files::atomic::TEMPORARY),
    ];
    // What an empty store has beside the directories of these.
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
    let mut told: Vec<String> = table
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
            ]
            .iter()
            .fold(pattern.to_owned(), |path, (word, text)| path.replace(word, text))
        })
        .collect();
    paths.sort();
    told.sort();
    assert_eq!(told, paths);
}
