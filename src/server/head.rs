//! Telling a request with both `Content-Length` and `Transfer-Encoding` from others.
//!
//! Two parties that read the length of such a request differently can be made to take a part of
//! its body for a request of its own (RFC 9112 §6.3, §11.2). The HTTP library drops the length
//! when the encoding comes first, so it is looked for in the bytes as they arrive.

use memchr::memchr;

/// What the head of one request has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadScan {
    /// The line being read, as far as a name matters; lower case.
    line: Vec<u8>,
    begun: bool,
    done: bool,
    length: bool,
    encoding: bool,
}

/// Longer than any name that is looked for.
const LONGEST: usize = 24;

impl HeadScan {
    /// Takes in bytes that arrived while a head was expected.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !self.done && !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            self.extend_line(&bytes[..end.unwrap_or(bytes.len())]);
            // Empty lines before a request are skipped (RFC 9112 §2.2): no head ends there.
            if end.is_some() && self.begun {
                self.end_line();
            }
            bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
        }
    }

    /// Takes in a part of a line, of which most is longer than what matters of it.
    fn extend_line(&mut self, part: &[u8]) {
        let room = LONGEST - self.line.len();
        self.line.extend(part.iter().filter(|byte| **byte != b'\r').take(room).map(u8::to_ascii_lowercase));
        self.begun |= !self.line.is_empty();
    }

    fn end_line(&mut self) {
        let name = self.line.split(|&b| b == b':').next().unwrap_or_default();
        match name.trim_ascii() {
            b"" => self.done = true,
            b"content-length" => self.length = true,
            b"transfer-encoding" => self.encoding = true,
            _ => {}
        }
        self.line.clear();
    }

    /// Both headers were there.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.length && self.encoding
    }

    /// The whole head was seen. One that came with the bytes of the request before it was not.
    pub(super) fn is_complete(&self) -> bool {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(head: &str, step: usize) -> HeadScan {
        let mut scan = HeadScan::default();
        head.as_bytes().chunks(step).for_each(|chunk| scan.see(chunk));
        scan
    }

    #[test]
    fn both_lengths_are_found_however_the_head_arrives() {
        for step in [1, 2, 7, 1000] {
            let both = scan("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-LENGTH: 3\r\n\r\n", step);
            assert!(both.is_ambiguous() && both.is_complete());
            let one =
                scan("POST / HTTP/1.1\r\nContent-Length: 30\r\nX: y\r\n\r\nTransfer-Encoding: chunked\r\n\r\n", step);
            assert!(!one.is_ambiguous() && one.is_complete(), "what follows the head is its body");
            let late = scan("\r\n\r\nPUT / HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n", step);
            assert!(late.is_ambiguous() && late.is_complete(), "empty lines before a request are no head");
        }
        assert!(!scan("GET / HTTP/1.1\r\nHost: x\r\n", 3).is_complete());
        assert!(!HeadScan::default().is_complete());
    }
}
