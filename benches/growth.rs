//! How cost and memory grow from a thousand waiters or partitions to a million:
//! `cargo bench --bench growth`.
//!
//! Prints a table and draws `docs/growth.svg`. Measures nothing without `--bench`, which `cargo test` does not
//! pass.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the summary counts allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use std::{env, error::Error, path::Path};

use plotters::prelude::*;

use self::cases::growth::{
    LineCost, PartitionCost, WaitingKeysCost, median_line_cost, median_partition_cost,
    waiting_keys_cost,
};

/// Numbers of waiters or partitions, each with its number of rounds.
const SIZES: [(usize, usize); 4] = [(1_000, 101), (10_000, 31), (100_000, 11), (1_000_000, 5)];

fn main() -> Result<(), Box<dyn Error>> {
    if !env::args().any(|argument| argument == "--bench") {
        println!("nothing measured: run `cargo bench --bench growth`");
        return Ok(());
    }
    let lines = SIZES.map(|(size, rounds)| (size, median_line_cost(size, rounds)));
    let partitions = SIZES.map(|(size, rounds)| (size, median_partition_cost(size, rounds)));
    println!("| waiters | join ns | leave ns | admit ns | bytes a waiter |");
    println!("|--------:|--------:|---------:|---------:|---------------:|");
    for (size, LineCost { join, leave, admit, bytes }) in &lines {
        println!("| {size} | {join:.0} | {leave:.0} | {admit:.0} | {bytes:.0} |");
    }
    println!("\n| partitions | create ns | hit ns | evict ns | bytes a partition |");
    println!("|-----------:|----------:|-------:|---------:|------------------:|");
    for (size, PartitionCost { create, hit, evict, bytes }) in &partitions {
        println!("| {size} | {create:.0} | {hit:.0} | {evict:.0} | {bytes:.0} |");
    }
    println!("\n| waiting keys | join ns | hand-over ns | longest step us |");
    println!("|-------------:|--------:|-------------:|----------------:|");
    for (size, _) in SIZES {
        let WaitingKeysCost { join, hand_over, longest } = waiting_keys_cost(size);
        println!("| {size} | {join:.0} | {hand_over:.0} | {} |", longest.as_micros());
    }
    let curves = [
        ("join the line", lines.map(|(size, cost)| (size, cost.join))),
        ("leave from anywhere", lines.map(|(size, cost)| (size, cost.leave))),
        ("be admitted", lines.map(|(size, cost)| (size, cost.admit))),
        ("hit a partition", partitions.map(|(size, cost)| (size, cost.hit))),
        ("create a partition", partitions.map(|(size, cost)| (size, cost.create))),
        ("evict and create", partitions.map(|(size, cost)| (size, cost.evict))),
    ];
    draw(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/growth.svg"), &curves)
}

type Curve = (&'static str, [(usize, f64); SIZES.len()]);

fn draw(path: &Path, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(path, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let highest = curves.iter().flat_map(|(_, points)| points).map(|(_, cost)| *cost);
    let highest = highest.fold(0.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .margin_right(40) // half of the last label
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((1e3..1e6f64).log_scale(), 0.0..highest)?;
    chart
        .configure_mesh()
        .x_desc("waiters, or partitions")
        .y_desc("nanoseconds an operation")
        .x_label_formatter(&|size| format!("{size:.0}"))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, (name, points)) in curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let points: Vec<_> = points.iter().map(|&(size, cost)| (size as f64, cost)).collect();
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(TRANSPARENT)
        .draw()?;
    area.present()?;
    Ok(())
}
