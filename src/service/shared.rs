//! Large manifests that are being sent: one copy in memory, however many clients read it.

use super::error::ServiceError;
use crate::wire::memory::{HeldBytes, MemoryShare};
use bytes::Bytes;
use oci::Digest;
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OnceCell;

/// Manifests that are being sent, by digest.
#[derive(Default)]
pub struct SharedManifests(Mutex<HashMap<Digest, Weak<Copy>>>);

/// Empty while the first reader waits for the disk.
type Copy = OnceCell<(Bytes, Option<HeldBytes>)>;

struct SharedReader(Arc<Copy>);

impl SharedManifests {
    /// The bytes of a digest: those another response holds, or the result of `read`. They are counted once.
    ///
    /// # Errors
    /// Those of `read`; [`ServiceError::MemoryUsedUp`] at the memory limit for clients.
    pub(super) async fn get(
        &self,
        digest: &Digest,
        len: u64,
        share: Option<&Arc<MemoryShare>>,
        read: impl Future<Output = Result<Bytes, ServiceError>>,
    ) -> Result<Bytes, ServiceError> {
        let copy = self.copy_of(digest);
        let filled = copy.get_or_try_init(|| async {
            let held = share.map(|share| share.take(usize::try_from(len).unwrap_or(usize::MAX))).transpose()?;
            Ok::<_, ServiceError>((read.await?, held))
        });
        filled.await?;
        Ok(Bytes::from_owner(SharedReader(copy)))
    }

    fn copy_of(&self, digest: &Digest) -> Arc<Copy> {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = copies.get(digest).and_then(Weak::upgrade) {
            return copy;
        }
        // Few manifests are large, so scanning all is cheap.
        copies.retain(|_, copy| copy.strong_count() > 0);
        let copy = Arc::<Copy>::default();
        copies.insert(digest.clone(), Arc::downgrade(&copy));
        copy
    }
}

impl AsRef<[u8]> for SharedReader {
    fn as_ref(&self) -> &[u8] {
        self.0.get().map_or(&[], |(bytes, _)| bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ClientMemory;

    #[tokio::test]
    async fn readers_share_one_copy_until_the_last_one_ends() {
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let (shared, memory) = (SharedManifests::default(), ClientMemory::new(1000));
        let share = memory.share(false);
        let get = |len| shared.get(&digest, len, Some(&share), async { Ok(Bytes::from_static(b"manifest")) });
        let (one, two) = (get(100).await.unwrap(), get(100).await.unwrap());
        assert_eq!((one.as_ptr(), memory.held()), (two.as_ptr(), 100));
        drop(one);
        assert_eq!((&*two, memory.held()), (b"manifest".as_slice(), 100));
        drop(two);
        assert_eq!(memory.held(), 0);
        assert!(matches!(get(1001).await, Err(ServiceError::MemoryUsedUp(_))));
        assert!(get(250).await.is_ok(), "a failure is not kept");
    }
}
