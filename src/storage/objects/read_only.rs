//! Objects that are only read: for commands beside a daemon that is the only one to write.

use super::{
    ObjectAbilities, ObjectBody, ObjectError, ObjectLevel, ObjectMeta, ObjectPage, ObjectResult, ObjectTag, Objects,
    PutWhen,
};
use crate::files::Space;
use async_trait::async_trait;
use bytes::Bytes;
use oci::Span;
use std::time::SystemTime;

/// Another store of objects, without its writes.
pub struct ReadOnlyObjects<O>(pub O);

fn refused<T>() -> ObjectResult<T> {
    let why = "only the registry itself writes to this store: use its API";
    Err(ObjectError::Denied { why: why.into() })
}

#[async_trait]
impl<O: Objects> Objects for ReadOnlyObjects<O> {
    fn abilities(&self) -> ObjectAbilities {
        self.0.abilities()
    }

    async fn get(&self, key: &str, span: Option<Span>) -> ObjectResult<ObjectBody> {
        self.0.get(key, span).await
    }

    async fn head(&self, key: &str) -> ObjectResult<ObjectMeta> {
        self.0.head(key).await
    }

    async fn put(&self, _: &str, _: Vec<Bytes>, _: PutWhen) -> ObjectResult<Option<ObjectTag>> {
        refused()
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectPage> {
        self.0.list(prefix, after, most).await
    }

    async fn level(&self, dir: &str, after: Option<&str>, most: usize) -> ObjectResult<ObjectLevel> {
        self.0.level(dir, after, most).await
    }

    async fn delete(&self, _: Vec<String>) -> ObjectResult<()> {
        refused()
    }

    async fn delete_match(&self, _: &str, _: &ObjectTag) -> ObjectResult<()> {
        refused()
    }

    async fn copy(&self, _: &str, _: &str) -> ObjectResult<()> {
        refused()
    }

    async fn begin_parts(&self, _: &str) -> ObjectResult<String> {
        refused()
    }

    async fn put_part(&self, _: &str, _: &str, _: usize, _: Vec<Bytes>) -> ObjectResult<String> {
        refused()
    }

    async fn complete_parts(&self, _: &str, _: &str, _: &[String]) -> ObjectResult<()> {
        refused()
    }

    async fn abort_parts(&self, _: &str, _: &str) -> ObjectResult<()> {
        refused()
    }

    async fn now(&self) -> ObjectResult<SystemTime> {
        self.0.now().await
    }

    async fn space(&self) -> ObjectResult<Option<Space>> {
        self.0.space().await
    }
}
