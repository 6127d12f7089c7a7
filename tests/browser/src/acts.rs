//! What people do with repositories, tags and images; with scripts, and without.

use crate::{
    Result,
    chrome::{Tab, Way},
    images::Image,
    world::{World, mishaps},
};
use serde_json::json;

/// Fails unless it is so.
pub fn check(is_so: bool, what: &str) -> Result<()> {
    if is_so { Ok(()) } else { Err(format!("  {what}").into()) }
}

/// Presses a button that changes the operator's files. What it would change is shown first, and saved by another press.
pub async fn save(tab: &Tab, button: &str) -> Result<()> {
    tab.js::<()>("window.__before = true", &[]).await?;
    tab.press(button).await?;
    // Without scripts nobody asks in a window.
    if tab.driver.get_alert_text().await.is_ok() {
        tab.driver.accept_alert().await?;
    }
    // On a busy machine the page before is still there for a while.
    for _ in 0..100 {
        let is_next = tab.js::<bool>("return !window.__before && document.readyState === 'complete'", &[]).await;
        if is_next.is_ok_and(|is_next| is_next) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    if tab.text().await?.contains("Nothing is saved yet.") {
        let changed: usize = tab.js("return document.querySelectorAll('.diff ins, .diff del').length", &[]).await?;
        check(changed > 0, "the review shows what changes")?;
        tab.js::<()>("document.querySelector('main form button:not([type=button])').focus()", &[]).await?;
        tab.keys("\u{e007}").await?;
    }
    Ok(())
}

/// Answers the question before something is deleted. Without scripts nobody asks.
pub async fn confirm(tab: &Tab, scripts: bool, question: &str) -> Result<()> {
    if scripts { tab.answer(question).await } else { Ok(()) }
}

pub async fn walk(world: &World, scripts: bool) -> Result<()> {
    let tab = world.tab(None, Way { scripts, ..Way::default() }).await?;
    log_in(&tab).await?;
    let name = format!("walk/app-{}", if scripts { "a" } else { "b" });
    create(&tab, &name).await?;
    push(world, &name).await?;
    filter_and_select(&tab, &name, scripts).await?;
    delete_tags(world, &tab, &name).await?;
    one_image(world, &tab, &name, scripts).await?;
    compare_and_search(&tab, &name).await?;
    settings(world, &tab, &name).await?;
    theme(&tab, scripts).await?;
    crate::verdict(mishaps(&tab).await?)?;
    tab.press("Log out").await?;
    tab.is_at("/login").await?;
    tab.close().await
}

async fn log_in(tab: &Tab) -> Result<()> {
    tab.go("/profile").await?;
    tab.shows(&["Please log in"]).await?;
    tab.press("Log in").await?;
    tab.fill("User", "admin").await?;
    tab.fill("Password", "wrong").await?;
    tab.press("Log in").await?;
    tab.shows(&["User or password is wrong"]).await?;
    tab.fill("Password", crate::registry::PASSWORD).await?;
    tab.press("Log in").await?;
    // It leads to where the login began.
    tab.is_at("/profile").await
}

async fn create(tab: &Tab, name: &str) -> Result<()> {
    tab.go("/repositories").await?;
    tab.press("New repository").await?;
    tab.fill("Name", "UPPER").await?;
    tab.press("Create repository").await?;
    let invalid: bool = tab.js("return document.querySelector('[name=name]').value === 'UPPER'", &[]).await?;
    check(invalid, "what was typed is still there after a refusal")?;
    tab.fill("Name", name).await?;
    tab.fill("Description", "For a walk").await?;
    tab.check("Public").await?;
    tab.press("Create repository").await?;
    tab.shows(&["The repository was created.", "For a walk", "No tags yet", "docker push localhost:15000/walk/"]).await
}

async fn push(world: &World, name: &str) -> Result<()> {
    for (tag, seed) in [("1.5.0", "a"), ("1.5.1", "b"), ("1.5.10", "c"), ("1.6.0", "d"), ("1.6.1", "e")] {
        Image::new(name, "amd64", seed).layer(format!("COPY {seed} /"), 4000, seed).push(&world.full, tag).await?;
    }
    Ok(())
}

async fn filter_and_select(tab: &Tab, name: &str, scripts: bool) -> Result<()> {
    tab.go(&format!("/repositories/{name}")).await?;
    let order: Vec<String> =
        tab.js("return [...document.querySelectorAll('tbody th a')].map((a) => a.innerText)", &[]).await?;
    check(order == ["1.6.1", "1.6.0", "1.5.10", "1.5.1", "1.5.0"], &format!("tags are in natural order: {order:?}"))?;
    tab.fill("Filter tags", "1.5").await?;
    tab.press("Filter").await?;
    tab.is_at(&format!("/repositories/{name}?q=1.5&sort=")).await?;
    let text = tab.text().await?;
    check(text.contains("1.5.10") && !text.contains("1.6.0"), "the filter filters")?;
    tab.go(&format!("/repositories/{name}")).await?;
    if scripts {
        tab.check("Select all tags on this page").await?;
        tab.shows(&["5 tags selected"]).await?;
        tab.press("Clear").await?;
        // A list sorts itself when another order is chosen.
        tab.choose("Sort", "Name").await?;
        tab.until_path("sort=name").await?;
    }
    Ok(())
}

async fn delete_tags(world: &World, tab: &Tab, name: &str) -> Result<()> {
    for is_meant in [false, true] {
        tab.go(&format!("/repositories/{name}?q=1.5.")).await?;
        tab.check("Select 1.5.0").await?;
        tab.check("Select 1.5.1").await?;
        tab.press("Delete…").await?;
        tab.shows(&["Delete 2 tags from", "2 manifests lose their last tag"]).await?;
        tab.press(if is_meant { "Delete 2 tags" } else { "Keep them" }).await?;
        tab.until_path(name).await?;
    }
    tab.shows(&["2 tags were deleted."]).await?;
    let left = world.full.tags(name).await?;
    check(left.len() == 3 && !left.contains(&"1.5.0".to_owned()), &format!("two of five tags are deleted: {left:?}"))
}

async fn one_image(world: &World, tab: &Tab, name: &str, scripts: bool) -> Result<()> {
    tab.go(&format!("/repositories/{name}")).await?;
    tab.press("1.6.0").await?;
    tab.shows(&["Layers and history", "COPY d /", "Entrypoint", &format!("docker pull localhost:15000/{name}:1.6.0")])
        .await?;
    match scripts {
        true => {
            tab.check("podman").await?;
            let command = format!("podman pull localhost:15000/{name}:1.6.0");
            tab.shows(&[&command]).await?;
            tab.press("Copy command").await?;
            let copied = tab.clipboard().await?;
            check(copied == command, &format!("the copied text is the command that is shown: {copied}"))?;
        }
        // All commands are there; none can be chosen.
        false => tab.shows(&["podman pull", "skopeo copy"]).await?,
    }
    tab.press("Add a tag").await?;
    tab.fill("Tag", "stable").await?;
    tab.press("Set the tag").await?;
    tab.shows(&["The tag was set.", "same as", "1.6.0"]).await?;
    check(world.full.tags(name).await?.contains(&"stable".to_owned()), "the tag is in the registry")?;
    tab.press("Delete tag…").await?;
    tab.shows(&["Delete 1 tag from"]).await?;
    tab.press("Delete 1 tag").await?;
    tab.shows(&["1 tag was deleted."]).await
}

async fn compare_and_search(tab: &Tab, name: &str) -> Result<()> {
    tab.go(&format!("/repositories/{name}")).await?;
    tab.press("Compare tags").await?;
    tab.fill("From", "1.6.0").await?;
    tab.fill("To", "1.6.1").await?;
    tab.press("Compare").await?;
    tab.shows(&["Compare 1.6.0 with 1.6.1", "org.opencontainers.image.version"]).await?;
    tab.go("/search").await?;
    tab.js::<()>("document.querySelector('main [type=search]').focus()", &[]).await?;
    tab.keys("1.5.10\u{e007}").await?;
    tab.shows(&["Results for", name, "1.5.10"]).await
}

async fn settings(world: &World, tab: &Tab, name: &str) -> Result<()> {
    let path = format!("/repositories/{name}/-/settings");
    tab.go(&path).await?;
    tab.fill("Description", "Changed").await?;
    tab.fill("Immutable tags", "v.*").await?;
    tab.check("Private").await?;
    tab.press("Save").await?;
    tab.shows(&["Saved.", "Changed", "private"]).await?;
    let item = world.full.api(reqwest::Method::GET, &format!("/repositories/{name}"), &json!(null)).await?;
    check(item["visibility"] == "private" && item["immutable_tags"] == "v.*", &format!("it is saved: {item}"))?;
    tab.fill("Type", "walk").await?;
    tab.press("Delete repository").await?;
    tab.shows(&["This is not the repository"]).await?;
    tab.go(&path).await?;
    tab.fill("Type", name).await?;
    tab.press("Delete repository").await?;
    tab.shows(&["The repository was deleted."]).await
}

async fn theme(tab: &Tab, scripts: bool) -> Result<()> {
    const PAPER: &str = "return getComputedStyle(document.body).backgroundColor";
    tab.go("/repositories?sort=size").await?;
    let light: String = tab.js(PAPER, &[]).await?;
    tab.press("Dark").await?;
    if scripts {
        // Nothing is loaded for it, and the page stays where it is.
        tab.is_at("/repositories?sort=size").await?;
    } else {
        tab.is_at("/").await?;
    }
    let dark: String = tab.js(PAPER, &[]).await?;
    check(light != dark, "another theme has another background")?;
    tab.go("/repositories").await?;
    check(tab.js::<String>(PAPER, &[]).await? == dark, "the theme stays")?;
    tab.press("Follow the system").await?;
    tab.go("/repositories").await?;
    check(tab.js::<String>(PAPER, &[]).await? == light, "the system decides again")
}
