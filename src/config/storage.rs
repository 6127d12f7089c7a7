//! Which variables the kinds of storage need, and what the log says of them.

use super::env::Env;
use super::problems::{Problem, Problems, Warning};
use super::values::{StorageKind, Words, is_loopback};
use super::vars::VARS;
use std::path::PathBuf;

/// What the variables of each kind begin with.
const OF_KINDS: &[(StorageKind, &str)] = &[
    (StorageKind::S3, "REGISTRY_S3_"),
    (StorageKind::Gcs, "REGISTRY_GCS_"),
    (StorageKind::Azure, "REGISTRY_AZURE_"),
    (StorageKind::Sftp, "REGISTRY_SFTP_"),
];

/// What each kind cannot do without.
const NEEDED: &[(StorageKind, &str)] = &[
    (StorageKind::S3, "REGISTRY_S3_BUCKET"),
    (StorageKind::Gcs, "REGISTRY_GCS_BUCKET"),
    (StorageKind::Azure, "REGISTRY_AZURE_ACCOUNT"),
    (StorageKind::Azure, "REGISTRY_AZURE_CONTAINER"),
    (StorageKind::Sftp, "REGISTRY_SFTP_HOST"),
    (StorageKind::Sftp, "REGISTRY_SFTP_USERNAME"),
    (StorageKind::Sftp, "REGISTRY_SFTP_KNOWN_HOSTS"),
];

/// Secrets, each with the variable of a file that may hold it instead.
const SECRETS: &[(StorageKind, &str, &str)] = &[
    (StorageKind::S3, "REGISTRY_S3_ACCESS_KEY", "REGISTRY_S3_ACCESS_KEY_FILE"),
    (StorageKind::S3, "REGISTRY_S3_SECRET_KEY", "REGISTRY_S3_SECRET_KEY_FILE"),
    (StorageKind::Azure, "REGISTRY_AZURE_ACCESS_KEY", "REGISTRY_AZURE_ACCESS_KEY_FILE"),
    (StorageKind::Sftp, "REGISTRY_SFTP_PASSWORD", "REGISTRY_SFTP_PASSWORD_FILE"),
    (StorageKind::Sftp, "REGISTRY_SFTP_KEY", "REGISTRY_SFTP_KEY_FILE"),
];

/// Reports variables that are missing, or have no effect.
pub(super) fn check(env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) {
    let kind = env.storage;
    let chosen = format!("REGISTRY_STORAGE={}", kind.word());
    for (_, needed) in NEEDED.iter().filter(|(of, name)| *of == kind && !env.is_given(name)) {
        problems.push(Problem::of_key(&*chosen, format!("needs {needed}, which is not set")));
    }
    for (_, value, file) in SECRETS.iter().filter(|(of, ..)| *of == kind) {
        if env.is_given(value) && env.is_given(file) {
            problems.push(Problem::of_key(*file, format!("{value} is set too; unset one of them")));
        }
    }
    if kind == StorageKind::S3 {
        let is_given = |value: &str| env.is_given(value) || env.is_given(&format!("{value}_FILE"));
        let both = ["REGISTRY_S3_ACCESS_KEY", "REGISTRY_S3_SECRET_KEY"];
        for (one, other) in [(both[0], both[1]), (both[1], both[0])] {
            if is_given(one) && !is_given(other) {
                problems.push(Problem::of_key(one, format!("needs {other} or {other}_FILE, which is not set")));
            }
        }
    }
    if kind == StorageKind::Sftp {
        let is_given = |value: &str| env.is_given(value) || env.is_given(&format!("{value}_FILE"));
        let message = match (is_given("REGISTRY_SFTP_PASSWORD"), is_given("REGISTRY_SFTP_KEY")) {
            (false, false) => Some("needs REGISTRY_SFTP_KEY_FILE or REGISTRY_SFTP_PASSWORD_FILE, which are not set"),
            (true, true) => Some("has both a password and a key; unset one of them"),
            _ => None,
        };
        problems.0.extend(message.map(|message| Problem::of_key(&*chosen, message)));
        for (is_on, name) in
            [(env.sftp_write_behind, "REGISTRY_SFTP_WRITE_BEHIND"), (env.sftp_takeover, "REGISTRY_SFTP_TAKEOVER")]
        {
            if env.sftp_read_only && is_on {
                problems.push(Problem::of_key(name, "is for a registry that writes; REGISTRY_SFTP_READ_ONLY is set"));
            }
        }
    }
    storage_box(env, problems, warnings);
    for (of, prefix) in OF_KINDS.iter().filter(|(of, _)| *of != kind) {
        for var in VARS.iter().filter(|var| var.name.starts_with(prefix) && env.is_given(var.name)) {
            let message = format!("has no effect without REGISTRY_STORAGE={}", of.word());
            let problem = Problem::of_key(var.name, message);
            // Whoever chose no kind believes that this chose one.
            match env.is_given("REGISTRY_STORAGE") {
                true => warnings.push(Warning(problem)),
                false => problems.push(problem),
            }
        }
    }
    if kind != StorageKind::Filesystem {
        for name in ["REGISTRY_STORAGE_PATH", "REGISTRY_STORAGE_INIT"]
            .into_iter()
            .filter(|_| kind != StorageKind::Sftp)
            // The cache is there.
            .filter(|name| *name != "REGISTRY_STORAGE_PATH" || env.cache_size.is_none() || env.cache_path.is_some())
            .filter(|name| env.is_given(name))
        {
            warnings.push(Warning(Problem::of_key(name, format!("has no effect with {chosen}"))));
        }
    }
    let cache = ["REGISTRY_CACHE_SIZE", "REGISTRY_CACHE_PATH"].into_iter().filter(|name| env.is_given(name));
    if kind == StorageKind::Filesystem {
        let message = "has no effect with REGISTRY_STORAGE=filesystem: there are no faster files than those";
        warnings.extend(cache.map(|name| Warning(Problem::of_key(name, message))));
    } else if env.is_given("REGISTRY_CACHE_PATH") && !env.is_given("REGISTRY_CACHE_SIZE") {
        problems.push(Problem::of_key("REGISTRY_CACHE_PATH", "needs REGISTRY_CACHE_SIZE, which is not set"));
    }
    in_clear_text(env, warnings);
}

