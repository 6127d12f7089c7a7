//! The head of a response, as far as a benchmark needs it.

use crate::Result;

/// The parsed head of a response.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// 200, 404, …
    pub status: u16,
    /// `Content-Length`, if present.
    pub length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// Whether the server closes the connection after this.
    pub close: bool,
    /// `Location`, as sent.
    pub location: Option<String>,
}

impl ResponseHead {
    /// Whether a body follows the head of a response to this method.
    pub fn has_body(&self, method: &str) -> bool {
        method != "HEAD" && self.status >= 200 && self.status != 204 && self.status != 304
    }

    /// Reads a head without its closing empty line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = match first.split(' ').collect::<Vec<_>>().as_slice() {
            [version, status, ..] if version.starts_with("HTTP/1.") => status.parse().ok(),
            _ => None,
        };
        let Some(status) = status else { return Err(format!("not a status line: {first:?}").into()) };
        let mut head = Self { status, close: first.starts_with("HTTP/1.0"), ..Self::default() };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!("not a header: {line:?}").into());
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = Some(value.parse()?),
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => head.close = value.eq_ignore_ascii_case("close"),
                "location" => head.location = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(head)
    }
}

/// The offset after the empty line that ends the head.
pub fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_whatever_the_case_of_its_names() {
        let head = ResponseHead::parse("HTTP/1.1 202 Accepted\r\nLOCATION: /v2/a/blobs/uploads/1\r\ncontent-length: 0")
            .unwrap();
        assert_eq!(
            head,
            ResponseHead {
                status: 202,
                length: Some(0),
                location: Some("/v2/a/blobs/uploads/1".into()),
                ..ResponseHead::default()
            }
        );
        assert!(ResponseHead::parse("HTTP/1.1 200 OK\r\nConnection: Close").unwrap().close);
        assert!(ResponseHead::parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").unwrap().chunked);
    }

    #[test]
    fn an_invalid_head_is_refused() {
        for text in ["", "SSH-2.0", "HTTP/1.1", "HTTP/1.1 abc", "HTTP/1.1 200 OK\r\nlost"] {
            assert!(ResponseHead::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_head_ends_after_its_empty_line() {
        assert_eq!(end(b"HTTP/1.1 200 OK\r\n\r\nbody"), Some(19));
        assert_eq!(end(b"HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn responses_to_head_have_no_body() {
        let head = ResponseHead { status: 200, length: Some(5), ..ResponseHead::default() };
        assert!(head.has_body("GET") && !head.has_body("HEAD"));
    }
}
