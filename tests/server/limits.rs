//! Too many connections, too few descriptors, heads that are too long.

use crate::{h2::H2, rig::Door};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{fs::File, process::Command};
use testing::wire::{LONG, Wire, ms};
use tokio::{
    net::TcpSocket,
    time::{sleep, timeout},
};
use wharfinger::config::Live;

#[tokio::test]
async fn an_idle_connection_makes_room_for_one_too_many() {
    let door = Door::open(|limits| limits.connections = 2).await;
    let (mut one, mut two) = (door.wire().await, door.wire().await);
    one.get("/small").await;
    two.get("/small").await;
    assert_eq!(door.wire().await.get("/small").await.body, b"small");
    assert!(one.rest().await.is_empty(), "it was idle for longest");
    assert_eq!(two.get("/small").await.body, b"small");
}

#[tokio::test]
async fn a_connection_with_an_unfinished_head_makes_room_too() {
    let door = Door::open(|limits| limits.connections = 1).await;
    let mut half = door.wire().await;
    half.send("GET /small HTTP/1.1\r\nHost:").await;
    sleep(ms(50)).await;
    assert_eq!(door.wire().await.get("/small").await.body, b"small");
    assert!(half.rest().await.is_empty());
}

#[tokio::test]
async fn while_all_connections_are_busy_only_health_is_answered() {
    let door = Door::open(|limits| limits.connections = 1).await;
    let mut busy = door.wire().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    sleep(ms(50)).await;
    // The service refuses everything but health on such a connection.
    for _ in 0..40 {
        let mut client = door.wire().await;
        assert_eq!(client.get("/small").await.status, 503);
        assert!(client.rest().await.is_empty(), "it is closed after the response");
    }
    let mut h2 = H2::over(door.connect().await).await;
    assert_eq!(h2.ask("/small").await.unwrap().status(), 503);
    timeout(LONG, h2.connection).await.expect("its end").unwrap().unwrap();
    assert_eq!(busy.answer().await.body, b"slow");
    assert_eq!(door.wire().await.get("/small").await.status, 200);
}

#[tokio::test]
async fn the_connection_limit_of_one_client_does_not_affect_others() {
    let live = Live { connections_per_client: 2, ..Live::default() };
    let door = Door::under(None, live, |_| {}).await;
    let from = async |address: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        Wire::over(socket.connect(door.address).await.unwrap())
    };
    let (mut one, mut two) = (from("127.0.0.2").await, from("127.0.0.2").await);
    for client in [&mut one, &mut two] {
        client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
    sleep(ms(50)).await;
    assert_eq!(from("127.0.0.2").await.get("/small").await.status, 503);
    assert_eq!(from("127.0.0.3").await.get("/small").await.status, 200);
    assert_eq!(one.answer().await.body, b"slow");
    assert_eq!(from("127.0.0.2").await.get("/small").await.status, 200);
    assert!(one.rest().await.is_empty(), "its own idle connection made room");
    assert_eq!(two.answer().await.body, b"slow");
}

#[tokio::test]
async fn a_head_longer_than_the_read_buffer_is_refused_with_a_message() {
    let door = Door::open(|_| {}).await;
    let with = |len: usize| format!("GET /small HTTP/1.1\r\nX-Long: {}\r\n\r\n", "y".repeat(len));
    let mut client = door.wire().await;
    client.send(with(100 << 10)).await;
    assert_eq!(client.answer().await.status, 200);
    // One read may return up to twice the read buffer.
    client.send(with(600 << 10)).await;
    assert_eq!(client.answer().await.status, 431);
    assert!(client.rest().await.is_empty());
    let mut client = door.wire().await;
    client.send(format!("GET /small HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101))).await;
    assert_eq!(client.answer().await.status, 431, "or one with too many fields");
}

#[test]
fn running_out_of_descriptors_is_survived() {
    // In its own process, because the limit applies to the whole process.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "limits::with_few_descriptors_in_a_process_of_its_own", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && printed.contains("1 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn with_few_descriptors_in_a_process_of_its_own() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(128) }).unwrap();
    assert_eq!(wharfinger::server::raise_descriptor_limit(), Some(128));
    let door = Door::open(|_| {}).await;
    let mut served = door.wire().await;
    served.get("/small").await;
    let socket = TcpSocket::new_v4().unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    assert!(hoard.len() > 32);
    let mut waiting = Wire::over(socket.connect(door.address).await.unwrap());
    waiting.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(timeout(ms(200), waiting.answer()).await.is_err(), "it cannot be accepted");
    assert_eq!(served.get("/small").await.body, b"small", "existing connections are served");
    drop(hoard);
    assert_eq!(timeout(LONG, waiting.answer()).await.unwrap().body, b"small");
    // A quarter of the 128 descriptors is reserved.
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(door.wire().await);
    }
    assert!(File::open("/dev/null").is_ok());
}