/// Reports what is missing or has no effect of the variables for a Storage Box. A token alone means nothing: other
/// programs use the same variable.
fn storage_box(env: &Env, problems: &mut Problems, warnings: &mut Vec<Warning>) {
    const BOX: &str = "HETZNER_BOX_ID";
    if !env.is_given(BOX) {
        return;
    }
    if env.storage != StorageKind::Sftp {
        warnings.push(Warning(Problem::of_key(BOX, "has no effect without REGISTRY_STORAGE=sftp")));
        return;
    }
    let message = match (env.is_given("HCLOUD_TOKEN"), env.is_given("HCLOUD_TOKEN_FILE")) {
        (false, false) => Some("needs HCLOUD_TOKEN or HCLOUD_TOKEN_FILE, which are not set"),
        (true, true) => Some("has both HCLOUD_TOKEN and HCLOUD_TOKEN_FILE; unset one of them"),
        _ => None,
    };
    problems.0.extend(message.map(|message| Problem::of_key(BOX, message)));
}

/// Warns of an endpoint that is spoken to by plain HTTP over a network.
fn in_clear_text(env: &Env, warnings: &mut Vec<Warning>) {
    let endpoint = match env.storage {
        StorageKind::S3 => ("REGISTRY_S3_ENDPOINT", &env.s3_endpoint),
        StorageKind::Gcs => ("REGISTRY_GCS_ENDPOINT", &env.gcs_endpoint),
        StorageKind::Azure => ("REGISTRY_AZURE_ENDPOINT", &env.azure_endpoint),
        StorageKind::Filesystem | StorageKind::Sftp => return,
    };
    let (name, Some(url)) = endpoint else { return };
    let uri = url.parse::<http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
    if uri.and_then(|uri| uri.host().map(str::to_owned)).is_some_and(|host| !is_loopback(&host)) {
        let message = "what is pushed and pulled passes this http address unencrypted; use an https address";
        warnings.push(Warning(Problem::of_key(name, message)));
    }
}

impl Env {
    /// The directory of the cache of blobs and its most bytes, if there is one.
    pub fn blob_cache(&self) -> Option<(PathBuf, u64)> {
        let size = self.cache_size.filter(|_| self.storage != StorageKind::Filesystem)?;
        Some((self.cache_path.clone().unwrap_or_else(|| self.storage_path.join("cache")), size))
    }

    /// Where everything that is pushed is kept, in words and without secrets.
    pub fn storage_place(&self) -> String {
        let kind = self.storage.word();
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let below = |prefix: &Option<String>| prefix.as_ref().map_or(String::new(), |prefix| format!("/{prefix}"));
        let at = |endpoint: &Option<String>| endpoint.as_ref().map_or(String::new(), |url| format!(" at {url}"));
        match self.storage {
            StorageKind::Filesystem => self.storage_path.display().to_string(),
            StorageKind::S3 => {
                format!("{kind} bucket {}{}{}", text(&self.s3_bucket), below(&self.s3_prefix), at(&self.s3_endpoint))
            }
            StorageKind::Gcs => {
                format!("{kind} bucket {}{}{}", text(&self.gcs_bucket), below(&self.gcs_prefix), at(&self.gcs_endpoint))
            }
            StorageKind::Azure => format!(
                "{kind} container {} of {}{}{}",
                text(&self.azure_container),
                text(&self.azure_account),
                below(&self.azure_prefix),
                at(&self.azure_endpoint)
            ),
            StorageKind::Sftp => format!(
                "{kind}://{}@{}:{}/{}{}",
                text(&self.sftp_username),
                text(&self.sftp_host),
                self.sftp_port,
                self.sftp_root,
                if self.sftp_write_behind { ", written behind" } else { "" }
            ),
        }
    }
}
