//! TLS connections.

use crate::{h2::H2, rig::Door};
use testing::{
    certs::{Authority, connect, connect_as},
    wire::{Wire, ms},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharfinger::server::Tls;

#[tokio::test]
async fn a_stalled_encrypted_download_is_cut() {
    let authority = Authority::new();
    let door = Door::with(Some(Tls::new(authority.server())), |limits| limits.download_stall = ms(300)).await;
    let mut client = Wire::over(connect(door.address, &authority.client(&[], None)).await.unwrap());
    client.send("GET /file HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8)).await;
    tokio::time::sleep(ms(100)).await;
    door.bodies_are_gone().await;
    assert!(client.rest().await.len() < 8 * crate::app::FILE);
}

#[tokio::test]
async fn a_client_without_a_required_certificate_is_refused() {
    let authority = Authority::new();
    let door = Door::with(Some(Tls::new(authority.server_that_asks())), |_| {}).await;
    let stranger = authority.client(&[], None);
    // With TLS 1.3 a client learns of it when it reads.
    if let Ok(mut stream) = connect(door.address, &stranger).await {
        let _ = stream.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(stream.read(&mut [0; 100]).await.is_err());
    }
    let forged = authority.client(&[], Some(Authority::new().sign("client.test")));
    if let Ok(mut stream) = connect(door.address, &forged).await {
        let _ = stream.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(stream.read(&mut [0; 100]).await.is_err());
    }
    let known = authority.client(&["h2"], Some(authority.sign("client.test")));
    assert_eq!(H2::over(connect(door.address, &known).await.unwrap()).await.get("/small").await, b"small");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_from_the_next_handshake_on() {
    let authority = Authority::new();
    let tls = Tls::new(authority.server());
    let door = Door::with(Some(tls.clone()), |_| {}).await;
    let client = authority.client(&[], None);
    let mut before = Wire::over(connect(door.address, &client).await.unwrap());
    before.get("/small").await;
    tls.renew(authority.server_of("b.test"));
    assert!(connect(door.address, &client).await.is_err(), "the old certificate is no longer used");
    let mut after = Wire::over(connect_as("b.test", door.address, &client).await.unwrap());
    assert_eq!(after.get("/small").await.body, b"small");
    assert_eq!(before.get("/small").await.body, b"small", "existing connections continue");
}
