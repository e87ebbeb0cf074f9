//! The chart: the latency of every payment over time, of both runs, on one logarithmic scale.

use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::BoxError;
use plotters::coord::combinators::LogCoord;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::client::Outcome;
use crate::run::Run;
use crate::tally::milliseconds;

const SIZE: (u32, u32) = (960, 540);
const WITHOUT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const WITH: RGBColor = RGBColor(0x00, 0x72, 0xb2);

type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, LogCoord<f64>>>;

/// Beside the build, where it is in nobody's way, or else among the temporary files.
pub(crate) fn default_path() -> PathBuf {
    let project = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    let target = project.join("target");
    let folder = if target.is_dir() { target } else { env::temp_dir() };
    folder.join("storefront.svg")
}

pub(crate) fn draw(path: &Path, without: &Run, with: &Run) -> Result<(), BoxError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let picture = SVGBackend::new(path, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let flood_start = without.steady.length;
    let end = flood_start + without.flood.length;
    let mut axes = ChartBuilder::on(&picture)
        .caption("Latency of POST /payments while reports are flooded", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end.as_secs_f64(), latency_range([without, with]).log_scale())?;
    axes.configure_mesh()
        .x_desc("moment the payment was due (seconds into the run)")
        .y_desc("latency (logarithmic)")
        .y_label_formatter(&|ms| axis_label(*ms))
        .label_style(("sans-serif", 15))
        .light_line_style(BLACK.mix(0.04))
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    mark_flood_start(&mut axes, flood_start)?;
    plot(&mut axes, without, WITHOUT)?;
    plot(&mut axes, with, WITH)?;
    axes.configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 15))
        .draw()?;
    picture.present()?;
    Ok(())
}

/// One line through all answered payments; a cross for each that was not.
fn plot(axes: &mut Axes<'_, '_>, run: &Run, color: RGBColor) -> Result<(), BoxError> {
    let (answered, others): (Vec<_>, Vec<_>) = points(run).partition(|point| point.answered);
    let position = |point: Point| (point.due, point.latency);
    axes.draw_series(LineSeries::new(answered.into_iter().map(position), color.stroke_width(2)))?
        .label(run.name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    if !others.is_empty() {
        let crosses = others.into_iter().map(|point| Cross::new(position(point), 4, color));
        axes.draw_series(crosses)?
            .label(format!("{}, rejected or failed", run.name))
            .legend(move |(x, y)| Cross::new((x + 10, y), 4, color));
    }
    Ok(())
}

fn mark_flood_start(axes: &mut Axes<'_, '_>, at: Duration) -> Result<(), BoxError> {
    let at = at.as_secs_f64();
    let Range { start: bottom, end: top } = axes.y_range();
    let line = DashedLineSeries::new([(at, bottom), (at, top)], 6, 4, BLACK.stroke_width(1));
    axes.draw_series(line)?;
    let label = Text::new("the flood starts", (6, 4), ("sans-serif", 15));
    axes.draw_series([EmptyElement::at((at, top)) + label])?;
    Ok(())
}

struct Point {
    due: f64,
    latency: f64,
    answered: bool,
}

/// Both phases on one axis, the flood right behind the steady phase.
fn points(run: &Run) -> impl Iterator<Item = Point> {
    [(&run.steady, Duration::ZERO), (&run.flood, run.steady.length)]
        .into_iter()
        .flat_map(|(phase, began)| phase.payments.iter().map(move |payment| (payment, began)))
        .map(|(payment, began)| Point {
            due: (began + payment.due).as_secs_f64(),
            latency: milliseconds(payment.latency),
            answered: matches!(payment.outcome, Outcome::Answered),
        })
}

/// From the power of ten below the quickest payment to the one above the slowest.
fn latency_range(runs: [&Run; 2]) -> Range<f64> {
    let latencies = || runs.into_iter().flat_map(points).map(|point| point.latency);
    let quickest = latencies().fold(f64::INFINITY, f64::min);
    let slowest = latencies().fold(f64::NEG_INFINITY, f64::max);
    10f64.powf(quickest.log10().floor())..10f64.powf(slowest.log10().ceil())
}

fn axis_label(ms: f64) -> String {
    if ms >= 1e3 { format!("{} s", ms / 1e3) } else { format!("{ms} ms") }
}
