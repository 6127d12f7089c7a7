//! Archives of images: the OCI layout as tar, and what docker save writes and docker load reads.

use super::{LAYOUT_FILE, NewFile, OciLayout, index_entry, sha256};
use crate::{
    commands::content::{BOUNDS, ParsedImage},
    copy::{CopyOptions, copy_image, copy_layout},
    failure::Failure,
    place::{ImageName, ImagePlace},
    session::CommandSession,
};
use bytes::Bytes;
use client::{Platform, PushOptions};
use oci::{Digest, Manifest, Reference, ReferencedDigest};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What docker save writes beside the layers.
const DOCKER_MANIFEST: &str = "manifest.json";

/// The largest JSON file that is read of an archive.
const MOST_JSON: u64 = 16 << 20;

/// Writes an image to a tar archive.
pub async fn export(
    image: &ImageName,
    target: &Path,
    is_docker: bool,
    platform: Option<&Platform>,
    session: &CommandSession,
) -> Result<(), Failure> {
    let parsed = ParsedImage::pull(image, platform, session).await?;
    let mut archive = Archive::create(target)?;
    match is_docker {
        true => export_docker(image, &parsed, &mut archive).await?,
        false => export_oci(image, &parsed, &mut archive).await?,
    }
    archive.finish()?;
    session.output.note(&format!("Wrote {image} to {}.", target.display()));
    Ok(())
}

async fn export_oci(name: &ImageName, image: &ParsedImage, archive: &mut Archive) -> Result<(), Failure> {
    archive.add("oci-layout", LAYOUT_FILE.as_bytes())?;
    let reference = name.tag.as_ref().map(|tag| tag.as_str().to_owned());
    let entry = index_entry(&image.media_type, &image.digest, image.bytes.len(), reference.as_deref());
    archive.add("index.json", json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().as_bytes())?;
    let mut todo = vec![(image.digest.clone(), image.bytes.clone(), image.manifest.clone())];
    let mut seen = BTreeSet::new();
    while let Some((digest, bytes, manifest)) = todo.pop() {
        if !seen.insert(digest.clone()) {
            continue;
        }
        archive.add(&blob_path(&digest), &bytes)?;
        for part in manifest.config.iter().chain(&manifest.layers) {
            let ReferencedDigest::Known(digest) = &part.digest else {
                return Err(Failure::failed(format!("{} has an unknown algorithm", part.digest.as_str())));
            };
            // What is only in the registry it came from cannot be pulled here.
            if !oci::media_type::is_foreign_layer(&part.media_type) && seen.insert(digest.clone()) {
                archive.add_blob(image, &blob_path(digest), digest, part.size).await?;
            }
        }
        for child in &manifest.children {
            let ReferencedDigest::Known(digest) = &child.digest else { continue };
            let reference = Reference::Digest(digest.clone());
            let pulled = image.client.pull_manifest(&image.repository, &reference).await?;
            let parsed = Manifest::parse(&pulled.bytes, Some(&pulled.media_type), BOUNDS)
                .map_err(|error| Failure::failed(format!("{digest}: {error}")))?;
            todo.push((pulled.digest, pulled.bytes, parsed));
        }
    }
    Ok(())
}

