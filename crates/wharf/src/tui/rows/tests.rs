//! Lists: selection, filters, order, marks.

use super::*;
use crate::output::ColumnKind;
use serde_json::json;

const COLUMNS: &[Column] = &[Column::text("NAME", "/name"), Column::of("SIZE", "/size", ColumnKind::Bytes)];

fn list(names: &[&str]) -> RowList {
    let mut list = RowList::new("/name", COLUMNS);
    list.replace(names.iter().enumerate().map(|(i, name)| json!({ "name": name, "size": 10 - i })).collect());
    list
}

fn names(list: &RowList) -> Vec<String> {
    (0..list.len()).map(|at| list.key_of(list.item(at).unwrap())).collect()
}

#[test]
fn the_selection_stays_at_its_item() {
    let mut list = list(&["a", "b", "c"]);
    list.step(2);
    list.replace(vec![json!({ "name": "0" }), json!({ "name": "c" }), json!({ "name": "d" })]);
    assert_eq!(list.selected_key().unwrap(), "c");
    list.replace(vec![json!({ "name": "z" })]);
    assert_eq!(list.selected_key().unwrap(), "z");
    list.replace(vec![]);
    assert_eq!(list.selected_key(), None);
    list.step(5);
    list.find(1);
    assert_eq!(list.selected(), 0);
}

#[test]
fn a_filter_leaves_what_contains_it() {
    let mut list = list(&["team/App", "team/web", "other/app"]);
    list.step(2);
    list.filter("APP");
    assert_eq!(names(&list), ["team/App", "other/app"]);
    assert_eq!(list.selected_key().unwrap(), "other/app");
    list.find(1);
    assert_eq!(list.selected(), 0);
    list.append(vec![json!({ "name": "new/app" }), json!({ "name": "x" })]);
    assert_eq!((list.len(), list.total()), (3, 5));
    list.filter("");
    assert_eq!(list.len(), 5);
}

#[test]
fn rows_are_sorted_by_each_column_in_turn() {
    let mut list = list(&["v10", "v9", "v1"]);
    list.sort_next();
    assert_eq!(names(&list), ["v1", "v9", "v10"]);
    list.sort_next();
    assert_eq!(names(&list), ["v10", "v9", "v1"]);
    list.sort_next();
    assert_eq!(names(&list), ["v1", "v9", "v10"]);
    assert_eq!(list.order(), Some(RowOrder { column: 1, descending: false }));
    list.sort_next();
    list.sort_next();
    assert_eq!(list.order(), None);
    assert_eq!(names(&list), ["v10", "v9", "v1"]);
}

#[test]
fn marks_choose_several_items() {
    let mut list = list(&["a", "b", "c"]);
    assert_eq!(list.chosen(), ["a"]);
    list.mark();
    list.step(1);
    list.mark();
    assert_eq!(list.chosen(), ["a", "c"]);
    list.replace(vec![json!({ "name": "c" })]);
    assert_eq!(list.chosen(), ["c"]);
    list.clear_marks();
    assert_eq!(list.marks(), 0);
}

#[test]
fn a_filter_finds_lines_of_a_text_and_hides_none() {
    let mut text = RowList::text();
    text.replace(lines("{\n  \"digest\": 1\n  \"size\": 2\n}"));
    text.filter("size");
    assert_eq!((text.len(), text.selected()), (4, 2));
    text.find(1);
    assert_eq!(text.selected(), 2);
}

#[test]
fn json_is_indented_in_its_own_order() {
    let json = r#"{"b":[1,{"x" : "a,\"{b"}], "a":{} ,"c":[ ]}"#;
    let shown = "{\n  \"b\": [\n    1,\n    {\n      \"x\": \"a,\\\"{b\"\n    }\n  ],\n  \"a\": {},\n  \"c\": []\n}";
    assert_eq!(indented(json), shown);
    assert_eq!(indented(shown), shown);
    for broken in ["}}}]", "\"abc", "{", ""] {
        indented(broken);
    }
}

#[test]
fn the_window_follows_the_selection() {
    let mut list = list(&["a", "b", "c", "d", "e"]);
    assert_eq!(list.window(3), 0);
    list.select(4);
    assert_eq!(list.window(3), 2);
    list.select(3);
    assert_eq!(list.window(3), 2);
    list.select(1);
    assert_eq!(list.window(3), 1);
    assert_eq!(list.window(10), 0);
}
