//! What a server does wrong: it is busy, breaks off, answers late or not at all.

use super::bucket;
use crate::storage::{
    cloud::{CloudObjects, CloudSettings},
    objects::{ObjectError, Objects as _, PutWhen},
};
use bytes::Bytes;
use oci::Span;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// A server that gives each connection one of these answers, the last one again and again, and remembers what it was
/// asked.
struct Scripted {
    objects: CloudObjects,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn new(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = asked.clone();
        tokio::spawn(async move {
            let mut number = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = answers[number.min(answers.len() - 1)].clone();
                number += 1;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; len.unwrap_or(0)];
                stream.read_exact(&mut body).await.unwrap();
                noted.lock().unwrap().push(head);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        let objects = CloudObjects::unprobed(&CloudSettings::S3(bucket(&url, "bucket"))).unwrap();
        Self { objects, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

const DATE: &str = "Last-Modified: Tue, 01 Dec 2026 09:00:00 GMT\r\nETag: \"one\"\r\nConnection: close\r\n";

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{DATE}{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn busy() -> String {
    answer("503 Slow Down", "", "<Error><Code>SlowDown</Code><Message>Later.</Message></Error>")
}

#[tokio::test]
async fn what_a_busy_server_refuses_is_sent_again_as_it_was() {
    let server = Scripted::new(&[&busy(), &answer("500 Oh", "", ""), &answer("200 OK", "", "")]).await;
    let put = server.objects.put("a", vec!["he".into(), "llo".into()], PutWhen::Any).await;
    assert_eq!(put.unwrap().unwrap().0, "\"one\"");
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked.iter().all(|head| head.starts_with("put /bucket/suite/") && head.contains("content-length: 5")),
        "{asked:?}"
    );
    assert_eq!(server.objects.requests(), 3);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_unavailable_and_says_until_when() {
    let server = Scripted::new(&[&answer("503 Busy", "Retry-After: 7\r\n", "")]).await;
    let refused = server.objects.head("a").await.unwrap_err();
    let ObjectError::Unavailable { retry_after, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(7)));
    assert_eq!(server.asked().len(), 1, "nobody waits for so long");
}

#[tokio::test]
async fn a_read_that_breaks_off_continues_in_the_same_object() {
    let half = format!("HTTP/1.1 200 OK\r\n{DATE}Content-Length: 11\r\n\r\nhello ");
    let rest = answer("206 Partial Content", "Content-Range: bytes 6-10/11\r\n", "world");
    let server = Scripted::new(&[&half, &rest]).await;
    let body = server.objects.get("a", None).await.unwrap();
    assert_eq!(body.collect().await.unwrap(), Bytes::from_static(b"hello world"));
    let again = server.asked().pop().unwrap();
    assert!(again.contains("range: bytes=6-10") && again.contains("if-match: \"one\""), "{again}");
}

#[tokio::test]
async fn a_read_whose_object_was_replaced_meanwhile_fails() {
    let half = format!("HTTP/1.1 200 OK\r\n{DATE}Content-Length: 11\r\n\r\nhello ");
    let server = Scripted::new(&[&half, &answer("412 Precondition Failed", "", "")]).await;
    let body = server.objects.get("a", None).await.unwrap();
    assert_eq!(body.collect().await.unwrap_err(), ObjectError::Changed);
}

#[tokio::test]
async fn a_read_that_breaks_off_again_and_again_ends() {
    let part =
        format!("HTTP/1.1 206 Partial Content\r\n{DATE}Content-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n");
    let server = Scripted::new(&[&part]).await;
    let body = server.objects.get("a", Some(Span { start: 0, len: 10 })).await.unwrap();
    assert!(matches!(body.collect().await.unwrap_err(), ObjectError::Unavailable { .. }));
    assert!(server.asked().len() < 10);
}

#[tokio::test]
async fn an_error_in_an_answer_of_success_is_an_error() {
    let late = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>We failed.</Message></Error>";
    let done = "<CopyObjectResult><ETag>\"two\"</ETag></CopyObjectResult>";
    let server = Scripted::new(&[&answer("200 OK", "", late), &answer("200 OK", "", done)]).await;
    server.objects.copy("a", "b").await.unwrap();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn another_writer_at_the_same_time_is_waited_for_and_a_changed_object_is_not() {
    let conflict = answer("409 Conflict", "", "<Error><Code>ConditionalRequestConflict</Code></Error>");
    let server = Scripted::new(&[&conflict, &answer("412 Precondition Failed", "", "")]).await;
    let refused = server.objects.put("a", vec!["x".into()], PutWhen::Absent).await.unwrap_err();
    assert_eq!((refused, server.asked().len()), (ObjectError::Changed, 2));
    assert!(server.asked()[0].contains("if-none-match: *"));
}

#[tokio::test]
async fn expired_credentials_and_wrong_regions_are_not_repeated() {
    let expired =
        answer("400 Bad Request", "", "<Error><Code>ExpiredToken</Code><Message>It is over.</Message></Error>");
    let server = Scripted::new(&[&expired]).await;
    let refused = server.objects.get("a", None).await.unwrap_err();
    assert!(matches!(&refused, ObjectError::Denied { why } if why.contains("ExpiredToken")), "{refused}");
    let moved = answer("301 Moved", "x-amz-bucket-region: eu-west-1\r\n", "");
    let server = Scripted::new(&[&moved]).await;
    let refused = server.objects.head("a").await.unwrap_err();
    assert!(refused.to_string().contains("another region (eu-west-1)"), "{refused}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_less_and_less() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let objects = CloudObjects::unprobed(&CloudSettings::S3(bucket(&format!("http://{closed}"), "bucket"))).unwrap();
    let ask = async || {
        let before = objects.requests();
        assert!(matches!(objects.head("a").await, Err(ObjectError::Unavailable { .. })));
        objects.requests() - before
    };
    assert_eq!(ask().await, 5);
    futures_util::future::join_all((0..40).map(|_| async { assert!(objects.head("a").await.is_err()) })).await;
    assert_eq!(ask().await, 1, "the budget is used up");
}
