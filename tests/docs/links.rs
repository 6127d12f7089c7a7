//! Links between pages lead to files and headings that exist.

use super::{pages, read, root};
use std::collections::BTreeMap;

/// The anchors of a page, as GitHub makes them from its headings.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let prose = text.split("```").step_by(2).collect::<String>();
    let headings = prose.lines().filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' ')).flatten()
    });
    let slug = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let mut numbered = |slug: String| {
        let before = seen.entry(slug.clone()).or_default();
        *before += 1;
        if *before == 1 { slug } else { format!("{slug}-{}", *before - 1) }
    };
    headings.map(|heading| numbered(slug(heading))).collect()
}

/// The targets of the links of a page.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn links_between_pages_lead_to_files_and_headings() {
    for (page, text) in pages() {
        let dir = root().join(&page).parent().unwrap().to_owned();
        for target in targets(&text).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { root().join(&page) } else { dir.join(file) };
            assert!(path.exists(), "{page}: {target}");
            if !anchor.is_empty() && path.extension().is_some_and(|extension| extension == "md") {
                let known = anchors(&std::fs::read_to_string(&path).unwrap());
                assert!(known.iter().any(|known| known == anchor), "{page}: {target}: no such heading");
            }
        }
    }
}

#[test]
fn every_page_can_be_found_from_the_readme() {
    let readme = read("README.md");
    let index = read("docs/coming-from/README.md");
    for (page, _) in pages().iter().filter(|(page, _)| page.starts_with("docs/")) {
        let by_index = page.strip_prefix("docs/coming-from/").is_some_and(|name| targets(&index).any(|t| t == name));
        let by_readme = targets(&readme).any(|target| target.split('#').next() == Some(page));
        assert!(by_index || by_readme, "{page}: no link in README.md or in docs/coming-from/README.md");
    }
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    let text = "# A page\n\n## `[[quota]]`\n\n## TLS, and plain HTTP\n\n```sh\n# no heading\n```\n\n### A page\n";
    assert_eq!(anchors(text), ["a-page", "quota", "tls-and-plain-http", "a-page-1"]);
}
