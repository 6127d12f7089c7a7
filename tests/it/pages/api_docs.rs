//! The API for people, and the page of components.

use super::{Browser, html, shows};
use crate::PROGRAM;
use testing::managed::Managed;

#[tokio::test]
async fn every_operation_of_the_api_is_on_a_page_with_a_command_for_this_host() {
    let registry = Managed::start(PROGRAM, |_| {});
    let browser = Browser::of(&registry, "admin").await;
    let document = registry.nobody().get("/openapi.json").await.is(200).json();
    let overview = html(&browser.get("/docs/api").await.is(200));
    let host = registry.nobody().client.address().to_string();
    shows(&overview, &[&format!("http://{host}/api/v1"), "?dry_run=true", "href=\"/api/v1/openapi.json\""]);
    let nouns = overview.split("href=\"/docs/api/").skip(1).map(|rest| rest.split(['"', '#']).next().unwrap());
    let nouns: std::collections::BTreeSet<_> = nouns.collect();
    let mut pages = String::new();
    for noun in nouns {
        pages.push_str(&html(&browser.get(&format!("/docs/api/{noun}")).await.is(200)));
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        let shown = path.replace('/', "/<wbr>");
        assert!(overview.contains(&format!("<code class=\"path\">{shown}</code>")), "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let section = pages.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_else(|| panic!("no {id}"));
            let section = section.split("</section>").next().unwrap();
            shows(section, &[&format!("<span>{}</span>", method.to_ascii_uppercase()), "curl -fsS -u", &host]);
        }
    }
    // The commands name what they must: the user who is logged in, and what a body needs.
    shows(
        &pages,
        &["-u &#39;admin&#39;", "--json &#39;{&#34;password&#34;:&#34;PASSWORD&#34;", "/users/USER&#39;", "-X DELETE"],
    );
    html(&browser.get("/docs/api/nothing").await.is(404));
    html(&browser.get("/docs/api/%3Cscript%3E").await.is(404));
    // Everybody may read it.
    shows(&html(&Browser::new(&registry).get("/docs/api").await.is(200)), &["-u USER"]);
}

#[tokio::test]
async fn the_style_page_shows_components_in_both_themes() {
    let registry = Managed::start(PROGRAM, |_| {});
    let page = html(&Browser::of(&registry, "admin").await.get("/ui/style").await.is(200));
    shows(&page, &["data-theme=\"light\"", "data-theme=\"dark\"", "Buttons", "Steps", "class=\"diff\""]);
}
