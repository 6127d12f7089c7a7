//! The files that the environment names.

use std::sync::Arc;
use std::time::SystemTime;

use super::{os, write};
use crate::config::*;

/// The result of a settings file, with its path shortened.
fn live(text: &str, vars: &[(&str, &str)]) -> Result<(Live, String), String> {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "settings.toml", text);
    let flags = [("REGISTRY_SETTINGS", path.clone().into_os_string())];
    let (env, _) = Env::load(os(vars), None, flags).unwrap();
    let short = |text: String| text.replace(&path.display().to_string(), "settings.toml");
    match Live::load(&env) {
        Ok((live, warnings)) => {
            let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            Ok((live, short(warnings.join("\n"))))
        }
        Err(problems) => Err(short(problems.to_string())),
    }
}

#[test]
fn settings_reach_the_generation() {
    let text = "[manifests]\nmissing_references = \"accept\"\nmax_bytes = 1_048_576\n\
                [uploads]\nmax_blob_bytes = \"2 GiB\"\n[storage]\nreserve_bytes = \"64 MiB\"\n\
                [server]\nkeep_alive_seconds = 91\n";
    let (live, warnings) = live(text, &[("REGISTRY_UPLOAD_TIMEOUT", "60")]).unwrap();
    assert_eq!(live.registry.manifest_bytes, 1 << 20);
    assert_eq!(live.registry.missing_references, crate::registry::settings::MissingReferences::Accept);
    assert_eq!(live.registry.blob_bytes, 2 << 30);
    assert_eq!(live.registry.reserve_bytes, Some(64 << 20));
    assert_eq!(live.limits.keep_alive.as_secs(), 91);
    assert_eq!(live.registry.upload_timeout.as_secs(), 60);
    assert_eq!(warnings, "");
}

