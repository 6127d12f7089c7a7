use super::*;
use proptest::prelude::*;

const OLD: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";
const NEW: &str = "$2y$10$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";

fn edit<'t>(text: &'t str) -> HtpasswdText<'t> {
    HtpasswdText::parse(text).unwrap()
}

#[test]
fn one_line_changes_and_comments_stay() {
    let text = format!("# people: all\nbob:{OLD}\n\nalice:{OLD}\n# the end\n");
    let file = edit(&text);
    assert_eq!(file.names().collect::<Vec<_>>(), ["bob", "alice"]);
    assert_eq!(file.add("carol", NEW).unwrap(), format!("{text}carol:{NEW}\n"));
    assert_eq!(file.set("bob", NEW).unwrap(), format!("# people: all\nbob:{NEW}\n\nalice:{OLD}\n# the end\n"));
    assert_eq!(file.delete("alice").unwrap(), format!("# people: all\nbob:{OLD}\n\n# the end\n"));
}

#[test]
fn a_missing_line_end_is_added_only_before_another_line() {
    let text = format!("bob:{OLD}\nalice:{OLD}");
    let file = edit(&text);
    assert_eq!(file.add("carol", NEW).unwrap(), format!("{text}\ncarol:{NEW}\n"));
    assert_eq!(file.set("alice", NEW).unwrap(), format!("bob:{OLD}\nalice:{NEW}"));
    assert_eq!(file.set("bob", NEW).unwrap(), format!("bob:{NEW}\nalice:{OLD}"));
    assert_eq!(file.delete("alice").unwrap(), format!("bob:{OLD}\n"));
    assert_eq!(file.delete("bob").unwrap(), format!("alice:{OLD}"));
    assert_eq!(edit("").add("alice", NEW).unwrap(), format!("alice:{NEW}\n"));
    assert_eq!(edit("# c").add("alice", NEW).unwrap(), format!("# c\nalice:{NEW}\n"));
}

#[test]
fn a_file_without_its_last_user_is_not_empty() {
    for text in [format!("alice:{OLD}"), format!("\nalice:{OLD}\n\n")] {
        let left = edit(&text).delete("alice").unwrap();
        assert!(left.starts_with('#') && edit(&left).names().next().is_none(), "{left:?}");
        assert_eq!(edit(&left).add("bob", NEW).unwrap(), format!("{left}bob:{NEW}\n"));
    }
}

#[test]
fn taken_unknown_and_invalid_names_are_refused() {
    let text = format!("alice:{OLD}\n#bob:{OLD}\n");
    let file = edit(&text);
    assert_eq!(file.add("alice", NEW), Err(Unedited::Taken("alice".into())));
    assert_eq!(file.set("bob", NEW), Err(Unedited::Unknown("bob".into())));
    assert_eq!(file.delete("Alice"), Err(Unedited::Unknown("Alice".into())));
    for name in ["", "*", "anonymous", "@team", "#bob", "a:b", "a\nb", "a\r", "a\0", " a", "a "] {
        assert_eq!(file.add(name, NEW), Err(Unedited::Name(name.into())));
    }
}

#[test]
fn a_lock_stands_before_the_hash_and_a_robot_has_none() {
    let text = format!("bob:{OLD}\n# c\nci:!\nalice:!{OLD}");
    let file = edit(&text);
    assert_eq!(file.lock("bob").unwrap(), text.replacen(&format!("bob:{OLD}"), &format!("bob:!{OLD}"), 1));
    assert_eq!(file.unlock("alice").unwrap(), format!("bob:{OLD}\n# c\nci:!\nalice:{OLD}"));
    assert_eq!((file.lock("alice").unwrap(), file.unlock("bob").unwrap()), (text.clone(), text.clone()), "as it is");
    assert_eq!(file.set("alice", NEW).unwrap(), format!("bob:{OLD}\n# c\nci:!\nalice:!{NEW}"), "stays locked");
    assert_eq!(file.add_robot("deploy").unwrap(), format!("{text}\ndeploy:!\n"));
    assert_eq!(file.delete("ci").unwrap(), format!("bob:{OLD}\n# c\nalice:!{OLD}"));
    let robot = Err(Unedited::Robot("ci".into()));
    assert_eq!([file.set("ci", NEW), file.lock("ci"), file.unlock("ci")], [robot.clone(), robot.clone(), robot]);
    assert_eq!(file.lock("carol"), Err(Unedited::Unknown("carol".into())));
}

#[test]
fn a_file_that_cannot_be_parsed_is_not_edited() {
    let problems = HtpasswdText::parse("# c\nalice:secret\n").unwrap_err();
    assert_eq!((problems.len(), problems[0].line), (1, 2));
}

/// Lines of a file: comments (some of them former users), empty lines, and users with distinct names.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let comment = "#[ -~é]{0,12}";
    let line = (0..4u8, comment, "[a-eé ._-]{0,2}").prop_map(|(kind, comment, name)| match kind {
        0 => comment,
        1 => String::new(),
        _ => name.trim().to_owned(),
    });
    prop::collection::vec(line, 0..8).prop_map(|lines| {
        let mut seen = std::collections::HashSet::new();
        let user = |line: String| if line.is_empty() || line.starts_with('#') { line } else { format!("{line}:{OLD}") };
        lines.into_iter().filter(|line| line.is_empty() || seen.insert(line.clone())).map(user).collect()
    })
}

proptest! {
    #[test]
    fn other_lines_stay_byte_for_byte(lines in lines(), ended: bool, at: prop::sample::Index) {
        let text = lines.join("\n") + if ended && !lines.is_empty() { "\n" } else { "" };
        let file = edit(&text);
        let names: Vec<&str> = file.names().collect();
        prop_assert_eq!(&names, &lines.iter().filter_map(|l| l.strip_suffix(&format!(":{OLD}"))).filter(|l| !l.starts_with('#')).collect::<Vec<_>>());

        let added = file.add("zoe", NEW).unwrap();
        prop_assert!(added.starts_with(&text));
        prop_assert_eq!(added[text.len()..].trim_start_matches('\n'), &format!("zoe:{NEW}\n"));
        // Deleting the added user restores the text, plus the line end that its last line may have lacked.
        let back = edit(&added).delete("zoe").unwrap();
        if !back.starts_with(NOBODY) {
            prop_assert_eq!(back.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }

        if !names.is_empty() {
            let name = names[at.index(names.len())];
            let (old, new) = (format!("{name}:{OLD}"), format!("{name}:{NEW}"));
            let place = lines.iter().position(|line| *line == old).unwrap();
            let mut changed = lines.clone();
            changed[place] = new;
            let end = &text[lines.join("\n").len()..];
            prop_assert_eq!(file.set(name, NEW).unwrap(), changed.join("\n") + end);

            changed.remove(place);
            let left = file.delete(name).unwrap();
            prop_assert!(edit(&left).check_known(name).is_err());
            let rest = left.strip_prefix(NOBODY).unwrap_or(&left);
            let kept: Vec<&str> = rest.split_inclusive('\n').collect();
            let were: Vec<&str> = text.split_inclusive('\n').collect();
            prop_assert_eq!(kept, [&were[..place], &were[place + 1..]].concat());
        }
    }
}
