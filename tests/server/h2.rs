//! A well-behaved HTTP/2 client that notices the end of its connection.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use testing::wire::LONG;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinHandle,
    time::timeout,
};

/// An HTTP/2 connection, and the task that ends when it does.
pub struct H2 {
    pub sender: hyper::client::conn::http2::SendRequest<Empty<Bytes>>,
    pub connection: JoinHandle<hyper::Result<()>>,
}

impl H2 {
    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    pub async fn ask(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = Request::get(format!("http://x{path}")).body(Empty::new()).unwrap();
        timeout(LONG, self.sender.send_request(request)).await.expect("an answer")
    }

    pub async fn get(&mut self, path: &str) -> Vec<u8> {
        let response = self.ask(path).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        timeout(LONG, response.into_body().collect()).await.expect("a body").unwrap().to_bytes().to_vec()
    }
}
