//! What keys do, with a server that answers at once.

use super::fake::{Desk, problem};
use ratatui::crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use serde_json::{Value, json};
use wharf::tui::{
    app::{TuiEffect, TuiEvent, TuiMode},
    view::{LoadProblem, ViewKind},
    work::{LoadPart, LoadRequest, WorkAnswer},
};

fn kind(desk: &Desk) -> ViewKind {
    desk.app.view().unwrap().kind.clone()
}

#[test]
fn screens_are_left_and_right_of_each_other() {
    let mut desk = Desk::new();
    desk.types("ll<Right>");
    assert_eq!(kind(&desk), ViewKind::ArtifactRepositories);
    desk.types("<Left>h6");
    assert_eq!(kind(&desk), ViewKind::AdminMenu);
    // There is nothing right of the last one, or left of the first.
    desk.types("ll1hh");
    assert_eq!(kind(&desk), ViewKind::Home);
}

#[test]
fn enter_opens_and_escape_goes_back() {
    let mut desk = Desk::new();
    desk.types("l<Enter><Enter>j<Enter>");
    let ViewKind::Image { reference, .. } = kind(&desk) else { panic!("{:?}", kind(&desk)) };
    assert!(reference.starts_with("sha256:222"), "{reference}");
    desk.types("<Esc>");
    assert_eq!(kind(&desk), ViewKind::Image { repository: "team/app".into(), reference: "1.4.0".into() });
    desk.types("<Esc><Esc><Esc><Esc>");
    assert_eq!(kind(&desk), ViewKind::Repositories);
}

#[test]
fn a_screen_is_as_it_was_when_one_comes_back() {
    let mut desk = Desk::new();
    desk.types("l<Enter>jl");
    desk.types("h").shows("Tags of team/app");
    assert_eq!(desk.app.view().unwrap().rows.selected_key().unwrap(), "1.3.0");
}

