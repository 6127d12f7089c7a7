//! Buckets: what the configuration says of them, and opening them.

use super::{
    conditions::{check_conditions, has_conditions, in_words},
    store::NoStore,
};
use crate::{
    config::{BucketEncryption, Env, Live, StorageKind, process_environment},
    files::{detached, regular},
    storage::{
        BlobCache, OpenStore, StorageError,
        cloud::{AzureSettings, BucketCredentials, BucketSettings, CloudObjects, CloudSettings, GcsSettings},
        remote::ObjectStorage,
    },
};
use client::Secret;
use std::{path::Path, sync::Arc};

/// A bucket that was opened and probed.
pub(super) struct OpenBucket {
    pub(super) store: OpenStore,
    /// What it can do, a line each.
    pub(super) words: Vec<String>,
}

/// Opens the bucket of this configuration; creates a store in it if there is none and `may_create`.
pub(super) async fn open(env: &Env, may_create: bool, cache: Option<Arc<BlobCache>>) -> Result<OpenBucket, NoStore> {
    let settings = settings(env).await.map_err(NoStore::Unusable)?;
    let failed = |error: &dyn std::fmt::Display| NoStore::Unusable(format!("{}: {error}", env.storage_place()));
    let (objects, probed) = CloudObjects::open(&settings).await.map_err(|error| failed(&error))?;
    let store = match ObjectStorage::open(Arc::new(objects), may_create).await {
        Ok(store) => store.with_cache(cache),
        Err(error @ StorageError::Damaged { .. }) if !may_create => return Err(NoStore::Absent(error.to_string())),
        Err(error) => return Err(failed(&error)),
    };
    let has_conditions = has_conditions(probed.abilities);
    Ok(OpenBucket { store: OpenStore::new(store, has_conditions), words: in_words(probed.abilities, probed.words) })
}

/// What a bucket can do, in words, for `check`; whether it can keep this configuration. Writes a few objects and removes
/// them.
///
/// # Errors
/// A sentence that says why it cannot be used.
pub async fn inspect_bucket(env: &Env, live: &Live) -> Result<Vec<String>, String> {
    let settings = settings(env).await?;
    let opened = CloudObjects::open(&settings).await;
    let (_, probed) = opened.map_err(|error| format!("{}: {error}", env.storage_place()))?;
    check_conditions(has_conditions(probed.abilities), live)?;
    let words = in_words(probed.abilities, probed.words);
    Ok(words.iter().map(|words| format!("{}: {words}", env.storage_place())).collect())
}

async fn settings(env: &Env) -> Result<CloudSettings, String> {
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(match env.storage {
        StorageKind::Gcs => CloudSettings::Gcs(GcsSettings {
            bucket: given(&env.gcs_bucket),
            prefix: given(&env.gcs_prefix),
            credentials: env
                .gcs_credentials
                .clone()
                .or_else(|| variable("GOOGLE_APPLICATION_CREDENTIALS").map(Into::into)),
            endpoint: env.gcs_endpoint.clone(),
        }),
        StorageKind::Azure => CloudSettings::Azure(AzureSettings {
            account: given(&env.azure_account),
            container: given(&env.azure_container),
            access_key: match &env.azure_access_key_file {
                Some(path) => Some(Secret::new(text(path).await?.trim())),
                None => env.azure_access_key.clone(),
            },
            prefix: given(&env.azure_prefix),
            endpoint: env.azure_endpoint.clone(),
            environment: variables(|name| {
                name.starts_with("AZURE_") || name.starts_with("MSI_") || name.starts_with("IDENTITY_")
            }),
        }),
        StorageKind::Filesystem | StorageKind::Sftp | StorageKind::S3 => CloudSettings::S3(BucketSettings {
            bucket: given(&env.s3_bucket),
            endpoint: env.s3_endpoint.clone(),
            region: env.s3_region.clone(),
            credentials: s3_credentials(env).await?,
            prefix: given(&env.s3_prefix),
            path_style: env.s3_path_style,
            authorities: match &env.s3_ca {
                Some(path) => text(path).await?.into_bytes(),
                None => Vec::new(),
            },
            encryption: env.s3_sse.as_ref().map(|encryption| match encryption {
                BucketEncryption::Aes256 => ("AES256", None),
                BucketEncryption::Kms(key) => ("aws:kms", key.clone()),
            }),
        }),
    })
}

async fn s3_credentials(env: &Env) -> Result<BucketCredentials, String> {
    if let (Some(access), Some(secret)) = (&env.s3_access_key_file, &env.s3_secret_key_file) {
        return Ok(BucketCredentials::Files { access: access.clone(), secret: secret.clone() });
    }
    let access = match &env.s3_access_key_file {
        Some(path) => Some(Secret::new(text(path).await?.trim())),
        None => env.s3_access_key.clone(),
    };
    let secret = match &env.s3_secret_key_file {
        Some(path) => Some(Secret::new(text(path).await?.trim())),
        None => env.s3_secret_key.clone(),
    };
    Ok(match access.zip(secret) {
        Some((access, secret)) => BucketCredentials::Keys { access, secret },
        None => BucketCredentials::Chain(variables(|name| name.starts_with("AWS_") || name == "HOME")),
    })
}

async fn text(path: &Path) -> Result<String, String> {
    let (read, shown) = (path.to_owned(), path.display().to_string());
    let bytes = detached(move || regular::read(&read)).await.and_then(|read| read);
    let bytes = bytes.map_err(|error| format!("cannot read {shown}: {error}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not text"))
}

fn variables(wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let texts = process_environment().into_iter();
    let texts = texts.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, _)| wanted(name)).collect()
}

fn variable(name: &str) -> Option<String> {
    variables(|known| known == name).pop().map(|(_, value)| value).filter(|value| !value.is_empty())
}
