//! A client's operations: requests and the steps of a push.

pub use crate::content::*;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use std::{convert::Infallible, net::SocketAddr};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Sends requests to one registry over kept-alive connections.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    http: Hyper<HttpConnector, Body>,
    authorization: Option<String>,
}

/// A request that is being built.
pub struct Ask<'a> {
    client: &'a Client,
    builder: http::request::Builder,
    body: Body,
}

/// A complete response.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, http: Hyper::builder(TokioExecutor::new()).build_http(), authorization: None }
    }

    /// The same, by HTTP/2 without TLS.
    pub fn over_h2(address: SocketAddr) -> Self {
        let http = Hyper::builder(TokioExecutor::new()).http2_only(true).build_http();
        Self { address, http, authorization: None }
    }

    /// The same, sending this `Authorization` with every request.
    pub fn authorized(&self, authorization: impl Into<String>) -> Self {
        Self { authorization: Some(authorization.into()), ..self.clone() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a request; the target is a path with its query, or a `Location`.
    pub fn ask(&self, method: Method, target: impl AsRef<str>) -> Ask<'_> {
        let target = target.as_ref();
        let uri = match target.starts_with('/') {
            true => format!("http://{}{target}", self.address),
            false => target.to_owned(),
        };
        let mut builder = Request::builder().method(method).uri(uri);
        if let Some(authorization) = &self.authorization {
            builder = builder.header("authorization", authorization);
        }
        Ask { client: self, builder, body: full("") }
    }

    pub async fn get(&self, target: impl AsRef<str>) -> Reply {
        self.ask(Method::GET, target).send().await
    }

    pub async fn head(&self, target: impl AsRef<str>) -> Reply {
        self.ask(Method::HEAD, target).send().await
    }

    pub async fn delete(&self, target: impl AsRef<str>) -> Reply {
        self.ask(Method::DELETE, target).send().await
    }

    pub async fn post(&self, target: impl AsRef<str>, body: impl Into<Bytes>) -> Reply {
        self.ask(Method::POST, target).body(body).send().await
    }

    pub async fn put(&self, target: impl AsRef<str>, body: impl Into<Bytes>) -> Reply {
        self.ask(Method::PUT, target).body(body).send().await
    }

    pub async fn patch(&self, target: impl AsRef<str>, body: impl Into<Bytes>) -> Reply {
        self.ask(Method::PATCH, target).body(body).send().await
    }

    /// Opens an upload session. Returns a path built from its id, as some clients do, without the offset.
    pub async fn begin(&self, name: &str) -> String {
        let reply = self.post(format!("/v2/{name}/blobs/uploads/"), "").await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
        format!("/v2/{name}/blobs/uploads/{}", reply.header("docker-upload-uuid"))
    }

    /// Opens an upload session; returns its `Location`, which includes the offset.
    pub async fn locate(&self, name: &str) -> String {
        let reply = self.post(format!("/v2/{name}/blobs/uploads/"), "").await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
        reply.header("location").to_owned()
    }

    /// Pushes a blob in one request; returns its digest.
    pub async fn push_blob(&self, name: &str, content: impl Into<Bytes>) -> String {
        let content = content.into();
        let digest = sha256(&content);
        let reply = self.post(format!("/v2/{name}/blobs/uploads/?digest={digest}"), content).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        digest
    }

    /// Pushes a manifest under a tag or digest; returns the response.
    pub async fn put_manifest(&self, name: &str, reference: &str, manifest: &Value) -> Reply {
        let media_type = manifest["mediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned();
        self.ask(Method::PUT, format!("/v2/{name}/manifests/{reference}"))
            .header("content-type", media_type)
            .body(manifest.to_string())
            .send()
            .await
    }

    /// Pushes bytes as a manifest, with this type as Content-Type unless it is empty.
    pub async fn put_bytes(&self, name: &str, reference: &str, media_type: &str, bytes: impl Into<Bytes>) -> Reply {
        let ask = self.ask(Method::PUT, format!("/v2/{name}/manifests/{reference}")).body(bytes);
        match media_type {
            "" => ask.send().await,
            media_type => ask.header("content-type", media_type).send().await,
        }
    }

    /// Appends a chunk with a `Content-Range`.
    pub async fn patch_at(&self, location: &str, start: usize, chunk: impl Into<Bytes>) -> Reply {
        let chunk = chunk.into();
        let range = format!("{start}-{}", start + chunk.len() - 1);
        self.ask(Method::PATCH, location).header("content-range", range).body(chunk).send().await
    }

    /// Creates a repository with only an empty index under a tag; returns its digest.
    pub async fn push_empty_index(&self, name: &str, tag: &str) -> String {
        let reply = self.put_manifest(name, tag, &index(&[])).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.header("docker-content-digest").to_owned()
    }

    /// The response to a `GET` that must succeed.
    pub async fn read(&self, target: impl AsRef<str>) -> Reply {
        let reply = self.get(target).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply
    }

    /// Pushes a small image under a tag; returns its digest and manifest.
    pub async fn push_image(&self, name: &str, tag: &str, seed: &str) -> (String, Value) {
        let config = format!("{{\"seed\":\"{seed}\"}}");
        let layer = format!("layer of {seed}");
        self.push_blob(name, config.clone()).await;
        self.push_blob(name, layer.clone()).await;
        let manifest = image(&descriptor(CONFIG, config.as_bytes()), &[descriptor(LAYER, layer.as_bytes())]);
        let reply = self.put_manifest(name, tag, &manifest).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        (reply.header("docker-content-digest").to_owned(), manifest)
    }

    /// The tags of a repository.
    pub async fn tags(&self, name: &str) -> Vec<String> {
        let reply = self.get(format!("/v2/{name}/tags/list")).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.strings("tags")
    }
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.builder = self.builder.header(name, value.as_ref());
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = full(body);
        self
    }

    /// Sets a body without a length, in these pieces.
    pub fn stream(mut self, pieces: Vec<Bytes>) -> Self {
        let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(http_body::Frame::data(piece)));
        self.body = http_body_util::StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        self
    }

    pub async fn send(self) -> Reply {
        self.try_send().await.expect("a whole answer")
    }

    /// The same if the peer may disconnect meanwhile.
    pub async fn try_send(self) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let request = self.builder.body(self.body).expect("a request");
        let (parts, body) = self.client.http.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }
}

impl Reply {
    /// A header's value; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The items of a list header, from all its lines.
    pub fn items(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.get_all(name).iter().map(|value| value.to_str().expect("text"));
        lines.flat_map(|line| line.split(',')).map(str::trim).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A list of strings in a JSON body.
    pub fn strings(&self, key: &str) -> Vec<String> {
        let json = self.json();
        let list = json[key].as_array().unwrap_or_else(|| panic!("no list {key:?}: {self:?}"));
        list.iter().map(|v| v.as_str().expect("a string").to_owned()).collect()
    }

    /// The code of the first error.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The message of the first error.
    pub fn message(&self) -> String {
        self.json()["errors"][0]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The target of the `Link` to the next page.
    pub fn next(&self) -> Option<&str> {
        let link = self.headers.get("link")?.to_str().expect("text");
        Some(link.strip_prefix('<').and_then(|l| l.strip_suffix(">; rel=\"next\"")).expect("a link to the next page"))
    }

    /// Asserts the status; returns the response.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Asserts an error: its status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code), "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        assert!(self.body.ends_with(b"}\n"), "a line of its own on a terminal: {self:?}");
    }
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}
