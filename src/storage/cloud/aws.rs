//! Credentials of S3, and the requests that object_store does not make: a deletion with a condition, and the copy of a
//! part.

use super::{
    fault::{CloudFault, object_error},
    settings::CloudClients,
};
use crate::{
    files::{detached, regular, world},
    storage::objects::{ObjectError, ObjectResult, ObjectTag},
};
use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use object_store::{
    CredentialProvider,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer, AwsCredential},
    client::{HttpError, HttpRequest, HttpRequestBody, HttpService as _},
};
use std::{
    error::Error as StdError,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How often files with keys are read again.
const AGAIN: Duration = Duration::from_secs(30);

/// Keys that do not change.
#[derive(Debug)]
pub(super) struct StaticKeys(Arc<AwsCredential>);

impl StaticKeys {
    pub(super) fn new(access: &str, secret: &str) -> Self {
        Self(Arc::new(AwsCredential { key_id: access.to_owned(), secret_key: secret.to_owned(), token: None }))
    }
}

#[async_trait]
impl CredentialProvider for StaticKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.0.clone())
    }
}

/// Keys in two files, or in the shared credentials file of AWS's tools, which are read again from time to time: they are
/// replaced while the registry runs.
pub(super) struct FollowedKeys {
    source: KeySource,
    last: Mutex<Option<(Arc<AwsCredential>, Instant)>>,
}

#[derive(Clone)]
enum KeySource {
    Files(PathBuf, PathBuf),
    Profile(PathBuf, String),
}

impl FollowedKeys {
    pub(super) fn new(access: &Path, secret: &Path) -> Self {
        Self { source: KeySource::Files(access.to_owned(), secret.to_owned()), last: Mutex::default() }
    }
}

impl fmt::Debug for FollowedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FollowedKeys(…)")
    }
}

impl KeySource {
    /// Blocks.
    fn read(&self) -> Result<AwsCredential, String> {
        let text = |path: &Path| {
            let bytes = regular::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display()))
        };
        match self {
            Self::Files(access, secret) => {
                let (key_id, secret_key) = (text(access)?.trim().to_owned(), text(secret)?.trim().to_owned());
                if key_id.is_empty() || secret_key.is_empty() {
                    return Err(format!("{} or {} is empty", access.display(), secret.display()));
                }
                Ok(AwsCredential { key_id, secret_key, token: None })
            }
            Self::Profile(path, profile) => {
                let missing = || format!("{} has no keys for the profile {profile}", path.display());
                in_profile(&text(path)?, profile).ok_or_else(missing)
            }
        }
    }
}

#[async_trait]
impl CredentialProvider for FollowedKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let last = world::lock(&self.last).clone();
        if let Some((keys, at)) = &last
            && at.elapsed() < AGAIN
        {
            return Ok(keys.clone());
        }
        let source = self.source.clone();
        let read = detached(move || source.read()).await.unwrap_or_else(|error| Err(error.to_string()));
        let keys = match (read, last) {
            (Ok(keys), Some((before, _))) if keys == *before => before,
            (Ok(keys), _) => Arc::new(keys),
            // It is being replaced, or something is wrong with it: the old keys may still be good.
            (Err(why), Some((before, _))) => {
                tracing::warn!(why, "cannot read the keys of the object store again; the previous ones stay in use");
                before
            }
            (Err(why), None) => {
                return Err(object_store::Error::Generic {
                    store: "S3",
                    source: Box::new(CloudFault::Known(ObjectError::Denied { why })),
                });
            }
        };
        *world::lock(&self.last) = Some((keys.clone(), Instant::now()));
        Ok(keys)
    }
}

/// The keys of a profile in a shared credentials file.
fn in_profile(text: &str, profile: &str) -> Option<AwsCredential> {
    let (mut is_ours, mut found) = (false, [None, None, None]);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_ours = name.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_ours) {
            let names = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
            if let Some(place) = names.iter().position(|name| *name == key.trim()) {
                found[place] = Some(value.trim().to_owned());
            }
        }
    }
    let [key_id, secret_key, token] = found;
    Some(AwsCredential { key_id: key_id?, secret_key: secret_key?, token })
}

