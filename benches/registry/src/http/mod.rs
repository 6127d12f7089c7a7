//! A lean HTTP/1.1 client over blocking sockets: it shares the machine with the server it measures, so where the kernel
//! can, bodies are discarded without a copy.

pub mod head;
mod stream;
pub mod url;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Result;
use crate::content::BenchBlob;
pub use head::ResponseHead;
use stream::HttpStream;
pub use stream::TrustedCertificates;
pub use url::Url;

/// The bytes of a request.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// No body, and no length either.
    None,
    /// These.
    Bytes(&'a [u8]),
    /// A range of a blob.
    Part(&'a BenchBlob, u64, u64),
}

impl Body<'_> {
    fn len(&self) -> u64 {
        match self {
            Body::None => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Part(_, from, to) => to - from,
        }
    }
}

/// What happens to the body of a response.
pub enum Sink<'a> {
    /// It is counted and discarded.
    Discard,
    /// It is kept; for small bodies.
    Keep(&'a mut Vec<u8>),
}

/// How to reach a server: address, trusted certificates and credentials.
#[derive(Clone)]
pub struct Dial {
    /// Where it is.
    pub url: Url,
    /// The trusted certificates, for TLS.
    pub trust: Option<Arc<TrustedCertificates>>,
    /// Name and password.
    pub credentials: Option<(String, String)>,
}

/// One keep-alive connection, reopened when it is lost.
pub struct HttpConnection {
    dial: Dial,
    /// The value of `Authorization`.
    authorization: Option<String>,
    stream: Option<HttpStream>,
    /// Bytes that were read and not used yet: `buffer[from..to]`.
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    /// Where the kernel discards bytes; never read.
    scratch: Box<[u8]>,
}

const BUFFER: usize = 64 * 1024;
const SCRATCH: usize = 256 * 1024;
/// The longest time a server may take to send or accept anything: no load hangs forever.
const PATIENCE: Duration = Duration::from_secs(120);

impl HttpConnection {
    /// A connection that is opened by the first request.
    pub fn new(dial: &Dial) -> Self {
        let basic =
            |(name, password): &(String, String)| format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        Self {
            dial: dial.clone(),
            authorization: dial.credentials.as_ref().map(basic),
            stream: None,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            from: 0,
            to: 0,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
        }
    }

    /// Connects now, without a request.
    pub fn connect(&mut self) -> Result<()> {
        if self.stream.is_none() {
            self.stream = Some(HttpStream::connect(&self.dial.url, self.dial.trust.as_deref(), PATIENCE)?);
            (self.from, self.to) = (0, 0);
        }
        Ok(())
    }

    /// Sends one request and reads the response; `path` may be an absolute URL, as in a `Location`. Returns the head
    /// and the length of the body.
    ///
    /// After an error the connection is closed. An error status is not an error here.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body<'_>,
        sink: Sink<'_>,
    ) -> Result<(ResponseHead, u64)> {
        let done = self.connect().and_then(|()| {
            let text = self.request(method, path, headers, &body);
            self.write(text.into_bytes(), body)?;
            self.answer(method, sink)
        });
        if !matches!(&done, Ok((head, _)) if !head.close) {
            self.stream = None;
        }
        done.map_err(|error| format!("{method} {path}: {error}").into())
    }

    /// Formats the head of a request.
    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Body<'_>) -> String {
        let mut text = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", url::path(path), self.dial.url.host_port());
        if let Some(value) = &self.authorization {
            text.push_str(&format!("Authorization: {value}\r\n"));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !matches!(body, Body::None) || method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text
    }

    /// Reads the response, with the body into the sink. Returns the head and the length of the body.
    fn answer(&mut self, method: &str, sink: Sink<'_>) -> Result<(ResponseHead, u64)> {
        let head = self.head()?;
        let length = if !head.has_body(method) {
            0
        } else if head.chunked {
            self.chunks(sink)?
        } else {
            let length = head.length.ok_or("a body without a length")?;
            self.body(length, sink)?;
            length
        };
        Ok((head, length))
    }

    fn stream(&mut self) -> Result<&mut HttpStream> {
        self.stream.as_mut().ok_or_else(|| "not connected".into())
    }

    fn write(&mut self, mut head: Vec<u8>, body: Body<'_>) -> Result<()> {
        match body {
            // A small body goes into the same packet.
            Body::Bytes(bytes) => head.extend_from_slice(bytes),
            Body::Part(blob, from, to) if to - from <= 16 * 1024 => {
                blob.each(from, to, |piece| {
                    head.extend_from_slice(piece);
                    Ok(())
                })?;
            }
            Body::None | Body::Part(..) => {}
        }
        let small = head.len();
        let stream = self.stream()?;
        stream.write_all(&head)?;
        if let Body::Part(blob, from, to) = body
            && to - from > small as u64
        {
            blob.each(from, to, |piece| Ok(stream.write_all(piece)?))?;
        }
        Ok(stream.flush()?)
    }

    /// Reads more bytes into the buffer.
    fn fill(&mut self) -> Result<()> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.to == self.buffer.len() {
            return Err("a head or line that is too long".into());
        }
        let stream = self.stream.as_mut().ok_or("not connected")?;
        match stream.read(&mut self.buffer[self.to..])? {
            0 => Err("the server closed the connection".into()),
            read => {
                self.to += read;
                Ok(())
            }
        }
    }

    fn head(&mut self) -> Result<ResponseHead> {
        loop {
            if let Some(end) = head::end(&self.buffer[self.from..self.to]) {
                let head = ResponseHead::parse(std::str::from_utf8(&self.buffer[self.from..self.from + end - 4])?)?;
                self.from += end;
                // A 1xx response announces the real one.
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            self.fill()?;
        }
    }

    fn body(&mut self, length: u64, mut sink: Sink<'_>) -> Result<()> {
        let mut left = length;
        while left > 0 {
            if self.from < self.to {
                let piece = (self.to - self.from).min(usize::try_from(left)?);
                let bytes = &self.buffer[self.from..self.from + piece];
                match &mut sink {
                    Sink::Discard => {}
                    Sink::Keep(kept) => kept.extend_from_slice(bytes),
                }
                self.from += piece;
                left -= piece as u64;
            } else if let Sink::Discard = sink {
                let most = usize::try_from(left.min(SCRATCH as u64))?;
                let stream = self.stream.as_mut().ok_or("not connected")?;
                match stream.discard(&mut self.scratch[..most])? {
                    0 => return Err(format!("the body ends {left} bytes early").into()),
                    gone => left -= gone as u64,
                }
            } else {
                self.fill()?;
            }
        }
        Ok(())
    }

    fn chunks(&mut self, mut sink: Sink<'_>) -> Result<u64> {
        let mut all = 0;
        loop {
            let size = u64::from_str_radix(self.line()?.split(';').next().unwrap_or_default().trim(), 16)?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(all);
            }
            let again = match &mut sink {
                Sink::Discard => Sink::Discard,
                Sink::Keep(kept) => Sink::Keep(kept),
            };
            self.body(size, again)?;
            all += size;
            if !self.line()?.is_empty() {
                return Err("a chunk without an end".into());
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        loop {
            let ready = &self.buffer[self.from..self.to];
            if let Some(end) = ready.windows(2).position(|two| two == b"\r\n") {
                let line = std::str::from_utf8(&ready[..end])?.to_owned();
                self.from += end + 2;
                return Ok(line);
            }
            self.fill()?;
        }
    }
}

#[cfg(test)]
mod tests;
