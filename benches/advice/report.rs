//! The output: a table on the terminal, and the same data as JSON.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::judge::{Point, Verdict};

pub(crate) fn print_head() {
    println!(
        "| work | cs2 | in force | load | goal / p99 | timed | floor | least | advised | room | limit s | goodput | best | |\n\
         |------|----:|---------:|-----:|-----------:|------:|------:|------:|--------:|-----:|--------:|--------:|-----:|-|"
    );
}

pub(crate) fn print_row(verdict: &Verdict) {
    let Verdict { point, timed, floor, cap, advised: (low, high), room, limit, .. } = verdict;
    let Point { work, capacity, load, goal } = point;
    let kind = if work.weighted { "weighted" } else { "plain" };
    let least = verdict.least.map_or(format!("> {cap}"), |least| least.to_string());
    let (room_of_best, limit_of_best) = verdict.best_at;
    let limit_of_best = limit_of_best.map_or(String::from("no"), |limit| format!("{limit}x"));
    let result = match verdict.failures.as_slice() {
        [] => String::from("ok"),
        failures => failures.join("; "),
    };
    println!(
        "| {kind} | {:.2} | {capacity} | {load:.1} | {goal:.2} | {timed} | {floor} | {least} | {low}..{high} | {room} | {limit:.2} | \
         {:.4} | {:.4} ({room_of_best}x, {limit_of_best}) | {result} |",
        work.variability, verdict.goodput, verdict.best
    );
}

pub(crate) fn write_json(verdicts: &[Verdict]) -> io::Result<PathBuf> {
    let rows: Vec<String> = verdicts.iter().map(row).collect();
    let json = format!("{{\n  \"points\": [\n{}\n  ]\n}}\n", rows.join(",\n"));
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join("bench/advice.json");
    fs::create_dir_all(target.join("bench"))?;
    fs::write(&path, json)?;
    Ok(path)
}

fn row(verdict: &Verdict) -> String {
    let Verdict { point, timed, floor, cap, advised: (low, high), room, limit, .. } = verdict;
    let Point { work, capacity, load, goal } = point;
    let least = verdict.least.map_or(String::from("null"), |least| least.to_string());
    format!(
        "    {{\"weighted\": {}, \"cs2\": {}, \"in_force\": {capacity}, \"load\": {load}, \"goal_over_p99\": {goal}, \
         \"timed\": {timed}, \"floor\": {floor}, \"cap\": {cap}, \"least\": {least}, \"advised\": [{low}, {high}], \
         \"waiting_room\": {room}, \"wait_limit_s\": {limit:.4}, \"goodput\": {:.5}, \"best_goodput\": {:.5}, \"ok\": {}}}",
        work.weighted,
        work.variability,
        verdict.goodput,
        verdict.best,
        verdict.failures.is_empty()
    )
}
