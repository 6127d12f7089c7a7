//! Commands for the terminal that upload and download artifacts. Names are hostile text: what is pasted into a shell is
//! quoted.

use super::super::{super::gate::Granted, commands::ToolCommand, shell::Shell};
use api::artifacts::ArtifactInfo;

/// Where programs ask for artifacts.
pub(super) fn origin(granted: &Granted, shell: &Shell) -> String {
    let scheme = if granted.request.is_secure() { "https" } else { "http" };
    format!("{scheme}://{}", shell.host)
}

/// How to say to curl who one is.
fn login(shell: &Shell) -> String {
    match (shell.is_open, &shell.user) {
        (true, _) | (false, None) => String::new(),
        (false, Some(user)) => format!("-u {} ", quoted(user)),
    }
}

/// How to upload a file to a repository.
pub(super) fn upload(granted: &Granted, shell: &Shell, repository: &str) -> Vec<ToolCommand> {
    let (origin, login) = (origin(granted, shell), login(shell));
    let command = |tool: &'static str, text: String| ToolCommand { tool, text };
    vec![
        command("curl", format!("curl -fSs {login}-T FILE {origin}/api/v1/artifacts/{repository}/-/1.0.0/FILE")),
        command("wharf", format!("wharf artifact upload {repository} FILE --version 1.0.0")),
    ]
}

/// How to download one artifact, of `variants` with its version and path.
pub(super) fn download(granted: &Granted, shell: &Shell, artifact: &ArtifactInfo, variants: usize) -> Vec<ToolCommand> {
    let (origin, login) = (origin(granted, shell), login(shell));
    let (repository, version) = (&artifact.repo, super::segment(&artifact.version));
    let path = match variants {
        0 | 1 => format!("{version}/{}", super::segments(&artifact.path)),
        _ => format!("query?id={}", artifact.id),
    };
    let url = quoted(&format!("{origin}/api/v1/artifacts/{repository}/{path}"));
    let mut wharf = format!(
        "wharf artifact download {repository} --version {} --path {}",
        quoted(&artifact.version),
        quoted(&artifact.path)
    );
    for (key, value) in artifact.properties.iter().filter(|_| variants > 1) {
        wharf.push_str(&format!(" --property {}", quoted(&format!("{key}={value}"))));
    }
    let command = |tool: &'static str, text: String| ToolCommand { tool, text };
    let mut commands = vec![command("curl", format!("curl -fSOJ {login}{url}"))];
    // For it, these separate properties and stand for other text.
    let is_literal = |text: &str| !text.contains(['*', '%']);
    let is_one = |value: &String| !value.contains(',');
    if is_literal(&artifact.version) && is_literal(&artifact.path) && artifact.properties.values().all(is_one) {
        commands.push(command("wharf", wharf));
    }
    commands
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '=' | '+' | ',');
    match !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_one_word() {
        assert_eq!(quoted("1.4.0"), "1.4.0");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("$(reboot)'; rm -rf ~"), "'$(reboot)'\\''; rm -rf ~'");
        assert_eq!((quoted("-rf"), quoted("")), ("'-rf'".to_owned(), "''".to_owned()));
    }
}
