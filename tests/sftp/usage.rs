//! How full the storage is: by the server, or by Hetzner's API.

use super::{Site, push};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A server that answers every request with this, and keeps what it was asked.
struct FakeApi {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeApi {
    fn start(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).unwrap_or_default();
                kept.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
                let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
                let _ = stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
            }
        });
        Self { url, asked }
    }
}

const TERABYTE: u64 = 1_000_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_usage_is_that_of_the_server_or_of_the_storage_box() {
    let Some(site) = Site::new("usage") else { return };
    let daemon = site.daemon("one", &[]);
    push(&daemon, "app", "v1", 1000, 1).await;
    let usage = daemon.get("/api/v1/storage").await.is(200).json();
    assert_eq!(usage["source"], "sftp");
    let (used, free, total) = (usage["used"].as_u64(), usage["free"].as_u64(), usage["total"].as_u64());
    assert!(total > Some(0) && used.zip(free).map(|(used, free)| used + free) == total, "{usage}");
    assert_eq!(daemon.get("/api/v1/dashboard").await.is(200).json()["storage"]["total"], usage["total"]);
    drop(daemon);
    let body = format!(
        r#"{{"storage_box":{{"id":42,"name":"box","storage_box_type":{{"id":1,"name":"bx11","size":{TERABYTE}}},
        "stats":{{"size":{},"size_data":200000000000,"size_snapshots":50000000000}}}}}}"#,
        TERABYTE / 4
    );
    let api = FakeApi::start("200 OK", body);
    let secret = site.dir.path().join("token");
    std::fs::write(&secret, "t0ken-of-the-box\n").unwrap();
    let file = secret.display().to_string();
    let more = [("HETZNER_BOX_ID", "42"), ("HCLOUD_TOKEN_FILE", &file), ("HETZNER_ENDPOINT", &api.url)];
    let daemon = site.daemon("one", &more);
    let is_asked = async || daemon.get("/api/v1/storage").await.is(200).json()["source"] == "hetzner";
    daemon.until(Duration::from_secs(20), "the API is not asked", is_asked).await;
    let usage = daemon.get("/api/v1/storage").await.is(200).json();
    assert_eq!((usage["used"].as_u64(), usage["percent"].as_u64()), (Some(TERABYTE / 4), Some(25)), "{usage}");
    assert_eq!(daemon.get("/api/v1/dashboard").await.is(200).json()["storage"], usage);
    let page = String::from_utf8_lossy(&daemon.get("/system").await.is(200).body).into_owned();
    assert!(page.contains("Storage"), "{page}");
    let asked = api.asked.lock().unwrap().join("\n").to_lowercase();
    assert!(asked.starts_with("get /v1/storage_boxes/42 "), "{asked}");
    assert!(asked.contains("authorization: bearer t0ken-of-the-box"), "{asked}");
    assert!(!daemon.log().contains("t0ken"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_fails_harms_nothing_but_the_figure() {
    let Some(site) = Site::new("an API that fails") else { return };
    for (status, body, why) in [
        ("401 Unauthorized", "{}", "refuses the token"),
        ("404 Not Found", "{}", "no such Storage Box"),
        ("200 OK", "not json", "unknown answer"),
        ("500 Oops", "{}", "500"),
    ] {
        let api = FakeApi::start(status, body.to_owned());
        let more = [("HETZNER_BOX_ID", "42"), ("HCLOUD_TOKEN", "t0ken-of-the-box"), ("HETZNER_ENDPOINT", &*api.url)];
        let daemon = site.daemon("one", &more);
        let log = daemon.logged("cannot ask for the usage of the Storage Box");
        let log = if log.contains(why) { log } else { daemon.logged(why) };
        assert!(!log.contains("t0ken"), "{log}");
        assert_eq!(daemon.get("/api/v1/storage").await.is(200).json()["source"], "sftp");
        daemon.get("/health").await.is(200);
        push(&daemon, "app", "v1", 1000, 1).await;
    }
    let alone = site.refusal("one", &[("HETZNER_BOX_ID", "42")]);
    assert!(alone.contains("HCLOUD_TOKEN_FILE"), "{alone}");
    let word = site.refusal("one", &[("HETZNER_BOX_ID", "my-box"), ("HCLOUD_TOKEN", "t0ken-of-the-box")]);
    assert!(word.contains("HETZNER_BOX_ID") && !word.contains("t0ken"), "{word}");
    // The token is for other programs, too.
    let daemon = site.daemon("one", &[("HCLOUD_TOKEN", "t0ken-of-the-box")]);
    assert!(!daemon.log().contains("HCLOUD_TOKEN"), "{}", daemon.log());
}
