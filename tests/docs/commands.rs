//! Pages name only commands and flags of the program that exist.

use super::{pages, spans};
use clap::CommandFactory as _;
use wharfinger::cli::Cli;

/// What comes before the program's name where a shell runs it.
const PREFIXES: &[&str] = &[
    "sudo ",
    "nice ",
    "-u wharfinger ",
    "runuser ",
    "-- ",
    "./target/release/",
    "target/release/",
    "/usr/bin/",
    "cargo run --release -- ",
];

/// The commands of the program in a line for a shell, without its name.
fn commands(line: &str) -> Vec<String> {
    let line = line.split(" # ").next().unwrap_or_default().split("    #").next().unwrap_or_default();
    let parts = line.split(['|', ';', '(', ')', '`']).flat_map(|part| part.split("&&"));
    parts
        .filter_map(|part| {
            let mut rest = part.trim();
            loop {
                // An assignment before a command is for its environment.
                let assigned = rest.split_once(' ').filter(|(word, _)| {
                    word.split_once('=')
                        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
                });
                match PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
                    Some(shorter) => rest = shorter.trim_start(),
                    None => match assigned {
                        Some((_, shorter)) => rest = shorter.trim_start(),
                        None => break,
                    },
                }
            }
            let rest = rest.strip_prefix("wharfinger")?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim().to_owned())
        })
        .collect()
}

/// What is wrong with the words of a command.
fn fault(program: &clap::Command, words: &str) -> Option<String> {
    let mut command = program;
    for word in words.split_whitespace() {
        let word = word.trim_matches(['[', ']', '\'', '"', ',']);
        if word.starts_with(['>', '<', '\\', '#', '&']) {
            break;
        }
        if let Some(flag) = word.strip_prefix("--") {
            let name = flag.split('=').next().unwrap_or_default();
            let known = command.get_arguments().any(|arg| arg.get_long() == Some(name));
            if !known && !["help", "version"].contains(&name) {
                return Some(format!("{} has no flag --{name}", command.get_name()));
            }
        } else if let Some(below) = command.find_subcommand(word) {
            command = below;
        } else if command.has_subcommands() && !is_value(word) {
            return Some(format!("{} has no command {word}", command.get_name()));
        }
    }
    None
}

/// Whether a word is the value of a flag, or stands for several commands.
fn is_value(word: &str) -> bool {
    word.starts_with(['-', '$'])
        || word.contains(['/', '.', '|', '…', ':', '='])
        || word.chars().any(|c| c.is_ascii_digit())
}

#[test]
fn pages_name_only_commands_and_flags_that_exist() {
    let mut program = Cli::command();
    program.build();
    let mut named = 0;
    for (page, text) in pages() {
        let blocks = text.split("```").skip(1).step_by(2).filter(|block| block.starts_with("sh\n"));
        let lines = blocks.flat_map(str::lines).map(str::to_owned);
        for line in lines.chain(spans(&text)) {
            for words in commands(&line) {
                let fault = fault(&program, &words);
                assert!(fault.is_none(), "{page}: {line}: {}", fault.unwrap_or_default());
                named += 1;
            }
        }
    }
    assert!(named > 100, "{named}");
}

#[test]
fn wrong_commands_are_noticed() {
    let mut program = Cli::command();
    program.build();
    assert_eq!(commands("A=b sudo -u wharfinger wharfinger gc --now && wharfinger"), ["gc --now", ""]);
    assert_eq!(commands("docker build -t wharfinger ."), [""; 0]);
    assert_eq!(fault(&program, "user add ann --group devs --host 127.0.0.1"), None);
    assert!(fault(&program, "user remove ann").is_some());
    assert!(fault(&program, "gc --force-now").is_some());
    assert!(fault(&program, "export").is_some());
}