#[test]
fn every_key_sets_its_default_and_enforces_its_bounds() {
    let settings = |live: &Live| {
        // Not from the settings.
        let (rights, reloaded, since) = (Arc::default(), SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
        format!("{:?}", Live { rights, reloaded, since, version: "".into(), ..live.clone() })
    };
    let untouched = settings(&Live::default());
    for key in KEYS {
        let file = |value: &str| format!("[{}]\n{} = {value}\n", key.section, key.key);
        let (same, _) = live(&file(key.default), &[]).unwrap();
        assert_eq!(settings(&same), untouched, "{}", key.name());
        if let crate::config::keys::Setter::Word(words, _) = &key.set {
            assert!(live(&file("\"other\""), &[]).is_err());
            assert!(live(&file("1"), &[]).is_err());
            let changed = words.iter().filter(|word| {
                let (live, _) = live(&file(&format!("\"{word}\"")), &[]).unwrap();
                settings(&live) != untouched
            });
            assert_eq!(changed.count(), words.len() - 1);
            continue;
        }
        if let crate::config::keys::Setter::Switch(_) = &key.set {
            let other = if key.default == "true" { "false" } else { "true" };
            assert_ne!(settings(&live(&file(other), &[]).unwrap().0), untouched);
            for bad in ["1", "\"true\""] {
                assert!(live(&file(bad), &[]).unwrap_err().contains("true or false"));
            }
            continue;
        }
        if let crate::config::keys::Setter::Origins(_) = &key.set {
            for good in ["[\"https://ui.example.com\"]", "[\"*\"]"] {
                assert_ne!(settings(&live(&file(good), &[]).unwrap().0), untouched);
            }
            for bad in ["1", "true", "\"*\"", "[1]", "[\"ui.example.com\"]"] {
                let reported = live(&file(bad), &[]).unwrap_err();
                assert!(reported.starts_with("settings.toml:2: server.cors_origins: "), "{reported}");
            }
            continue;
        }
        if let crate::config::keys::Setter::Texts(..) = &key.set {
            let other = if key.default == "[]" { "[\"a=b\"]" } else { "[]" };
            // A list of keys takes no filter; the keys' own tests say what else is accepted.
            let others = [other, "[\"key\"]", "[\"10.0.0.0/8\"]"].map(|other| live(&file(other), &[]));
            let changes = others.iter().flatten().any(|(live, _)| settings(live) != untouched);
            assert!(changes, "{}", key.name());
            let long = format!("[{}]", vec!["\"a\""; usize::try_from(key.max).unwrap() + 1].join(","));
            for bad in ["1", "true", "\"a\"", "[1]", long.as_str()] {
                let reported = live(&file(bad), &[]).unwrap_err();
                assert!(reported.starts_with(&format!("settings.toml:2: {}: ", key.name())), "{reported}");
            }
            continue;
        }
        if let crate::config::keys::Setter::Line(_) = &key.set {
            assert_ne!(settings(&live(&file("\"moving to a new disk\""), &[]).unwrap().0), untouched);
            let long = format!("\"{}\"", "x".repeat(usize::try_from(key.max).unwrap() + 1));
            for bad in ["1", "true", "'say \"no\"'", "\"a\\nb\"", "\"é\"", long.as_str()] {
                assert!(live(&file(bad), &[]).is_err(), "{bad}");
            }
            continue;
        }
        // The two page sizes limit each other, which has its own test.
        if key.section != "pagination" {
            for bound in [key.min, key.max].iter().filter(|bound| key.default != bound.to_string()) {
                let (changed, _) = live(&file(&bound.to_string()), &[]).unwrap();
                assert_ne!(settings(&changed), untouched, "{}", key.name());
            }
        }
        let below = i128::from(key.min) - 1;
        let above = i128::from(key.max) + 1;
        for beyond in [below.to_string(), above.to_string(), "1.5".into(), "true".into(), "\"some\"".into()] {
            let reported = live(&file(&beyond), &[]).unwrap_err();
            let place = format!("settings.toml:2: {}: ", key.name());
            assert!(reported.starts_with(&place), "{reported}");
            assert_eq!(reported.lines().count(), 1, "{reported}");
        }
    }
}

#[test]
fn mistakes_in_settings_are_reported_with_their_line() {
    let table = [
        ("a = 1", "settings.toml:1: a: is not a section"),
        ("max_open = 1", "settings.toml:1: max_open: belongs under [uploads]"),
        ("uploads = 1", "settings.toml:1: uploads: must be a table, written [section]"),
        ("\n[upload]\nmax_open = 1", "settings.toml:2: upload: is not a section; did you mean [uploads]?"),
        ("[reads]\nmax_open = 1", "settings.toml:2: reads.max_open: is not a setting here; it belongs under [uploads]"),
        ("[reads]\nfoo_bar_baz = 1", "settings.toml:2: reads.foo_bar_baz: is not a setting; [reads] has max_ranges"),
        ("[reads]\nmax_range = 1", "settings.toml:2: reads.max_range: is not a setting; did you mean max_ranges?"),
        ("reads.max_ranges = 0", "settings.toml:1: reads.max_ranges: 0 is not in the range 1 to 1024"),
        (
            "[reads]\nmax_ranges = 99999999999999999999",
            "settings.toml:2: reads.max_ranges: 99999999999999999999 is not",
        ),
        ("[uploads]\nmax_blob_bytes = \"4 MB\"", "settings.toml:2: uploads.max_blob_bytes: \"4 MB\" is not a size"),
        (
            "[reads]\nmax_ranges = [1]",
            "settings.toml:2: reads.max_ranges: must be a number from 1 to 1024, not an array",
        ),
        ("[reads]\nmax_ranges = 1\nmax_ranges = 2", "settings.toml:3: duplicate key"),
        ("[reads\n", "settings.toml:1: "),
    ];
    for (text, line) in table {
        let reported = live(text, &[]).unwrap_err();
        assert!(reported.lines().any(|said| said.starts_with(line)), "{text:?}: {reported}");
    }
    let several = live("[reads]\nmax_ranges = 0\n[server]\nheader_bytes = \"1 KiB\"\nfoo = 1\n", &[]).unwrap_err();
    assert_eq!(several.lines().count(), 3, "{several}");
}

#[test]
fn repeated_tables_reach_the_generation_in_order() {
    let text = "[[retention]]\nrepositories = [\"team/**\", \"app\"]\ntags = \"dev-.*\"\nkeep_last = 5\n\
                keep_younger_than_days = 2\nkeep_pulled_within_days = 3\nkeep_matching = 'v\\d+'\n\
                delete_untagged_after_days = 0\n\n[reads]\nmax_ranges = 7\n\n[[retention]]\nrepositories = [\"**\"]\n\
                [[immutable]]\nrepositories = [\"**\"]\ntags = \"v.*\"\n";
    let (found, warnings) = live(text, &[]).unwrap();
    let [first, second] = found.registry.retention.as_slice() else { panic!("{found:?}") };
    let days = |n: u64| Some(std::time::Duration::from_secs(n * 86_400));
    assert_eq!(first.repositories.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>(), ["team/**", "app"]);
    assert_eq!((first.keep_last, first.keep_younger, first.keep_pulled), (Some(5), days(2), days(3)));
    assert_eq!(first.delete_untagged, days(0));
    assert_eq!(first.keep_matching.as_ref().unwrap().as_str(), r"v\d+");
    assert_eq!(first.tags.as_ref().unwrap().as_str(), "dev-.*");
    assert_eq!((second.keep_last, second.delete_untagged, &second.tags), (None, None, &None));
    assert_eq!(found.registry.immutable.len(), 1);
    assert_eq!(found.registry.ranges_per_request, 7);
    assert_eq!(warnings, "");
    let (inline, _) = live("immutable = [{ repositories = [\"**\"], tags = \".*\" }]\n", &[]).unwrap();
    assert_eq!(inline.registry.immutable.len(), 1);
}

#[test]
fn mistakes_in_repeated_tables_are_reported_with_their_place() {
    let table = [
        (
            "[retention]\nkeep_last = 1",
            "settings.toml:1: retention: must be a list of tables, each written [[retention]]",
        ),
        ("retention = 1", "settings.toml:1: retention: must be a list of tables, each written [[retention]]"),
        ("retention = [1]", "settings.toml:1: retention[0]: must be a table, written [[retention]]"),
        ("[[retentions]]", "settings.toml:1: retentions: is not a section; did you mean [[retention]]?"),
        ("[[reads]]\nmax_ranges = 1", "settings.toml:1: reads: must be a table, written [section]"),
        (
            "[[retention]]\nkeep_last = 1",
            "settings.toml:1: retention[0].repositories: is missing: it must be repository patterns, such as",
        ),
        (
            "\n[[retention]]\nrepositories = []",
            "settings.toml:3: retention[0].repositories: must name at least one pattern",
        ),
        ("[[retention]]\nrepositories = \"**\"", "settings.toml:2: retention[0].repositories: must be an array of"),
        (
            "[[retention]]\nrepositories = [1]",
            "settings.toml:2: retention[0].repositories: must be repository patterns",
        ),
        ("[[retention]]\nrepositories = 1", "settings.toml:2: retention[0].repositories: must be repository patterns"),
        (
            "[[retention]]\nrepositories = [\"a**\"]",
            "settings.toml:2: retention[0].repositories: \"a**\": '**' must be a whole component",
        ),
        (
            "[[retention]]\nrepositories = [\"${user}/**\"]",
            "settings.toml:2: retention[0].repositories: \"${user}/**\": ${user} is only available in access rules",
        ),
        (
            "[[immutable]]\nrepositories = [\"**\"]\ntags = \"(\"",
            "settings.toml:3: immutable[0].tags: not a regular expression: ",
        ),
        (
            "[[immutable]]\nrepositories = [\"**\"]\ntags = 1",
            "settings.toml:3: immutable[0].tags: must be a regular expression",
        ),
        ("[[immutable]]\nrepositories = [\"**\"]", "settings.toml:1: immutable[0].tags: is missing"),
        (
            "[[retention]]\nkeep_lst = 1",
            "settings.toml:2: retention[0].keep_lst: is not a setting; did you mean keep_last?",
        ),
        (
            "[[immutable]]\nkeep_last = 1",
            "settings.toml:2: immutable[0].keep_last: is not a setting; [[immutable]] has",
        ),
        ("[[retention]]\nkeep_last = 0", "settings.toml:2: retention[0].keep_last: 0 is not in the range 1 to 1000000"),
        ("[[retention]]\nkeep_last = -1", "settings.toml:2: retention[0].keep_last: -1 is not in the range"),
        ("[[retention]]\nkeep_last = \"5\"", "settings.toml:2: retention[0].keep_last: must be a number without"),
        (
            "[[retention]]\nkeep_last = 1.5",
            "settings.toml:2: retention[0].keep_last: must be a number from 1 to 1000000, such as 10, not a float",
        ),
        (
            "[[retention]]\nkeep_last = [1]",
            "settings.toml:2: retention[0].keep_last: must be a number from 1 to 1000000",
        ),
        ("[[retention]]\nkeep_last = 1\nkeep_last = 2", "settings.toml:3: duplicate key"),
        (
            "[[immutable]]\nrepositories = [\"**\"]\ntags = \".*\"\n[[immutable]]\ntags = \"\"",
            "settings.toml:5: immutable[1].tags: an empty expression matches no tag",
        ),
    ];
    for (text, line) in table {
        let reported = live(text, &[]).unwrap_err();
        assert!(reported.lines().any(|said| said.starts_with(line)), "{text:?}: {reported}");
    }
    let several = "[[retention]]\nkeep_last = 0\nfoo = 1\n[[immutable]]\ntags = 7\n[reads]\nmax_ranges = 0\n";
    let reported = live(several, &[]).unwrap_err();
    assert_eq!(reported.lines().count(), 6, "{reported}");
}

#[test]
fn the_environment_locks_what_it_sets() {
    let text = "[pagination]\ndefault_limit = 7\nmax_limit = 70\n";
    let (open, warnings) = live(text, &[]).unwrap();
    assert_eq!((open.registry.page_default, open.registry.page_max), (7, 70));
    assert_eq!(warnings, "");
    let (locked, warnings) = live(text, &[("REGISTRY_PAGINATION_MAX_LIMIT", "500")]).unwrap();
    assert_eq!((locked.registry.page_default, locked.registry.page_max), (7, 500));
    let line =
        "settings.toml:3: pagination.max_limit: locked: REGISTRY_PAGINATION_MAX_LIMIT is set and takes precedence";
    assert_eq!(warnings, line);
    let wrong = live("[pagination]\nmax_limit = 0\n", &[("REGISTRY_PAGINATION_MAX_LIMIT", "500")]).unwrap_err();
    assert!(wrong.contains("not in the range"), "{wrong}");
}

#[test]
fn page_sizes_are_compared_across_environment_and_settings() {
    let vars = [("REGISTRY_PAGINATION_DEFAULT_LIMIT", "2000")];
    assert!(live("[pagination]\nmax_limit = 5000\n", &vars).is_ok());
    for (text, vars) in [("# nothing", &vars[..]), ("[pagination]\nmax_limit = 50\n", &[])] {
        let reported = live(text, vars).unwrap_err();
        assert!(reported.starts_with("settings.toml: pagination: default_limit ("), "{reported}");
    }
}

#[test]
fn a_settings_file_that_is_set_must_exist() {
    let (env, _) = Env::load(os(&[("REGISTRY_SETTINGS", "/nowhere/settings.toml")]), None, []).unwrap();
    let reported = Live::load(&env).unwrap_err().to_string();
    assert!(reported.starts_with("/nowhere/settings.toml: REGISTRY_SETTINGS: cannot be read: "), "{reported}");
}

#[test]
fn the_advice_for_an_empty_file_fits_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["settings.toml", "htpasswd", "rules.json"];
    let [settings, users, rules] = names.map(|name| write(dir.path(), name, " \n"));
    let flags = [
        ("REGISTRY_SETTINGS", settings.into_os_string()),
        ("REGISTRY_AUTH_TYPE", "basic".into()),
        ("REGISTRY_AUTH_HTPASSWD", users.into_os_string()),
        ("REGISTRY_ACCESS_CONTROL_ENABLED", "true".into()),
        ("REGISTRY_ACCESS_CONTROL_CONFIG", rules.into_os_string()),
    ];
    let (env, _) = Env::load([], None, flags).unwrap();
    let problems = Live::load(&env).unwrap_err();
    assert_eq!(problems.0.len(), 3);
    for problem in &problems.0 {
        let advice = problem.message.strip_prefix("is empty; if that is meant, write: ").unwrap();
        std::fs::write(problem.file.as_ref().unwrap(), advice).unwrap();
    }
    assert!(Live::load(&env).is_ok(), "following the advice works");
}

#[test]
fn allowing_every_origin_without_login_is_a_warning() {
    let text = "[server]\ncors_origins = [\"*\"]\n";
    let (found, warnings) = live(text, &[]).unwrap();
    assert_eq!(found.cors_origins, Origins::Any);
    assert!(warnings.contains("server.cors_origins: without authentication, any web page"), "{warnings}");
    let (_, warnings) = live("[server]\ncors_origins = [\"https://ui.example.com\"]\n", &[]).unwrap();
    assert_eq!(warnings, "");
}
