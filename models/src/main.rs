//! Explores the variants and prints their rows of README.md.
//!
//! `cargo run -p models --release -- [--large] [--steps] [NAME…]`: `--large` uses the larger bounds, `--steps` prints
//! each counterexample, names select variants.

use models::variants::{self, ExpectedResult};
use std::{process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    if let Some(flag) = flags.iter().find(|flag| !["--large", "--steps"].contains(&flag.as_str())) {
        eprintln!("{flag}: no such flag; there are --large and --steps");
        return ExitCode::from(2);
    }
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let chosen = if has("--large") { variants::large() } else { variants::all() };
    if let Some(name) = names.iter().find(|name| chosen.iter().all(|variant| variant.name != name.as_str())) {
        eprintln!("{name}: no such variant");
        return ExitCode::from(2);
    }
    let mut is_as_expected = true;
    for variant in chosen.iter().filter(|variant| names.is_empty() || names.iter().any(|name| name == variant.name)) {
        let began = Instant::now();
        let explored = variant.explore();
        println!("{}", variant.row(&explored));
        eprintln!("{}: {:.1} s", variant.name, began.elapsed().as_secs_f64());
        if has("--steps")
            && let Some((property, steps)) = &explored.counterexample
        {
            println!("not true: {property}");
            steps.iter().for_each(|step| println!("    {step}"));
        }
        if !explored.never.is_empty() {
            println!("never happened: {:?}", explored.never);
            is_as_expected &= variant.expect != ExpectedResult::Holds;
        }
        let failed = explored.counterexample.map(|(property, _)| property);
        is_as_expected &= failed
            == match variant.expect {
                ExpectedResult::Holds => None,
                ExpectedResult::Fails(property) => Some(property),
            };
    }
    if is_as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
