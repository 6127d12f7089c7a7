//! The web pages, as a browser asks for them.

mod account;
mod acting;
mod admin;
mod api_docs;
mod artifacts;
mod callers;
mod compressed;
mod details;
mod forms;
mod hostile;
mod login;
mod moving;
mod review;
mod work;

use http::Method;
use std::fmt::Write as _;
use testing::{
    managed::Managed,
    session::{Ask, Client, Reply},
};

/// A browser: it sends what browsers send, keeps cookies, and does not follow redirects.
pub struct Browser {
    client: Client,
    cookie: Option<String>,
}

impl Browser {
    pub fn new(registry: &Managed) -> Self {
        Self { client: registry.nobody().client, cookie: None }
    }

    /// One whose user has logged in.
    pub async fn of(registry: &Managed, user: &str) -> Self {
        let mut browser = Self::new(registry);
        let form = [("username", user), ("password", &format!("{user}!"))];
        let reply = browser.post("/login", &form).await.is(303);
        browser.keep(&reply);
        browser
    }

    /// Keeps the cookie that an answer sets.
    pub fn keep(&mut self, reply: &Reply) {
        let cookie = reply.header("set-cookie").split(';').next().expect("a cookie");
        self.cookie = Some(cookie.to_owned());
    }

    fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let ask = self.client.ask(method, path).header("accept", "text/html,*/*;q=0.8");
        match &self.cookie {
            Some(cookie) => ask.header("cookie", cookie),
            None => ask,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(Method::GET, path).send().await
    }

    /// Sends a form of this site.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.post_from("same-origin", path, fields).await
    }

    /// Sends a form that edits a file, looks at what would change, and saves it.
    pub async fn save(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let review = html(&self.post(path, fields).await.is(200));
        shows(&review, &["Nothing is saved yet", "class=\"diff\""]);
        self.confirm(path, &review).await
    }

    /// Sends the form of a page that shows what would change.
    pub async fn confirm(&self, path: &str, review: &str) -> Reply {
        let form = review.split(&format!("action=\"{path}\"")).nth(1).expect("the form");
        let form = form.split("</form>").next().unwrap();
        let fields: Vec<_> =
            form.split("<input").skip(1).map(|input| (named(input, "name"), named(input, "value"))).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(path, &fields).await
    }

    /// Sends a form of a page of some site.
    pub async fn post_from(&self, site: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut body = String::new();
        for (name, value) in fields {
            let encode = |text: &str| {
                text.bytes().fold(String::new(), |mut out, byte| {
                    write!(out, "%{byte:02X}").expect("a string");
                    out
                })
            };
            write!(body, "{}={}&", encode(name), encode(value)).expect("a string");
        }
        let ask = self.ask(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
        ask.header("sec-fetch-site", site).body(body).send().await
    }
}

/// An attribute of an element.
fn named(element: &str, name: &str) -> String {
    let value = element.split(&format!("{name}=\"")).nth(1).unwrap_or_default().split('"').next().unwrap();
    unescaped(value)
}

/// The text that HTML stands for.
pub fn unescaped(html: &str) -> String {
    let escapes = [("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    escapes.iter().fold(html.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// The text of a page, and that it has what every page has.
pub fn html(reply: &Reply) -> String {
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{reply:?}");
    let policy = reply.header("content-security-policy");
    for part in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("referrer-policy"), "same-origin");
    let text = String::from_utf8(reply.body.to_vec()).expect("UTF-8");
    assert!(text.starts_with("<!doctype html>"), "{text}");
    // The policy forbids all of these, so they would not work.
    for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!text.contains(inline), "{inline} in {text}");
    }
    assert_eq!(text.matches("<script").count(), text.matches("<script type=\"module\" src=\"/ui/").count(), "{text}");
    text
}

/// Checks that a page shows all of these.
#[track_caller]
pub fn shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "no {text:?} in {page}");
    }
}
