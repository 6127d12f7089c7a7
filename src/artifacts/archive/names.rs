//! The names of entries in an archive: relative, safe to unpack below any directory, and all different.

use crate::artifacts::{Artifact, ArtifactPath};
use std::collections::{HashMap, HashSet};

/// The name of each artifact's entry, in their order: `<version>/<path>`, or the last part of the path if the archive is
/// flat. Where several would have the same name, or one would be the directory of another, each has the beginning of its
/// id in it.
pub fn entry_names(artifacts: &[Artifact], flat: bool) -> Vec<String> {
    let wanted: Vec<String> = artifacts.iter().map(|artifact| wanted(artifact, flat)).collect();
    let mut times: HashMap<&str, usize> = HashMap::with_capacity(wanted.len());
    wanted.iter().for_each(|name| *times.entry(name).or_default() += 1);
    let dirs: HashSet<&str> = wanted.iter().flat_map(|name| dirs(name)).collect();
    let is_clear = |name: &str| times.get(name) == Some(&1) && !dirs.contains(name);
    let mut taken: HashSet<String> = wanted.iter().filter(|name| is_clear(name)).cloned().collect();
    let mut named = |artifact: &Artifact, name: &String| {
        if is_clear(name) {
            return name.clone();
        }
        // One of these is new: no two artifacts of a version have the same id, and a number makes it different in any
        // case.
        let short = with_id(name, artifact.id.short());
        let full = with_id(name, &artifact.id.to_string());
        let numbered = (2_usize..).map(|n| with_id(name, &format!("{}-{n}", artifact.id)));
        let mut names = [short, full].into_iter().chain(numbered);
        names.find(|name| !dirs.contains(name.as_str()) && taken.insert(name.clone())).unwrap_or_default()
    };
    artifacts.iter().zip(&wanted).map(|(artifact, name)| named(artifact, name)).collect()
}

/// A version is one component and a path is some; none of them is `..` or empty or has a backslash, by their grammars.
fn wanted(artifact: &Artifact, flat: bool) -> String {
    let name = match flat {
        true => artifact.path.base().to_owned(),
        false => format!("{}/{}", artifact.version, artifact.path),
    };
    match name.as_bytes() {
        // Elsewhere it would be a drive.
        [letter, b':', ..] if letter.is_ascii_alphabetic() => name.replacen(':', "_", 1),
        _ => name,
    }
}

/// The directories that an entry is in.
fn dirs(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}