/// Where AWS's own tools look for credentials, in their order: the environment, the shared file, a web identity, the
/// container, the instance.
#[derive(Debug, Default)]
pub(super) struct AwsChain<'a>(&'a [(String, String)]);

impl<'a> AwsChain<'a> {
    /// Variables of the environment.
    pub(super) fn new(variables: &'a [(String, String)]) -> Self {
        Self(variables)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn region(&self) -> Option<String> {
        self.get("AWS_REGION").or_else(|| self.get("AWS_DEFAULT_REGION")).map(str::to_owned)
    }

    /// Lets the client ask the first of them that has credentials.
    pub(super) fn apply(&self, builder: AmazonS3Builder) -> ObjectResult<AmazonS3Builder> {
        let given = self.get("AWS_ACCESS_KEY_ID").zip(self.get("AWS_SECRET_ACCESS_KEY"));
        if let Some((access, secret)) = given {
            let builder = builder.with_access_key_id(access).with_secret_access_key(secret);
            return Ok(match self.get("AWS_SESSION_TOKEN") {
                Some(token) => builder.with_token(token),
                None => builder,
            });
        }
        let path = self.get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let path = path.or_else(|| Some(Path::new(self.get("HOME")?).join(".aws/credentials")));
        let profile = self.get("AWS_PROFILE");
        if let Some(path) = path.filter(|path| path.exists()) {
            let source = KeySource::Profile(path, profile.unwrap_or("default").to_owned());
            match (source.read(), profile) {
                (Ok(_), _) => {
                    return Ok(builder.with_credentials(Arc::new(FollowedKeys { source, last: Mutex::default() })));
                }
                (Err(why), Some(_)) => return Err(ObjectError::Denied { why }),
                (Err(_), None) => {}
            }
        }
        let keys = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
            ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
            ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
            ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
        ];
        let given = keys.into_iter().filter_map(|(name, key)| Some((key, self.get(name)?)));
        Ok(given.fold(builder, |builder, (key, value)| builder.with_config(key, value)))
    }
}

/// A request of our own.
struct Signed<'a> {
    method: Method,
    key: &'a str,
    query: &'a str,
    headers: Vec<(HeaderName, String)>,
}

impl CloudClients {
    /// Deletes an object if it is in this state.
    pub(super) async fn delete_if(&self, key: &str, tag: &ObjectTag) -> ObjectResult<()> {
        let headers = vec![(header::IF_MATCH, tag.0.clone())];
        self.signed(Signed { method: Method::DELETE, key, query: "", headers }).await.map(drop)
    }

    /// Copies a span of an object into a part.
    pub(super) async fn copy_part(
        &self,
        (from, to): (&str, &str),
        id: &str,
        number: usize,
        (start, end): (u64, u64),
    ) -> ObjectResult<String> {
        let query = format!("partNumber={}&uploadId={}", number + 1, encoded(id));
        let bucket_and_key = format!("{}/{}", self.bucket, encoded_path(from));
        let headers = vec![
            (HeaderName::from_static("x-amz-copy-source"), bucket_and_key),
            (HeaderName::from_static("x-amz-copy-source-range"), format!("bytes={start}-{}", end.saturating_sub(1))),
        ];
        let text = self.signed(Signed { method: Method::PUT, key: to, query: &query, headers }).await?;
        let tag = text.split_once("<ETag>").and_then(|(_, rest)| rest.split_once("</ETag>")).map(|(tag, _)| tag);
        let tag = tag.map(|tag| tag.replace("&quot;", "\"").replace("&#34;", "\""));
        tag.ok_or_else(|| ObjectError::Other { why: "the answer to the copy of a part has no ETag".to_owned() })
    }

