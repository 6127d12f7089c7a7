//! Requests beside the distribution API: to the management API of a Wharfinger.

use crate::{
    Client, Error,
    error::ErrorCause,
    login::Scopes,
    source::BlobSource,
    transport::{Call, RegistryResponse},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use serde_json::Value;

/// A request that this crate has no method for.
#[derive(Clone, Debug)]
pub struct ApiRequest {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, String)>,
    body: Option<Bytes>,
    is_eager: bool,
}

/// An answer that means success, or that nothing has changed (304).
#[derive(Clone, Debug)]
pub struct ApiResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer whose body is read piece by piece.
pub struct ApiStream {
    answer: RegistryResponse,
    operation: String,
}

impl ApiRequest {
    /// A request of a path with its query, such as `/api/v1/users?n=10`. Both are encoded already.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None, is_eager: false }
    }

    /// Says who asks before the server wants to know. Some answers, such as lists, are open to all and show each caller
    /// what they may see.
    #[must_use]
    pub fn eager(mut self) -> Self {
        self.is_eager = true;
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self.header(header::CONTENT_TYPE, "application/json")
    }

    /// With a body that is sent as it is.
    #[must_use]
    pub fn bytes(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn operation(&self, client: &Client) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path} at {}", self.method, client.registry())
    }

    fn call(&self, client: &Client) -> Result<Call, ErrorCause> {
        let mut call = client.request(self.method.clone(), &self.path)?;
        for (name, value) in &self.headers {
            call = call.header(name.clone(), value)?;
        }
        call.body.clone_from(&self.body);
        call.is_eager = self.is_eager;
        Ok(call)
    }
}

impl Client {
    /// Sends a request as the caller of this client, and reads the answer. Reading requests (GET and HEAD) are repeated
    /// as others are; a request that may have changed something is not.
    ///
    /// # Errors
    /// If there is no answer, or one that means failure.
    pub async fn send_api(&self, request: &ApiRequest) -> Result<ApiResponse, Error> {
        let send = async {
            let call = request.call(self)?;
            let answer = match request.method.is_safe() {
                true => self.read(&call, &Scopes::none()).await?,
                false => self.read_once(&call, &Scopes::none()).await?,
            };
            if !answer.status.is_success() && answer.status != StatusCode::NOT_MODIFIED {
                return Err(answer.fault());
            }
            Ok(ApiResponse { status: answer.status, headers: answer.headers, body: answer.bytes })
        };
        send.await.map_err(|fault: ErrorCause| fault.during(request.operation(self)))
    }

    /// Sends a request once, and leaves the body of its answer to be read: files, archives, events.
    ///
    /// # Errors
    /// If there is no answer, or one that means failure.
    pub async fn open_api(&self, request: &ApiRequest) -> Result<ApiStream, Error> {
        let operation = request.operation(self);
        let open = async {
            let answer = self.open_once(&request.call(self)?, &Scopes::none()).await?;
            if !answer.status.is_success() {
                return Err(answer.fault().await);
            }
            Ok(answer)
        };
        match open.await {
            Ok(answer) => Ok(ApiStream { answer, operation }),
            Err(fault) => Err(fault.during(operation)),
        }
    }

    /// Sends `length` bytes of a source from `offset` as the body of a request, once.
    ///
    /// # Errors
    /// If the source cannot be read, or the answer means failure.
    pub async fn stream_api(
        &self,
        request: &ApiRequest,
        source: &dyn BlobSource,
        offset: u64,
        length: u64,
    ) -> Result<ApiResponse, Error> {
        let send = async {
            let call = request.call(self)?;
            let stream = source.open(offset).await.map_err(|error| ErrorCause::source(&error))?;
            let answer = self.send_stream(&call, &Scopes::none(), stream, length).await?;
            let answer = answer.whole(self.most_answer()).await?;
            if !answer.status.is_success() {
                return Err(answer.fault());
            }
            Ok(ApiResponse { status: answer.status, headers: answer.headers, body: answer.bytes })
        };
        send.await.map_err(|fault: ErrorCause| fault.during(request.operation(self)))
    }
}

impl ApiResponse {
    /// The body as JSON; `null` if there is none.
    ///
    /// # Errors
    /// The words of what is wrong with it.
    pub fn value(&self) -> Result<Value, String> {
        match self.body.is_empty() {
            true => Ok(Value::Null),
            false => oci::json::from_slice(&self.body).map_err(|error| format!("the answer is not JSON: {error}")),
        }
    }

    /// A header as text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl ApiStream {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.answer.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.answer.headers
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.answer.chunk().await.map_err(|fault| fault.during(self.operation.clone()))
    }
}
