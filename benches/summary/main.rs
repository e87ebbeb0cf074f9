//! Every target in one run: `cargo bench --bench summary`.
//!
//! Prints a table of ratios, ours against a peer measured in alternation with it, and what was counted,
//! and writes the same to `target/bench/summary.json`. Nothing is measured without `--bench`, which
//! `cargo test` does not pass. Further arguments choose the targets whose number they are.

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/it/support/counting_allocator.rs"]
mod alloc;
#[expect(dead_code, reason = "the criterion groups use the rest")]
#[path = "../cases/mod.rs"]
mod cases;
mod counts;
mod measure;
mod report;
mod targets;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing measured: run `cargo bench --bench summary`");
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_chosen = |target: &str| {
        chosen.is_empty()
            || chosen.iter().any(|number| target.trim_end_matches(char::is_alphabetic) == **number)
    };
    let measured: Vec<_> = targets::all()
        .into_iter()
        .filter(|target| is_chosen(target.number))
        .map(|target| {
            let outcome = target.measure();
            report::print_progress(&outcome);
            outcome
        })
        .collect();
    let counted: Vec<_> = if chosen.is_empty() { counts::all() } else { Vec::new() };
    let limits = targets::physical_limits();
    report::print(&measured, &counted, limits);
    match report::write_json(&measured, &counted, limits) {
        Ok(path) => {
            println!("\nwritten to {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the JSON could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}
