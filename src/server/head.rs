//! Detects a request with both `Content-Length` and `Transfer-Encoding`.
//!
//! If two parties read the length of such a request differently, one can take a part of its body for a separate request
//! (RFC 9112 §6.3, §11.2). The HTTP library drops the length when the encoding comes first, so this scans the bytes as
//! they arrive.

use http::{HeaderMap, header};
use memchr::memchr;

/// What the head of one request has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadScan {
    /// The line being read, up to the longest name that matters, in lower case.
    line: Vec<u8>,
    begun: bool,
    has_first_line: bool,
    done: bool,
    length: bool,
    encoding: bool,
    /// Lines after the first.
    fields: usize,
}

/// Longer than any name that is searched for.
const LONGEST: usize = 24;

impl HeadScan {
    /// Scans bytes that arrived while a head was expected.
    pub(super) fn scan(&mut self, mut bytes: &[u8]) {
        while !self.done && !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            self.extend_line(&bytes[..end.unwrap_or(bytes.len())]);
            // Empty lines before a request are skipped (RFC 9112 §2.2): they end no head.
            if end.is_some() && self.begun {
                self.end_line();
            }
            bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
        }
    }

    /// Appends a part of a line, up to the length that matters.
    fn extend_line(&mut self, part: &[u8]) {
        let room = LONGEST - self.line.len();
        self.line.extend(part.iter().filter(|byte| **byte != b'\r').take(room).map(u8::to_ascii_lowercase));
        self.begun |= !self.line.is_empty();
    }

    fn end_line(&mut self) {
        let name = self.line.split(|&b| b == b':').next().unwrap_or_default();
        match name.trim_ascii() {
            b"" => {
                self.done = true;
                return;
            }
            b"content-length" => self.length = true,
            b"transfer-encoding" => self.encoding = true,
            _ => {}
        }
        self.line.clear();
        self.fields += usize::from(std::mem::replace(&mut self.has_first_line, true));
    }

    /// Whether the head gave two lengths, or may have, judged by the headers that the library parsed. A head whose
    /// beginning arrived with the previous request was not seen whole, and the library may have dropped its length.
    pub(super) fn is_ambiguous(&self, headers: &HeaderMap) -> bool {
        let encoded = self.encoding || headers.contains_key(header::TRANSFER_ENCODING);
        // A scan that starts in the middle of a head takes its first line for the request line, so at least one field
        // is missing.
        let seen = self.done && self.fields >= headers.len();
        encoded && (!seen || self.length || headers.contains_key(header::CONTENT_LENGTH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn scan(head: &str, step: usize) -> HeadScan {
        let mut scan = HeadScan::default();
        head.as_bytes().chunks(step).for_each(|chunk| scan.scan(chunk));
        scan
    }

    fn headers(names: &[&'static str]) -> HeaderMap {
        names.iter().map(|name| (header::HeaderName::from_static(name), HeaderValue::from_static("x"))).collect()
    }

    #[test]
    fn both_lengths_are_found_however_the_head_arrives() {
        let chunked = headers(&["transfer-encoding"]);
        for step in [1, 2, 7, 1000] {
            let both = scan("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-LENGTH: 3\r\n\r\n", step);
            assert!(both.is_ambiguous(&chunked));
            let one =
                scan("POST / HTTP/1.1\r\nContent-Length: 30\r\nX: y\r\n\r\nTransfer-Encoding: chunked\r\n\r\n", step);
            assert!(!one.is_ambiguous(&headers(&["content-length", "x"])), "what follows the head is its body");
            let late = scan("\r\n\r\nPUT / HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n", step);
            assert!(late.is_ambiguous(&chunked), "empty lines before a request are no head");
            let whole = scan("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", step);
            assert!(!whole.is_ambiguous(&headers(&["host", "transfer-encoding"])));
        }
    }

    #[test]
    fn a_partly_seen_head_is_accepted_only_without_a_transfer_encoding() {
        let parsed = headers(&["x", "transfer-encoding"]);
        assert!(HeadScan::default().is_ambiguous(&parsed), "nothing of it was seen");
        assert!(!HeadScan::default().is_ambiguous(&headers(&["content-length"])));
        // The rest of a head whose beginning had a length that the library dropped.
        for rest in [
            "Transfer-Encoding: chunked\r\nX: y\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "ding: chunked\r\nX: y\r\n\r\n",
        ] {
            assert!(scan(rest, 3).is_ambiguous(&parsed), "{rest:?}");
        }
        assert!(scan("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 9).is_ambiguous(&parsed));
    }
}
