//! The lower bound for pushing: a server that receives, hashes and writes, and does nothing else of a registry.
//!
//! Each connection has a thread; the body goes through one buffer into SHA-256 and a file.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::Result;
use crate::content::{named, unique};
use crate::http::head;

const BUFFER: usize = 256 * 1024;

/// Serves on a port of 127.0.0.1 and writes into a directory, until it is killed.
pub fn serve(port: u16, directory: &Path) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    for socket in listener.incoming() {
        let (socket, directory) = (socket?, directory.to_owned());
        std::thread::spawn(move || {
            // A client error ends its connection, and nothing else.
            let _ = connection(socket, directory);
        });
    }
    Ok(())
}

fn connection(mut socket: TcpStream, directory: PathBuf) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    let (mut hash, mut file) = (Sha256::new(), None::<File>);
    loop {
        let end = loop {
            if let Some(end) = head::end(&buffer[..filled]) {
                break end;
            }
            match socket.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                read => filled += read,
            }
        };
        let text = std::str::from_utf8(&buffer[..end])?.to_owned();
        let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
        let mut left: u64 = length.parse()?;
        let mut ready = end..filled;
        while left > 0 {
            if ready.is_empty() {
                match socket.read(&mut buffer)? {
                    0 => return Ok(()),
                    read => ready = 0..read,
                }
            }
            let piece = &buffer[ready.start..ready.end.min(ready.start + usize::try_from(left)?)];
            if file.is_none() {
                file = Some(File::create(directory.join(format!("{:016x}", unique())))?);
            }
            hash.update(piece);
            if let Some(file) = &mut file {
                file.write_all(piece)?;
            }
            left -= piece.len() as u64;
            ready.start += piece.len();
        }
        buffer.copy_within(ready.clone(), 0);
        filled = ready.len();
        let answer = match text.split(' ').next() {
            Some("POST" | "PATCH") => "202 Accepted\r\nLocation: /v2/floor/blobs/uploads/1".to_owned(),
            Some("PUT") => {
                let digest = named(std::mem::take(&mut hash));
                file = None;
                let asked = text.split(' ').nth(1).unwrap_or_default().replace("%3A", ":");
                if asked.ends_with(&digest) { "201 Created".to_owned() } else { "400 Bad Request".to_owned() }
            }
            _ => "200 OK".to_owned(),
        };
        socket.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    }
}
