//! Limits of the token service, and malformed requests.

use super::*;

#[tokio::test]
async fn a_token_for_many_scopes_is_accepted_and_its_response_lists_them() {
    let names: Vec<_> = (0..90).map(|i| format!("team/{i:02}-{}", "x".repeat(200))).collect();
    let scope: Vec<_> = names.iter().map(|name| format!("repository:{name}:pull,push")).collect();
    let form = |scope: &str| {
        let pairs = [("grant_type", "password"), ("username", "alice"), ("password", "alice!"), ("scope", scope)];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    for (settings, most) in [("", 16 << 10), ("[server]\nheader_bytes = \"16 KiB\"\n", 12 << 10)] {
        let service = Service::under(settings, &[]);
        let answer = service.daemon.post("/auth/token", form(&scope.join(" "))).await.is(200).json();
        let token = answer["token"].as_str().unwrap();
        assert!(token.len() <= most && token.len() > most * 8 / 10, "{} of {most}", token.len());
        let granted: Vec<_> = answer["scope"].as_str().unwrap().split(' ').collect();
        assert!(granted.len() < 90 && granted == scope[..granted.len()], "the first ones: {}", granted.len());
        assert_eq!(claims(token)["access"].as_array().unwrap().len(), granted.len());
        service.push(token, &names[0]).await.is(201);
        service.push(token, &names[granted.len() - 1]).await.is(201);
        service.push(token, &names[granted.len()]).await.refused(401, "UNAUTHORIZED");
    }
}

/// Costly requests run off the reactor, and each client may have a limited number of them in progress.
#[tokio::test]
async fn costly_token_requests_are_limited_for_each_client() {
    let service =
        Service::under("[server]\nmax_costly_requests_per_client = 2\n", &[("REGISTRY_TRUSTED_PROXIES", "127.0.0.1")]);
    let names = |i: usize| format!("repository:open/{i}/{}:*", vec!["a"; 115].join("/"));
    let many = (0..100).map(names).collect::<Vec<_>>().join("+");
    let ask = |from: &str, scopes: &str| {
        let ask = service.daemon.ask(Method::GET, format!("/auth/token?scope={scopes}"));
        ask.header("x-forwarded-for", from).send()
    };
    // Long enough for some of them to overlap, however fast the machine is.
    let mut refused = 0;
    for _ in 0..50 {
        let crowd = futures_util::future::join_all((0..32).map(|_| ask("203.0.113.9", &many)));
        let others = async {
            ask("203.0.113.9", "repository:open/app:pull").await.is(200);
            ask("203.0.113.10", &many).await.is(200);
        };
        let (crowd, ()) = tokio::join!(crowd, others);
        for reply in crowd {
            if reply.status == 429 {
                reply.refused(429, "TOOMANYREQUESTS");
                assert_eq!(reply.header("retry-after"), "1");
                refused += 1;
            } else {
                let answer = reply.is(200).json();
                assert!(answer["scope"].as_str().unwrap().starts_with(&names(0).replace('*', "pull")), "{answer}");
            }
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0, "none was refused");
    ask("203.0.113.9", &many).await.is(200);
}

/// Each scope is matched against the rules, so their number is limited, as the length of a name is.
#[tokio::test]
async fn scopes_beyond_a_hundred_are_ignored() {
    let service = Service::start(&[]);
    let after = |others: usize| {
        let others = (0..others).map(|i| format!("repository:elsewhere/{i}:pull"));
        let scopes: Vec<_> = others.chain(["repository:team/a:pull".to_owned()]).collect();
        format!("scope={}", scopes.join("+"))
    };
    let granted = async |query: &str| service.ask("alice", query).await.is(200).json()["scope"].clone();
    assert_eq!(granted(&after(99)).await, "repository:team/a:pull");
    assert_eq!(granted(&after(100)).await, "");
    let deep = |len: usize| format!("scope=repository:team/{}:pull", vec!["a"; len].join("/"));
    assert_eq!(granted(&deep(125)).await, format!("repository:team/{}:pull", vec!["a"; 125].join("/")));
    assert_eq!(granted(&deep(126)).await, "", "a name has at most 255 bytes, so at most 128 components");
}

#[tokio::test]
async fn the_token_service_refuses_malformed_passwords_with_the_reason() {
    let service = Service::start(&[]);
    for (header, reason) in [
        ("Basic".to_owned(), "no credentials after its scheme"),
        (format!("Basic {}", STANDARD.encode("alice")), "no colon"),
        (format!("Basic {}", STANDARD.encode(b"alice:\xe4")), "not UTF-8"),
        ("Bearer abc".to_owned(), "a user name and a password"),
    ] {
        let reply = service.daemon.ask(Method::GET, "/auth/token").header("authorization", &header).send().await;
        challenged(&reply, r#"Basic realm="wharfinger", charset="UTF-8""#);
        assert!(reply.message().contains(reason), "{header}: {}", reply.message());
    }
    let form = [("grant_type", "password"), ("username", "alice"), ("password", "a\nb")];
    let reply = service.form(&form).await;
    challenged(&reply, r#"Basic realm="wharfinger", charset="UTF-8""#);
    assert!(reply.message().contains("a line break"), "{}", reply.message());
}
