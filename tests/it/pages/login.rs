//! Logging in and out with a browser.

use super::{Browser, html, shows};
use crate::PROGRAM;
use testing::managed::Managed;

#[tokio::test]
async fn a_user_logs_in_looks_around_and_logs_out() {
    let registry = Managed::start(PROGRAM, |_| {});
    let mut browser = Browser::new(&registry);
    // Nothing is public here, so a stranger can only log in.
    assert_eq!(browser.get("/").await.is(303).header("location"), "/login");
    shows(&html(&browser.get("/login").await.is(200)), &["Log in to", "docker login"]);
    let wrong = browser.post("/login", &[("username", "admin"), ("password", "wrong")]).await.is(401);
    shows(&html(&wrong), &["User or password is wrong", "value=\"admin\"", "aria-invalid"]);
    assert!(!wrong.has("set-cookie"));
    let form = [("username", "admin"), ("password", "admin!"), ("next", "/system")];
    let reply = browser.post("/login", &form).await.is(303);
    assert_eq!(reply.header("location"), "/system");
    let cookie = reply.header("set-cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    browser.keep(&reply);
    shows(&html(&browser.get("/system").await.is(200)), &["admin", "administrator"]);
    shows(&html(&browser.get("/profile").await.is(200)), &["this one", "API keys"]);
    let out = browser.post("/logout", &[]).await.is(303);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    // The session has ended, whoever has the cookie. The page says so, and the login works all the same.
    let ended = browser.get("/profile").await.is(401);
    shows(&html(&ended), &["Please log in", "/login?next=%2Fprofile"]);
    browser.get("/login").await.is(200);
}

#[tokio::test]
async fn a_login_leads_to_no_other_site() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::new(&registry);
    for next in ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil", "/\t/evil.example", "evil"] {
        let form = [("username", "admin"), ("password", "admin!"), ("next", next)];
        assert_eq!(browser.post("/login", &form).await.is(303).header("location"), "/", "{next:?}");
        let back = browser.post("/ui/theme", &[("theme", "dark"), ("back", next)]).await.is(303);
        assert_eq!(back.header("location"), "/", "{next:?}");
    }
    let page = html(&browser.get("/login?next=%22%3E%3Cscript%3E").await.is(200));
    shows(&page, &["name=\"next\" value=\"/\""]);
}

#[tokio::test]
async fn those_who_guess_are_told_to_wait() {
    let registry = Managed::start(PROGRAM, |files| {
        files.settings = "[management]\nmax_wrong_passwords_per_user = 2\n".to_owned();
    });
    let browser = Browser::new(&registry);
    let guess = [("username", "bob"), ("password", "wrong")];
    for _ in 0..2 {
        html(&browser.post("/login", &guess).await.is(401));
    }
    shows(&html(&browser.post("/login", &guess).await.is(429)), &["The next try is answered after"]);
}

#[tokio::test]
async fn a_theme_is_kept_in_the_browser() {
    let registry = Managed::start(PROGRAM, |_| {});
    let mut browser = Browser::new(&registry);
    assert!(!html(&browser.get("/login").await).contains("data-theme"));
    let reply = browser.post("/ui/theme", &[("theme", "dark"), ("back", "/login")]).await.is(303);
    assert_eq!(reply.header("location"), "/login");
    browser.keep(&reply);
    shows(&html(&browser.get("/login").await), &["<html lang=\"en\" data-theme=\"dark\">"]);
    let reply = browser.post("/ui/theme", &[("theme", "\"><script>")]).await.is(303);
    assert!(reply.header("set-cookie").starts_with("theme=auto;"));
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    registry.admin().client.push_image("team/app", "1.0", "a").await;
    for site in ["cross-site", "same-site"] {
        let form = [("tag", "1.0"), ("confirm", "yes")];
        let refused = browser.post_from(site, "/repositories/team/app/-/tags/delete", &form).await.is(403);
        shows(&html(&refused), &["You may not do this"]);
        browser.post_from(site, "/logout", &[]).await.is(403);
    }
    assert_eq!(registry.admin().client.tags("team/app").await, ["1.0"]);
}
