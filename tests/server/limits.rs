//! Too many connections, too few descriptors, too long a head.

use crate::{
    client::LONG,
    rig::{Door, ms},
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{fs::File, process::Command};
use tokio::{net::TcpSocket, time::timeout};

#[tokio::test]
async fn one_connection_too_many_waits_for_its_turn() {
    let door = Door::open(|limits| limits.connections = 2).await;
    let (mut one, mut two, mut three) = (door.raw().await, door.raw().await, door.raw().await);
    one.get("/small").await;
    two.get("/small").await;
    three.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(timeout(ms(200), three.answer()).await.is_err(), "it is not served yet");
    one.get("/small").await;
    drop(one);
    assert_eq!(three.answer().await.body, b"small");
}

#[tokio::test]
async fn a_head_longer_than_is_read_ahead_is_refused_with_a_word() {
    let door = Door::open(|_| {}).await;
    let with = |len: usize| format!("GET /small HTTP/1.1\r\nX-Long: {}\r\n\r\n", "y".repeat(len));
    let mut client = door.raw().await;
    client.send(with(100 << 10)).await;
    assert_eq!(client.answer().await.status, 200);
    client.send(with(200 << 10)).await;
    assert_eq!(client.answer().await.status, 431);
    assert!(client.rest().await.is_empty());
    let mut client = door.raw().await;
    client.send(format!("GET /small HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101))).await;
    assert_eq!(client.answer().await.status, 431, "or one of too many fields");
}

#[test]
fn running_out_of_descriptors_is_survived() {
    // In a process of its own: the limit is the whole process's.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "limits::in_a_starved_process", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&child.stderr));
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn in_a_starved_process() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(128) }).unwrap();
    assert_eq!(wharfinger::server::raise_descriptor_limit(), Some(128));
    let door = Door::open(|_| {}).await;
    let mut served = door.raw().await;
    served.get("/small").await;
    let socket = TcpSocket::new_v4().unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    assert!(hoard.len() > 32);
    let mut waiting = crate::client::Raw::new(socket.connect(door.address).await.unwrap());
    waiting.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(timeout(ms(200), waiting.answer()).await.is_err(), "it cannot be accepted");
    assert_eq!(served.get("/small").await.body, b"small", "who is here is served");
    drop(hoard);
    assert_eq!(timeout(LONG, waiting.answer()).await.unwrap().body, b"small");
    // Of 128 descriptors a quarter is kept from connections.
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(door.raw().await);
    }
    assert!(File::open("/dev/null").is_ok());
}
