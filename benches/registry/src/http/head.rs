//! The head of a response, as far as a load program needs it.

use crate::Result;

/// What a response's first lines said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Head {
    /// 200, 404, …
    pub status: u16,
    /// `Content-Length`, if it was sent.
    pub length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// Whether the server closes the connection after this.
    pub close: bool,
    /// `Location`, as it was sent.
    pub location: Option<String>,
}

impl Head {
    /// Whether a body follows the head of an answer to this method.
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

/// Where the head ends in `bytes`: the offset behind its empty line.
pub fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_status_length_and_location_in_any_case() {
        let head =
            Head::parse("HTTP/1.1 202 Accepted\r\nLOCATION: /v2/a/blobs/uploads/1\r\ncontent-length: 0").unwrap();
        assert_eq!(
            head,
            Head { status: 202, length: Some(0), location: Some("/v2/a/blobs/uploads/1".into()), ..Head::default() }
        );
        assert!(Head::parse("HTTP/1.1 200 OK\r\nConnection: Close").unwrap().close);
        assert!(Head::parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked").unwrap().chunked);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in ["", "SSH-2.0", "HTTP/1.1", "HTTP/1.1 abc", "HTTP/1.1 200 OK\r\nlost"] {
            assert!(Head::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_head_ends_behind_its_empty_line() {
        assert_eq!(end(b"HTTP/1.1 200 OK\r\n\r\nbody"), Some(19));
        assert_eq!(end(b"HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn answers_to_head_have_no_body() {
        let head = Head { status: 200, length: Some(5), ..Head::default() };
        assert!(head.has_body("GET") && !head.has_body("HEAD"));
    }
}
