//! The files and helpers that docker and podman share.

use crate::{config::write_private, failure::Failure};
use base64::{Engine, engine::general_purpose::STANDARD};
use client::{Credential, Secret};
use serde_json::{Map, Value, json};
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    time::{Duration, timeout},
};

/// How long a credential helper may take. Some ask the user for something.
const HELPER_TIME: Duration = Duration::from_secs(60);

/// One of these files, parsed. What is not understood stays in it.
#[derive(Debug)]
pub struct DockerFile {
    path: PathBuf,
    content: Map<String, Value>,
}

/// The credential for a registry; anonymous if no file has one.
pub(super) async fn lookup(registry: &str) -> Result<Credential, String> {
    for path in paths() {
        let Some(file) = DockerFile::read(&path)? else { continue };
        if let Some(credential) = file.credential(registry).await? {
            return Ok(credential);
        }
    }
    Ok(Credential::Anonymous)
}

/// Writes a user and their password, or what stands for it, to docker's file or to the helper that it names.
/// Returns where it was written.
pub async fn store_docker(registry: &str, user: &str, secret: &Secret) -> Result<String, Failure> {
    let path = docker_path().ok_or_else(|| Failure::usage("no home directory: set HOME or DOCKER_CONFIG"))?;
    let file = DockerFile::read(&path).map_err(Failure::failed)?;
    let mut file = file.unwrap_or(DockerFile { path, content: Map::new() });
    if let Some(helper) = file.helper(registry) {
        let login = json!({ "ServerURL": key_of(registry), "Username": user, "Secret": secret.expose() });
        run_helper(&helper, "store", &login.to_string()).await.map_err(Failure::failed)?;
        return Ok(format!("the credential helper {helper}"));
    }
    let auth = STANDARD.encode(format!("{user}:{}", secret.expose()));
    file.auths().insert(key_of(registry).to_owned(), json!({ "auth": auth }));
    file.write()?;
    Ok(file.path.display().to_string())
}

impl DockerFile {
    /// Reads a file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, String> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let content: Map<String, Value> =
            oci::json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Some(Self { path: path.to_owned(), content }))
    }

    /// Removes what is known of a registry. Whether there was something.
    pub async fn forget(registry: &str) -> Result<bool, Failure> {
        let Some(path) = docker_path() else { return Ok(false) };
        let Some(mut file) = Self::read(&path).map_err(Failure::failed)? else { return Ok(false) };
        if let Some(helper) = file.helper(registry) {
            return Ok(run_helper(&helper, "erase", key_of(registry)).await.is_ok());
        }
        let removed = file.auths().remove(key_of(registry)).is_some();
        if removed {
            file.write()?;
        }
        Ok(removed)
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        match auths {
            Value::Object(auths) => auths,
            _ => unreachable!("it has just been made an object"),
        }
    }

    fn write(&self) -> Result<(), Failure> {
        let mut text = format!("{:#}", Value::Object(self.content.clone()));
        text.push('\n');
        write_private(&self.path, text.as_bytes())
    }

    /// The helper that keeps the credentials of a registry.
    fn helper(&self, registry: &str) -> Option<String> {
        let of_registry = self.content.get("credHelpers").and_then(|helpers| helpers.get(key_of(registry)));
        let helper = of_registry.or_else(|| self.content.get("credsStore"))?.as_str()?;
        // It becomes the name of a program.
        let is_name = |helper: &str| helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (!helper.is_empty() && is_name(helper)).then(|| helper.to_owned())
    }

    async fn credential(&self, registry: &str) -> Result<Option<Credential>, String> {
        if let Some(helper) = self.helper(registry) {
            let answer = run_helper(&helper, "get", key_of(registry)).await;
            // A helper that knows nothing of this registry fails, each in words of its own.
            let Ok(answer) = answer else { return Ok(None) };
            let field = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (user, secret) = (field("Username"), Secret::new(field("Secret")));
            return Ok(Some(match user.as_str() {
                "<token>" => Credential::IdentityToken(secret),
                _ => Credential::Password { user, password: secret },
            }));
        }
        let Some(auths) = self.content.get("auths").and_then(Value::as_object) else { return Ok(None) };
        let Some(entry) = names(registry).find_map(|name| auths.get(&name)) else { return Ok(None) };
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credential::IdentityToken(Secret::new(token))));
        }
        if let Some(token) = text("registrytoken") {
            return Ok(Some(Credential::RegistryToken(Secret::new(token))));
        }
        let Some(auth) = text("auth") else { return Ok(None) };
        let invalid = || format!("{}: the entry of {registry} is not valid", self.path.display());
        let pair = STANDARD.decode(auth.trim_end_matches('\0')).map_err(|_| invalid())?;
        let pair = String::from_utf8(pair).map_err(|_| invalid())?;
        let (user, password) = pair.split_once(':').ok_or_else(invalid)?;
        Ok(Some(Credential::Password { user: user.to_owned(), password: Secret::new(password) }))
    }
}

