//! Streams opened and taken back, as fast as a client can (CVE-2023-44487).

use crate::{
    client::{H2, Raw},
    rig::Door,
};
use tokio::io::AsyncWriteExt;

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn a_client_that_only_opens_and_resets_streams_is_told_to_go() {
    let door = Door::open(|_| {}).await;
    let mut client = Raw::new(door.connect().await);
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send(frame(4, 0, 0, &[])).await;
    // GET http://x/ from the static table, ended at once; and CANCEL.
    let get = [0x82, 0x86, 0x84, 0x41, 1, b'x'];
    let pair = |id: u32| [frame(1, 5, id, &get), frame(3, 0, id, &8_u32.to_be_bytes())].concat();
    let flood: Vec<u8> = (0..5000).flat_map(|i| pair(2 * i + 1)).collect();
    // It may be closed before it is through.
    let _ = client.io.write_all(&flood).await;
    client.rest().await;
    assert_eq!(H2::over(door.connect().await).await.get("/small").await, b"small", "others are served");
}
