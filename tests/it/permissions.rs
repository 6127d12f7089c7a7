//! Configuration files that other users of the machine can change, and keys that they can read.

use crate::PROGRAM;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
};
use testing::{certs::Authority, daemon::over};

/// A directory with every file that an operator can name, and the variables that name them.
struct Place {
    dir: tempfile::TempDir,
    vars: Vec<(&'static str, String)>,
}

/// The variables of the files in `conf`; the last two name keys.
const NAMED: [(&str, &str); 7] = [
    ("REGISTRY_SETTINGS", "settings.toml"),
    ("REGISTRY_AUTH_HTPASSWD", "htpasswd"),
    ("REGISTRY_ACCESS_CONTROL_CONFIG", "rules.json"),
    ("REGISTRY_TLS_CERT", "tls.crt"),
    ("REGISTRY_TLS_CLIENT_CA", "ca.crt"),
    ("REGISTRY_TLS_KEY", "tls.key"),
    ("REGISTRY_AUTH_TOKEN_SIGNINGKEY", "token.pem"),
];

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("conf");
        fs::create_dir(&conf).unwrap();
        let authority = Authority::new();
        let pair = authority.sign("localhost");
        let put = |name: &str, text: &str, mode: u32| {
            fs::write(conf.join(name), text).unwrap();
            fs::set_permissions(conf.join(name), PermissionsExt::from_mode(mode)).unwrap();
        };
        put("settings.toml", "# nothing\n", 0o644);
        put("htpasswd", &format!("alice:{}\n", bcrypt::hash("secret", 4).unwrap()), 0o644);
        put("rules.json", r#"{"rules": []}"#, 0o644);
        put("tls.crt", &pair.cert_pem, 0o644);
        put("ca.crt", &authority.pem, 0o644);
        put("tls.key", &pair.key_pem, 0o440);
        let made = Command::new(PROGRAM).args(["key", "new"]).arg(conf.join("token.pem")).output();
        assert!(made.unwrap().status.success());
        fs::write(dir.path().join(".env"), "REGISTRY_AUTH_TYPE=basic\nREGISTRY_ACCESS_CONTROL_ENABLED=true\n").unwrap();
        fs::set_permissions(dir.path().join(".env"), PermissionsExt::from_mode(0o644)).unwrap();
        let vars = NAMED.map(|(var, name)| (var, conf.join(name).display().to_string()));
        Self { dir, vars: vars.to_vec() }
    }

    fn conf(&self) -> std::path::PathBuf {
        self.dir.path().join("conf")
    }

    /// The lines of one kind that `check` prints, and whether startup would succeed.
    fn check(&self) -> (Vec<String>, bool) {
        let vars: Vec<_> = self.vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut command = Command::new(PROGRAM);
        let output = over(command.arg("check"), &self.dir.path().join("data"), &vars).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let of_users = |line: &&str| line.contains("every user of this machine") || line.contains("belongs to uid");
        (printed.lines().filter(of_users).map(str::to_owned).collect(), output.status.success())
    }
}

/// Changes the mode of a file while `look` runs.
fn with_mode<T>(path: &Path, mode: u32, look: impl FnOnce() -> T) -> T {
    let before = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let seen = look();
    fs::set_permissions(path, before).unwrap();
    seen
}

#[test]
fn any_configuration_file_that_every_user_can_write_is_refused() {
    let place = Place::new();
    assert_eq!(place.check(), (vec![], true));
    let named = NAMED.map(|(_, name)| place.conf().join(name));
    for path in named.iter().chain([&place.dir.path().join(".env")]) {
        let (printed, starts) = with_mode(path, 0o646, || place.check());
        let refused = "is writable by every user of this machine; run chmod o-w on it";
        assert!(
            printed
                .iter()
                .any(|line| line.contains(refused) && line.contains(path.file_name().unwrap().to_str().unwrap())),
            "{path:?}: {printed:?}"
        );
        assert!(!starts, "{path:?}");
    }
    assert_eq!(place.check(), (vec![], true));
}

#[test]
fn a_key_that_every_user_can_read_is_warned_about() {
    let place = Place::new();
    for name in ["tls.key", "token.pem"] {
        let (printed, starts) = with_mode(&place.conf().join(name), 0o644, || place.check());
        assert!(starts && printed.len() == 1, "{printed:?}");
        assert!(
            printed[0].contains(name) && printed[0].contains("can use the private key in it; run chmod o-r"),
            "{printed:?}"
        );
    }
}

#[test]
fn a_directory_in_which_every_user_can_replace_a_file_is_warned_about() {
    let place = Place::new();
    let (printed, starts) = with_mode(&place.conf(), 0o777, || place.check());
    assert!(starts && printed.len() == NAMED.len(), "{printed:?}");
    assert!(
        printed.iter().all(|line| line.contains(&format!("can write to {}", place.conf().display()))),
        "{printed:?}"
    );
    // As in /tmp: only the owner of a file can replace it.
    assert_eq!(with_mode(&place.conf(), 0o1777, || place.check()), (vec![], true));

    // The directory of a link counts too, and one far above.
    let (inner, outer) = (place.dir.path().join("far/above"), place.dir.path().join("far"));
    fs::create_dir_all(&inner).unwrap();
    symlink("../../conf", inner.join("conf")).unwrap();
    let moved = Place {
        vars: NAMED.map(|(var, name)| (var, inner.join("conf").join(name).display().to_string())).into(),
        ..place
    };
    assert_eq!(moved.check(), (vec![], true));
    for dir in [&inner, &outer] {
        let (printed, _) = with_mode(dir, 0o777, || moved.check());
        assert!(
            printed.len() == NAMED.len() && printed[0].contains(&format!("can write to {}", dir.display())),
            "{printed:?}"
        );
    }
}

#[test]
fn files_mounted_by_kubernetes_are_accepted() {
    let place = Place::new();
    let mount = place.dir.path().join("mount");
    fs::create_dir(&mount).unwrap();
    fs::set_permissions(&mount, PermissionsExt::from_mode(0o1777)).unwrap();
    fs::rename(place.conf(), mount.join("..2026_11_29")).unwrap();
    symlink("..2026_11_29", mount.join("..data")).unwrap();
    for (_, name) in NAMED {
        symlink(format!("..data/{name}"), mount.join(name)).unwrap();
        let mode = if name.ends_with("key") || name == "token.pem" { 0o440 } else { 0o644 };
        fs::set_permissions(mount.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    let place = Place { vars: NAMED.map(|(var, name)| (var, mount.join(name).display().to_string())).into(), ..place };
    assert_eq!(place.check(), (vec![], true));
}

#[test]
fn a_file_of_another_user_is_warned_about() {
    let place = Place::new();
    let path = place.conf().join("rules.json");
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
        return eprintln!("skipped: only root can give a file away");
    }
    let (printed, starts) = place.check();
    assert!(starts && printed.len() == 1, "{printed:?}");
    assert!(printed[0].contains("rules.json: belongs to uid 12345, who can change it"), "{printed:?}");
}
