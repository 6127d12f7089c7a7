//! Directories in the OCI image layout (image-spec, "Image Layout"), and archives of them.

pub mod archive;

use crate::failure::Failure;
use bytes::{Bytes, BytesMut};
use client::{BlobSource, ByteStream};
use futures_util::stream;
use oci::{Algorithm, Digest, Hasher};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// The annotation that names an image of a layout.
pub const NAME: &str = "org.opencontainers.image.ref.name";

/// The content of `oci-layout`.
pub const LAYOUT_FILE: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The largest manifest that is read.
const MOST_MANIFEST: u64 = 16 << 20;

/// Bytes read of a file at a time.
const PIECE: usize = 256 << 10;

/// A directory with images.
pub struct OciLayout {
    directory: PathBuf,
    /// Held while the index is changed.
    index: Mutex<()>,
}

impl OciLayout {
    /// A directory, which is created when something is written to it.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), index: Mutex::new(()) }
    }

    /// Its `index.json`; an empty one if there is none.
    pub fn read_index(&self) -> Result<Value, Failure> {
        let path = self.directory.join("index.json");
        match fs::read(&path) {
            Ok(bytes) => {
                oci::json::from_slice(&bytes).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(json!({ "schemaVersion": 2, "manifests": [] })),
            Err(error) => Err(Failure::file("read", &path, &error)),
        }
    }

    /// The names of its images; images without one are left out.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let index = self.read_index()?;
        let entries = index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(entries.iter().filter_map(|entry| entry["annotations"][NAME].as_str()).map(str::to_owned).collect())
    }

    /// The digest of a named image; without a name, of the only one.
    pub fn find(&self, name: Option<&str>) -> Result<Digest, Failure> {
        let index = self.read_index()?;
        let entries = index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
        let directory = self.directory.display();
        let found = match (name, &entries[..]) {
            (None, [only]) => only,
            (None, []) => return Err(Failure::not_found(format!("{directory} has no images"))),
            (None, _) => {
                let names = self.names()?.join(", ");
                return Err(Failure::usage(format!("{directory} has several images; name one of: {names}")));
            }
            (Some(name), entries) => {
                let is_it = |entry: &&Value| entry["annotations"][NAME] == name || entry["digest"] == name;
                entries
                    .iter()
                    .find(is_it)
                    .ok_or_else(|| Failure::not_found(format!("{directory} has no image {name:?}")))?
            }
        };
        let digest = found["digest"].as_str().unwrap_or_default();
        digest.parse().map_err(|error| Failure::failed(format!("{directory}/index.json: {digest:?}: {error}")))
    }

    /// Whether it has a blob of this length.
    pub fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == size)
    }

    /// A manifest, verified.
    pub fn manifest(&self, digest: &Digest) -> Result<Bytes, Failure> {
        let path = self.path(digest);
        let size = fs::metadata(&path).map_err(|error| Failure::file("read", &path, &error))?.len();
        if size > MOST_MANIFEST {
            return Err(Failure::failed(format!("{} is too large for a manifest", path.display())));
        }
        let bytes = fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
        if Hasher::digest(digest.algorithm(), &bytes) != *digest {
            return Err(Failure::new(crate::failure::ExitStatus::Digest, format!("{} is damaged", path.display())));
        }
        Ok(bytes.into())
    }

    /// Where a blob is.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// Writes a blob, verified.
    pub async fn write(&self, digest: &Digest, size: u64, source: &dyn BlobSource) -> Result<(), Failure> {
        let mut file = NewFile::beside(&self.path(digest))?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut written = 0;
        let mut bytes = source.open(0).await.map_err(|error| Failure::failed(error.to_string()))?;
        while let Some(piece) = futures_util::StreamExt::next(&mut bytes).await {
            let piece = piece.map_err(|error| Failure::failed(error.to_string()))?;
            hasher.update(&piece);
            written += piece.len() as u64;
            file.write(&piece)?;
        }
        if written != size || hasher.finish() != *digest {
            return Err(Failure::new(crate::failure::ExitStatus::Digest, format!("{digest} does not have its digest")));
        }
        file.finish()
    }

    /// Adds an image to the index, in place of the one that has its name.
    pub fn add(&self, media_type: &str, digest: &Digest, size: usize, name: Option<&str>) -> Result<(), Failure> {
        let _held = self.index.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        write_file(&self.directory.join("oci-layout"), LAYOUT_FILE.as_bytes())?;
        let mut index = self.read_index()?;
        let Some(entries) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
            return Err(Failure::failed(format!("{}/index.json is no index", self.directory.display())));
        };
        entries.retain(|entry| match name {
            Some(name) => entry["annotations"][NAME] != name,
            None => entry["digest"] != digest.as_str(),
        });
        entries.push(index_entry(media_type, digest, size, name));
        write_file(&self.directory.join("index.json"), index.to_string().as_bytes())
    }
}

/// An image in an index.
fn index_entry(media_type: &str, digest: &Digest, size: usize, name: Option<&str>) -> Value {
    let mut entry = json!({ "mediaType": media_type, "digest": digest.as_str(), "size": size });
    if let Some(name) = name {
        entry["annotations"] = json!({ NAME: name });
    }
    entry
}

/// A blob of a layout, as the source of a push.
pub struct LayoutBlob {
    /// The file.
    pub path: PathBuf,
}

#[async_trait::async_trait]
impl BlobSource for LayoutBlob {
    async fn open(&self, offset: u64) -> io::Result<ByteStream> {
        stream_file(&self.path, offset, None).await
    }
}

/// The bytes of a file from an offset, to its end or as many as are given.
pub async fn stream_file(path: &Path, offset: u64, length: Option<u64>) -> io::Result<ByteStream> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let pieces = stream::try_unfold((file, length), |(mut file, left)| async move {
        let most = left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
        if most == 0 {
            return Ok(None);
        }
        let mut piece = BytesMut::with_capacity(most);
        // `read_buf` fills what is reserved, which may be more than asked for.
        let read = (&mut file).take(most as u64).read_buf(&mut piece).await?;
        let left = left.map(|left| left - read as u64);
        Ok((read > 0).then(|| (piece.freeze(), (file, left))))
    });
    Ok(Box::pin(pieces))
}

/// A file that appears whole or not at all.
pub struct NewFile {
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// A file that will be at this path. Its directory is created.
    pub fn beside(target: &Path) -> Result<Self, Failure> {
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |error| Failure::file("write", target, &error);
        fs::create_dir_all(directory).map_err(failed)?;
        let file = tempfile::Builder::new().prefix(".wharf-").permissions(mode()).tempfile_in(directory);
        Ok(Self { file: file.map_err(failed)?, target: target.to_owned() })
    }

    /// Writes more of it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::file("write", &self.target, &error))
    }

    /// The file, for a library that writes by itself.
    pub fn inner(&mut self) -> &mut fs::File {
        self.file.as_file_mut()
    }

    /// Gives it its name.
    pub fn finish(self) -> Result<(), Failure> {
        let persisted = self.file.persist(&self.target);
        persisted.map(drop).map_err(|error| Failure::file("write", &self.target, &error.error))
    }
}

/// As the files of other programs: the umask decides.
fn mode() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = NewFile::beside(path)?;
    file.write(bytes)?;
    file.finish()
}

/// The digest of some bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}
