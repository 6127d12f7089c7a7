//! Follows a task of the server until it ends.
//!
//! The server tells of each change by an event. If the connection breaks, it is made again; where events do not come
//! through, the task is looked at from time to time.

use crate::{
    failure::{ExitStatus, Failure},
    management::{Management, segment},
};
use client::{ApiRequest, ApiStream};
use http::{Method, header};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Between two looks at a task, and before a connection is made again.
const LOOK: Duration = Duration::from_millis(500);

/// How long a first event may take. Something on the way collects events if there is none by then.
const FIRST: Duration = Duration::from_secs(5);

/// How long a server may be away, for example while it is restarted.
const AWAY: Duration = Duration::from_secs(120);

/// The longest event.
const MOST: usize = 4 << 20;

/// How a stream of events ended.
enum FollowEnd {
    /// With the task.
    Over(Value),
    /// Before that, after at least one event.
    Broken,
    /// No event came.
    Silent,
}

/// Shows each state of a task, and returns the last one.
pub async fn follow(management: &Management, id: &str, mut show: impl FnMut(&Value)) -> Result<Value, Failure> {
    let path = format!("/tasks/{}", segment(id));
    let (mut seen, mut has_events) = (Instant::now(), true);
    loop {
        if has_events && let Some(stream) = events(management, &path).await {
            match read(stream, &mut show).await {
                FollowEnd::Over(task) => return Ok(task),
                FollowEnd::Broken => seen = Instant::now(),
                FollowEnd::Silent => has_events = false,
            }
        }
        match management.get(&path).await {
            Ok(task) => {
                show(&task);
                if is_over(&task) {
                    return Ok(task);
                }
                seen = Instant::now();
            }
            Err(failure) if is_away(&failure) && seen.elapsed() < AWAY => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the server does not answer, or not yet.
fn is_away(failure: &Failure) -> bool {
    failure.status == ExitStatus::Unreachable || failure.http.is_some_and(|status| status.is_server_error())
}

/// Whether nothing will change by itself any more.
pub fn is_over(task: &Value) -> bool {
    !matches!(task.get("status").and_then(Value::as_str), Some("pending" | "running"))
}

/// The events of a task; `None` if there are none. Why not is found out by looking at the task itself.
async fn events(management: &Management, path: &str) -> Option<ApiStream> {
    let request = ApiRequest::new(Method::GET, format!("/api/v1{path}/events"))
        .header(header::ACCEPT, "text/event-stream")
        .eager();
    let stream = management.client.open_api(&request).await.ok()?;
    let kind = stream.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    kind.starts_with("text/event-stream").then_some(stream)
}

async fn read(mut stream: ApiStream, show: &mut impl FnMut(&Value)) -> FollowEnd {
    let (mut buffer, mut is_first) = (Vec::new(), true);
    loop {
        let chunk = match is_first {
            true => match tokio::time::timeout(FIRST, stream.chunk()).await {
                Ok(chunk) => chunk,
                Err(_) => return FollowEnd::Silent,
            },
            false => stream.chunk().await,
        };
        let Ok(Some(chunk)) = chunk else {
            return if is_first { FollowEnd::Silent } else { FollowEnd::Broken };
        };
        buffer.extend_from_slice(&chunk);
        while let Some(task) = next_event(&mut buffer) {
            is_first = false;
            show(&task);
            if is_over(&task) {
                return FollowEnd::Over(task);
            }
        }
        if buffer.len() > MOST {
            return FollowEnd::Silent;
        }
    }
}

/// Takes the next whole event that has data from what has arrived.
fn next_event(buffer: &mut Vec<u8>) -> Option<Value> {
    loop {
        let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = buffer.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&event);
        // Comments keep the connection alive; they have no data.
        let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        if let Ok(task) = oci::json::from_slice::<Value>(data.join("\n").trim().as_bytes()) {
            return Some(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let sent = b": still here\n\ndata: {\"status\":\"running\"}\n\ndata: {\"status\":\ndata: \"completed\"}\n\n";
        for size in 1..sent.len() {
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            for piece in sent.chunks(size) {
                buffer.extend_from_slice(piece);
                while let Some(task) = next_event(&mut buffer) {
                    found.push((task["status"].as_str().unwrap().to_owned(), is_over(&task)));
                }
            }
            assert_eq!(found, [("running".to_owned(), false), ("completed".to_owned(), true)], "{size}");
        }
    }
}
