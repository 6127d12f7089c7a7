//! Streams that are opened and reset as fast as a client can (CVE-2023-44487).

use crate::{h2::H2, rig::Door};
use testing::frames::{self, END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM};

#[tokio::test]
async fn a_client_that_only_opens_and_resets_streams_gets_goaway() {
    let door = Door::open(|_| {}).await;
    let mut client = Frames::open(door.address).await;
    // A complete request, and a reset with CANCEL.
    let get = frames::head("/small");
    let pair = |id: u32| {
        let ask = frames::frame(HEADERS, END_STREAM | END_HEADERS, id, &get);
        [ask, frames::frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat()
    };
    let flood: Vec<u8> = (0..5000).flat_map(|i| pair(2 * i + 1)).collect();
    // The connection may be closed before everything is sent.
    client.send_raw(&flood).await;
    while client.next().await.is_some() {}
    assert_eq!(H2::over(door.connect().await).await.get("/small").await, b"small", "others are served");
}