    async fn signed(&self, asked: Signed<'_>) -> ObjectResult<String> {
        let other = |why: &str| ObjectError::Other { why: why.to_owned() };
        let s3 = self.s3.as_ref().ok_or_else(|| other("this service has no such request"))?;
        let mark = if asked.query.is_empty() { "" } else { "?" };
        let url = format!("{}/{}{mark}{}", self.url, encoded_path(asked.key), asked.query);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = asked.method;
        *request.uri_mut() = url.parse().map_err(|_| other("a key makes no URL"))?;
        for (name, value) in asked.headers {
            let value = HeaderValue::from_str(&value).map_err(|_| other("a tag is no header value"))?;
            request.headers_mut().insert(name, value);
        }
        let credential = s3.credentials().get_credential().await.map_err(|error| object_error(&error))?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| object_error(&error))?;
        let response = self.courier.call(request).await.map_err(|error| of_http(&error))?;
        match response.status() {
            StatusCode::NOT_FOUND => Err(ObjectError::Absent),
            StatusCode::PRECONDITION_FAILED => Err(ObjectError::Changed),
            _ => {
                let body = response.into_body().bytes().await.map_err(|error| of_http(&error))?;
                Ok(String::from_utf8_lossy(&body).into_owned())
            }
        }
    }
}

fn of_http(error: &HttpError) -> ObjectError {
    match error.source().and_then(|source| source.downcast_ref::<CloudFault>()) {
        Some(CloudFault::Known(error)) => error.clone(),
        _ => ObjectError::Unavailable { why: error.to_string(), retry_after: None },
    }
}

/// As signatures want it: everything but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut text, byte| {
        match plain(byte) {
            true => text.push(byte.into()),
            false => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

fn encoded_path(key: &str) -> String {
    key.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key=x\n\n# a note\n[default]\n\
                          aws_access_key_id=AKIADEFAULT\naws_secret_access_key = s/e+c=ret\naws_session_token = t\n";

    #[test]
    fn keys_of_a_profile_are_read_from_the_shared_file() {
        let keys = in_profile(SHARED, "default").unwrap();
        assert_eq!(
            (keys.key_id.as_str(), keys.secret_key.as_str(), keys.token.as_deref()),
            ("AKIADEFAULT", "s/e+c=ret", Some("t"))
        );
        assert_eq!(in_profile(SHARED, "other").unwrap().key_id, "AKIAOTHER");
        assert!(in_profile(SHARED, "third").is_none());
        assert!(!format!("{keys:?}").contains("s/e+c"));
    }

    #[tokio::test]
    async fn keys_in_files_are_followed_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (access, secret) = (dir.path().join("access"), dir.path().join("secret"));
        let keys = FollowedKeys::new(&access, &secret);
        assert!(keys.get_credential().await.is_err());
        std::fs::write(&access, "AK1\n").unwrap();
        std::fs::write(&secret, "hunter2\n").unwrap();
        assert_eq!(keys.get_credential().await.unwrap().key_id, "AK1");
        std::fs::write(&access, "AK2").unwrap();
        assert_eq!(keys.get_credential().await.unwrap().key_id, "AK1", "they are not read for every request");
        keys.last.lock().unwrap().as_mut().unwrap().1 -= AGAIN;
        assert_eq!(keys.get_credential().await.unwrap().key_id, "AK2");
        std::fs::remove_file(&access).unwrap();
        keys.last.lock().unwrap().as_mut().unwrap().1 -= AGAIN;
        assert_eq!(keys.get_credential().await.unwrap().key_id, "AK2", "the previous keys stay");
        assert!(!format!("{keys:?}").contains("hunter2"));
    }

    #[test]
    fn keys_are_encoded_as_signatures_want_it() {
        assert_eq!(encoded_path("a b/c+d~e/ü"), "a%20b/c%2Bd~e/%C3%BC");
    }
}
