//! Logins at all kinds of registries: tokens, realms, scopes, and who receives a password.

use crate::{
    daemon::password,
    fake::{Answer, Asked, Fake},
    words::*,
};
use client::{Client, Credential, CredentialSource, ErrorKind, PageRequest, PushOptions, Secret};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// `Basic` for alice, whose password is `alice!`.
const ALICE: &str = "Basic YWxpY2U6YWxpY2Uh";

/// A registry that demands tokens from this realm for this scope, and accepts those named `good`.
async fn registry_of(realm: String, scope: &'static str) -> Fake {
    Fake::start(move |asked| {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"reg.test\",scope=\"{scope}\"");
        match asked.header("authorization") {
            "Bearer good" if asked.target == "/v2/" => Answer::new(200),
            "Bearer good" => Answer::new(200).header("content-type", "application/json").body(r#"{"tags":["v1"]}"#),
            "" => Answer::new(401).header("www-authenticate", challenge),
            _ => Answer::new(401).header("www-authenticate", format!("{challenge},error=\"invalid_token\"")),
        }
    })
    .await
}

fn token(name: &str) -> Answer {
    Answer::new(200).body(format!(r#"{{"token":"{name}","expires_in":300}}"#))
}

/// All values of a parameter in a query or form.
fn values(text: &str, name: &str) -> Vec<String> {
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

async fn list(client: &Client, name: &str) -> Result<usize, client::Error> {
    let page = client.tags(&repository(name), &PageRequest::default()).next_page().await?;
    Ok(page.unwrap_or_default().len())
}

#[tokio::test]
async fn a_token_is_fetched_once_and_only_the_token_service_sees_the_password() {
    let service = Fake::start(|_| token("good")).await;
    let fake = registry_of(format!("http://{}/token?x=1", service.address), "repository:a:pull").await;
    let client = fake.builder().credentials(password("alice", "alice!")).build();
    for _ in 0..3 {
        assert_eq!(list(&client, "a").await.unwrap(), 1);
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!((asked[0].method.as_str(), asked[0].header("authorization")), ("GET", ALICE));
    assert_eq!(values(&asked[0].target, "x"), ["1"], "the realm's own query is kept");
    assert_eq!(values(&asked[0].target, "service"), ["reg.test"]);
    assert_eq!(values(&asked[0].target, "scope"), ["repository:a:pull"]);
    assert_eq!(values(&asked[0].target, "account"), ["alice"]);
    assert!(fake.asked().iter().all(|asked| !asked.header("authorization").starts_with("Basic")));
    assert_eq!(fake.asked().len(), 4, "only the first request is made without a token");
    // Another repository needs another token, which is fetched before the request.
    list(&client, "b").await.unwrap();
    assert_eq!((service.asked().len(), fake.asked().len()), (2, 5));
    assert_eq!(values(&service.asked()[1].target, "scope"), ["repository:b:pull"]);
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_token() {
    let service = Fake::start(|_| token("good")).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    let client = fake.client();
    let all = futures_util::future::join_all((0..20).map(|_| list(&client, "a"))).await;
    assert!(all.into_iter().all(|one| one.is_ok()));
    assert_eq!(service.asked().len(), 1);
    assert_eq!(service.asked()[0].header("authorization"), "", "the request is anonymous");
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let given = AtomicUsize::new(0);
    let service = Fake::start(move |_| match given.fetch_add(1, Ordering::SeqCst) {
        0 => token("stale"),
        _ => token("good"),
    })
    .await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    let client = fake.client();
    // The first token is bad, so the client fetches another.
    let error = list(&client, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert_eq!(list(&client, "a").await.unwrap(), 1);
    assert_eq!(service.asked().len(), 2);

    // A service whose tokens are never good is not asked forever.
    let service = Fake::start(|_| token("bad")).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    let error = list(&fake.client(), "a").await.unwrap_err();
    assert_eq!((error.kind(), service.asked().len()), (ErrorKind::Unauthorized, 1));
}

#[tokio::test]
async fn scopes_that_the_registry_asks_for_are_added_to_our_own() {
    let service = Fake::start(|_| token("good")).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:delete repository:b:pull").await;
    let client = fake.client();
    list(&client, "a").await.unwrap();
    let scopes = values(&service.asked()[0].target, "scope");
    assert_eq!(scopes, ["repository:a:delete,pull", "repository:b:pull"]);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_post() {
    let service = Fake::start(|_| Answer::new(200).body(r#"{"access_token":"good"}"#)).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    let client = fake.builder().credentials(Credential::IdentityToken(Secret::new("refresh me"))).build();
    list(&client, "a").await.unwrap();
    let asked = &service.asked()[0];
    assert_eq!((asked.line().as_str(), asked.header("authorization")), ("POST /token", ""));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    let form = String::from_utf8(asked.body.clone()).unwrap();
    assert_eq!(values(&form, "grant_type"), ["refresh_token"]);
    assert_eq!(values(&form, "refresh_token"), ["refresh me"]);
    assert_eq!(values(&form, "service"), ["reg.test"]);
    assert_eq!(values(&form, "scope"), ["repository:a:pull"]);
}

#[tokio::test]
async fn a_token_service_without_get_is_asked_by_post() {
    let service = Fake::start(|asked| if asked.method == "GET" { Answer::new(405) } else { token("good") }).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    list(&fake.builder().credentials(password("alice", "alice!")).build(), "a").await.unwrap();
    let form = String::from_utf8(service.asked()[1].body.clone()).unwrap();
    assert_eq!(
        (values(&form, "grant_type"), values(&form, "password")),
        (vec!["password".into()], vec!["alice!".into()])
    );
}

#[tokio::test]
async fn an_offline_login_returns_an_identity_token() {
    let service = Fake::start(|asked| match values(&asked.target, "offline_token").is_empty() {
        true => token("good"),
        false => Answer::new(200).body(r#"{"token":"good","refresh_token":"keep me"}"#),
    })
    .await;
    let fake = registry_of(format!("http://{}/token", service.address), "").await;
    let client = fake.builder().credentials(password("alice", "alice!")).build();
    let login = client.login().await.unwrap();
    assert!(login.checked);
    assert_eq!(login.identity_token.as_ref().unwrap().expose(), "keep me");
    assert!(!format!("{login:?}").contains("keep me"));
    // A registry without a challenge has checked nothing.
    let open = Fake::start(|_| Answer::new(200)).await;
    let login = open.builder().credentials(password("alice", "wrong")).build().login().await.unwrap();
    assert!(!login.checked && login.identity_token.is_none());
}

#[tokio::test]
async fn bearer_is_preferred_among_several_challenges() {
    let service = Fake::start(|_| token("good")).await;
    let realm = format!("http://{}/token", service.address);
    let challenge = format!("Negotiate, Basic realm=\"r\", Bearer realm=\"{realm}\"");
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        "Bearer good" => Answer::new(200),
        _ => Answer::new(401).header("www-authenticate", &challenge),
    })
    .await;
    fake.builder().credentials(password("alice", "alice!")).build().ping().await.unwrap();
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let service =
        Fake::start(|_| Answer::new(401).body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#)).await;
    let fake = registry_of(format!("http://{}/token?key=s3cret", service.address), "repository:a:pull").await;
    let credentials = password("alice", "s3cret");
    let client = fake.builder().credentials(credentials.clone()).build();
    let error = list(&client, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let shown = format!("{error} {error:?} {credentials:?} {client:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let expected = format!(
        "cannot list tags of {}/a: the token service at http://{}/token answered 401 Unauthorized: no (UNAUTHORIZED)",
        fake.address, service.address
    );
    assert_eq!(error.to_string(), expected);
    // A token that no header can carry is not shown either.
    let service = Fake::start(|_| Answer::new(200).body(r#"{"token":"s3cret\n"}"#)).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    let error = list(&fake.client(), "a").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_redirect_of_the_token_service_does_not_get_the_password() {
    let thief = Fake::start(|_| token("good")).await;
    let elsewhere = format!("http://{}/token", thief.address);
    let service = Fake::start(move |_| Answer::new(307).header("location", &elsewhere)).await;
    let fake = registry_of(format!("http://{}/token", service.address), "repository:a:pull").await;
    list(&fake.builder().credentials(password("alice", "alice!")).build(), "a").await.unwrap();
    assert_eq!(thief.asked()[0].header("authorization"), "");
    // An identity token is sent in the body, so it is never sent to the target of a redirect.
    let client = fake.builder().credentials(Credential::IdentityToken(Secret::new("mine"))).build();
    let error = list(&client, "a").await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 307, "{error}");
    assert_eq!(thief.asked().len(), 1);
}

#[tokio::test]
async fn a_remote_token_service_over_plain_http_gets_no_password() {
    let fake = registry_of("http://auth.example.com/token".into(), "repository:a:pull").await;
    let error = list(&fake.builder().credentials(password("alice", "alice!")).build(), "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().ends_with("points to http://auth.example.com/token, which is plain HTTP"), "{error}");
}

#[tokio::test]
async fn credentials_are_looked_up_by_the_registrys_name_and_may_fail() {
    struct Helper(Mutex<Vec<String>>);
    #[async_trait::async_trait]
    impl CredentialSource for Helper {
        async fn lookup(&self, registry: &str) -> Result<Credential, String> {
            self.0.lock().unwrap().push(registry.to_owned());
            Err("docker-credential-pass is not installed".into())
        }
    }
    let fake = Fake::start(|_| Answer::new(401).header("www-authenticate", "Basic realm=\"r\"")).await;
    let error = fake.builder().credentials(Helper(Mutex::default())).build().ping().await.unwrap_err();
    let expected = format!("cannot reach the registry {}: docker-credential-pass is not installed", fake.address);
    assert_eq!(error.to_string(), expected);
    let by_name = [(fake.address.to_string(), password("alice", "alice!"))].into_iter();
    let client = fake.builder().credentials(by_name.collect::<std::collections::HashMap<_, _>>()).build();
    client.ping().await.unwrap_err();
    assert_eq!(fake.asked().last().unwrap().header("authorization"), ALICE);
}

#[tokio::test]
async fn credentials_are_asked_for_once_and_again_when_they_are_refused() {
    /// Returns passwords that expire, as ECR's helper does.
    struct Helper(Arc<AtomicUsize>);
    #[async_trait::async_trait]
    impl CredentialSource for Helper {
        async fn lookup(&self, _: &str) -> Result<Credential, String> {
            Ok(password("AWS", &self.0.fetch_add(1, Ordering::SeqCst).to_string()))
        }
    }
    let (looked_up, accepted) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new("Basic QVdTOjA=")));
    let taken = accepted.clone();
    let fake = Fake::start(move |asked| match asked.header("authorization") == *taken.lock().unwrap() {
        true => Answer::new(200),
        false => Answer::new(401).header("www-authenticate", "Basic realm=\"r\""),
    })
    .await;
    let client = fake.builder().credentials(Helper(looked_up.clone())).build();
    for _ in 0..3 {
        client.ping().await.unwrap();
    }
    assert_eq!(looked_up.load(Ordering::SeqCst), 1);
    *accepted.lock().unwrap() = "Basic QVdTOjE=";
    for _ in 0..3 {
        client.ping().await.unwrap();
    }
    assert_eq!(looked_up.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_token_that_expires_during_an_upload_is_replaced_and_the_upload_continues() {
    let blob = content(3 << 20);
    let (given, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let counted = given.clone();
    let service = Fake::start(move |_| token(&counted.fetch_add(1, Ordering::SeqCst).to_string())).await;
    let (realm, sink, least) = (format!("http://{}/token", service.address), received.clone(), AtomicUsize::new(0));
    let fake = Fake::start(move |asked: &Asked| {
        let mut bytes = sink.lock().unwrap();
        let number: Option<usize> = asked.header("authorization").strip_prefix("Bearer ").map(|n| n.parse().unwrap());
        if number.is_none_or(|number| number < least.load(Ordering::SeqCst)) {
            let challenge = format!("Bearer realm=\"{realm}\",error=\"invalid_token\"");
            return Answer::new(401).header("www-authenticate", challenge);
        }
        if bytes.len() == 1 << 20 && asked.method == "PATCH" {
            // All earlier tokens expire here; this request was still accepted with one of them.
            least.store(given.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        let answer = |status| Answer::new(status).header("location", "/v2/a/blobs/uploads/7");
        match asked.method.as_str() {
            "HEAD" => Answer::new(404),
            "POST" => answer(202),
            "PUT" => answer(201),
            "GET" => answer(204).header("range", format!("0-{}", bytes.len() - 1)),
            _ => {
                bytes.extend_from_slice(&asked.body);
                answer(202).header("range", format!("0-{}", bytes.len() - 1))
            }
        }
    })
    .await;
    let options = PushOptions { chunk: Some(1 << 20), ..Default::default() };
    fake.client().push_blob(&repository("a"), &digest(&blob), 3 << 20, &blob, &options).await.unwrap();
    assert_eq!(*received.lock().unwrap(), blob);
    // HEAD needs the permission to pull, the upload both; it needs another token when its token is refused.
    let fetched: Vec<String> = service.asked().iter().flat_map(|asked| values(&asked.target, "scope")).collect();
    assert_eq!(fetched, ["repository:a:pull", "repository:a:pull,push", "repository:a:pull,push"]);
}
