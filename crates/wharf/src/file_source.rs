//! A file that is pushed or uploaded.

use crate::failure::Failure;
use client::BlobSource;
use oci::{Algorithm, Digest, Hasher};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A file to push, whose digest is known.
pub struct FileSource {
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    path: PathBuf,
    /// What came from stdin lies here until it is pushed.
    _kept: Option<tempfile::NamedTempFile>,
}

impl FileSource {
    /// Reads a file once, for its digest; without a path, stdin into a temporary file.
    pub async fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let path = path.filter(|path| *path != Path::new("-")).map(Path::to_owned);
        let read = tokio::task::spawn_blocking(move || {
            let (path, kept) = match path {
                Some(path) => (path, None),
                None => {
                    let mut file = tempfile::NamedTempFile::new()
                        .map_err(|error| Failure::failed(format!("cannot make a temporary file: {error}")))?;
                    io::copy(&mut io::stdin().lock(), &mut file)
                        .map_err(|error| Failure::failed(format!("cannot read stdin: {error}")))?;
                    (file.path().to_owned(), Some(file))
                }
            };
            let failed = |error| Failure::file("read", &path, &error);
            let mut file = fs::File::open(&path).map_err(failed)?;
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let (mut size, mut piece) = (0, vec![0; 1 << 20]);
            loop {
                match file.read(&mut piece).map_err(failed)? {
                    0 => break,
                    n => {
                        hasher.update(&piece[..n]);
                        size += n as u64;
                    }
                }
            }
            Ok(Self { digest: hasher.finish(), size, path, _kept: kept })
        });
        read.await.map_err(|error| Failure::failed(error.to_string()))?
    }
}

#[async_trait::async_trait]
impl BlobSource for FileSource {
    async fn open(&self, offset: u64) -> io::Result<client::ByteStream> {
        crate::layout::stream_file(&self.path, offset, None).await
    }
}
