use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

/// A server that answers the requests of one connection with these responses, byte by byte if `slowly`.
fn answering(answers: &'static [&'static str], slowly: bool) -> Dial {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        for answer in answers {
            let mut asked = Vec::new();
            while head::end(&asked).is_none() {
                let mut byte = [0];
                if socket.read(&mut byte).unwrap() == 0 {
                    return;
                }
                asked.push(byte[0]);
            }
            let pieces: Vec<&[u8]> =
                if slowly { answer.as_bytes().chunks(1).collect() } else { vec![answer.as_bytes()] };
            for piece in pieces {
                socket.write_all(piece).unwrap();
            }
        }
    });
    Dial { url, trust: None, credentials: None }
}

fn get(conn: &mut HttpConnection) -> Result<(u16, String)> {
    let mut kept = Vec::new();
    let (head, length) = conn.send("GET", "/", &[], Body::None, Sink::Keep(&mut kept))?;
    assert_eq!(kept.len() as u64, length);
    Ok((head.status, String::from_utf8(kept)?))
}

#[test]
fn bodies_by_length_and_in_chunks_follow_each_other_on_one_connection() {
    const ANSWERS: &[&str] = &[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwhar\r\n1\r\nf\r\n0\r\nTrailer: t\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ];
    for slowly in [false, true] {
        let mut conn = HttpConnection::new(&answering(ANSWERS, slowly));
        assert_eq!(get(&mut conn).unwrap(), (200, "hello".into()));
        assert_eq!(get(&mut conn).unwrap(), (200, "wharf".into()));
        assert_eq!(get(&mut conn).unwrap(), (404, String::new()));
    }
}

#[test]
fn discarded_bytes_are_counted_and_the_next_response_is_intact() {
    const ANSWERS: &[&str] =
        &["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwharf"];
    for slowly in [false, true] {
        let mut conn = HttpConnection::new(&answering(ANSWERS, slowly));
        let (head, length) = conn.send("GET", "/", &[], Body::None, Sink::Discard).unwrap();
        assert_eq!((head.status, length), (200, 5));
        assert_eq!(get(&mut conn).unwrap(), (200, "wharf".into()));
    }
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    let dial = answering(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"], false);
    let error = HttpConnection::new(&dial).send("GET", "/", &[], Body::None, Sink::Discard).unwrap_err().to_string();
    assert!(error.contains("early"), "{error}");
}

#[test]
fn a_response_to_head_has_a_length_and_no_body() {
    let mut conn = HttpConnection::new(&answering(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], false));
    let (head, length) = conn.send("HEAD", "/", &[], Body::None, Sink::Discard).unwrap();
    assert_eq!((head.length, length), (Some(5), 0));
}
