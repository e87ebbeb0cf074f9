//! Measures every performance target in one run: `cargo bench --bench summary`.
//!
//! Prints a table of ratios, each of our case to a peer's measured in alternation with it, and a table of
//! counts. Writes the same to `target/bench/summary.json`. Measures nothing without `--bench`, which
//! `cargo test` does not pass. Further arguments select targets by number.

#[expect(dead_code, reason = "the rest is used by the tests")]
#[path = "../../tests/it/support/counting_allocator.rs"]
mod alloc;
#[expect(dead_code, reason = "the rest is used by the criterion benches")]
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
    let selected: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_selected = |number: &str| {
        selected.is_empty()
            || selected
                .iter()
                .any(|wanted| number.trim_end_matches(char::is_alphabetic) == **wanted)
    };
    let outcomes: Vec<_> = targets::all()
        .into_iter()
        .filter(|target| is_selected(target.number))
        .map(|target| {
            let outcome = target.measure();
            report::print_progress(&outcome);
            outcome
        })
        .collect();
    let counts: Vec<_> = if selected.is_empty() { counts::all() } else { Vec::new() };
    let limits = targets::measure_limits();
    report::print(&outcomes, &counts, limits);
    match report::write_json(&outcomes, &counts, limits) {
        Ok(path) => {
            println!("\nwritten to {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot write the JSON: {error}");
            ExitCode::FAILURE
        }
    }
}
