use super::*;
use serde_json::json;

const TEXT: &str = "\
# Settings of the registry.

[uploads]
# Not more than the disk can take.
max_open = 10   # sessions
max_blob_bytes = \"1 GiB\"

[pagination]
default_limit = 50

# Keep little of what CI makes.
[[retention]]
repositories = [\"ci/**\"]
keep_last = 3

[[retention]]
repositories = [\"**\"]
keep_last = 10
";

/// The lines that an edit removes (`-`) and adds (`+`); all others stay as they are.
#[track_caller]
fn changes(text: &str, edit: impl FnOnce(&mut SettingsText), lines: &[&str]) -> String {
    let mut settings = SettingsText::parse(text).unwrap();
    edit(&mut settings);
    let after = settings.into_text();
    let diff = super::super::diff::unified("f", text, &after);
    let found: Vec<_> = diff.lines().skip(2).filter(|line| line.starts_with(['-', '+'])).collect();
    assert_eq!(found, lines, "{after}");
    after
}

#[test]
fn one_key_changes_and_its_comments_stay() {
    changes(
        TEXT,
        |text| text.set("uploads", "max_open", &json!(20)).unwrap(),
        &["-max_open = 10   # sessions", "+max_open = 20   # sessions"],
    );
    changes(TEXT, |text| text.set("uploads", "max_open", &json!(10)).unwrap(), &[]);
    changes(TEXT, |text| text.set("uploads", "max_open_per_user", &json!(5)).unwrap(), &["+max_open_per_user = 5"]);
    changes(
        TEXT,
        |text| text.set("operator", "message", &json!("back \"soon\"")).unwrap(),
        &["+", "+[operator]", "+message = 'back \"soon\"'"],
    );
    for above in ["# Our settings.\n", "[pagination]\ndefault_limit = 5\n\n# [collection]\n# run = \"never\"\n"] {
        let after = changes(
            above,
            |text| text.set("operator", "read_only", &json!(true)).unwrap(),
            &["+", "+[operator]", "+read_only = true"],
        );
        assert!(after.starts_with(above), "comments stay above what is added: {after}");
    }
    let inline = "uploads = { max_open = 10 } # all\n";
    changes(
        inline,
        |text| text.set("uploads", "max_open", &json!(20)).unwrap(),
        &["-uploads = { max_open = 10 } # all", "+uploads = { max_open = 20 } # all"],
    );
    let dotted = "uploads.max_open = 10\nuploads.max_blob_bytes = 5\n";
    changes(
        dotted,
        |text| text.set("uploads", "max_open", &json!(20)).unwrap(),
        &["-uploads.max_open = 10", "+uploads.max_open = 20"],
    );
}

#[test]
fn a_key_that_is_reset_loses_its_line_and_no_other() {
    changes(TEXT, |text| text.remove("uploads", "max_open").unwrap(), &["-max_open = 10   # sessions"]);
    changes(TEXT, |text| text.remove("pagination", "default_limit").unwrap(), &["-default_limit = 50"]);
    changes(TEXT, |text| text.remove("pagination", "max_limit").unwrap(), &[]);
    let lines = "[server]\ncors_origins = [\n  \"https://a.example\", # ours\n]\n# end\n";
    changes(
        lines,
        |text| text.remove("server", "cors_origins").unwrap(),
        &["-cors_origins = [", "-  \"https://a.example\", # ours", "-]"],
    );
    for above in ["# Our settings.\n", "[pagination]\ndefault_limit = 5\n\n# [collection]\n# run = \"never\"\n"] {
        let after = changes(
            above,
            |text| text.set("operator", "read_only", &json!(true)).unwrap(),
            &["+", "+[operator]", "+read_only = true"],
        );
        assert!(after.starts_with(above), "comments stay above what is added: {after}");
    }
    let inline = "uploads = { max_open = 10, max_blob_bytes = 5 }\n";
    changes(
        inline,
        |text| text.remove("uploads", "max_open").unwrap(),
        &["-uploads = { max_open = 10, max_blob_bytes = 5 }", "+uploads = { max_blob_bytes = 5 }"],
    );
    let dotted = "uploads.max_open = 10\nuploads.max_blob_bytes = 5\n";
    changes(dotted, |text| text.remove("uploads", "max_open").unwrap(), &["-uploads.max_open = 10"]);
}

#[test]
fn tables_of_a_list_that_stay_the_same_keep_their_text() {
    let ci = json!({ "repositories": ["ci/**"], "keep_last": 3 });
    let all = json!({ "repositories": ["**"], "keep_last": 10 });
    let less = json!({ "repositories": ["**"], "keep_last": 5 });
    let new = json!({ "repositories": ["x"], "keep_last": 1 });
    changes(TEXT, |text| text.set_list("retention", &[ci.clone(), all.clone()]).unwrap(), &[]);
    changes(
        TEXT,
        |text| text.set_list("retention", &[ci.clone(), less]).unwrap(),
        &["-keep_last = 10", "+keep_last = 5"],
    );
    let added = changes(
        TEXT,
        |text| text.set_list("retention", &[ci.clone(), all, new.clone()]).unwrap(),
        &["+", "+[[retention]]", "+keep_last = 1", "+repositories = [\"x\"]"],
    );
    assert_eq!(SettingsText::parse(&added).unwrap().get("retention", None).unwrap().as_array().unwrap().len(), 3);
    changes(
        TEXT,
        |text| text.set_list("retention", &[ci]).unwrap(),
        &["-", "-[[retention]]", "-repositories = [\"**\"]", "-keep_last = 10"],
    );
    changes(
        "",
        |text| text.set_list("retention", &[new]).unwrap(),
        &["+[[retention]]", "+keep_last = 1", "+repositories = [\"x\"]"],
    );
}

#[test]
fn a_mistake_has_a_line() {
    assert_eq!(SettingsText::parse("a = 1\nb = = 2\n").unwrap_err().0, 2);
}
