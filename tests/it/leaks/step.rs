//! One request by one user, and everything its response reveals.

use http::Method;
use serde_json::json;
use testing::{people::basic, registry::Registry, session::Reply};

/// One request.
#[derive(Clone, Debug)]
pub struct Step {
    pub method: Method,
    pub target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

pub fn step(method: Method, target: impl Into<String>, body: impl Into<String>) -> Step {
    Step { method, target: target.into(), headers: Vec::new(), body: body.into() }
}

pub fn read(target: impl Into<String>) -> Step {
    step(Method::GET, target, "")
}

impl Step {
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same about another name.
    pub fn about(&self, name: &str, other: &str) -> Self {
        Self { target: self.target.replace(name, other), ..self.clone() }
    }

    pub async fn by(&self, user: &str, registry: &Registry) -> Reply {
        let mut ask = registry.ask(self.method.clone(), &self.target).body(self.body.clone());
        if user != "-" {
            ask = ask.header("authorization", basic(user));
        }
        for (name, value) in &self.headers {
            ask = ask.header(name, value);
        }
        ask.send().await
    }
}

/// Everything a response reveals, without what differs each time.
pub fn revealed(reply: &Reply, registry: &Registry) -> String {
    let mut headers = reply.headers.clone();
    let mut body = String::from_utf8_lossy(&reply.body).into_owned();
    if let Ok(mut json) = serde_json::from_slice::<serde_json::Value>(&reply.body)
        && json.get("token").is_some()
    {
        headers.remove("content-length");
        for name in ["token", "access_token", "issued_at"] {
            json[name] = json!("another each time");
        }
        body = json.to_string();
    }
    for name in ["date", "x-request-id"] {
        headers.remove(name);
    }
    let mut headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.sort();
    let text = format!("{}\n{}\n\n{body}", reply.status, headers.join("\n"));
    without_ids(&text.replace(&registry.address().to_string(), "HERE"))
}

/// Upload ids are random.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| {
        let parts: Vec<_> = word.split('-').map(str::len).collect();
        parts == [8, 4, 4, 4, 12] && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    let words = text.split_inclusive(|c: char| !c.is_ascii_hexdigit() && c != '-');
    let word = |word: &str| {
        let end = word.len() - word.chars().next_back().filter(|c| !c.is_ascii_hexdigit()).map_or(0, char::len_utf8);
        if is_id(&word[..end]) { format!("ID{}", &word[end..]) } else { word.to_owned() }
    };
    words.map(word).collect()
}
