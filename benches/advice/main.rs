//! Judges [`BulkheadInterval::advise`] by simulation: `cargo bench --bench advice`.
//!
//! Real bulkheads serve a Poisson stream of operations on tokio's paused clock, with fixed seeds. For each point, a run with
//! some capacity in force gives an interval, and the advice that it gives is compared with what further runs find:
//!
//! - **Capacity.** The target is the least capacity that is at least the demand / 0.8 and at which, with an unlimited line, at
//!   most 2 % of the operations are answered later than the goal; or the cap of 1.5 times the capacity in force, if that
//!   is less. The middle of the advised range must be within one server or 10 % of it.
//! - **Goodput**, the share of the operations that are answered within the goal; in weighted bulkheads that of their
//!   unit-seconds. With the advised room and limit, at the upper end of the advised range, it must be at least 0.97 of
//!   the best that a grid of 16 rooms and limits has.
//!
//! Prints a table and writes it to `target/bench/advice.json`. Exits with an error if a point fails. `--quick` judges fewer
//! points, in less than a minute; `--seed=N` draws others. Does nothing without `--bench`, which `cargo test` does not pass.
//!
//! [`BulkheadInterval::advise`]: bulklink::BulkheadInterval::advise

mod judge;
mod report;
mod simulate;

use std::{env, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if !has("--bench") {
        println!("nothing judged: run `cargo bench --bench advice`");
        return ExitCode::SUCCESS;
    }
    let seed = arguments.iter().find_map(|argument| argument.strip_prefix("--seed="));
    let seed = match seed.map_or(Ok(0), str::parse) {
        Ok(seed) => seed,
        Err(error) => {
            eprintln!("--seed: {error}");
            return ExitCode::FAILURE;
        }
    };
    let start = Instant::now();
    report::print_head();
    let mut verdicts = Vec::new();
    for point in judge::points(has("--quick")) {
        let verdict = judge::judge(point, seed);
        report::print_row(&verdict);
        verdicts.push(verdict);
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.failures.is_empty()).count();
    println!("\n{failed} of {} points failed, in {:.0?}", verdicts.len(), start.elapsed());
    match report::write_json(&verdicts) {
        Ok(path) => println!("written to {}", path.display()),
        Err(error) => {
            eprintln!("cannot write the JSON: {error}");
            return ExitCode::FAILURE;
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
