//! The parts of an upload: what is gathered in memory is stored in full parts.

use super::{
    ObjectStorage, failed,
    names::{DataId, data},
    session::{LiveSession, OpenParts},
};
use crate::storage::{
    Result,
    objects::{MOST_PARTS, ObjectError, PART_LEN, PutWhen},
};
use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

impl ObjectStorage {
    /// Stores as many full parts as there are. Where only this process writes, the last one is begun only: it is
    /// written while the next is received. Memory holds two parts of an upload then.
    pub(super) async fn put_full_parts(&self, live: &mut LiveSession) -> Result<()> {
        while live.tail_len >= PART_LEN as u64 {
            if !self.objects.abilities().parts {
                let part = take(live, PART_LEN);
                self.put_segment(live, part, PART_LEN as u64).await?;
                continue;
            }
            if live.ahead.is_some() {
                if live.tail_len < 2 * PART_LEN as u64 {
                    return Ok(());
                }
                self.settle_ahead(live).await?;
                continue;
            }
            if live.record.parts.as_ref().is_some_and(|parts| parts.parts.len() + 1 >= MOST_PARTS) {
                self.complete(live).await?;
            }
            let parts = match &mut live.record.parts {
                Some(parts) => parts,
                none => {
                    let segment = DataId::fresh();
                    let key = data(live.record.data, segment);
                    let id = failed(self.objects.begin_parts(&key).await, "begin", &key)?;
                    none.insert(OpenParts { segment, id, parts: Vec::new() })
                }
            };
            let (key, id, number) = (data(live.record.data, parts.segment), parts.id.clone(), parts.parts.len());
            let (objects, part) = (self.objects.clone(), first(&live.tail, PART_LEN));
            if self.objects.abilities().shared {
                parts.parts.push(failed(objects.put_part(&key, &id, number, part).await, "write", &key)?);
                take(live, PART_LEN);
                continue;
            }
            let put = async move { objects.put_part(&key, &id, number, part).await };
            live.ahead = Some(AbortOnDropHandle::new(tokio::spawn(put)));
        }
        Ok(())
    }

    /// Waits until the part that is being written is stored. If this is dropped, it is written again.
    pub(super) async fn settle_ahead(&self, live: &mut LiveSession) -> Result<()> {
        let (Some(ahead), Some(parts)) = (live.ahead.take(), &mut live.record.parts) else { return Ok(()) };
        let key = data(live.record.data, parts.segment);
        let stopping = |_| Err(ObjectError::Other { why: "the daemon is stopping".into() });
        parts.parts.push(failed(ahead.await.unwrap_or_else(stopping), "write", &key)?);
        take(live, PART_LEN);
        Ok(())
    }

    pub(super) async fn put_segment(&self, live: &mut LiveSession, bytes: Vec<Bytes>, len: u64) -> Result<()> {
        let segment = DataId::fresh();
        let key = data(live.record.data, segment);
        failed(self.objects.put(&key, bytes, PutWhen::Any).await, "write", &key)?;
        live.record.segments.push((segment, len));
        Ok(())
    }
}

/// The first bytes of the tail, which stay there.
fn first(tail: &[Bytes], len: usize) -> Vec<Bytes> {
    let mut left = len;
    let mut pieces = Vec::new();
    for piece in tail.iter().filter(|piece| !piece.is_empty()) {
        pieces.push(piece.slice(..piece.len().min(left)));
        left -= piece.len().min(left);
        if left == 0 {
            break;
        }
    }
    pieces
}

/// Takes the first bytes of the tail.
pub(super) fn take(live: &mut LiveSession, len: usize) -> Vec<Bytes> {
    let (mut taken, mut left) = (Vec::new(), len);
    let tail = std::mem::take(&mut live.tail);
    for mut piece in tail {
        match left {
            0 => live.tail.push(piece),
            _ if piece.len() <= left => {
                left -= piece.len();
                taken.push(piece);
            }
            _ => {
                taken.push(piece.split_to(left));
                left = 0;
                live.tail.push(piece);
            }
        }
    }
    live.tail_len -= (len - left) as u64;
    taken
}
