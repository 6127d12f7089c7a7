//! Where clients are sent to log in: by https only, unless they are on this machine.

use http::Method;
use testing::{
    certs::{Authority, connect},
    people::{SERVICE, basic, htpasswd},
    registry::{Registry, Setup},
    session::*,
    wire::Wire,
};

/// A registry with the built-in token service and no public URL.
async fn registry(change: impl FnOnce(&mut Setup)) -> Registry {
    Registry::with(|setup| {
        setup.htpasswd = Some(htpasswd(&["alice"]));
        setup.signing_key = Some(wharfinger::identity::new_signing_key().unwrap());
        change(setup);
    })
    .await
}

/// The response to a request without credentials, with this host and these headers.
async fn ask(registry: &Registry, host: &str, headers: &[(&str, &str)]) -> Reply {
    let ask = registry.ask(Method::GET, "/v2/").header("host", host);
    headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value)).send().await
}

#[track_caller]
fn sent_to(reply: &Reply, url: &str) {
    reply.refused(401, "UNAUTHORIZED");
    let challenge = format!("Bearer realm=\"{url}/auth/token\",service=\"{SERVICE}\"");
    assert_eq!(reply.header("www-authenticate"), challenge);
}

#[track_caller]
fn sent_nowhere(reply: &Reply) {
    reply.refused(403, "DENIED");
    assert!(!reply.has("www-authenticate"), "{reply:?}");
    let output = reply.message();
    assert!(output.contains("REGISTRY_PUBLIC_URL") && output.contains("REGISTRY_TRUSTED_PROXIES"), "{output}");
}

#[tokio::test]
async fn over_plain_http_only_local_clients_are_sent_to_the_token_service() {
    let registry = registry(|_| {}).await;
    for host in
        ["localhost", "localhost:5000", "LOCALHOST", "reg.localhost:1", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]
    {
        sent_to(&ask(&registry, host, &[]).await, &format!("http://{host}"));
    }
    for host in ["registry.example.com", "10.0.0.1:5000", "[2001:db8::1]", "localhost.example.com", "evil\", x", ""] {
        sent_nowhere(&ask(&registry, host, &[]).await);
    }
    let reply = ask(&registry, "registry.example.com:5000", &[]).await;
    assert!(reply.message().contains("plain HTTP as registry.example.com:5000"), "{}", reply.message());
    // An untrusted peer can claim anything.
    let claims = [("x-forwarded-proto", "https"), ("x-forwarded-host", "registry.example.com")];
    sent_nowhere(&ask(&registry, "registry.example.com", &claims).await);
    // A client that sends its password without a challenge is accepted, as before.
    let knows = registry.ask(Method::GET, "/v2/").header("host", "registry.example.com");
    knows.header("authorization", basic("alice")).send().await.is(200);
}

#[tokio::test]
async fn behind_a_trusted_proxy_clients_are_sent_to_the_address_they_used() {
    let registry = registry(|setup| setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let https = ("x-forwarded-proto", "https");
    sent_to(&ask(&registry, "registry.example.com:444", &[https]).await, "https://registry.example.com:444");
    let named = [https, ("x-forwarded-host", "registry.example.com")];
    sent_to(&ask(&registry, "127.0.0.1:15000", &named).await, "https://registry.example.com");
    // The outermost proxy comes first.
    let several = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "a.example, b.example")];
    sent_to(&ask(&registry, "c.example", &several).await, "https://a.example");
    for plain in
        [&[][..], &[("x-forwarded-proto", "http")], &[("x-forwarded-proto", "ftp")], &[("x-forwarded-proto", "")]]
    {
        sent_nowhere(&ask(&registry, "registry.example.com", plain).await);
    }
    sent_to(&ask(&registry, "localhost:5000", &[("x-forwarded-proto", "http")]).await, "http://localhost:5000");
}

#[tokio::test]
async fn over_own_tls_clients_are_sent_to_https_under_the_name_they_used() {
    let authority = Authority::new();
    let tls = authority.server();
    let registry = registry(|setup| setup.tls = Some(tls)).await;
    let mut wire = Wire::over(connect(registry.address(), &authority.client(&["http/1.1"], None)).await.unwrap());
    wire.send("GET /v2/ HTTP/1.1\r\nHost: registry.example.com:444\r\nConnection: close\r\n\r\n").await;
    let answer = String::from_utf8(wire.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains(r#"Bearer realm="https://registry.example.com:444/auth/token""#), "{answer}");
}
