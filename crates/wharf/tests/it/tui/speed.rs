//! A list of any length is drawn in the time of a frame.

use super::fake::Desk;
use ratatui::crossterm::event::KeyCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wharf::tui::{
    app::TuiEvent,
    work::{LoadPart, WorkAnswer},
};

/// A frame of a screen that shows sixty in a second.
const FRAME: Duration = Duration::from_millis(16);

#[test]
#[ignore = "a measurement: cargo test --release -p wharf --test it -- --ignored scroll --nocapture"]
fn a_hundred_thousand_repositories_scroll() {
    let mut desk = Desk::new().sized(200, 60);
    desk.press(KeyCode::Char('l'));
    let view = desk.app.view().unwrap().id;
    desk.app.effects.clear();
    let item = |i: usize| json!({ "name": format!("team-{}/repository-{i:06}", i % 97), "tag_count": i % 50, "size": i * 1000, "is_public": i.is_multiple_of(2) });
    for page in 0..100 {
        let items: Vec<Value> = (page * 1000..page * 1000 + 1000).map(item).collect();
        let started = Instant::now();
        let answer = WorkAnswer::Page { view, part: LoadPart::Rows, items, is_last: page == 99 };
        desk.app.handle(TuiEvent::Answer(answer));
        desk.screen();
        // Debug builds are allowed ten times as long.
        let most = if cfg!(debug_assertions) { FRAME * 10 } else { FRAME };
        assert!(started.elapsed() < most, "page {page} took {:?}", started.elapsed());
    }
    let mut measure = |name: &str, keys: &[KeyCode], times: usize| {
        let mut worst = Duration::ZERO;
        let begun = Instant::now();
        for i in 0..times {
            let started = Instant::now();
            desk.press(keys[i % keys.len()]);
            desk.app.effects.clear();
            desk.screen();
            worst = worst.max(started.elapsed());
        }
        let average = begun.elapsed() / times as u32;
        println!("{name}: {average:?} on average, {worst:?} at worst");
        let most = if cfg!(debug_assertions) { FRAME * 10 } else { FRAME };
        assert!(average < most, "{name} took {average:?}");
    };
    measure("row by row", &[KeyCode::Char('j')], 2000);
    measure("from end to end", &[KeyCode::Char('G'), KeyCode::Char('g')], 200);
    measure("page by page", &[KeyCode::PageDown], 1000);
    desk_filter(&mut desk);
}

fn desk_filter(desk: &mut Desk) {
    desk.press(KeyCode::Char('/'));
    for c in "repository-09".chars() {
        let started = Instant::now();
        desk.press(KeyCode::Char(c));
        desk.app.effects.clear();
        desk.screen();
        println!("filter by {c:?}: {:?}", started.elapsed());
    }
}
