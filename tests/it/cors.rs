//! Web pages of other origins that use the registry from a browser, as registry UIs do.

use crate::PROGRAM;
use http::Method;
use std::time::Duration;
use testing::{daemon::Daemon, people::*, registry::Registry, session::*};
use wharfinger::config::Origins;

const PAGE: &str = "https://ui.example.com";

async fn registry(origins: Origins) -> Registry {
    let registry = Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice"]));
        setup.cors_origins = origins;
    })
    .await;
    let manifest = index(&[]).to_string();
    let put = registry.ask(Method::PUT, "/v2/app/manifests/v1").header("content-type", OCI_INDEX);
    put.header("authorization", basic("alice")).body(manifest).send().await.is(201);
    registry
}

fn these() -> Origins {
    Origins::These(vec![PAGE.into(), "http://localhost:8080".into()])
}

/// The preflight of a page's request with a password.
async fn preflight(registry: &Registry, origin: &str, method: &str) -> Reply {
    let ask = registry.ask(Method::OPTIONS, "/v2/app/manifests/v1").header("origin", origin);
    let ask = ask.header("access-control-request-method", method);
    ask.header("access-control-request-headers", "authorization,accept").send().await
}

fn names(reply: &Reply, header: &str) -> Vec<String> {
    reply.header(header).split(", ").map(str::to_ascii_lowercase).collect()
}

fn cors_headers(reply: &Reply) -> Vec<String> {
    reply.headers.keys().map(ToString::to_string).filter(|name| name.starts_with("access-control")).collect()
}

#[tokio::test]
async fn a_page_of_a_listed_origin_lists_pulls_and_deletes() {
    let registry = registry(these()).await;
    let reply = preflight(&registry, PAGE, "DELETE").await.is(204);
    assert_eq!(reply.header("access-control-allow-origin"), PAGE);
    assert_eq!(reply.header("access-control-allow-credentials"), "true");
    assert_eq!(reply.header("vary"), "Origin");
    assert!(names(&reply, "access-control-allow-headers").contains(&"authorization".to_owned()));
    assert_eq!(names(&reply, "access-control-allow-methods"), ["get", "head", "post", "put", "patch", "delete"]);
    assert!(reply.has("access-control-max-age") && reply.has("x-request-id") && reply.body.is_empty());

    // The page sees the challenge, and can then read everything.
    let refused = registry.ask(Method::GET, "/v2/").header("origin", PAGE).send().await;
    refused.refused(401, "UNAUTHORIZED");
    assert_eq!(refused.header("access-control-allow-origin"), PAGE);
    assert!(names(&refused, "access-control-expose-headers").contains(&"www-authenticate".to_owned()));
    let ask =
        |method, target| registry.ask(method, target).header("origin", PAGE).header("authorization", basic("alice"));
    let read = ask(Method::GET, "/v2/app/manifests/v1").send().await.is(200);
    let exposed = names(&read, "access-control-expose-headers");
    for header in ["docker-content-digest", "link", "location", "range", "content-range", "accept-ranges", "warning"] {
        assert!(exposed.contains(&header.to_owned()), "{header}");
    }
    for header in read.headers.keys().filter(|name| name.as_str().contains("docker") || name.as_str() == "etag") {
        assert!(exposed.contains(&header.to_string()), "{header} is sent but not exposed");
    }
    let gone = ask(Method::DELETE, "/v2/app/manifests/v1").send().await.is(202);
    assert_eq!(gone.header("access-control-allow-origin"), PAGE);
}

#[tokio::test]
async fn pages_of_other_origins_get_no_cors_headers() {
    let registry = registry(these()).await;
    for other in ["https://evil.example", "https://ui.example.com.evil.example", "http://ui.example.com", "null"] {
        let reply = preflight(&registry, other, "DELETE").await;
        assert_eq!((reply.status.as_u16(), cors_headers(&reply)), (405, vec![]), "{other}");
        let read = registry.ask(Method::GET, "/v2/app/manifests/v1").header("origin", other);
        let read = read.header("authorization", basic("alice")).send().await.is(200);
        assert_eq!((cors_headers(&read), read.header("vary")), (vec![], "Origin"), "{other}");
    }
    // A response without an origin must not be cached for a page either.
    let read = registry.ask(Method::GET, "/v2/app/manifests/v1").header("authorization", basic("alice")).send().await;
    assert_eq!((cors_headers(&read), read.header("vary")), (vec![], "Origin"));
}

#[tokio::test]
async fn any_origin_is_allowed_only_without_credentials() {
    let registry = registry(Origins::Any).await;
    let reply = preflight(&registry, "https://anywhere.example", "GET").await.is(204);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(!reply.has("access-control-allow-credentials"), "otherwise any page could use the login of the browser");
    let refused = registry.ask(Method::GET, "/v2/_catalog").header("origin", "https://anywhere.example").send().await;
    refused.refused(401, "UNAUTHORIZED");
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    // Only the endpoints that clients use: pages must not read the daemon's internals.
    for target in ["/metrics", "/health", "/health/ready"] {
        let reply = registry.ask(Method::GET, target).header("origin", "https://anywhere.example").send().await;
        assert_eq!(cors_headers(&reply), Vec::<String>::new(), "{target}");
    }
}

#[tokio::test]
async fn without_the_setting_there_are_no_cors_headers() {
    let registry = registry(Origins::None).await;
    let reply = preflight(&registry, PAGE, "GET").await;
    reply.refused(405, "UNSUPPORTED");
    assert!(cors_headers(&reply).is_empty() && !reply.has("vary"));
    let read = registry.ask(Method::GET, "/v2/app/manifests/v1").header("origin", PAGE);
    let read = read.header("authorization", basic("alice")).send().await.is(200);
    assert!(cors_headers(&read).is_empty() && !read.has("vary"));
}

#[tokio::test]
async fn an_options_request_without_preflight_headers_is_an_ordinary_request() {
    let registry = registry(these()).await;
    let options = registry.ask(Method::OPTIONS, "/v2/app/manifests/v1").header("origin", PAGE).send().await;
    options.refused(405, "UNSUPPORTED");
    assert_eq!(options.header("access-control-allow-origin"), PAGE);
}

#[tokio::test]
async fn origins_are_added_and_removed_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (root, settings) = (dir.path().join("data"), dir.path().join("settings.toml"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(&settings, "[server]\n").unwrap();
    let daemon = Daemon::start(PROGRAM, &root, &[("REGISTRY_SETTINGS", settings.to_str().unwrap())]);
    let status = async || {
        let ask = daemon.ask(Method::OPTIONS, "/v2/_catalog").header("origin", PAGE);
        ask.header("access-control-request-method", "GET").send().await.status.as_u16()
    };
    assert_eq!(status().await, 405);
    std::fs::write(&settings, format!("[server]\ncors_origins = [{PAGE:?}]\n")).unwrap();
    daemon.until(Duration::from_secs(5), "the origin is allowed", async || status().await == 204).await;
    let logged = async || daemon.log().contains("endpoint=\"preflight\"");
    daemon.until(Duration::from_secs(5), "the preflight is logged", logged).await;
    std::fs::write(&settings, "[server]\ncors_origins = []\n").unwrap();
    daemon.until(Duration::from_secs(5), "the origin is not allowed any more", async || status().await == 405).await;
}
