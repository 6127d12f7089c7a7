//! Pulls through a cache before a store of objects.

use super::{files::CacheFiles, *};
use crate::storage::{
    BlobData, Content as _, ObjectStorage, UploadTurn, Verified,
    objects::{
        MemObjects,
        faulty::{FaultyObjects, ObjectFaults},
    },
};
use oci::{Algorithm, UploadId};
use std::time::Duration;
use tempfile::TempDir;

/// Length of each blob, and the part of it that a client reads at once.
const LEN: u64 = 3 << 20;
const READ: u64 = 300 << 10;

struct Cached {
    dir: TempDir,
    objects: Arc<MemObjects>,
    calls: Arc<FaultyObjects>,
    cache: Arc<BlobCache>,
    store: ObjectStorage,
}

impl Cached {
    async fn of(most_bytes: u64) -> Self {
        Self::over(tempfile::tempdir().unwrap(), Arc::default(), most_bytes).await
    }

    async fn over(dir: TempDir, objects: Arc<MemObjects>, most_bytes: u64) -> Self {
        let cache = BlobCache::open(&dir.path().join("cache"), most_bytes).await.unwrap();
        let calls = FaultyObjects::new(objects.clone(), ObjectFaults::Never);
        let store = ObjectStorage::open(calls.clone(), true).await.unwrap().with_cache(Some(cache.clone()));
        calls.taken();
        Self { dir, objects, calls, cache, store }
    }

    /// Another process with the same cache.
    async fn restarted(self, most_bytes: u64) -> Self {
        let Self { dir, objects, calls, cache, store } = self;
        drop((calls, cache, store));
        Self::over(dir, objects, most_bytes).await
    }

    async fn pushed(&self, seed: u8) -> Digest {
        let bytes = content(seed);
        let digest = Hasher::digest(Algorithm::Sha256, &bytes);
        let (id, turn) = (UploadId::random(), UploadTurn::default());
        self.store.begin(&id, Bytes::new()).await.unwrap();
        self.store.append(&id, &turn, 0, vec![bytes], Hasher::new(Algorithm::Sha256)).await.unwrap();
        self.store.publish(&id, &turn, &Verified::vouch(digest.clone(), LEN)).await.unwrap();
        self.calls.taken();
        digest
    }

    /// What a client gets, and whether it came from a file.
    async fn pull(&self, digest: &Digest) -> (Vec<u8>, bool) {
        let blob = self.store.open_to_read(digest).await.unwrap().unwrap();
        let (mut all, mut at) = (Vec::new(), 0);
        while at < blob.len() {
            let span = Span { start: at, len: READ.min(blob.len() - at) };
            all.extend(blob.read(span).await.unwrap());
            at += span.len;
        }
        (all, matches!(blob.data(), BlobData::File(_)))
    }

