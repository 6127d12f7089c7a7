//! Archives, unpacked as they arrive.

use crate::{failure::Failure, layout::NewFile};
use bytes::Bytes;
use client::ApiStream;
use std::{
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::mpsc::{self, Receiver};

/// An archive may hold this many times what has arrived of it; gzip itself goes to a thousand.
const MOST_RATIO: u64 = 200;

/// What any archive may hold.
const ALWAYS: u64 = 64 << 20;

/// Unpacks a tar.gz as it arrives. Files appear one by one, each whole; links and paths that lead outside are refused.
pub(super) async fn unpack(mut stream: ApiStream, directory: &Path) -> Result<usize, Failure> {
    let (sender, receiver) = mpsc::channel(8);
    let directory = directory.to_owned();
    let unpacked = tokio::task::spawn_blocking(move || {
        let arrived = Arc::new(AtomicU64::new(0));
        let arriving = Arriving { receiver, piece: Bytes::new(), arrived: arrived.clone() };
        unpack_all(arriving, &arrived, &directory)
    });
    loop {
        match stream.chunk().await {
            Ok(Some(bytes)) => {
                if sender.send(bytes).await.is_err() {
                    // Whoever unpacks has stopped, and says why.
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                // The archive then ends early, which is an error there.
                drop(sender);
                let _ = unpacked.await;
                return Err(error.into());
            }
        }
    }
    drop(sender);
    unpacked.await.map_err(|error| Failure::failed(error.to_string()))?
}

fn unpack_all(arriving: Arriving, arrived: &AtomicU64, directory: &Path) -> Result<usize, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("the archive cannot be read: {error}"));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(arriving));
    let mut count = 0;
    let mut written = 0_u64;
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path().map_err(failed)?.into_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !entry.header().entry_type().is_file() || !inside || path.as_os_str().is_empty() {
            let shown = client::escaped(&path.display().to_string());
            return Err(Failure::failed(format!(
                "the archive has {shown}, which is no file inside; it was not unpacked"
            )));
        }
        let target: PathBuf = directory.join(&path);
        let mut file = NewFile::beside(&target)?;
        let mut piece = vec![0; 256 << 10];
        loop {
            let read = entry.read(&mut piece).map_err(failed)?;
            if read == 0 {
                break;
            }
            written += read as u64;
            if written > ALWAYS && written / MOST_RATIO > arrived.load(Ordering::Relaxed) {
                return Err(Failure::failed(
                    "the archive is much larger than what arrived; it was not unpacked further",
                ));
            }
            file.write(&piece[..read])?;
        }
        file.finish()?;
        count += 1;
    }
    Ok(count)
}

/// What arrives, as a reader of another thread.
struct Arriving {
    receiver: Receiver<Bytes>,
    piece: Bytes,
    arrived: Arc<AtomicU64>,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.piece = bytes,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        self.arrived.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