/// The files in which credentials are looked for, first to last.
fn paths() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let podman = variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
    variable("REGISTRY_AUTH_FILE").into_iter().chain(podman).chain(docker_path()).collect()
}

fn docker_path() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")))?;
    Some(directory.join("config.json"))
}

/// Docker Hub has a name of its own in these files.
fn key_of(registry: &str) -> &str {
    if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry }
}

/// The names under which a registry may be in a file.
fn names(registry: &str) -> impl Iterator<Item = String> {
    [key_of(registry).to_owned(), registry.to_owned(), format!("https://{registry}"), format!("http://{registry}")]
        .into_iter()
}

/// Runs `docker-credential-HELPER ACTION`. The secret is in its input or output, never in its arguments.
async fn run_helper(helper: &str, action: &str, input: &str) -> Result<Value, String> {
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| format!("the credential helper {program} cannot {action}: {why}");
    let run = async {
        let mut child = Command::new(&program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
        }
        child.wait_with_output().await.map_err(|error| failed(error.to_string()))
    };
    let output = timeout(HELPER_TIME, run).await.map_err(|_| failed("it takes too long".into()))??;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    match output.stdout.trim_ascii().is_empty() {
        true => Ok(Value::Null),
        false => oci::json::from_slice(&output.stdout).map_err(|error| failed(format!("its answer: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: Value) -> DockerFile {
        let Value::Object(content) = content else { panic!("not an object") };
        DockerFile { path: "config.json".into(), content }
    }

    #[tokio::test]
    async fn credentials_are_found_under_each_name_that_docker_and_podman_use() {
        let auth = STANDARD.encode("alice:pass:word");
        for name in ["reg.example:5000", "https://reg.example:5000"] {
            let file = file(json!({ "auths": { name: { "auth": auth } } }));
            let found = file.credential("reg.example:5000").await.unwrap().unwrap();
            assert!(
                matches!(&found, Credential::Password { user, password } if user == "alice" && password.expose() == "pass:word")
            );
            assert!(file.credential("other.example").await.unwrap().is_none());
        }
        let hub = file(json!({ "auths": { "https://index.docker.io/v1/": { "identitytoken": "t" } } }));
        assert!(matches!(hub.credential("docker.io").await.unwrap(), Some(Credential::IdentityToken(_))));
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_an_error_and_not_no_login() {
        for auth in ["%%%", "bm8tY29sb24="] {
            let file = file(json!({ "auths": { "reg.example": { "auth": auth } } }));
            let error = file.credential("reg.example").await.unwrap_err();
            assert_eq!(error, "config.json: the entry of reg.example is not valid");
        }
    }

    #[test]
    fn a_helper_must_be_the_name_of_a_program() {
        assert_eq!(file(json!({ "credsStore": "pass" })).helper("r").as_deref(), Some("pass"));
        assert_eq!(
            file(json!({ "credHelpers": { "r": "ecr-login" }, "credsStore": "x" })).helper("r").unwrap(),
            "ecr-login"
        );
        for bad in ["", "../evil", "a b", "a;b"] {
            assert!(file(json!({ "credsStore": bad })).helper("r").is_none(), "{bad}");
        }
    }
}