#[test]
fn a_repository_is_created_in_two_steps() {
    let mut desk = Desk::new();
    desk.types("liteam/new<Enter>").shows("step 2 of 2");
    desk.types("y<Enter>").shows("Created team/new.");
    assert_eq!(desk.changes, [r#"POST /repositories {"name":"team/new","visibility":"public"}"#]);
    assert_eq!(desk.app.mode, TuiMode::Normal);
}

#[test]
fn a_user_is_created_in_four_steps() {
    let mut desk = Desk::new();
    desk.types("lliann@example.com<Enter>correct horse<Enter>correct hors<Enter><Enter>");
    desk.shows("the two passwords differ").hides("correct");
    desk.types("e<Enter>y<Enter>").shows("Created ann@example.com.");
    assert_eq!(desk.changes, ["create user ann@example.com with 13 letters, admin: true"]);
}

#[test]
fn a_field_that_is_needed_cannot_stay_empty() {
    let mut desk = Desk::new();
    desk.types("li<Enter>").shows("Name: type something");
    desk.types("<Tab>y<Enter>").shows("Name: type something").shows("step 1 of 2");
    desk.types("<Esc>");
    assert!(desk.changes.is_empty() && desk.app.mode == TuiMode::Normal);
}

#[test]
fn a_deletion_asks_for_the_name() {
    let mut desk = Desk::new();
    desk.types("ldteam/ap<Enter>").shows("Type team/app to confirm");
    assert!(desk.changes.is_empty());
    desk.types("p<Enter>").shows("Deleted team/app.");
    assert_eq!(desk.changes, ["DELETE /repositories/team/app?confirm=team%2Fapp"]);
    desk.types("d<Esc>").shows("Nothing was changed.");
    assert_eq!(desk.changes.len(), 1);
}

#[test]
fn several_tags_are_deleted_at_once() {
    let mut desk = Desk::new();
    desk.types("l<Enter> j d").shows("Delete 2 tags?");
    desk.types("delete 2<Enter>");
    assert_eq!(
        desk.changes,
        [r#"POST /repositories/team/app/-/tags/delete {"dry_run":false,"tags":["1.4.0","edge"]}"#]
    );
    desk.hides("marked");
}

#[test]
fn a_name_that_cannot_be_typed_is_not_asked_for() {
    let mut desk = Desk::new();
    desk.types("ljjjd").shows("Type delete to confirm");
}

#[test]
fn the_selected_key_is_deleted_and_no_user() {
    // Floundr deletes a user here.
    let mut desk = Desk::new();
    desk.types(":keys<Enter>jdold<Enter>");
    assert_eq!(desk.changes, ["DELETE /keys/k2"]);
}

#[test]
fn scopes_are_added_to_users_and_keys() {
    let mut desk = Desk::new();
    desk.types("llj<Enter>ateam/app<Enter>push pull<Enter>").shows("alice may push and pull in team/app.");
    desk.types(":keys<Enter>arepository:x:push<Enter>");
    assert_eq!(
        desk.changes,
        [
            r#"POST /users/alice/access {"actions":["push","pull"],"repository":"team/app"}"#,
            r#"PATCH /keys/k1 {"scopes":["repository:team/**:pull,push","repository:x:push"]}"#,
        ]
    );
}

#[test]
fn a_new_key_is_shown_until_it_is_closed() {
    let mut desk = Desk::new();
    desk.types("ll<Enter>ci<Enter><Enter>30d<Enter><Enter>").shows("whf_0123456789abcdef_secret_crc");
    assert_eq!(desk.changes, [r#"POST /keys {"expires_in":2592000,"name":"ci","scopes":["repository:**:pull"]}"#]);
    // Keys that mean something elsewhere do not close it.
    desk.types("jqy").shows("whf_0123456789abcdef_secret_crc");
    assert!(desk.effects == [TuiEffect::Copy("whf_0123456789abcdef_secret_crc".into())]);
    desk.types("<Esc>").hides("whf_");
}

#[test]
fn what_a_form_gets_wrong_is_said_in_it() {
    let mut desk = Desk::new();
    desk.types("ll<Enter>ci<Enter><Enter>soon<Enter><Enter>").shows("is not a time").shows("step 3 of 4");
    assert!(desk.changes.is_empty());
}

#[test]
fn visibility_is_changed_after_a_question() {
    let mut desk = Desk::new();
    desk.types("lv").shows("Make team/app private?");
    desk.types("n").shows("Nothing was changed.");
    desk.types("vy");
    assert_eq!(desk.changes, [r#"PUT /repositories/team/app/-/visibility {"visibility":"private"}"#]);
}

#[test]
fn commands_to_pull_and_digests_are_copied() {
    let mut desk = Desk::new();
    desk.types("ly<Enter>jyY<Esc>4<Enter>y");
    let copied: Vec<_> = desk
        .effects
        .iter()
        .map(|effect| match effect {
            TuiEffect::Copy(text) => text.as_str(),
            _ => panic!("something else than a copy"),
        })
        .collect();
    assert_eq!(
        copied,
        [
            "docker pull registry.example.com/team/app",
            "docker pull registry.example.com/team/app:1.3.0",
            &format!("sha256:{}", "b".repeat(64)),
            "wharf artifact download builds --version 1.4.0 --path app.tar",
        ]
    );
}

#[test]
fn the_browser_opens_the_page_that_shows_the_same() {
    let mut desk = Desk::new();
    desk.types("l<Enter>o<Enter>o");
    assert!(
        desk.effects
            == [
                TuiEffect::Open("https://registry.example.com/repositories/team/app".into()),
                TuiEffect::Open("https://registry.example.com/repositories/team/app/-/manifests/1.4.0".into()),
            ]
    );
}

#[test]
fn a_filter_leaves_matches_and_escape_ends_it() {
    let mut desk = Desk::new();
    desk.types("l/WEB<Enter>").shows("1 of 5").hides("library/alpine");
    desk.types("<Esc>").shows("library/alpine");
    desk.types("/nothing like it").shows("Nothing contains");
    desk.types("<Esc>");
    // In a text, it finds lines.
    desk.types("<Enter><Enter>j<Enter>/size<Enter>");
    let first = desk.app.view().unwrap().rows.selected();
    desk.types("n");
    assert!(desk.app.view().unwrap().rows.selected() > first);
    desk.types("N");
    assert_eq!(desk.app.view().unwrap().rows.selected(), first);
}

#[test]
fn the_command_line_shows_views_and_corrects_mistakes() {
    let mut desk = Desk::new();
    desk.types(":tags team/app<Enter>");
    assert_eq!(kind(&desk), ViewKind::Tags { repository: "team/app".into() });
    desk.types(":reops<Enter>").shows("did you mean :repos?");
    desk.types(":image team/app:1.4.0<Enter><Esc>");
    assert_eq!(kind(&desk), ViewKind::Tags { repository: "team/app".into() });
    desk.types(":gc dry-run<Enter>").shows("The report is being made.");
    assert_eq!(desk.changes, [r#"POST /gc {"dry_run":true}"#]);
    desk.types(":ctx staging<Enter>:q<Enter>");
    assert!(desk.effects == [TuiEffect::Connect { context: Some("staging".into()) }, TuiEffect::Quit]);
}

#[test]
fn names_are_completed() {
    let mut desk = Desk::new();
    desk.types("l:tags team/w<Tab><Enter>");
    assert_eq!(kind(&desk), ViewKind::Tags { repository: "team/web".into() });
}

#[test]
fn q_and_control_c_quit() {
    let mut desk = Desk::new();
    desk.types("q");
    assert!(desk.effects == [TuiEffect::Quit]);
    // In a form, q is a letter, and Ctrl-c still quits.
    let mut desk = Desk::new();
    desk.types("liq").shows("q");
    assert!(desk.effects.is_empty());
    desk.types("<C-c>");
    assert!(desk.effects == [TuiEffect::Quit]);
}

#[test]
fn what_is_loading_ends_when_its_screen_is_left() {
    let mut desk = Desk::new();
    desk.press(KeyCode::Char('l'));
    let loading = desk.app.view().unwrap().id;
    desk.app.effects.clear();
    desk.press(KeyCode::Char('l'));
    assert!(desk.app.effects.contains(&TuiEffect::Cancel { view: loading }));
    // Its answer comes anyway, and changes nothing that is shown.
    let items = vec![json!({ "name": "late" })];
    desk.app.handle(TuiEvent::Answer(WorkAnswer::Page { view: 9999, part: LoadPart::Rows, items, is_last: true }));
    desk.settle();
    desk.hides("late");
}

#[test]
fn a_list_is_loaded_again_while_it_is_shown() {
    let mut desk = Desk::new();
    desk.types("ljj");
    desk.wait(5);
    assert!(desk.app.effects.is_empty());
    desk.server = |request| match request {
        LoadRequest::List { path, .. } if path == "/repositories" => {
            Ok(json!([{ "name": "another" }, { "name": "library/alpine" }]))
        }
        _ => Ok(json!([])),
    };
    desk.wait(6).settle();
    desk.shows("another");
    // The selection stays where it was.
    assert_eq!(desk.app.view().unwrap().rows.selected_key().unwrap(), "library/alpine");
    // Nothing moves below somebody who types.
    desk.types("i").wait(60);
    assert!(desk.app.effects.is_empty());
}

#[test]
fn a_list_that_cannot_be_loaded_again_stays() {
    let mut desk = Desk::new();
    desk.types("l");
    desk.server = |_| Err(problem("connection refused", false));
    desk.types("r").shows("team/app").shows("not reloaded");
    desk.types("ll").shows("connection refused").shows("r tries again");
    desk.server = |_| Ok(json!([]));
    desk.types("r").hides("connection refused");
}

#[test]
fn a_session_that_ended_leads_to_the_login() {
    let mut desk = Desk::new();
    desk.server = |_| Err(problem("the session has ended", true));
    desk.types("l").shows("Log in").shows("the session has ended");
    desk.types("<Enter><Enter>secret").hides("secret");
    desk.types("<Enter>");
    let Some(TuiEffect::Login { number, server, user, secret }) = desk.effects.first().cloned() else {
        panic!("no login")
    };
    assert_eq!((server.as_str(), user.as_str(), secret.as_str()), ("registry.example.com", "admin", "secret"));
    let answer = WorkAnswer::NotChanged { view: 0, number, problem: problem("wrong password", false) };
    desk.app.handle(TuiEvent::Answer(answer));
    desk.shows("wrong password").shows("Log in");
    // Whoever closes it is not asked again and again.
    desk.types("<Esc>r").hides("Password");
}

#[test]
fn pages_of_a_long_list_are_shown_as_they_come() {
    let mut desk = Desk::new();
    desk.press(KeyCode::Char('l'));
    let view = desk.app.view().unwrap().id;
    desk.app.effects.clear();
    let page = |from: usize| (from..from + 1000).map(|i| json!({ "name": format!("r{i:05}") })).collect::<Vec<Value>>();
    for (from, is_last) in [(0, false), (1000, false), (2000, true)] {
        let answer = WorkAnswer::Page { view, part: LoadPart::Rows, items: page(from), is_last };
        desk.app.handle(TuiEvent::Answer(answer));
        desk.app.effects.clear();
        desk.shows(&format!("Repositories · {}", from + 1000));
    }
    desk.types("G").shows("r02999");
    desk.types("g").shows("r00000");
}

#[test]
fn a_list_that_was_left_half_loaded_has_no_row_twice() {
    let mut desk = Desk::new();
    desk.press(KeyCode::Char('l'));
    let view = desk.app.view().unwrap().id;
    desk.app.effects.clear();
    let items = vec![json!({ "name": "team/app" })];
    desk.app.handle(TuiEvent::Answer(WorkAnswer::Page { view, part: LoadPart::Rows, items, is_last: false }));
    desk.app.effects.clear();
    desk.types("hl").shows("Repositories · 5");
}

#[test]
fn an_answer_to_a_form_that_was_closed_closes_no_other() {
    let mut desk = Desk::new();
    desk.types("lione<Enter>");
    desk.press(KeyCode::Enter);
    let sent = std::mem::take(&mut desk.app.effects);
    let Some(TuiEffect::Change { view, number, .. }) = sent.first().cloned() else { panic!("nothing was sent") };
    desk.types("<Esc>itwo");
    desk.app.handle(TuiEvent::Answer(WorkAnswer::Changed { view, number, object: Value::Null }));
    desk.settle();
    desk.shows("two").shows("Created one.");
}

#[test]
fn clicks_choose_rows_and_screens() {
    let mut desk = Desk::new();
    desk.types("l").screen();
    let click = |column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        TuiEvent::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    desk.app.handle(click(5, 5));
    desk.settle();
    assert_eq!(desk.app.view().unwrap().rows.selected(), 1);
    desk.screen();
    desk.app.handle(click(5, 5));
    desk.settle();
    assert_eq!(kind(&desk), ViewKind::Tags { repository: "team/web".into() });
    desk.screen();
    desk.app.handle(click(3, 1));
    desk.settle();
    assert_eq!(kind(&desk), ViewKind::Home);
}

#[test]
fn pasted_text_is_no_key() {
    let mut desk = Desk::new();
    desk.types("l");
    desk.app.handle(TuiEvent::Paste("qd\n".into()));
    assert!(desk.effects.is_empty() && desk.app.mode == TuiMode::Normal);
    desk.types("i");
    desk.app.handle(TuiEvent::Paste("team/pasted\nsecond line".into()));
    desk.shows("team/pasted").hides("second");
}

#[test]
fn what_a_key_is_not_for_is_said() {
    let mut desk = Desk::new();
    desk.types("d").shows("nothing here that this key is for");
    desk.types("l<Enter><Enter>L").shows("has no layers");
}

#[test]
fn a_migration_is_started_watched_cancelled_and_continued() {
    let mut desk = Desk::new();
    desk.types(":migrations<Enter>ighcr.io<Enter>team/* tools:v1<Enter>mirror<Enter>linux/amd64<Enter>");
    desk.types("me<Enter>secret<Enter><Enter>n<Enter><Enter><Enter>").hides("secret").types("y<Enter>");
    // What was started is shown.
    assert_eq!(kind(&desk), ViewKind::Migration { id: "01T3".into() });
    desk.types("dy").shows("The migration stops.");
    desk.types("cme<Enter>secret<Enter><Enter>").shows("The migration continues.");
    let [start, cancel, resume] = &desk.changes[..] else { panic!("{:?}", desk.changes) };
    let (line, body) = start.split_once(" {").unwrap();
    let body: Value = serde_json::from_str(&format!("{{{body}")).unwrap();
    assert_eq!(line, "POST /registry/migrate");
    let asked = json!({ "source_registry": "ghcr.io", "images": ["team/*", "tools:v1"], "target_prefix": "mirror",
        "platforms": ["linux/amd64"], "username": "me", "password": "secret", "referrers": false, "overwrite": true,
        "on_error": "continue", "dry_run": true });
    assert_eq!(body, asked);
    assert_eq!(cancel, "POST /tasks/01T3/cancel");
    assert_eq!(resume, r#"POST /tasks/01T3/resume {"password":"secret","username":"me"}"#);
    // It is opened from the tasks, too, where nothing else can be continued.
    desk.types(":tasks<Enter>c").shows("nothing here that this key is for");
}

#[test]
fn what_is_edited_is_what_was_shown() {
    let mut desk = Desk::new();
    desk.types("llj<Enter>").hides("ops");
    // The form shows how it is now, and its change depends on that.
    desk.types("e").shows("devs, ops");
    desk.types("<Enter><Enter><Enter><Enter><Enter>").shows("is changed");
    assert!(desk.changes[0].ends_with(r#" if "e1""#), "{:?}", desk.changes);
    // Another key before the answer, and no form opens.
    desk.press(KeyCode::Char('e'));
    desk.press(KeyCode::Char('j'));
    desk.settle();
    assert_eq!(desk.app.mode, TuiMode::Normal);
}

#[test]
fn a_change_that_somebody_else_was_faster_with_is_not_made() {
    let mut desk = Desk::new();
    let stale =
        || Some(LoadProblem { message: "precondition failed".into(), is_stale: true, ..LoadProblem::default() });
    desk.types("llj<Enter>e");
    desk.refusal = stale();
    desk.types(", lost<Enter><Enter><Enter><Enter><Enter>");
    desk.shows("Somebody else has changed it meanwhile").shows("devs, ops").hides("lost");
    // With what is there now it can be changed.
    desk.types("<Enter><Enter><Enter><Enter><Enter>").shows("is changed");
    assert_eq!(desk.changes.len(), 2);
    desk.types(":settings operator<Enter>e");
    desk.refusal = stale();
    desk.types("!<Enter>").shows("Somebody else has changed it meanwhile").shows("We moved.");
    desk.types("<Esc>j<Enter>");
    desk.refusal = stale();
    desk.types("<Enter>").shows("Somebody else has removed it");
}
