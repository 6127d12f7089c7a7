//! Commands for the terminal, written for this host.

/// A command of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolCommand {
    pub(super) tool: &'static str,
    pub(super) text: String,
}

/// How tools pull something of this kind, the usual one first. The reference is a tag, or a digest with `@`.
pub(super) fn pull(host: &str, repository: &str, reference: &str, kind: &str) -> Vec<ToolCommand> {
    let at = match reference.contains(':') {
        true => format!("{host}/{repository}@{reference}"),
        false => format!("{host}/{repository}:{reference}"),
    };
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let command = |tool: &'static str, text: String| ToolCommand { tool, text };
    let oras = command("oras", format!("oras pull {at}"));
    let skopeo = command("skopeo", format!("skopeo copy docker://{at} oci-archive:{last}.tar"));
    match kind {
        "chart" => vec![
            command("helm", format!("helm pull oci://{host}/{repository} --version {}", reference.replace('_', "+"))),
            oras,
            skopeo,
        ],
        "artifact" => vec![oras, skopeo],
        _ => vec![
            command("docker", format!("docker pull {at}")),
            command("podman", format!("podman pull {at}")),
            skopeo,
            command("ctr", format!("ctr images pull {at}")),
            oras,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_tools() {
        let of = |reference, kind| pull("cr.example:5000", "team/app", reference, kind);
        assert_eq!(of("1.0", "image")[0].text, "docker pull cr.example:5000/team/app:1.0");
        assert_eq!(of("sha256:ab", "index")[1].text, "podman pull cr.example:5000/team/app@sha256:ab");
        assert_eq!(of("1.0_x", "chart")[0].text, "helm pull oci://cr.example:5000/team/app --version 1.0+x");
        assert_eq!(of("1.0", "artifact")[0].text, "oras pull cr.example:5000/team/app:1.0");
    }
}
