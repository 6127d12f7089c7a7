//! Runs the fuzz targets with their corpora and with some thousand inputs derived from them, so that everything that was
//! ever found stays fixed.
//!
//! `fuzz/run` is the longer run. Its findings are added to `fuzz/corpus/<target>/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use fuzz_cases::TARGETS;
use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Number of inputs generated for each target, and how long they may take.
const MADE: usize = 3000;
const LONGEST: Duration = Duration::from_secs(4);

/// The corpora stay small enough to be read.
const MOST_BYTES: u64 = 200 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Name and content of every file in a target's corpus.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = fuzz().join("corpus").join(target);
    names(&dir).into_iter().map(|name| (name.clone(), std::fs::read(dir.join(name)).unwrap())).collect()
}

fn run(target: &str, what: &str, input: &[u8]) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of this name");
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
        let shown = &input[..input.len().min(4096)];
        panic!("fuzz target {target}, {what}; to reproduce it, write this into a file:\n{}", shown.escape_ascii());
    }
}

/// A generator of numbers, the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// The words of the fuzzer's dictionary.
fn words() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(fuzz().join("words")).unwrap();
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescaped).collect()
}

/// Decodes `\\`, `\"` and `\xHH`.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let mut next = || rest.next().expect("an escape is complete");
        plain.push(match byte {
            b'\\' => match next() {
                b'x' => {
                    let hex = [next(), next()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                other => other,
            },
            other => other,
        });
    }
    plain
}

/// An input derived from one of the corpus, sometimes with a piece of another.
fn derived(numbers: &mut Numbers, corpus: &[(String, Vec<u8>)], words: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[numbers.below(corpus.len())].1.clone();
    for _ in 0..=numbers.below(4) {
        let (from, to) = (numbers.below(input.len() + 1), numbers.below(input.len() + 1));
        let part = from.min(to)..from.max(to);
        let short = part.start..part.end.min(part.start + 1 + numbers.below(8));
        match numbers.below(7) {
            0 => drop(input.drain(short)),
            1 => drop(input.drain(part)),
            2 => input[short].iter_mut().for_each(|byte| *byte ^= 1 << numbers.below(8)),
            3 => drop(input.splice(short, words[numbers.below(words.len())].iter().copied())),
            4 => drop(input.splice(from..from, words[numbers.below(words.len())].iter().copied())),
            5 => {
                let twice = input[part.clone()].to_vec();
                drop(input.splice(part.start..part.start, twice));
            }
            _ => {
                let other = &corpus[numbers.below(corpus.len())].1;
                let start = numbers.below(other.len());
                drop(input.splice(part, other[start..].iter().copied()));
            }
        }
    }
    input
}

fn replay(target: &str) {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "the target has no corpus");
    for (name, input) in &corpus {
        run(target, &format!("corpus file {name}"), input);
    }
    let (start, words, mut numbers) = (Instant::now(), words(), Numbers(0x57a7_1e57));
    for i in 0..MADE {
        if start.elapsed() > LONGEST {
            break;
        }
        run(target, &format!("derived input {i}"), &derived(&mut numbers, &corpus, &words));
    }
}

macro_rules! replays {
    ($($target:ident)*) => {
        mod replays {
            $(#[test] fn $target() { super::replay(stringify!($target)); })*
        }
        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
    };
}

replays! {
    authorization catalog content_range digest htpasswd jwt manifest name path query range requests rules scope stored
}

#[test]
fn every_fuzz_target_is_listed_everywhere() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(REPLAYED.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), targets);
    assert_eq!(names(&fuzz().join("corpus")), targets);
    let files = targets.iter().map(|name| format!("{name}.rs")).collect::<BTreeSet<_>>();
    assert_eq!(names(&fuzz().join("fuzz_targets")), files);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        assert!(manifest.contains(&format!("\npath = \"fuzz_targets/{name}.rs\"\n")), "{name} is built");
        let text = std::fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("fuzz_cases::{name}(data)")), "{name} runs another target");
    }
}

#[test]
fn the_corpora_stay_small() {
    let sizes = TARGETS.iter().flat_map(|(name, _)| corpus(name)).map(|(_, input)| input.len() as u64);
    assert!(sizes.sum::<u64>() < MOST_BYTES, "minimise them: cargo fuzz cmin");
}

#[test]
fn any_manifest_of_4_mib_is_answered_quickly() {
    const LEN: usize = 4 << 20;
    let digest = format!("sha256:{}", "0".repeat(64));
    let descriptor = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":1}},"#);
    let many = |unit: &str| unit.repeat(LEN / unit.len());
    let keys: String = (0..LEN / 12).map(|i| format!(r#""k{i:07}":0,"#)).collect();
    for (what, body) in [
        ("arrays", many("[")),
        ("objects", many(r#"{"a":"#)),
        ("an open string", many("\"\\u0000\\")),
        ("a number", many("9")),
        ("blanks", many(" ")),
        ("descriptors", format!(r#"{{"schemaVersion":2,"manifests":[{}{{}}]}}"#, many(&descriptor))),
        ("keys", format!("{{{keys}\"k\":0}}")),
        ("annotations", format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":"{}"}}}}"#, many("b"))),
    ] {
        let start = Instant::now();
        run("manifest", what, format!("-\n{body}").as_bytes());
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", start.elapsed());
    }
}
