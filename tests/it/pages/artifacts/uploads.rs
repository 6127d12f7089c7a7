//! What is uploaded by the pages.

use super::{
    super::{Browser, html, shows, unescaped},
    create, registry, text,
};
use http::Method;
use serde_json::json;

/// A form with files, as browsers send it: the fields, then each file by its name.
fn with_files(fields: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("--XxX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = |(name, content): &(&str, &str)| {
        format!(
            "--XxX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: text/plain\r\n\r\n{content}\r\n"
        )
    };
    let parts: String = fields.iter().map(field).chain(files.iter().map(file)).collect();
    format!("{parts}--XxX--\r\n")
}

#[tokio::test]
async fn files_are_uploaded_by_a_form_without_scripts() {
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    create(&alice, "ci-app", true).await;
    let send_from = async |site: &str, browser: &Browser, fields: &[(&str, &str)], files: &[(&str, &str)]| {
        let ask = browser.ask(Method::POST, "/artifacts/ci-app/-/upload").header("sec-fetch-site", site);
        ask.header("content-type", "multipart/form-data; boundary=XxX").body(with_files(fields, files)).send().await
    };
    let send = async |browser: &Browser, fields: &[(&str, &str)], files: &[(&str, &str)]| {
        send_from("same-origin", browser, fields, files).await
    };
    let page = html(&browser.get("/artifacts/ci-app/-/upload").await.is(200));
    shows(&page, &["multipart/form-data", "name=\"file\"", "name=\"version\""]);
    let fields = [("version", "1.0"), ("under", "bin"), ("properties", "os=linux\r\narch=arm64")];
    let large = "x".repeat(300_000);
    let sent = send(&browser, &fields, &[("app", "hello"), ("large.txt", &large)]).await.is(303);
    let place = sent.header("location").to_owned();
    shows(&html(&browser.get(&place).await.is(200)), &["2 files were uploaded.", "large.txt"]);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/app").await.is(200).body, "hello");
    let found = alice.get("/artifacts/ci-app/versions").await.is(200).json();
    assert_eq!(found["1.0"][0]["properties"], json!({ "arch": "arm64", "os": "linux" }));
    assert_eq!(found["1.0"][0]["media_type"], "text/plain");
    // What is wrong is said beside its field, and what was typed is kept.
    for (fields, files, said) in [
        (&[("version", "../x")][..], &[("app", "a")][..], "id=\"uv-why\""),
        (&[("version", "1.1"), ("properties", "os")], &[("app", "a")], "is not key=value"),
        (&[("version", "1.1")], &[], "Choose a file."),
        (&[("version", "1.1")], &[("", "")], "Choose a file."),
        (&[("version", "1.1"), ("under", "..")], &[("app", "a")], "id=\"ud-why\""),
    ] {
        shows(&html(&send(&browser, fields, files).await.is(400)), &[said, &format!("value=\"{}\"", fields[0].1)]);
    }
    let other = send(&browser, &fields, &[("new", "1"), ("app", "other")]).await.is(409);
    shows(&html(&other), &["exists"]);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/new").await.is(200).body, "1", "those before it stay");
    let replacing = [&fields[..], &[("overwrite", "true")]].concat();
    send(&browser, &replacing, &[("app", "other")]).await.is(303);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/app").await.is(200).body, "other");
    // Neither bob nor another site's form.
    let bob = Browser::of(&registry, "bob").await;
    send(&bob, &fields, &[("app", "evil")]).await.is(404);
    send_from("cross-site", &browser, &replacing, &[("app", "evil")]).await.is(403);
    assert_eq!(alice.get("/artifacts/ci-app/1.0/bin/app").await.is(200).body, "other");
}

#[tokio::test]
async fn nothing_that_is_uploaded_becomes_markup() {
    const BAD: [&str; 5] = [
        "<script>alert(1)<%2Fscript>",
        "\"><img src=x onerror=alert(1)>",
        "'><object data=x>",
        "$(reboot)'; rm -rf ~;",
        "\u{202e}gpj.exe\u{2066}",
    ];
    let registry = registry();
    let (browser, alice) = (Browser::of(&registry, "alice").await, registry.user("alice"));
    let description = "</title></textarea><script>alert(1)</script>";
    alice.post("/artifacts/repos", &json!({ "name": "ci-app", "description": description })).await.is(201);
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    for bad in BAD {
        let metadata = json!({ bad: [bad] });
        let (name, value) = (escape(&bad.replace("%2F", "")), escape(bad));
        let put = alice.ask(
            Method::PUT,
            &format!("/artifacts/ci-app/-/{name}/{name}/{name}?property.note={value}&media_type=text/html"),
        );
        let made = put.body("x").send().await;
        // Characters that turn the direction of text are not part of any name.
        if made.status == 400 {
            assert!(bad.contains('\u{202e}'), "{made:?}");
            continue;
        }
        let made = made.is(201).json();
        alice.put(&format!("/artifacts/ci-app/{}/metadata", text(&made, "id")), &metadata).await.is(200);
        for path in [
            "/artifacts".to_owned(),
            "/artifacts/ci-app".to_owned(),
            format!("/artifacts/ci-app/-/versions/{name}"),
            format!("/artifacts/ci-app/-/versions/{name}/{name}"),
            format!("/artifacts/ci-app/-/files/{name}/{name}/{name}"),
            format!("/artifacts/ci-app/-/search?q={value}&p=note%3D{value}&name={value}"),
            format!("/artifacts/ci-app/-/upload?version={value}&under={value}"),
            "/artifacts/ci-app/-/search".to_owned(),
            "/artifacts/-/search".to_owned(),
            "/artifacts/ci-app/-/retention".to_owned(),
            format!("/artifacts/ci-app/-/retention?preview=yes&keep={value}"),
            "/artifacts/ci-app/-/settings".to_owned(),
        ] {
            let page = browser.get(&path).await;
            assert!([200, 400].contains(&page.status.as_u16()), "{path}: {page:?}");
            let page = html(&page);
            for bad in ["<script>", "<img", "<object", "\" onmouseover", "</title></textarea>"] {
                assert!(!page.contains(bad), "{bad} in {path}: {page}");
            }
        }
        let page = html(&browser.get(&format!("/artifacts/ci-app/-/files/{name}/{name}/{name}")).await.is(200));
        for command in page.split("data-copy=\"").skip(1).map(|rest| unescaped(rest.split('"').next().unwrap())) {
            // What is pasted runs nothing: the name is within quotes, and a quote in it is escaped.
            if command.contains("reboot") && !command.starts_with("curl") {
                assert!(command.contains("'$(reboot)'\\''; rm -rf ~;'"), "{command}");
            }
        }
        alice.delete(&format!("/artifacts/ci-app/{}", text(&made, "id"))).await.is(204);
        let trash = html(&browser.get("/artifacts/ci-app/-/trash").await.is(200));
        assert!(!trash.contains("<script>") && !trash.contains("<img"), "{trash}");
    }
}
