//! Golden screens. To accept new ones: INSTA_UPDATE=always cargo test -p wharf tui::screens, then read the difference.

use super::fake::{Desk, problem};
use insta::assert_snapshot;
use serde_json::json;
use wharf::tui::{app::TuiEvent, work::LoadRequest};

#[test]
fn home() {
    assert_snapshot!(Desk::new().screen());
}

#[test]
fn home_on_the_smallest_terminal() {
    assert_snapshot!(Desk::new().sized(80, 24).screen());
}

#[test]
fn repositories_with_hostile_names() {
    assert_snapshot!(Desk::new().types("l").screen());
}

#[test]
fn repositories_on_the_smallest_terminal() {
    assert_snapshot!(Desk::new().sized(80, 24).types("ljjj").screen());
}

#[test]
fn tags() {
    assert_snapshot!(Desk::new().types("l<Enter> ").screen());
}

#[test]
fn an_index_shows_its_platforms() {
    assert_snapshot!(Desk::new().types("l<Enter><Enter>").screen());
}

#[test]
fn a_manifest() {
    assert_snapshot!(Desk::new().types("l<Enter><Enter>j<Enter>").screen());
}

#[test]
fn layers() {
    assert_snapshot!(Desk::new().types("l<Enter><Enter>j<Enter>L").screen());
}

#[test]
fn history() {
    assert_snapshot!(Desk::new().types("l<Enter><Enter>j<Enter>H").screen());
}

#[test]
fn referrers() {
    assert_snapshot!(Desk::new().types("l<Enter><Enter>t").screen());
}

#[test]
fn users_and_keys_menu() {
    assert_snapshot!(Desk::new().types("ll").screen());
}

#[test]
fn users() {
    assert_snapshot!(Desk::new().types("llj<Enter>").screen());
}

#[test]
fn access_of_a_user() {
    assert_snapshot!(Desk::new().types("llj<Enter><Enter>").screen());
}

#[test]
fn keys() {
    assert_snapshot!(Desk::new().types(":keys<Enter>").screen());
}

#[test]
fn a_new_key_is_shown_once() {
    assert_snapshot!(Desk::new().types("ll<Enter>ci<Enter><Enter><Enter><Enter>").screen());
}

#[test]
fn groups_roles_and_sessions() {
    assert_snapshot!("groups", Desk::new().types(":groups<Enter>").screen());
    assert_snapshot!("roles", Desk::new().types(":roles<Enter>").screen());
    assert_snapshot!("sessions", Desk::new().types(":sessions<Enter>").screen());
}

#[test]
fn artifacts() {
    assert_snapshot!("artifact_repositories", Desk::new().types("lll").screen());
    assert_snapshot!("artifact_files", Desk::new().types("lll<Enter>").screen());
    assert_snapshot!("artifact_search", Desk::new().types(":search os=linux version=1.*<Enter>").screen());
    assert_snapshot!("artifact_trash", Desk::new().types(":trash builds<Enter>").screen());
}

#[test]
fn tasks_with_their_progress() {
    assert_snapshot!(Desk::new().types("5").screen());
}

#[test]
fn migrations() {
    assert_snapshot!("migrations", Desk::new().types(":migrations<Enter>").screen());
    assert_snapshot!("migration", Desk::new().types(":migrations<Enter><Enter>j").screen());
    assert_snapshot!("migration_small", Desk::new().sized(80, 24).types(":migrations<Enter><Enter>").screen());
    assert_snapshot!("migration_form", Desk::new().sized(80, 24).types(":migrations<Enter>ighcr.io<Enter>").screen());
    assert_snapshot!("migration_cancel", Desk::new().types(":migrations<Enter>d").screen());
}

#[test]
fn what_is_written_to_the_sftp_server_later() {
    assert_snapshot!("outbox", Desk::new().types(":outbox<Enter>j").screen());
    assert_snapshot!("outbox_small", Desk::new().sized(80, 24).types(":outbox<Enter>").screen());
    let mut none = Desk::at(|request| match request {
        LoadRequest::Outbox => Err(problem("this server has no outbox", false)),
        _ => Ok(json!({ "system": { "login": "none" }, "latency_ms": 1 })),
    });
    none.types(":outbox<Enter>").shows("this server has no outbox");
}

#[test]
fn administration() {
    assert_snapshot!("admin_menu", Desk::new().types("6").screen());
    assert_snapshot!("admin_activity", Desk::new().types("6<Enter>").screen());
    assert_snapshot!("admin_audit", Desk::new().types(":audit<Enter>").screen());
    assert_snapshot!("admin_settings", Desk::new().types(":settings<Enter>").screen());
    assert_snapshot!("admin_section", Desk::new().types(":settings operator<Enter>").screen());
    assert_snapshot!("admin_configuration", Desk::new().types(":config<Enter>").screen());
    assert_snapshot!("admin_uploads", Desk::new().types(":uploads<Enter>").screen());
    assert_snapshot!("admin_quotas", Desk::new().types(":quotas<Enter>").screen());
    assert_snapshot!("admin_namespaces", Desk::new().types(":namespaces<Enter>").screen());
}

#[test]
fn help() {
    assert_snapshot!(Desk::new().types("?").screen());
}

#[test]
fn the_command_line_with_completions() {
    assert_snapshot!(Desk::new().types(":se<Tab>").screen());
}

#[test]
fn forms_and_confirmations() {
    assert_snapshot!("form_repository", Desk::new().types("litea").screen());
    assert_snapshot!("form_user", Desk::new().types("lliann<Enter>secret<Enter>secre").screen());
    assert_snapshot!("confirm_repository", Desk::new().types("ldteam/").screen());
    assert_snapshot!("confirm_visibility", Desk::new().types("lv").screen());
}

#[test]
fn a_filter() {
    assert_snapshot!(Desk::new().types("l/team").screen());
}

#[test]
fn errors() {
    let mut away = Desk::at(|request| match request {
        LoadRequest::List { path, .. } if path == "/repositories" => {
            Err(problem("cannot GET /api/v1/repositories at registry.example.com: connection refused", false))
        }
        _ => Ok(json!({ "system": { "login": "none" }, "latency_ms": 1 })),
    });
    assert_snapshot!("error_away", away.types("l").screen());
    let mut nobody = Desk::at(|_| Ok(json!({ "system": { "login": "password" }, "latency_ms": 1 })));
    assert_snapshot!("login", nobody.screen());
}

#[test]
fn a_terminal_that_is_too_small() {
    let mut desk = Desk::new().sized(60, 20);
    assert_snapshot!(desk.screen());
    // Larger again, everything is there.
    desk.app.handle(TuiEvent::Resize(100, 30));
    let mut desk = desk.sized(100, 30);
    desk.shows("registry.example.com").hides("needs 80");
}
