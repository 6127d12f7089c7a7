//! A small test service, with one path for each behaviour.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tower::util::BoxCloneSyncService;
use wharfinger::{
    server,
    wire::{
        BoxError, RequestBody,
        conn::Conn,
        request::Stalled,
        sendfile::{SendfileSlot, WINDOW, Window},
    },
};

pub type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;

/// The state of the test service.
#[derive(Clone)]
pub struct Behind {
    /// Number of bodies of `/file` and `/short` that exist.
    pub bodies: Arc<AtomicUsize>,
    pub upload_stall: Duration,
    file: Arc<File>,
}

/// Content without zero bytes, in which no part as long as a window repeats.
pub fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| 1 + (i.wrapping_mul(2_654_435_761) >> 16) as u8 % 255).collect()
}

/// Length of the file that `/file` sends.
pub const FILE: usize = 12 * WINDOW + 12_345;

impl Behind {
    pub fn new(upload_stall: Duration) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content(FILE)).unwrap();
        Self { bodies: Arc::default(), upload_stall, file: Arc::new(file) }
    }

    pub fn service(&self) -> server::HttpService<ResponseBody> {
        let behind = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<RequestBody>| {
            let behind = behind.clone();
            async move { Ok(behind.answer(request).await) }
        }))
    }

    async fn answer(&self, mut request: Request<RequestBody>) -> Response<ResponseBody> {
        let conn = request.extensions_mut().remove::<Conn>().unwrap();
        if conn.ambiguous {
            return text(StatusCode::BAD_REQUEST, "ambiguous");
        }
        if conn.is_beyond_limit {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many");
        }
        match request.uri().path() {
            "/small" => text(StatusCode::OK, "small"),
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(700)).await;
                text(StatusCode::OK, "slow")
            }
            "/never" => std::future::pending().await,
            "/refuse" => text(StatusCode::UNAUTHORIZED, "refused"),
            "/count" => match request.into_body().stalling_after(self.upload_stall).collect().await {
                Ok(body) => text(StatusCode::OK, &body.to_bytes().len().to_string()),
                Err(e) if e.is::<Stalled>() => text(StatusCode::REQUEST_TIMEOUT, "stalled"),
                Err(e) => text(StatusCode::BAD_REQUEST, &e.to_string()),
            },
            "/file" => self.file(FILE, usize::MAX, conn.slot),
            // Announces more bytes than the file has.
            "/truncated" => self.file(FILE + WINDOW, usize::MAX, conn.slot),
            // Ends before the announced length.
            "/short" => self.file(FILE, 2 * WINDOW, conn.slot),
            _ => text(StatusCode::NOT_FOUND, ""),
        }
    }

    fn file(&self, len: usize, fails_at: usize, slot: Option<Arc<SendfileSlot>>) -> Response<ResponseBody> {
        self.bodies.fetch_add(1, Ordering::SeqCst);
        let (file, bodies) = (self.file.clone(), self.bodies.clone());
        Response::new(FileBody { file, at: 0, len, fails_at, slot, bodies }.boxed_unsync())
    }
}

fn text(status: StatusCode, text: &str) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from(text.to_owned()))
        .map_err(|never: std::convert::Infallible| -> BoxError { match never {} });
    Response::builder().status(status).body(body.boxed_unsync()).unwrap()
}

/// Sends a file: as windows if there is a slot, otherwise as bytes.
struct FileBody {
    file: Arc<File>,
    at: usize,
    len: usize,
    fails_at: usize,
    slot: Option<Arc<SendfileSlot>>,
    bodies: Arc<AtomicUsize>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let len = WINDOW.min(self.len - self.at);
        if len == 0 {
            return Poll::Ready(None);
        }
        if self.at >= self.fails_at {
            return Poll::Ready(Some(Err("the disk is gone".into())));
        }
        let bytes = match &self.slot {
            Some(slot) => slot.window(Window {
                file: self.file.clone(),
                offset: self.at as u64,
                len,
                more: self.at + len < self.len,
            }),
            None => {
                let mut bytes = vec![0; len];
                self.file.read_exact_at(&mut bytes, self.at as u64).unwrap();
                bytes.into()
            }
        };
        self.at += len;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.len - self.at) as u64)
    }
}

impl Drop for FileBody {
    fn drop(&mut self) {
        self.bodies.fetch_sub(1, Ordering::SeqCst);
        if let Some(slot) = self.slot.as_ref().filter(|_| self.at < self.len) {
            slot.clear();
        }
    }
}
