//! Looks at the storage root from outside, for `check`: would a start use it, make it, or refuse it?

use std::io::ErrorKind;
use std::path::Path;

use crate::config::{Env, Problem, StorageInit};

/// The file that makes a directory a storage root (docs/layout.md).
const ROOT: &str = "ROOT.json";

/// One line on what a start would do with the root; the problem if it would refuse. Writes nothing.
pub(super) fn inspect(env: &Env) -> Result<String, Problem> {
    let path = env.storage_path.as_path();
    let refuse = |message: String| {
        let shown = format!("{}: {message}", path.display());
        Err(Problem::of_key("REGISTRY_STORAGE_PATH", shown))
    };
    let make = |state: &str| match env.storage_init {
        StorageInit::Auto => Ok(format!("storage root: {state}, will be initialised")),
        StorageInit::Never => refuse(format!("{state}, and REGISTRY_STORAGE_INIT=never (is the volume mounted?)")),
    };
    match look(path) {
        Ok(Found::Root) => Ok("storage root: in use".into()),
        Ok(Found::Empty) => make("empty"),
        // A named directory that is absent may be a mount that failed; only the default is made.
        Ok(Found::Missing) if env.storage_is_explicit() => {
            refuse("does not exist; create it (or mount it) first".into())
        }
        Ok(Found::Missing) => make("absent"),
        Ok(Found::Other) => refuse(format!("is not empty and has no {ROOT}, so it is not a storage root")),
        Err(error) => refuse(format!("cannot be read: {error}")),
    }
}

enum Found {
    Root,
    Empty,
    Missing,
    Other,
}

fn look(path: &Path) -> std::io::Result<Found> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) => return Err(error),
    };
    if path.join(ROOT).try_exists()? {
        return Ok(Found::Root);
    }
    for entry in entries {
        // A fresh file system has this one.
        if entry?.file_name() != "lost+found" {
            return Ok(Found::Other);
        }
    }
    Ok(Found::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(path: &Path, explicit: bool, init: &'static str) -> String {
        let vars = [("REGISTRY_STORAGE_INIT".into(), init.into())];
        let flags = explicit.then(|| ("REGISTRY_STORAGE_PATH", path.into()));
        let mut env = Env::load(vars, None, flags).unwrap().0;
        env.storage_path = path.to_owned();
        match inspect(&env) {
            Ok(line) => line,
            Err(problem) => problem.to_string().replace(&path.display().to_string(), "DIR"),
        }
    }

    #[test]
    fn a_root_is_used_made_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        assert_eq!(verdict(&root, false, "auto"), "storage root: absent, will be initialised");
        assert!(verdict(&root, true, "auto").contains("DIR: does not exist"));
        std::fs::create_dir_all(root.join("lost+found")).unwrap();
        assert_eq!(verdict(&root, true, "auto"), "storage root: empty, will be initialised");
        assert!(verdict(&root, true, "never").contains("DIR: empty, and REGISTRY_STORAGE_INIT=never"));
        std::fs::write(root.join("holiday.jpg"), "").unwrap();
        assert!(verdict(&root, true, "auto").contains("DIR: is not empty and has no ROOT.json"));
        std::fs::write(root.join("ROOT.json"), "{}").unwrap();
        assert_eq!(verdict(&root, true, "never"), "storage root: in use");
        assert!(verdict(&root.join("ROOT.json"), true, "auto").contains("DIR: cannot be read"));
    }
}
