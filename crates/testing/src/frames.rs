//! HTTP/2 frame by frame, for clients that violate the protocol in ways no library does.

use crate::wire::LONG;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A connection after its preface.
pub struct Frames(TcpStream);

/// A received frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    pub async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut frames = Self(stream);
        assert!(frames.send(SETTINGS, 0, 0, &[]).await);
        frames
    }

    /// Sends a frame; returns whether the peer still accepts any.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        self.send_raw(&frame(kind, flags, stream, payload)).await
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(LONG, self.0.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends a GET request.
    pub async fn get(&mut self, stream: u32, path: &str) -> bool {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &head(path)).await
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        self.next_by(Instant::now() + LONG).await.expect("a frame, or the end")
    }

    /// The next frame of this kind; `None` if the connection ends before one arrives.
    pub async fn find(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind && !(kind == PING && frame.flags & ACK == 0) {
                return Some(frame);
            }
        }
    }

    /// The frames that arrive within a time, and whether the connection has ended.
    pub async fn within(&mut self, time: Duration) -> (Vec<Frame>, bool) {
        let (deadline, mut frames) = (Instant::now() + time, Vec::new());
        loop {
            match self.next_by(deadline).await {
                Some(Some(frame)) => frames.push(frame),
                Some(None) => return (frames, true),
                None => return (frames, false),
            }
        }
    }

    /// `None` after the deadline. Answers pings and settings, as every client must.
    async fn next_by(&mut self, deadline: Instant) -> Option<Option<Frame>> {
        let mut header = [0; 9];
        match timeout_at(deadline, self.0.read_exact(&mut header)).await {
            Err(_) => return None,
            Ok(Err(_)) => return Some(None),
            Ok(Ok(_)) => {}
        }
        let len = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let mut payload = vec![0; len];
        if self.0.read_exact(&mut payload).await.is_err() {
            return Some(None);
        }
        let (kind, flags) = (header[3], header[4]);
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        if flags & ACK == 0 && matches!(kind, PING | SETTINGS) {
            let answer = if kind == PING { payload.as_slice() } else { &[] };
            self.send(kind, ACK, 0, answer).await;
        }
        Some(Some(Frame { kind, flags, stream, payload }))
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a GET (RFC 7541: two indexed fields, two literals).
pub fn head(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x04, path), (0x01, "x")] {
        block.push(name);
        block.push(u8::try_from(value.len()).ok().filter(|len| *len < 127).unwrap());
        block.extend(value.as_bytes());
    }
    block
}

/// A literal field with a new name, encoded for a header block.
pub fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut block = vec![0x00, u8::try_from(name.len()).unwrap()];
    block.extend(name.as_bytes());
    // An integer with a prefix of seven bits.
    let mut rest = value.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(value);
    block
}

/// The status of a response whose header block begins with it, as an entry of the static table or a literal.
pub fn status(block: &[u8]) -> Option<u16> {
    match block {
        [first @ 0x88..=0x8e, ..] => Some([200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)]),
        // A literal with an indexed name: three digits, or their Huffman code.
        [0x08 | 0x48, 3, digits @ ..] => std::str::from_utf8(digits.get(..3)?).ok()?.parse().ok(),
        [0x08 | 0x48, 0x82 | 0x83, coded @ ..] => {
            // 0 to 2 have five bits, 00000 to 00010; 3 to 9 have six, from 011001.
            let bits = coded.iter().chain(&[0, 0]).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            let (mut at, mut status) = (0, 0);
            for _ in 0..3 {
                let five = bits << 8 << at >> 27;
                let six = bits << 8 << at >> 26;
                let digit = if five < 3 { five } else { six.checked_sub(0x19)? + 3 };
                at += if five < 3 { 5 } else { 6 };
                status = status * 10 + digit;
            }
            u16::try_from(status).ok()
        }
        _ => None,
    }
}
