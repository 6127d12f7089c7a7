//! What the pages show: a registry as a small company has it.

use crate::{
    Result,
    images::{Image, Pushed, age, attach, index, noise},
    registry::{Conf, Registry},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

/// A name as long as names may be, in two components.
pub fn long_name() -> String {
    let namespace = "department-of-long-names.and-longer-ones_".repeat(3);
    let namespace = namespace.trim_end_matches('_');
    let rest = 255 - namespace.len() - 1;
    format!("{namespace}/{}", "x".repeat(rest))
}

/// A tag as long as tags may be.
pub fn long_tag() -> String {
    format!("v1.0.0-{}", "feature_with-a.very.long-name_".repeat(5)).chars().take(128).collect()
}

/// Users, groups, roles, rules and settings.
pub fn conf() -> Conf {
    let rules = json!({
        "defaultPolicy": "deny",
        "adminUsers": ["admin"],
        "rules": [
            { "repository": "library/**", "users": ["*"], "permissions": ["pull"] },
            { "repository": "platform/**", "users": ["@platform"], "permissions": ["pull", "push", "delete"] },
            { "repository": "platform/**", "users": ["@support", "grace"], "permissions": ["pull"] },
            { "repository": "data/**", "users": ["@data"], "permissions": ["pull", "push"] },
            { "repository": "users/${user}/**", "users": ["*"], "permissions": ["pull", "push", "delete"] },
            { "repository": "charts/*", "users": ["anonymous"], "permissions": ["pull"] },
        ],
        "groups": {
            "platform": { "description": "Builds and runs the platform", "members": ["alice", "bob", "ci-platform"], "roles": ["web"] },
            "data": { "description": "Pipelines and models", "members": ["carol", "dave"], "roles": ["web"] },
            "support": { "description": "", "members": ["erin", "frank", "grace"], "roles": ["web", "auditor"] },
        },
        "roles": {
            "web": { "description": "May log in here", "permissions": ["LOGIN:WEBUI", "VIEW:USER", "VIEW:GROUP"] },
            "auditor": { "description": "Sees what is going on, and changes nothing", "permissions": ["VIEW:SYSTEM", "VIEW:USER", "VIEW:GROUP"] },
            "release-manager": { "description": "", "permissions": ["PULL:IMAGE", "PUSH:IMAGE", "CREATE:TAG"], "repositories": ["platform/**", "charts/*"] },
        },
    });
    let settings = "[management]\nmax_writes_per_minute = 0\n\n[operator]\nmessage = \"\"\n\n\
        [[retention]]\nrepositories = [\"platform/**\"]\ntags = \"dev-.*\"\nkeep_last = 2\nkeep_younger_than_days = 1\n\n\
        [[quota]]\nrepositories = [\"platform/**\"]\nmax_bytes = \"512 MiB\"\nmax_tags = 100\n\n\
        [[quota]]\nrepositories = [\"data/**\", \"ml/**\"]\nmax_bytes = \"1 GiB\"\n\n\
        [[immutable]]\nrepositories = [\"platform/api\"]\ntags = \"2[.]4[.][0-2]\"\n"
        .to_owned();
    let users = ["admin", "alice", "bob", "carol", "dave", "erin", "frank", "grace", "ci-platform"].to_vec();
    Conf { users, rules, settings }
}

/// Fills the registry. Times are spread over the last weeks.
pub async fn all(registry: &mut Registry) -> Result<()> {
    let mut pushed = Vec::new();
    library(registry, &mut pushed).await?;
    platform(registry, &mut pushed).await?;
    others(registry, &mut pushed).await?;
    artifacts(registry).await?;
    facts(registry).await?;
    registry.rearrange(|data: &Path| age(data, &pushed))
}

async fn artifacts(registry: &Registry) -> Result<()> {
    for (name, description, private) in [
        ("crane-firmware", "Firmware of the quay cranes, signed", true),
        ("tide-tables", "Tables of the harbour office", false),
        ("installers", "", false),
        ("gate-models", "Nothing yet", true),
    ] {
        let new = json!({ "name": name, "description": description, "private": private });
        registry.api(Method::POST, "/artifacts/repos", &new).await?;
    }
    let mut build = 20_640;
    for version in ["7.8.0", "7.9.0", "7.9.3", "7.10.0", "7.11.0-rc1"] {
        let branch = if version.ends_with("rc1") { "next" } else { "main" };
        for (file, kib) in [
            ("crane-controller.img.zst", 900),
            ("crane-controller.symbols.tar.zst", 310),
            ("RELEASE-NOTES.md", 6),
            ("docs/manual.pdf", 240),
            ("docs/wiring/quay-3.svg", 12),
        ] {
            build += 1;
            let target = format!("crane-firmware/-/{version}/{file}?property.branch={branch}&property.build={build}");
            registry.artifact(&target, &noise(kib << 10, &format!("{version}{file}"))).await?;
        }
    }
    for board in ["rev-a", "rev-b", "rev-c"] {
        let target = format!("crane-firmware/-/7.10.0/bootloader.bin?property.board={board}&property.branch=main");
        let stored = registry.artifact(&target, &noise(64 << 10, board)).await?;
        let metadata = json!({ "compiler": "gcc 15.2", "tests": { "passed": 812, "failed": 0 } });
        let path = format!("/artifacts/crane-firmware/{}/metadata", stored["id"].as_str().unwrap_or_default());
        registry.api(Method::PUT, &path, &metadata).await?;
    }
    for port in ["harwich", "felixstowe", "tilbury"] {
        let target = format!("tide-tables/-/2026.11.2/{port}/tide-table-2026-12.csv?property.port={port}");
        registry.artifact(&target, &noise(40 << 10, port)).await?;
    }
    registry.artifact("installers/-/2.14.1/setup.exe?property.os=windows", &noise(300 << 10, "setup")).await?;
    registry.api(Method::DELETE, "/artifacts/crane-firmware/7.8.0/docs/manual.pdf", &Value::Null).await?;
    registry.api(Method::DELETE, "/artifacts/crane-firmware/7.8.0/RELEASE-NOTES.md", &Value::Null).await.map(drop)
}

/// The longest names that an artifact can have: its repository, version and path.
pub fn long_artifact() -> (String, String, String) {
    let component = "a-component.of_a-path-".repeat(11);
    ("r".repeat(128), format!("1.0.0-{}", "build.".repeat(40)), format!("{component}/{component}/{component}"))
}

/// Fills another one with names, tags, labels and descriptions that are as long as can be.
pub async fn long(registry: &mut Registry) -> Result<()> {
    let mut pushed = Vec::new();
    long_names(registry, &mut pushed).await?;
    registry.rearrange(|data: &Path| age(data, &pushed))
}

async fn library(registry: &Registry, pushed: &mut Vec<Pushed>) -> Result<()> {
    for (i, version) in ["3.20", "3.21", "3.22"].iter().enumerate() {
        let mut children = Vec::new();
        for (machine, mib) in [("amd64", 3.4), ("arm64", 3.9), ("arm/v7", 3.1)] {
            let image = Image::new("library/alpine", machine, version).layer(
                format!("ADD alpine-minirootfs-{version}.0-{machine}.tar.gz / # buildkit"),
                (mib * 1_048_576.0) as usize,
                format!("alpine-{version}-{machine}"),
            );
            children.push((machine, image.push(registry, "").await?));
        }
        let tags: &[&str] = if i == 2 { &["3.22", "latest"] } else { &[version] };
        for tag in tags {
            index(registry, "library/alpine", tag, &children).await?;
            pushed.push(Pushed::of("library/alpine", tag, 3 + (2 - i as u64) * 31));
        }
    }
    for (i, version) in ["16.4", "17.1", "17.2"].iter().enumerate() {
        let image = Image::new("library/postgres", "amd64", version)
            .layer("ADD alpine-minirootfs-3.22.0-amd64.tar.gz / # buildkit", 3_565_158, "alpine-3.22-amd64")
            .layer(format!("RUN /bin/sh -c apk add --no-cache postgresql{version} # buildkit"), 6 << 20, *version)
            .nothing("EXPOSE map[5432/tcp:{}]");
        image.push(registry, version).await?;
        pushed.push(Pushed::of("library/postgres", version, 60 - 20 * i as u64));
    }
    Ok(())
}

fn api_image(machine: &'static str, version: &str) -> Image {
    Image::new("platform/api", machine, version)
        .layer("ADD alpine-minirootfs-3.22.0-amd64.tar.gz / # buildkit", 3_565_158, "alpine-3.22-amd64")
        .nothing("ENV TZ=Europe/Berlin")
        .layer(
            "RUN /bin/sh -c apk add --no-cache ca-certificates tzdata curl && adduser -D -u 10001 api # buildkit",
            1_400_000,
            format!("api-packages-{machine}"),
        )
        .nothing("WORKDIR /srv")
        .layer(
            "COPY /build/target/release/api /usr/local/bin/api # buildkit",
            2_600_000,
            format!("api-{version}-{machine}"),
        )
        .layer("COPY ./migrations /srv/migrations # buildkit", 42_000, format!("migrations-{}", &version[..1]))
        .nothing("USER api")
        .nothing("EXPOSE map[8080/tcp:{}]")
        .nothing("ENTRYPOINT [\"/usr/local/bin/api\"]")
}

async fn platform(registry: &Registry, pushed: &mut Vec<Pushed>) -> Result<()> {
    let mut days = 170;
    for minor in 0..5 {
        for patch in 0..=(minor * 3) % 11 {
            let version = format!("2.{minor}.{patch}");
            let mut children = Vec::new();
            for machine in ["amd64", "arm64"] {
                children.push((machine, api_image(machine, &version).push(registry, "").await?));
            }
            let of = index(registry, "platform/api", &version, &children).await?;
            days -= 5;
            pushed.push(Pushed::of("platform/api", &version, days));
            if (minor, patch) == (4, 1) {
                for tag in ["2", "2.4", "latest"] {
                    index(registry, "platform/api", tag, &children).await?;
                    pushed.push(Pushed::of("platform/api", tag, days));
                }
            }
            if minor >= 3 {
                attach(registry, "platform/api", &of, "application/vnd.dev.cosign.artifact.sig.v1+json").await?;
            }
            if minor == 4 {
                attach(registry, "platform/api", &of, "application/spdx+json").await?;
                attach(registry, "platform/api", &of, "application/vnd.in-toto+json").await?;
            }
        }
    }
    for i in 0..6 {
        // Each push of `main` leaves the image before it without a tag.
        api_image("amd64", &format!("3-main-{i}")).push(registry, "main").await?;
        let tag = format!("dev-2026-11-{:02}", 12 + i * 3);
        api_image("amd64", &format!("3-{tag}")).push(registry, &tag).await?;
        pushed.push(Pushed::of("platform/api", &tag, 18 - 3 * i));
    }
    pushed.push(Pushed::of("platform/api", "main", 0));
    for (i, version) in ["1.0.0", "1.1.0", "1.2.0-rc.1", "1.2.0", "latest"].iter().enumerate() {
        for (name, from) in [("platform/web", "node:24-alpine"), ("platform/worker", "python:3.14-slim")] {
            let base = format!("{from}-base");
            let image = Image::new(name, "amd64", version)
                .layer(format!("FROM {from}"), 5 << 20, base)
                .layer("COPY . /app # buildkit", 700_000 + 9000 * i, format!("{name}-{version}"))
                .nothing("CMD [\"start\"]");
            image.push(registry, version).await?;
            pushed.push(Pushed::of(name, version, 40 - 9 * i as u64));
        }
    }
    Ok(())
}

async fn others(registry: &Registry, pushed: &mut Vec<Pushed>) -> Result<()> {
    for (name, tag, bytes, days) in [
        ("data/etl/nightly", "2026.11", 9_000_000, 2),
        ("data/etl/hourly", "2026.11", 8_000_000, 1),
        ("ml/transcribe", "large-v3", 24 << 20, 12),
        ("tools/terraform", "1.14.2", 5 << 20, 25),
        ("users/alice/scratch", "test", 1_200_000, 0),
    ] {
        let image = Image::new(name, "amd64", tag).layer("COPY . / # buildkit", bytes, name);
        image.push(registry, tag).await?;
        pushed.push(Pushed::of(name, tag, days));
    }
    for version in ["0.9.0", "1.0.0", "1.0.1"] {
        let meta =
            json!({ "name": "ingress", "version": version, "apiVersion": "v2", "description": "Routes requests" });
        let config = registry
            .blob("charts/ingress", "application/vnd.cncf.helm.config.v1+json", meta.to_string().as_bytes())
            .await?;
        let chart = noise(21_000, version);
        let layer =
            registry.blob("charts/ingress", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", &chart).await?;
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": crate::images::MANIFEST, "config": config, "layers": [layer] });
        registry.manifest("charts/ingress", version, &manifest).await?;
        pushed.push(Pushed::of("charts/ingress", version, 33));
    }
    registry
        .api(Method::POST, "/repositories", &json!({ "name": "tools/empty", "description": "Nothing yet" }))
        .await?;
    registry
        .api(
            Method::POST,
            "/keys",
            &json!({ "name": "laptop", "scopes": ["repository:**:pull"], "expires_in": 7_776_000 }),
        )
        .await?;
    let ci =
        json!({ "name": "ci", "scopes": ["repository:platform/**:pull,push", "VIEW:SYSTEM"], "expires_in": 2_592_000 });
    registry.api(Method::POST, "/keys", &ci).await.map(drop)
}

async fn long_names(registry: &Registry, pushed: &mut Vec<Pushed>) -> Result<()> {
    let (name, tag) = (long_name(), long_tag());
    let word = "unbreakable".repeat(40);
    for tag in [tag.as_str(), "1.0"] {
        let image = Image::new(&name, "amd64", tag)
            .layer(format!("RUN {word}"), 50_000, "long-a")
            .layer(format!("RUN /bin/sh -c echo {}", "many words and then some ".repeat(40)), 60_000, tag)
            .label(format!("org.example.{}", "long-".repeat(30)), word.clone())
            .label("org.opencontainers.image.source", format!("https://example.com/{word}"))
            .environment(format!("{}={word}", "LONG_".repeat(20)));
        image.push(registry, tag).await?;
        pushed.push(Pushed::of(&name, tag, 5));
    }
    let text = format!("{}{}", "A description that goes on and on. ".repeat(7), "withoutanybreak".repeat(8));
    let text: String = text.chars().take(400).collect();
    registry.api(Method::PATCH, &format!("/repositories/{name}"), &json!({ "description": text })).await?;
    let (name, version, path) = long_artifact();
    registry.api(Method::POST, "/artifacts/repos", &json!({ "name": name, "description": text })).await?;
    let value: String = word.chars().take(400).collect();
    for variant in ["a", "b"] {
        let key = "long-key.".repeat(14);
        let target = format!("{name}/-/{version}/{path}?property.{key}={value}&property.variant={variant}");
        registry.artifact(&target, variant.as_bytes()).await?;
    }
    registry.artifact(&format!("{name}/-/0.1/{path}"), b"old").await?;
    registry.api(Method::DELETE, &format!("/artifacts/{name}/0.1/{path}"), &Value::Null).await.map(drop)
}

async fn facts(registry: &Registry) -> Result<()> {
    for (name, description, owner, is_public) in [
        ("library/alpine", "Base image, mirrored every month", "admin", true),
        ("library/postgres", "", "admin", true),
        ("platform/api", "The public HTTP API, released every other Tuesday", "alice", false),
        ("platform/web", "What customers see", "bob", false),
        ("ml/transcribe", "Speech to text", "carol", false),
        ("charts/ingress", "Routes requests into the cluster", "", true),
    ] {
        let mut change = json!({});
        for (key, value) in [("description", description), ("owner", owner)] {
            if !value.is_empty() {
                change[key] = Value::from(value);
            }
        }
        let path = format!("/repositories/{name}");
        registry.api(Method::PATCH, &path, &change).await?;
        if is_public {
            registry.api(Method::PUT, &format!("{path}/-/visibility"), &json!({ "visibility": "public" })).await?;
        }
    }
    Ok(())
}
