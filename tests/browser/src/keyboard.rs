//! The pages by the keyboard alone.

use crate::{
    Result,
    acts::check,
    chrome::{DESKTOP, PHONE, Tab, Way},
    pages, verdict,
    world::{ALL, World},
};

const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
const ESCAPE: &str = "\u{e00c}";

/// What has the focus: its words.
const FOCUSED: &str = r#"
const e = document.activeElement;
return (e.getAttribute("aria-label") || e.innerText || e.name || e.tagName).trim();
"#;

/// Whether what has the focus can be seen, and seen to have it.
const SEEN: &str = r#"
const e = document.activeElement;
if (e === document.body) return "";
const box = e.closest(".seg label") ?? e;
const style = getComputedStyle(box);
const at = box.getBoundingClientRect();
const name = `${e.tagName} “${(e.getAttribute("aria-label") || e.innerText || e.name || "").trim().slice(0, 40)}”`;
if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1) return `${name} does not show that it has the focus`;
if (at.width < 1 || at.height < 1 || at.bottom <= 0 || at.top >= innerHeight || at.right <= 0 || at.left >= innerWidth) return `${name} has the focus and cannot be seen`;
return "";
"#;

pub async fn walk(world: &World) -> Result<()> {
    let tab = world.admin().await?;
    rows(&tab).await?;
    tags(&tab).await?;
    places(&tab).await?;
    telephone(world, &tab).await?;
    tab.look(DESKTOP).await?;
    let mut problems = Vec::new();
    for place in pages::all().into_iter().filter(|place| place.viewer == pages::Viewer::Admin && place.is_main) {
        place.open(&tab).await?;
        problems.extend(stops(&tab).await?.into_iter().map(|one| format!("{}: {one}", place.name)));
    }
    tab.close().await?;
    verdict(problems)
}

/// Goes through a page by the tab key.
async fn stops(tab: &Tab) -> Result<Vec<String>> {
    tab.js::<()>("document.activeElement?.blur(); scrollTo(0, 0)", &[]).await?;
    let mut problems = Vec::new();
    for _ in 0..45 {
        tab.keys(TAB).await?;
        let seen: String = tab.js(SEEN, &[]).await?;
        if !seen.is_empty() && !problems.contains(&seen) {
            problems.push(seen);
        }
        if tab.js("return document.activeElement === document.body", &[]).await? {
            break;
        }
    }
    Ok(problems)
}

async fn focused(tab: &Tab) -> Result<String> {
    tab.js(FOCUSED, &[]).await
}

/// Rows of a list, and the way past the menu.
async fn rows(tab: &Tab) -> Result<()> {
    tab.go("/repositories?sort=name").await?;
    tab.keys(TAB).await?;
    check(focused(tab).await? == "Skip to content", "the first stop leads past the menu")?;
    tab.keys(ENTER).await?;
    tab.until_path("#main").await?;
    tab.go("/repositories?sort=name").await?;
    let names: Vec<String> =
        tab.js("return [...document.querySelectorAll('tbody th a')].map((a) => a.innerText.trim())", &[]).await?;
    for (keys, row) in [("j", 0), ("j", 1), ("j", 2), ("k", 1)] {
        tab.keys(keys).await?;
        let here = focused(tab).await?;
        check(here == names[row], &format!("{keys} leads to row {row}, {}: {here}", names[row]))?;
    }
    tab.keys(ENTER).await?;
    tab.is_at(&format!("/repositories/{}", names[1].replace(char::is_whitespace, ""))).await?;
    tab.go("/repositories").await?;
    tab.keys("/").await?;
    tab.keys("alpine/jk?").await?;
    let typed: String = tab.js("return document.activeElement.value", &[]).await?;
    check(typed == "alpine/jk?", &format!("in a field, keys are letters: {typed}"))
}

/// Selecting, copying and asking for help in a list of tags.
async fn tags(tab: &Tab) -> Result<()> {
    tab.go("/repositories/platform/web").await?;
    tab.keys("jjx").await?;
    tab.shows(&["1 tag selected"]).await?;
    tab.keys("c").await?;
    let copied = tab.clipboard().await?;
    check(copied.starts_with("docker pull localhost:15000/platform/web:"), &format!("c copies a command: {copied}"))?;
    tab.keys("?").await?;
    tab.shows(&["copy the pull command", "next row"]).await?;
    tab.keys(ESCAPE).await?;
    let open: bool = tab.js("return document.querySelector('dialog[open]') !== null", &[]).await?;
    check(!open, "Escape closes the help")
}

async fn places(tab: &Tab) -> Result<()> {
    for (keys, path) in [("gr", "/repositories"), ("gh", "/"), ("gs", "/system")] {
        tab.keys(keys).await?;
        tab.is_at(path).await?;
    }
    Ok(())
}

/// The menu of a small window, without a mouse; and what axe-core says while it, the help or a menu is open.
async fn telephone(world: &World, tab: &Tab) -> Result<()> {
    let mut problems = Vec::new();
    tab.look(PHONE).await?;
    tab.go("/repositories").await?;
    for _ in 0..4 {
        tab.keys(TAB).await?;
        if focused(tab).await? == "Menu" {
            break;
        }
    }
    tab.keys(ENTER).await?;
    tab.shows(&["Access rules", "Settings", "administrator"]).await?;
    problems.extend(world.complaints(tab, ALL).await?.into_iter().map(|one| format!("with the menu open: {one}")));
    tab.keys(ESCAPE).await?;
    let open: bool = tab.js("return document.querySelector(':popover-open') !== null", &[]).await?;
    check(!open, "Escape closes the menu")?;
    tab.look(DESKTOP).await?;
    for (path, keys) in [("/repositories", "?"), ("/repositories/platform/web", "jx")] {
        tab.go(path).await?;
        tab.keys(keys).await?;
        problems.extend(world.complaints(tab, ALL).await?.into_iter().map(|one| format!("{path} after {keys}: {one}")));
    }
    // A stranger can use the login without a mouse.
    let stranger = world.tab(None, Way::default()).await?;
    stranger.go("/login").await?;
    stranger.keys(format!("admin{TAB}{}{ENTER}", crate::registry::PASSWORD)).await?;
    stranger.is_at("/").await?;
    stranger.close().await?;
    verdict(problems)
}
