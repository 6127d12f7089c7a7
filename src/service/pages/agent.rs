//! The names of browsers and programs, from what they call themselves.

/// The longest name that is shown, in bytes.
const LONGEST: usize = 60;

/// Browsers, by the word that only they and those before them have. The version follows the word.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
];

/// Systems, by a word; the first that is there counts.
const SYSTEMS: [(&str, &str); 8] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("BSD", "BSD"),
];

/// A name that people know: browser and system, or the program and its version. It is a guess, since anybody can send
/// anything.
pub(super) fn readable(agent: &str) -> String {
    let browser = BROWSERS.iter().find_map(|(word, name)| {
        let (_, rest) = agent.split_once(word)?;
        Some((*name, rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()))
    });
    let system = SYSTEMS.iter().find(|(word, _)| agent.contains(word)).map(|(_, name)| *name);
    match (browser.filter(|_| agent.starts_with("Mozilla/")), system) {
        (Some((name, version)), Some(system)) => format!("{name} {version} on {system}"),
        (Some((name, version)), None) => format!("{name} {version}"),
        (None, _) => program(agent),
    }
}

/// A program such as `curl/8.5.0` in two words.
fn program(agent: &str) -> String {
    let first = agent.split_whitespace().next().unwrap_or_default();
    let first = match first.split_once('/') {
        Some((name, version)) if !version.is_empty() => format!("{name} {version}"),
        _ => first.to_owned(),
    };
    match first.len() {
        0..=LONGEST => first,
        _ => format!("{}…", &first[..first.floor_char_boundary(LONGEST)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_programs_have_the_names_that_people_know() {
        for (agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128 on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Safari/537.36 Edg/126.0.2592.87",
                "Edge 126 on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
                 Safari/605.1.15",
                "Safari 17 on macOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Mobile Safari/537.36",
                "Chrome 126 on Android",
            ),
            ("curl/8.5.0", "curl 8.5.0"),
            ("docker/27.0.3 go/go1.21.11 git-commit/662f78c kernel/6.8 os/linux arch/amd64", "docker 27.0.3"),
            ("Mozilla/5.0 something else", "Mozilla 5.0"),
            ("", ""),
        ] {
            assert_eq!(readable(agent), name);
        }
        let long = format!("x{}", "ä".repeat(200));
        assert!(readable(&long).ends_with('…') && readable(&long).len() < 70);
    }
}
