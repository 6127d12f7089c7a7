//! Where a bucket is and how it is reached, and the clients of object_store made of that.

use super::{
    aws::{AwsChain, FollowedKeys, StaticKeys},
    http::Courier,
};
use crate::storage::objects::ObjectError;
use client::Secret;
use http::Uri;
use object_store::{
    ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    list::PaginatedListStore,
    multipart::MultipartStore,
    signer::Signer,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// A bucket or container of some service.
#[derive(Clone, Debug)]
pub enum CloudSettings {
    S3(BucketSettings),
    Gcs(GcsSettings),
    Azure(AzureSettings),
}

/// A bucket of S3, or of what speaks its protocol.
#[derive(Clone, Debug, Default)]
pub struct BucketSettings {
    pub bucket: String,
    /// Scheme, host and port; `None` for AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub credentials: BucketCredentials,
    /// What all keys begin with, without a slash at the end.
    pub prefix: String,
    /// The bucket is in the path of URLs and not in the host.
    pub path_style: bool,
    /// PEM.
    pub authorities: Vec<u8>,
    /// `AES256` or `aws:kms`, and the key.
    pub encryption: Option<(&'static str, Option<String>)>,
}

/// How a caller of S3 proves who it is.
#[derive(Clone, Debug)]
pub enum BucketCredentials {
    /// With these keys.
    Keys { access: Secret, secret: Secret },
    /// With the keys in these files, which are read again when they change.
    Files { access: PathBuf, secret: PathBuf },
    /// As AWS's own tools do, by these variables of the environment.
    Chain(Vec<(String, String)>),
}

impl Default for BucketCredentials {
    fn default() -> Self {
        Self::Chain(Vec::new())
    }
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, Default)]
pub struct GcsSettings {
    pub bucket: String,
    pub prefix: String,
    /// The JSON key of a service account.
    pub credentials: Option<PathBuf>,
    pub endpoint: Option<String>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, Default)]
pub struct AzureSettings {
    pub account: String,
    pub container: String,
    pub access_key: Option<Secret>,
    pub prefix: String,
    pub endpoint: Option<String>,
    /// `AZURE_CLIENT_ID` and what else describes the identity of the machine, by these variables of the environment.
    pub environment: Vec<(String, String)>,
}

/// What the three clients have in common.
pub(super) trait CloudStore: ObjectStore + MultipartStore + PaginatedListStore + Signer {}
impl<T: ObjectStore + MultipartStore + PaginatedListStore + Signer> CloudStore for T {}

/// The clients of a bucket.
#[derive(Clone)]
pub(super) struct CloudClients {
    pub(super) store: Arc<dyn CloudStore>,
    /// What removes each object by a request of its own, where that is another client.
    pub(super) singly: Option<Arc<dyn CloudStore>>,
    /// For requests that object_store does not make.
    pub(super) s3: Option<Arc<AmazonS3>>,
    pub(super) courier: Courier,
    pub(super) prefix: String,
    /// A tag is the number of a generation, not an ETag.
    pub(super) tags_are_generations: bool,
    /// URLs may be given to strangers.
    pub(super) is_tls: bool,
    pub(super) region: String,
    pub(super) bucket: String,
    /// The bucket's URL, without a slash at the end, for signed requests of our own.
    pub(super) url: String,
}

/// Nothing is repeated by object_store.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

fn host_of(url: &str) -> String {
    url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
}

fn unusable(error: &object_store::Error) -> ObjectError {
    super::fault::object_error(error)
}

impl CloudSettings {
    /// The name of the service, for people.
    pub fn service(&self) -> &'static str {
        match self {
            Self::S3(_) => "S3",
            Self::Gcs(_) => "Google Cloud Storage",
            Self::Azure(_) => "Azure Blob Storage",
        }
    }

    pub(super) fn clients(&self) -> Result<CloudClients, ObjectError> {
        match self {
            Self::S3(settings) => settings.clients(),
            Self::Gcs(settings) => settings.clients(),
            Self::Azure(settings) => settings.clients(),
        }
    }
}