async fn export_docker(name: &ImageName, image: &ParsedImage, archive: &mut Archive) -> Result<(), Failure> {
    let config = image.config_bytes().await?;
    let config_name = format!("{}.json", sha256(&config).hex());
    archive.add(&config_name, &config)?;
    let mut layers = Vec::new();
    for layer in &image.manifest.layers {
        let ReferencedDigest::Known(digest) = &layer.digest else {
            return Err(Failure::failed(format!("{} has an unknown algorithm", layer.digest.as_str())));
        };
        let path = format!("{}/layer.tar", digest.hex());
        if !layers.contains(&path) {
            archive.add_blob(image, &path, digest, layer.size).await?;
        }
        layers.push(path);
    }
    let tag = name.tag.as_ref().map_or("latest", |tag| tag.as_str());
    let host = image.client.registry().name();
    let names = [format!("{host}/{}:{tag}", image.repository)];
    let manifest = json!([{ "Config": config_name, "RepoTags": names, "Layers": layers }]);
    archive.add(DOCKER_MANIFEST, manifest.to_string().as_bytes())
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// A tar archive that is being written. It appears when it is whole.
struct Archive {
    file: NewFile,
}

impl Archive {
    fn create(target: &Path) -> Result<Self, Failure> {
        Ok(Self { file: NewFile::beside(target)? })
    }

    fn header(&mut self, path: &str, size: u64) -> Result<(), Failure> {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_path(path).map_err(|error| Failure::failed(format!("{path}: {error}")))?;
        header.set_cksum();
        self.file.write(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> Result<(), Failure> {
        const BLOCK: u64 = 512;
        let rest = usize::try_from((BLOCK - size % BLOCK) % BLOCK).unwrap_or_default();
        self.file.write(&[0; BLOCK as usize][..rest])
    }

    fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let size = bytes.len() as u64;
        self.header(path, size)?;
        self.file.write(bytes)?;
        self.pad(size)
    }

    async fn add_blob(&mut self, image: &ParsedImage, path: &str, digest: &Digest, size: u64) -> Result<(), Failure> {
        self.header(path, size)?;
        // Ends with an error unless the bytes have this digest and length.
        let mut blob = image.client.pull_blob(&image.repository, digest, Some(size));
        while let Some(bytes) = blob.chunk().await? {
            self.file.write(&bytes)?;
        }
        self.pad(size)
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.file.write(&[0; 1024])?;
        self.file.finish()
    }
}

/// Pushes an image from an archive or a directory.
pub async fn import(
    source: &Path,
    name: Option<&str>,
    image: &ImageName,
    session: &CommandSession,
) -> Result<(), Failure> {
    if source.is_dir() {
        let place = ImagePlace::Layout(source.to_owned(), name.map(str::to_owned));
        return copy_image(&place, &ImagePlace::Registry(image.clone()), &CopyOptions::default(), session).await;
    }
    let unpacked = tempfile::tempdir().map_err(|error| Failure::failed(format!("cannot make a directory: {error}")))?;
    let (path, directory) = (source.to_owned(), unpacked.path().to_owned());
    let unpack = tokio::task::spawn_blocking(move || unpack(&path, &directory));
    unpack.await.map_err(|error| Failure::failed(error.to_string()))??;
    if unpacked.path().join("index.json").is_file() {
        let layout = OciLayout::at(unpacked.path());
        return copy_layout(layout, name.map(str::to_owned), image, session).await;
    }
    import_docker(unpacked.path(), name, image, session).await
}

/// Unpacks the regular files of an archive below a directory. Links and everything outside are refused.
fn unpack(archive: &Path, directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("read", archive, &error);
    let mut entries = tar::Archive::new(io::BufReader::new(fs::File::open(archive).map_err(failed)?));
    let mut links = Vec::new();
    for entry in entries.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            // docker save writes a link for a layer that is there twice.
            let target = entry.link_name().map_err(failed)?.map(std::borrow::Cow::into_owned).unwrap_or_default();
            let base = if kind.is_symlink() { path.parent().unwrap_or(Path::new("")) } else { Path::new("") };
            links.push((path.clone(), clean(&base.join(target))));
            continue;
        }
        if !kind.is_file() {
            continue;
        }
        let Some(path) = clean(&path) else {
            return Err(Failure::failed(format!("{}: {} leads outside", archive.display(), path.display())));
        };
        let mut file = NewFile::beside(&directory.join(path))?;
        io::copy(&mut entry, file.inner()).map_err(failed)?;
        file.finish()?;
    }
    for (path, target) in links {
        let (Some(path), Some(target)) = (clean(&path), target) else {
            return Err(Failure::failed(format!("{}: the link {} leads outside", archive.display(), path.display())));
        };
        let (path, target) = (directory.join(path), directory.join(target));
        if target.is_file() {
            let mut file = NewFile::beside(&path)?;
            let mut from = fs::File::open(&target).map_err(|error| Failure::file("read", &target, &error))?;
            io::copy(&mut from, file.inner()).map_err(|error| Failure::file("write", &path, &error))?;
            file.finish()?;
        }
    }
    Ok(())
}