/// The name with an id before its extension: `app~abcdefgh.tar.gz`. Where that is longer than a file name may be, the
/// end of what precedes the id is left out.
fn with_id(name: &str, id: &str) -> String {
    let (dir, base) = name.rsplit_once('/').map_or(("", name), |(dir, base)| (&name[..dir.len() + 1], base));
    let end = base.rfind('.').unwrap_or(base.len());
    let end = base[..end].strip_suffix(".tar").map_or(end, str::len);
    // A dot at the beginning begins no extension.
    let end = if end == 0 { base.len() } else { end };
    let (stem, extension) = base.split_at(end);
    let room = ArtifactPath::MAX_COMPONENT.saturating_sub(id.len() + 1);
    // An extension that leaves no room for the id is none.
    let (stem, extension) = if extension.len() > room { (base, "") } else { (stem, extension) };
    let stem = &stem[..stem.floor_char_boundary(room - extension.len())];
    format!("{dir}{stem}~{id}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{
        ArtifactFileName, ArtifactId, ArtifactMediaType, ArtifactMetadata, ArtifactVersion, Properties,
    };
    use proptest::prelude::*;

    fn artifact(version: &str, path: &str, os: &str) -> Artifact {
        let (version, path): (ArtifactVersion, ArtifactPath) = (version.parse().unwrap(), path.parse().unwrap());
        let mut properties = Properties::default();
        properties.add("os", os).unwrap();
        Artifact {
            id: ArtifactId::of(&version, &path, &properties),
            name: ArtifactFileName::of(&path),
            version,
            path,
            digest: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
            size: 7,
            media_type: ArtifactMediaType::default(),
            properties,
            metadata: ArtifactMetadata::default(),
            created: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
            created_by: None,
            replaces: None,
        }
    }

    #[test]
    fn entries_are_named_after_version_and_path_or_flat() {
        let artifacts = [artifact("1.0", "bin/app", "l"), artifact("1.0", "README", "l")];
        assert_eq!(entry_names(&artifacts, false), ["1.0/bin/app", "1.0/README"]);
        assert_eq!(entry_names(&artifacts, true), ["app", "README"]);
    }

    #[test]
    fn the_id_tells_apart_what_has_the_same_name() {
        let artifacts = [
            artifact("1", "a/app.tar.gz", "l"),
            artifact("1", "a/app.tar.gz", "m"),
            artifact("2", ".env", "l"),
            artifact("3", ".env", "l"),
            artifact("1", "x", "l"),
            artifact("1", "x/y.zip", "l"),
        ];
        let id = |at: usize| artifacts[at].id.short().to_owned();
        assert_eq!(
            entry_names(&artifacts, false),
            [
                format!("1/a/app~{}.tar.gz", id(0)),
                format!("1/a/app~{}.tar.gz", id(1)),
                "2/.env".to_owned(),
                "3/.env".to_owned(),
                format!("1/x~{}", id(4)),
                "1/x/y.zip".to_owned(),
            ]
        );
        assert_eq!(
            entry_names(&artifacts, true),
            [
                format!("app~{}.tar.gz", id(0)),
                format!("app~{}.tar.gz", id(1)),
                format!(".env~{}", id(2)),
                format!(".env~{}", id(3)),
                "x".to_owned(),
                "y.zip".to_owned(),
            ]
        );
    }

    #[test]
    fn a_file_that_is_named_like_one_with_an_id_keeps_its_name() {
        let twin = artifact("1", "a", "l");
        let taken = format!("a~{}", twin.id.short());
        let artifacts = [twin.clone(), artifact("1", "a", "m"), artifact("1", &taken, "l")];
        let names = entry_names(&artifacts, false);
        assert_eq!((names[0].as_str(), names[2].as_str()), (&*format!("1/a~{}", twin.id), &*format!("1/{taken}")));
    }

    #[test]
    fn a_name_with_an_id_fits_into_a_file_system() {
        for path in
            ["é".repeat(127), format!("a.{}", "x".repeat(253)), "x".repeat(255), format!("{}.zip", "x".repeat(251))]
        {
            let names = entry_names(&[artifact("1", &path, "l"), artifact("1", &path, "m")], true);
            assert!(names.iter().all(|name| (200..=255).contains(&name.len())), "{names:?}");
            assert_ne!(names[0], names[1]);
            assert_eq!(names[0].ends_with(".zip"), path.ends_with(".zip"));
        }
    }

    #[test]
    fn no_entry_is_on_a_drive() {
        let artifacts = [artifact("C:", "x", "l"), artifact("1", "D:/x:y", "l")];
        assert_eq!(entry_names(&artifacts, false), ["C_/x", "1/D:/x:y"]);
        assert_eq!(entry_names(&[artifact("1", "c:x", "l")], true), ["c_x"]);
    }

    proptest! {
        #[test]
        fn names_are_different_and_stay_below_where_they_are_unpacked(
            parts in proptest::collection::vec(("(\\PC{1,6}|[ab.~]{1,3})", "(\\PC|[ab./~\\\\]){1,8}", "[lm]"), 0..20),
            flat in any::<bool>(),
        ) {
            let mut artifacts: Vec<Artifact> = parts
                .iter()
                .filter(|(v, p, _)| v.parse::<ArtifactVersion>().is_ok() && p.parse::<ArtifactPath>().is_ok())
                .map(|(version, path, os)| artifact(version, path, os))
                .collect();
            artifacts.sort_by_key(|artifact| artifact.id);
            artifacts.dedup_by_key(|artifact| artifact.id);
            let names = entry_names(&artifacts, flat);
            prop_assert_eq!(names.len(), artifacts.len());
            let all: HashSet<&str> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(all.len(), names.len(), "two have the same name");
            for name in &names {
                prop_assert!(!name.starts_with('/') && !name.contains(['\\', '\0']), "{}", name);
                prop_assert!(name.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", name);
                prop_assert!(dirs(name).all(|dir| !all.contains(dir)), "{} is below a file", name);
            }
        }
    }
}
