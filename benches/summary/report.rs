//! The output: tables on the terminal, and the same data as JSON.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    counts::Count,
    targets::{Limits, Outcome},
};

pub(crate) fn print_progress(outcome: &Outcome) {
    eprintln!("measured {}: {}", outcome.number, outcome.work);
}

pub(crate) fn print(outcomes: &[Outcome], counts: &[Count], limits: Limits) {
    println!(
        "\n|   # | work | peer | ours ns | peer ns | ratio | middle half | of fastest | trips ns | at most | |\n\
         |----:|------|------|--------:|--------:|------:|:-----------:|-----------:|--------:|--------:|-|"
    );
    for outcome in outcomes {
        let Outcome { number, work, peer, at_most, comparison, round_trips } = outcome;
        let limit = at_most.map_or(String::from("-"), |limit| format!("{limit:.2}"));
        let trips = round_trips
            .map_or(String::from("-"), |(before, after)| format!("{before:.0}, {after:.0}"));
        println!(
            "| {number:>3} | {work} | {peer} | {:.1} | {:.1} | {:.2} | {:.2}..{:.2} | {:.2} | {trips} | {limit} | {} |",
            comparison.ours,
            comparison.peer,
            comparison.ratio,
            comparison.spread.0,
            comparison.spread.1,
            comparison.ratio_of_fastest,
            outcome.verdict(),
        );
    }
    let Limits { exchange, clock } = limits;
    println!("\nphysical limit, one compare-exchange and one fetch-sub: {exchange:.1} ns");
    println!("one clock reading: {clock:.1} ns");
    if !counts.is_empty() {
        println!("\n|   # | what | counted | at most | |\n|----:|------|--------:|--------:|-|");
    }
    for count in counts {
        let Count { number, what, counted, at_most } = count;
        let limit = at_most.map_or(String::from("-"), |limit| limit.to_string());
        println!("| {number:>3} | {what} | {counted:.2} | {limit} | {} |", count.verdict());
    }
}

pub(crate) fn write_json(
    outcomes: &[Outcome],
    counts: &[Count],
    limits: Limits,
) -> io::Result<PathBuf> {
    let Limits { exchange, clock } = limits;
    let mut json = format!(
        "{{\n  \"physical_limit_ns\": {exchange:.3},\n  \"clock_ns\": {clock:.3},\n  \"targets\": [\n"
    );
    let rows: Vec<String> = outcomes.iter().map(outcome_row).collect();
    json.push_str(&rows.join(",\n"));
    json.push_str("\n  ],\n  \"counts\": [\n");
    let rows: Vec<String> = counts.iter().map(count_row).collect();
    json.push_str(&rows.join(",\n"));
    json.push_str("\n  ]\n}\n");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join("bench/summary.json");
    fs::create_dir_all(target.join("bench"))?;
    fs::write(&path, json)?;
    Ok(path)
}

fn outcome_row(outcome: &Outcome) -> String {
    let Outcome { number, work, peer, at_most, comparison, round_trips } = outcome;
    let mut row =
        format!("    {{\"target\": \"{number}\", \"work\": \"{work}\", \"peer\": \"{peer}\"");
    let mut field = |name, value: f64| {
        // Writing to a `String` cannot fail.
        let _ = write!(row, ", \"{name}\": {value:.4}");
    };
    field("ours_ns", comparison.ours);
    field("peer_ns", comparison.peer);
    field("ratio", comparison.ratio);
    field("ratio_lower_quartile", comparison.spread.0);
    field("ratio_upper_quartile", comparison.spread.1);
    field("ratio_of_fastest", comparison.ratio_of_fastest);
    if let Some((before, after)) = round_trips {
        field("round_trip_before_ns", *before);
        field("round_trip_after_ns", *after);
    }
    if let Some(at_most) = at_most {
        field("at_most", *at_most);
        let _ = write!(row, ", \"ok\": {}", outcome.verdict() == "ok");
    }
    row + "}"
}

fn count_row(count: &Count) -> String {
    let Count { number, what, counted, at_most } = count;
    let mut row =
        format!("    {{\"target\": \"{number}\", \"what\": \"{what}\", \"counted\": {counted:.4}");
    if let Some(at_most) = at_most {
        let ok = count.verdict() == "ok";
        // Writing to a `String` cannot fail.
        let _ = write!(row, ", \"at_most\": {at_most}, \"ok\": {ok}");
    }
    row + "}"
}