/// A path inside, without `.` and `..`; `None` if it leads outside.
fn clean(path: &Path) -> Option<PathBuf> {
    use std::path::Component;
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !inside.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(inside)
}

/// Pushes what docker save wrote, as an image of the OCI.
async fn import_docker(
    directory: &Path,
    name: Option<&str>,
    target: &ImageName,
    session: &CommandSession,
) -> Result<(), Failure> {
    let path = directory.join(DOCKER_MANIFEST);
    if !path.is_file() {
        return Err(Failure::failed("this is neither an OCI archive nor one of docker save"));
    }
    let images: Vec<Value> = oci::json::from_slice(&read_json(&path)?)
        .map_err(|error| Failure::failed(format!("{DOCKER_MANIFEST}: {error}")))?;
    let names = |image: &Value| -> Vec<String> {
        let tags = image["RepoTags"].as_array().cloned().unwrap_or_default();
        tags.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let image = match (name, &images[..]) {
        (None, [only]) => only,
        (None, _) => {
            let all: Vec<String> = images.iter().flat_map(names).collect();
            return Err(Failure::usage(format!("the archive has several images; give --name: {}", all.join(", "))));
        }
        (Some(name), images) => images
            .iter()
            .find(|image| names(image).iter().any(|known| known == name))
            .ok_or_else(|| Failure::not_found(format!("the archive has no image {name:?}")))?,
    };
    let inside = |path: &Value| -> Result<PathBuf, Failure> {
        let path = path.as_str().unwrap_or_default();
        let found = clean(Path::new(path)).map(|path| directory.join(path)).filter(|path| path.is_file());
        found.ok_or_else(|| Failure::failed(format!("{DOCKER_MANIFEST} names {path:?}, which is not in the archive")))
    };
    let (client, repository) = session.registry_of(target)?;
    let config = Bytes::from(read_json(&inside(&image["Config"])?)?);
    let config_digest = sha256(&config);
    let mut layers = Vec::new();
    for layer in image["Layers"].as_array().cloned().unwrap_or_default() {
        let path = inside(&layer)?;
        let source = crate::file_source::FileSource::open(Some(&path)).await?;
        client.push_blob(&repository, &source.digest, source.size, &source, &PushOptions::default()).await?;
        layers.push(json!({
            "mediaType": layer_type(&path)?, "digest": source.digest.as_str(), "size": source.size,
        }));
    }
    client.push_blob(&repository, &config_digest, config.len() as u64, &config, &PushOptions::default()).await?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest.as_str(), "size": config.len(),
        },
        "layers": layers,
    });
    let tags: Vec<oci::Tag> = match target.reference()? {
        Reference::Tag(tag) => vec![tag],
        Reference::Digest(_) => return Err(Failure::usage("an image of docker save has no digest yet; name a tag")),
    };
    let pushed = client.push_manifest(&repository, media_type, Bytes::from(manifest.to_string()), &tags).await?;
    session.output.note(&format!("Pushed {target}."));
    session.output.line(pushed.as_str())
}

fn read_json(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    file.take(MOST_JSON).read_to_end(&mut bytes).map_err(|error| Failure::file("read", path, &error))?;
    Ok(bytes)
}

/// The media type of a layer, by how its file begins.
fn layer_type(path: &Path) -> Result<&'static str, Failure> {
    let mut magic = [0; 4];
    let mut file = fs::File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    let read = file.read(&mut magic).map_err(|error| Failure::file("read", path, &error))?;
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_outside_are_refused() {
        assert_eq!(clean(Path::new("./a/../b/layer.tar")), Some("b/layer.tar".into()));
        for bad in ["/etc/passwd", "../x", "a/../../x"] {
            assert_eq!(clean(Path::new(bad)), None, "{bad}");
        }
    }

    #[test]
    fn an_archive_that_leads_outside_writes_nothing_there() {
        let directory = tempfile::tempdir().unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"../bad");
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend([0; 1536]);
        let archive = directory.path().join("bad.tar");
        fs::write(&archive, bytes).unwrap();
        let inside = directory.path().join("inside");
        assert!(unpack(&archive, &inside).unwrap_err().message.contains("leads outside"));
        assert!(!directory.path().join("bad").exists());
    }
}
