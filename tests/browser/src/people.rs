//! What administrators do: users, groups, roles, rules, settings, tasks; and everybody with their keys and sessions.

use crate::{
    Result,
    acts::{check, confirm, save},
    chrome::{Tab, Way},
    registry::PASSWORD,
    world::World,
};

pub async fn walk(world: &World, scripts: bool) -> Result<()> {
    let tab = world.tab(Some("admin"), Way { scripts, ..Way::default() }).await?;
    let who = if scripts { "henry" } else { "ida" };
    users(world, &tab, who).await?;
    groups_and_roles(&tab, who).await?;
    rules(world, &tab).await?;
    settings(world, &tab).await?;
    tasks(&tab, scripts).await?;
    keys(&tab, scripts).await?;
    sessions(world, &tab, scripts).await?;
    tab.close().await
}

async fn users(world: &World, tab: &Tab, who: &str) -> Result<()> {
    tab.go("/users").await?;
    tab.press("New user").await?;
    tab.fill("Name", who).await?;
    tab.fill("Password", "short").await?;
    tab.press("Create user").await?;
    tab.shows(&["10"]).await?;
    tab.fill("Name", who).await?;
    tab.fill("Password", PASSWORD).await?;
    tab.fill("Groups", "support").await?;
    save(tab, "Create user").await?;
    tab.is_at(&format!("/users/{who}?done=saved")).await?;
    tab.check("Locked").await?;
    save(tab, "Save").await?;
    tab.shows(&["Saved.", "locked"]).await?;
    check(world.full.file("htpasswd")?.contains(&format!("{who}:!")), "the user's line is locked")?;
    tab.go(&format!("/users?q={who}")).await?;
    tab.press(who).await?;
    tab.fill("Type", who).await?;
    save(tab, "Delete user").await?;
    tab.shows(&["Deleted."]).await?;
    check(!world.full.file("htpasswd")?.contains(who), "the user's line is gone")
}

async fn groups_and_roles(tab: &Tab, who: &str) -> Result<()> {
    let (group, role) = (format!("crew-{who}"), format!("role-{who}"));
    tab.go("/roles").await?;
    tab.fill("Name", &role).await?;
    save(tab, "Create role").await?;
    tab.is_at(&format!("/roles/{role}?done=saved")).await?;
    tab.check("PULL IMAGE").await?;
    tab.fill("Repositories", "team/**").await?;
    save(tab, "Save").await?;
    tab.shows(&["Saved."]).await?;
    let kept: bool = tab.js("return document.querySelector('[value=\"PULL:IMAGE\"]').checked", &[]).await?;
    check(kept, "the permission is kept")?;
    tab.go("/groups").await?;
    tab.fill("Name", &group).await?;
    tab.fill("Members", "erin frank").await?;
    tab.fill("Roles", &role).await?;
    save(tab, "Create group").await?;
    tab.go(&format!("/groups/{group}")).await?;
    tab.fill("Members", "erin").await?;
    save(tab, "Save").await?;
    tab.shows(&["Saved."]).await?;
    tab.fill("Type", &group).await?;
    save(tab, "Delete group").await?;
    tab.shows(&["Deleted."]).await?;
    tab.go(&format!("/roles/{role}")).await?;
    save(tab, "Delete role").await?;
    tab.shows(&["Deleted."]).await
}

async fn rules(world: &World, tab: &Tab) -> Result<()> {
    tab.go("/access").await?;
    tab.fill("Who", "erin").await?;
    // The form that asks about a user has the same label.
    tab.js::<()>("document.querySelector('#np').focus()", &[]).await?;
    tab.keys("walk/*").await?;
    save(tab, "Add rule").await?;
    tab.shows(&["Saved.", "walk/*"]).await?;
    check(world.full.file("access-control.json")?.contains("walk/*"), "the rule is in the file")?;
    tab.press("Edit rule 7").await?;
    tab.check("push").await?;
    save(tab, "Save rule").await?;
    tab.shows(&["Saved."]).await?;
    tab.go("/access?user=erin&repository=walk%2Fx&action=push").await?;
    tab.shows(&["Yes.", "erin may push walk/x."]).await?;
    tab.press("Edit rule 7").await?;
    save(tab, "Delete rule").await?;
    tab.shows(&["Deleted."]).await?;
    check(!world.full.file("access-control.json")?.contains("walk/*"), "the rule is gone")?;
    tab.go("/access?user=erin&repository=walk%2Fx&action=push").await?;
    tab.shows(&["No.", "erin may not push walk/x."]).await
}

async fn settings(world: &World, tab: &Tab) -> Result<()> {
    tab.go("/settings/operator").await?;
    tab.fill("message", "Sunday from six").await?;
    save(tab, "Save").await?;
    tab.shows(&["Saved.", "Sunday from six"]).await?;
    check(world.full.file("settings.toml")?.contains("Sunday from six"), "the setting is in the file")?;
    save(tab, "Reset section").await?;
    tab.shows(&["Saved."]).await?;
    check(!world.full.file("settings.toml")?.contains("Sunday"), "the setting is reset")?;
    // A value that cannot be is refused, and nothing is changed.
    tab.go("/settings/sessions").await?;
    tab.fill("idle_hours", "soon").await?;
    save(tab, "Save").await?;
    tab.shows(&["Must be a number"]).await
}

async fn tasks(tab: &Tab, scripts: bool) -> Result<()> {
    tab.go("/system").await?;
    for (button, question) in
        [("Plan a collection", None), ("Check the storage", None), ("Collect garbage", Some("Collect garbage now?"))]
    {
        tab.press(button).await?;
        if let Some(question) = question {
            confirm(tab, scripts, question).await?;
        }
        tab.shows(&["The task was started."]).await?;
        // One after the other: a second one would be refused while the first runs.
        for _ in 0..100 {
            tab.go("/system").await?;
            if !tab.text().await?.contains("running") {
                break;
            }
        }
    }
    tab.shows(&["completed"]).await
}

async fn keys(tab: &Tab, scripts: bool) -> Result<()> {
    tab.go("/profile").await?;
    tab.fill("Name", "walking").await?;
    tab.fill("Scopes", "nonsense").await?;
    tab.press("Make the key").await?;
    tab.shows(&["A scope is written repository:PATTERN:ACTIONS"]).await?;
    tab.fill("Name", "walking").await?;
    tab.choose("Expires", "in 30 days").await?;
    tab.fill("Scopes", "repository:walk/**:pull").await?;
    tab.press("Make the key").await?;
    tab.shows(&["Key “walking” was made", "Copy it now", "whf_"]).await?;
    if scripts {
        tab.press("Copy key").await?;
        let copied = tab.clipboard().await?;
        check(copied.starts_with("whf_") && copied.len() > 40, "the key is copied")?;
    }
    tab.go("/profile").await?;
    tab.js::<()>("[...document.querySelectorAll('tr')].find((row) => row.innerText.includes('walking')).querySelector('button').focus()", &[]).await?;
    tab.keys("\u{e007}").await?;
    confirm(tab, scripts, "Revoke the key “walking”?").await?;
    tab.shows(&["The API key was revoked."]).await
}

async fn sessions(world: &World, tab: &Tab, scripts: bool) -> Result<()> {
    let other = world.admin().await?;
    tab.go("/profile").await?;
    tab.press("End").await?;
    tab.shows(&["The session was ended."]).await?;
    tab.press("Log out everywhere").await?;
    confirm(tab, scripts, "Log out everywhere?").await?;
    tab.is_at("/login").await?;
    other.go("/profile").await?;
    other.shows(&["Please log in"]).await?;
    other.close().await
}
