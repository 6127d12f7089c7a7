//! Web pages that use the API: those of the registry itself, of origins that the operator lists, and of everybody else.

use crate::PROGRAM;
use http::Method;
use serde_json::json;
use testing::{
    managed::Managed,
    people::basic,
    session::{Ask, Reply},
};

const PAGE: &str = "https://ui.example.com";
const EVIL: &str = "https://evil.example.com";

fn registry(origins: &str) -> Managed {
    Managed::start(PROGRAM, |files| files.settings = format!("[server]\ncors_origins = {origins}\n"))
}

/// The cookie of an administrator who has logged in.
async fn cookie(registry: &Managed) -> String {
    let login = json!({ "username": "admin", "password": "admin!" });
    let reply = registry.nobody().post("/auth/login", &login).await.is(200);
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// A write that changes nothing, because it has an unknown field: 400 if it is let through.
fn write<'a>(registry: &'a Managed, headers: &[(&str, &str)]) -> Ask<'a> {
    let ask = registry.ask(Method::POST, "/api/v1/repositories").header("content-type", "application/json");
    headers.iter().fold(ask.body("{\"nmae\":\"app\"}"), |ask, (name, value)| ask.header(name, value))
}

fn cors(reply: &Reply) -> (&str, &str) {
    (reply.header("access-control-allow-origin"), reply.header("access-control-allow-credentials"))
}

#[tokio::test]
async fn a_write_with_a_cookie_must_come_from_a_page_of_the_registry() {
    let registry = registry("[\"https://ui.example.com\"]");
    let cookie = cookie(&registry).await;
    let own = format!("http://{}", registry.address());
    for (headers, is_let_through) in [
        (vec![], false),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "same-site")], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "none")], false),
        (vec![("origin", own.as_str())], true),
        (vec![("origin", EVIL)], false),
        (vec![("origin", "null")], false),
        (vec![("origin", PAGE), ("sec-fetch-site", "cross-site")], true),
    ] {
        let reply = write(&registry, &headers).header("cookie", &cookie).send().await;
        let expected = if is_let_through { (400, "INVALID_REQUEST") } else { (403, "DENIED") };
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), expected, "{headers:?}");
    }
    // Reading is harmless: the page of another site does not see the answer.
    let read = registry.ask(Method::GET, "/api/v1/auth/me").header("cookie", &cookie).header("origin", EVIL);
    let read = read.send().await.is(200);
    assert_eq!(cors(&read), ("", ""));
    // A program sends no such headers, and credentials that no browser adds by itself.
    write(&registry, &[("authorization", &basic("admin"))]).send().await.refused(400, "INVALID_REQUEST");
    // The login itself needs no cookie, and is not made for others.
    let nobody = registry.nobody();
    let login = nobody.json(Method::POST, "/auth/login", &json!({ "username": "admin", "password": "admin!" }));
    login.header("origin", EVIL).header("sec-fetch-site", "cross-site").send().await.refused(403, "DENIED");
}

#[tokio::test]
async fn a_page_of_a_listed_origin_uses_the_api_with_the_login_of_its_user() {
    let registry = registry("[\"https://ui.example.com\"]");
    let cookie = cookie(&registry).await;
    let preflight = |origin: &'static str| {
        let ask = registry.ask(Method::OPTIONS, "/api/v1/repositories").header("origin", origin);
        ask.header("access-control-request-method", "PATCH").header("access-control-request-headers", "if-match").send()
    };
    let allowed = preflight(PAGE).await.is(204);
    assert_eq!(cors(&allowed), (PAGE, "true"));
    assert!(allowed.header("access-control-allow-methods").contains("PATCH"), "{allowed:?}");
    assert!(allowed.header("access-control-allow-headers").contains("If-Match"), "{allowed:?}");
    let refused = preflight(EVIL).await;
    assert_eq!((refused.status.as_u16(), cors(&refused)), (405, ("", "")));
    let me = registry.ask(Method::GET, "/api/v1/auth/me").header("origin", PAGE).header("cookie", &cookie);
    let me = me.send().await.is(200);
    assert_eq!((cors(&me), me.items("vary")), ((PAGE, "true"), vec!["accept-encoding", "Origin"]));
    // The page reads refusals too.
    let refused = write(&registry, &[("origin", PAGE), ("cookie", &cookie)]).send().await;
    assert_eq!((refused.status.as_u16(), cors(&refused)), (400, (PAGE, "true")));
}

#[tokio::test]
async fn pages_of_all_origins_have_no_login_but_the_one_that_they_ask_for() {
    let registry = registry("[\"*\"]");
    let cookie = cookie(&registry).await;
    let page = [("origin", EVIL), ("sec-fetch-site", "cross-site")];
    write(&registry, &page).header("cookie", &cookie).send().await.refused(403, "DENIED");
    let reply = write(&registry, &page).header("authorization", basic("admin")).send().await;
    assert_eq!((reply.status.as_u16(), cors(&reply)), (400, ("*", "")), "no credentials of the browser with *");
}