    /// Waits until all fetches have ended.
    async fn settled(&self) -> CacheStatus {
        for _ in 0..1000 {
            if world::lock(&self.cache.fills).is_empty() {
                return self.cache.status();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("a fetch does not end");
    }

    /// Pulls a blob and waits until it is in the cache.
    async fn cached(&self, digest: &Digest) {
        self.pull(digest).await;
        self.settled().await;
        assert!(world::lock(&self.cache.index).has(digest));
    }

    fn file(&self, digest: &Digest) -> std::path::PathBuf {
        let hex = digest.hex();
        self.dir.path().join(format!("cache/blobs/sha256/{}/{hex}.{LEN}", &hex[..2]))
    }
}

/// Different bytes for each seed.
fn content(seed: u8) -> Bytes {
    (0..LEN).map(|i| (i / 1000) as u8 ^ seed).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn a_blob_that_was_pulled_is_served_from_its_file_without_the_store_also_after_a_restart() {
    let one = Cached::of(10 * LEN).await;
    let digest = one.pushed(1).await;
    assert_eq!(one.pull(&digest).await, (content(1).to_vec(), false));
    let status = one.settled().await;
    assert_eq!((status.blobs, status.bytes, status.filled_bytes, status.misses), (1, LEN, LEN, 1));
    one.calls.taken();
    assert_eq!(one.pull(&digest).await, (content(1).to_vec(), true));
    assert_eq!(one.calls.taken(), [""; 0]);
    assert_eq!(one.cache.status().hits, 1);
    let two = one.restarted(10 * LEN).await;
    assert_eq!(two.pull(&digest).await, (content(1).to_vec(), true));
    assert_eq!(two.calls.taken(), [""; 0]);
    assert_eq!(two.restarted(LEN - 1).await.cache.status().bytes, 0, "a smaller cache keeps what fits");
}

#[tokio::test]
async fn many_clients_of_a_blob_cost_one_fetch() {
    let one = Cached::of(10 * LEN).await;
    let digest = one.pushed(1).await;
    let pulls = futures_util::future::join_all((0..8).map(|_| one.pull(&digest))).await;
    assert!(pulls.iter().all(|(bytes, _)| *bytes == content(1)));
    let gets = one.calls.taken().into_iter().filter(|call| call.starts_with("get data/")).count();
    assert_eq!(gets, 1);
}

#[tokio::test]
async fn a_client_that_reads_a_part_does_not_fetch_the_rest() {
    let one = Cached::of(10 * LEN).await;
    let digest = one.pushed(1).await;
    for span in [Span { start: 0, len: 10 }, Span { start: 1000, len: 10 }] {
        let blob = one.store.open_to_read(&digest).await.unwrap().unwrap();
        blob.will_read(span);
        assert_eq!(blob.read(span).await.unwrap(), content(1).slice(span.start as usize..span.end() as usize));
    }
    assert_eq!(one.settled().await.blobs, 0);
}

#[tokio::test]
async fn what_was_used_least_recently_makes_room() {
    let one = Cached::of(3 * LEN + 1).await;
    let mut digests = Vec::new();
    for seed in 0..4 {
        digests.push(one.pushed(seed).await);
    }
    for digest in &digests[..3] {
        one.cached(digest).await;
    }
    one.pull(&digests[0]).await;
    one.cached(&digests[3]).await;
    let status = one.cache.status();
    assert_eq!((status.blobs, status.bytes, status.evictions), (3, 3 * LEN, 1));
    assert!(!one.file(&digests[1]).exists(), "it was not used since");
    for (seed, digest) in digests.iter().enumerate() {
        assert_eq!(one.pull(digest).await.0, content(seed as u8));
    }
    let small = Cached::of(LEN - 1).await;
    let digest = small.pushed(1).await;
    assert_eq!(small.pull(&digest).await.0, content(1));
    assert_eq!(small.settled().await, CacheStatus { most_bytes: LEN - 1, misses: 1, ..CacheStatus::default() });
}

#[tokio::test]
async fn what_a_kill_or_a_failing_disk_leaves_behind_is_never_served() {
    let one = Cached::of(10 * LEN).await;
    let (cut, half) = (one.pushed(1).await, one.pushed(2).await);
    one.cached(&cut).await;
    // Killed while it was written.
    let growing = one.cache.files.create(LEN).unwrap();
    one.cache.files.write(&growing, content(2).slice(..1000), 0).unwrap();
    drop(growing);
    let temporary = one.dir.path().join("cache/state/tmp");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 1);
    let cut_off = |one: &Cached| std::fs::File::options().write(true).open(one.file(&cut)).unwrap().set_len(7).unwrap();
    cut_off(&one);
    assert_eq!(one.pull(&cut).await, (content(1).to_vec(), false), "it is noticed when it is opened");
    one.cached(&cut).await;
    cut_off(&one);
    let two = one.restarted(10 * LEN).await;
    assert_eq!(two.cache.status().blobs, 0, "and at the start");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert_eq!(two.pull(&cut).await, (content(1).to_vec(), false));
    assert_eq!(two.pull(&half).await, (content(2).to_vec(), false));
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_ends_no_pull() {
    let one = Cached::of(10 * LEN).await;
    let digest = one.pushed(1).await;
    let temporary = one.dir.path().join("cache/state/tmp");
    std::fs::remove_dir(&temporary).unwrap();
    std::fs::write(&temporary, "").unwrap();
    assert_eq!(one.pull(&digest).await, (content(1).to_vec(), false));
    let status = one.settled().await;
    assert_eq!((status.failures, status.blobs), (1, 0));
    assert_eq!(one.pull(&digest).await, (content(1).to_vec(), false));
}

#[tokio::test]
async fn a_store_that_fails_in_between_ends_the_fetch_and_leaves_no_file() {
    let one = Cached::of(10 * LEN).await;
    let digest = one.pushed(1).await;
    let blob = one.store.open_to_read(&digest).await.unwrap().unwrap();
    one.calls.be_away(true);
    assert!(blob.read(Span { start: 0, len: 10 }).await.is_err());
    assert_eq!(one.settled().await.failures, 1);
    one.calls.be_away(false);
    assert_eq!(one.pull(&digest).await.0, content(1));
    assert_eq!(one.settled().await.blobs, 1);
}

#[tokio::test]
async fn bytes_with_another_digest_are_not_kept_and_damaged_ones_are_forgotten() {
    let one = Cached::of(10 * LEN).await;
    let digest = Hasher::digest(Algorithm::Sha256, b"right");
    one.store.put_blob(&Verified::vouch(digest.clone(), 5), "wrong".into()).await.unwrap();
    one.pull(&digest).await;
    let status = one.settled().await;
    assert_eq!((status.failures, status.blobs), (1, 0));
    let digest = one.pushed(1).await;
    one.cached(&digest).await;
    use crate::storage::{Lifecycle as _, RunId};
    one.store.examine(&digest, RunId::fresh()).await.unwrap();
    assert!(!one.file(&digest).exists(), "whoever doubts a blob gets it from the store again");
}

#[tokio::test]
async fn a_cache_belongs_to_one_process() {
    let one = Cached::of(LEN).await;
    let error = CacheFiles::open(&one.dir.path().join("cache")).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
