//! One kept-alive connection, of either protocol and over any stream.

use crate::wire::LONG;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

/// A complete response, as a well-behaved client reads it.
#[derive(Debug)]
pub struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A kept-alive connection of either protocol.
pub enum Kept {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Kept {
    pub async fn http1(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::One(sender)
    }

    pub async fn http2(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Self::Two(sender)
    }

    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Whole> {
        let response = match self {
            Self::One(sender) => timeout(LONG, sender.send_request(request)).await,
            Self::Two(sender) => timeout(LONG, sender.send_request(request)).await,
        };
        let (head, body) = response.expect("an answer")?.into_parts();
        let body = timeout(LONG, body.collect()).await.expect("a body")?.to_bytes();
        Ok(Whole { status: head.status, headers: head.headers, body })
    }

    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Whole {
        let uri = match self {
            Self::One(_) => path.to_owned(),
            Self::Two(_) => format!("http://localhost{path}"),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if matches!(self, Self::One(_)) {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.ask(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    pub async fn get(&mut self, path: &str) -> Whole {
        self.send("GET", path, &[], "").await
    }
}