impl BucketSettings {
    fn clients(&self) -> Result<CloudClients, ObjectError> {
        let chain = match &self.credentials {
            BucketCredentials::Chain(variables) => AwsChain::new(variables),
            BucketCredentials::Keys { .. } | BucketCredentials::Files { .. } => AwsChain::default(),
        };
        let region = self.region.clone().or_else(|| chain.region()).unwrap_or_else(|| "us-east-1".to_owned());
        let at_aws = || format!("https://s3.{region}.amazonaws.com");
        let service = self.endpoint.clone().unwrap_or_else(at_aws);
        let (scheme, host) = service.split_once("://").unwrap_or(("https", &service));
        let url = match self.path_style {
            true => format!("{scheme}://{host}/{}", self.bucket),
            false => format!("{scheme}://{}.{host}", self.bucket),
        };
        let is_tls = scheme == "https";
        let courier = Courier::new(&self.authorities, &host_of(&service));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&*self.bucket)
            .with_region(&*region)
            .with_endpoint(if self.path_style { service.clone() } else { url.clone() })
            .with_virtual_hosted_style_request(!self.path_style)
            .with_allow_http(!is_tls)
            // TLS protects the bytes; without it the signature must.
            .with_unsigned_payload(is_tls)
            .with_retry(no_retries())
            .with_http_connector(courier.clone());
        builder = match &self.credentials {
            BucketCredentials::Keys { access, secret } => {
                builder.with_credentials(Arc::new(StaticKeys::new(access.expose(), secret.expose())))
            }
            BucketCredentials::Files { access, secret } => {
                builder.with_credentials(Arc::new(FollowedKeys::new(access, secret)))
            }
            BucketCredentials::Chain(_) => chain.apply(builder)?,
        };
        if let Some((kind, key)) = &self.encryption {
            builder = builder.with_config(option("aws_server_side_encryption")?, *kind);
            if let Some(key) = key {
                builder = builder.with_config(option("aws_sse_kms_key_id")?, &**key);
            }
        }
        let store = Arc::new(builder.clone().build().map_err(|error| unusable(&error))?);
        let singly = builder.with_disable_bulk_delete(true).build().map_err(|error| unusable(&error))?;
        Ok(CloudClients {
            store: store.clone(),
            singly: Some(Arc::new(singly)),
            s3: Some(store),
            courier,
            prefix: self.prefix.clone(),
            tags_are_generations: false,
            is_tls,
            region,
            bucket: self.bucket.clone(),
            url,
        })
    }
}

/// The key of an option that has no name in the interface.
fn option(name: &str) -> Result<AmazonS3ConfigKey, ObjectError> {
    name.parse().map_err(|error| unusable(&error))
}

impl GcsSettings {
    fn clients(&self) -> Result<CloudClients, ObjectError> {
        let service = self.endpoint.clone().unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
        let courier = Courier::new(&[], &host_of(&service));
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&*self.bucket)
            .with_retry(no_retries())
            .with_http_connector(courier.clone());
        if let Some(path) = &self.credentials {
            builder = builder.with_service_account_path(path.display().to_string());
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_config(GoogleConfigKey::BaseUrl, &**endpoint);
        }
        let store = Arc::new(builder.build().map_err(|error| unusable(&error))?);
        Ok(CloudClients {
            store,
            singly: None,
            s3: None,
            courier,
            prefix: self.prefix.clone(),
            tags_are_generations: true,
            is_tls: service.starts_with("https://"),
            region: String::new(),
            bucket: String::new(),
            url: String::new(),
        })
    }
}

impl AzureSettings {
    fn clients(&self) -> Result<CloudClients, ObjectError> {
        let at_azure = || format!("https://{}.blob.core.windows.net", self.account);
        let service = self.endpoint.clone().unwrap_or_else(at_azure);
        let is_tls = service.starts_with("https://");
        let courier = Courier::new(&[], &host_of(&service));
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(&*self.account)
            .with_container_name(&*self.container)
            .with_endpoint(service)
            .with_allow_http(!is_tls)
            .with_retry(no_retries())
            .with_http_connector(courier.clone());
        match &self.access_key {
            Some(key) => builder = builder.with_access_key(key.expose()),
            None => {
                for (name, value) in &self.environment {
                    if let Ok(key) = name.to_ascii_lowercase().parse::<AzureConfigKey>() {
                        builder = builder.with_config(key, &**value);
                    }
                }
            }
        }
        let store = Arc::new(builder.build().map_err(|error| unusable(&error))?);
        Ok(CloudClients {
            store,
            singly: None,
            s3: None,
            courier,
            prefix: self.prefix.clone(),
            tags_are_generations: false,
            is_tls,
            region: String::new(),
            bucket: String::new(),
            url: String::new(),
        })
    }
}
