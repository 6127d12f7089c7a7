//! The usage of a Storage Box, as Hetzner's API reports it. It is a figure for people: nothing else depends on it.

use crate::{
    config::Env,
    files::{detached, regular},
    jobs::{Job, Run, Schedule},
    storage::{ProviderUsage, ReportedUsage},
};
use async_trait::async_trait;
use bytes::Bytes;
use client::{PlainHttp, PlainLimits, Secret};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Deserialize;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing::warn;

/// How often the API is asked. Its limit for a token is a thousand times higher.
const EVERY: Duration = Duration::from_secs(300);
/// The longest wait after failures.
const LONGEST: Duration = Duration::from_secs(3600);
/// The longest answer.
const LONGEST_ANSWER: usize = 256 << 10;

const LIMITS: PlainLimits = PlainLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(20),
    stall: Duration::from_secs(10),
    slowest: 1 << 10,
};

/// Asks for the usage.
pub(super) struct AskStorageBox {
    http: PlainHttp<Full<Bytes>>,
    url: String,
    token: Secret,
    usage: Arc<ProviderUsage>,
}

/// What is read of the answer.
#[derive(Deserialize)]
struct BoxAnswer {
    storage_box: AnsweredBox,
}

#[derive(Deserialize)]
struct AnsweredBox {
    storage_box_type: BoxType,
    stats: BoxStats,
}

#[derive(Deserialize)]
struct BoxType {
    size: u64,
}

#[derive(Deserialize)]
struct BoxStats {
    size: u64,
}

impl AskStorageBox {
    /// `None` if no box is configured.
    ///
    /// # Errors
    /// The file of the token cannot be read.
    pub(super) async fn of(env: &Env, usage: &Arc<ProviderUsage>) -> Result<Option<Self>, String> {
        let Some(number) = env.hetzner_box_id else { return Ok(None) };
        let token = match (&env.hcloud_token, &env.hcloud_token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => {
                let (read, shown) = (path.clone(), path.display());
                let bytes = detached(move || regular::read(&read)).await.and_then(|read| read);
                let bytes = bytes.map_err(|error| format!("HCLOUD_TOKEN_FILE: cannot read {shown}: {error}"))?;
                Secret::new(String::from_utf8_lossy(&bytes).trim())
            }
            // `config::storage` requires one.
            (None, None) => return Ok(None),
        };
        let url = format!("{}/storage_boxes/{number}", env.hetzner_endpoint);
        Ok(Some(Self { http: PlainHttp::new(&[], true, LIMITS), url, token, usage: usage.clone() }))
    }

    async fn ask(&self) -> Result<ReportedUsage, String> {
        let request = Request::get(&self.url)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .header(header::ACCEPT, "application/json")
            .body(Full::default())
            .map_err(|_| "the token or the address has characters that a request cannot have".to_owned())?;
        let answer = self.http.send(request).await.map_err(|fault| fault.to_string())?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err("the API refuses the token".into()),
            StatusCode::NOT_FOUND => return Err("there is no such Storage Box".into()),
            status => return Err(format!("the API answers {status}")),
        }
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| format!("the answer ends early: {error}"))?.to_bytes();
        let answer: BoxAnswer = oci::json::from_slice(&body).map_err(|error| format!("unknown answer: {error}"))?;
        let BoxAnswer { storage_box: AnsweredBox { storage_box_type, stats } } = answer;
        Ok(ReportedUsage { used: stats.size, total: storage_box_type.size, at: SystemTime::now() })
    }
}

#[async_trait]
impl Job for AskStorageBox {
    fn name(&self) -> &'static str {
        "storage_box"
    }

    fn schedule(&self) -> Option<Schedule> {
        Some(Schedule { at_start: true, after_failure: EVERY, longest: LONGEST, ..Schedule::every(EVERY) })
    }

    async fn run(&self, run: &Run) -> Result<(), String> {
        match self.ask().await {
            Ok(usage) => {
                self.usage.set(usage);
                Ok(())
            }
            Err(why) => {
                if !run.is_retry() {
                    warn!(error = why, url = self.url, "cannot ask for the usage of the Storage Box; trying again");
                }
                Err(why)
            }
        }
    }
}
