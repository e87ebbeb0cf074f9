//! The chart: the latency of every payment of both runs over time, on one logarithmic scale.

use std::env;
use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::BoxError;
use plotters::coord::combinators::LogCoord;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::client::Outcome;
use crate::run::Run;
use crate::tally::milliseconds;

const FILE_NAME: &str = "storefront.svg";
const SIZE: (u32, u32) = (960, 540);
const WITHOUT: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const WITH: RGBColor = RGBColor(0x00, 0x72, 0xb2);

type Picture<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, LogCoord<f64>>>;

/// Returns the path of the chart in cargo's target folder.
pub(crate) fn default_path() -> PathBuf {
    env::current_exe().map_or_else(|_| FILE_NAME.into(), |program| path_for(&program))
}

/// Finds the target folder by the files that cargo writes there, since it can have any name. A
/// program that was copied elsewhere writes the chart beside itself.
fn path_for(program: &Path) -> PathBuf {
    let is_target = |folder: &&Path| {
        // Cargo tags only the folders that it creates.
        ["CACHEDIR.TAG", ".rustc_info.json"].iter().any(|name| folder.join(name).is_file())
    };
    match program.ancestors().skip(1).find(is_target) {
        Some(target) => target.join(FILE_NAME),
        None => program.with_file_name(FILE_NAME),
    }
}

/// Returns an error if the chart cannot be written, before anything is measured for it.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let existed = path.exists();
        OpenOptions::new().append(true).create(true).open(path)?;
        if existed { Ok(()) } else { fs::remove_file(path) }
    };
    write().map_err(|error| unwritable(path, &error))
}

pub(crate) fn write(path: &Path, without: &Run, with: &Run) -> Result<(), BoxError> {
    let mut svg = String::new();
    draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(), without, with)?;
    fs::write(path, svg).map_err(|error| unwritable(path, &error))?;
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("cannot write the chart to {}: {error}", path.display())
}

fn draw(picture: &Picture<'_>, without: &Run, with: &Run) -> Result<(), BoxError> {
    picture.fill(&WHITE)?;
    let below_title = picture
        .margin(12, 0, 0, 0)
        .titled("Latency of POST /payments while reports are flooded", ("sans-serif", 22))?;
    let flood_start = without.steady.length;
    let end = flood_start + without.flood.length;
    let mut axes = ChartBuilder::on(&below_title)
        .margin(24)
        .x_label_area_size(44)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..end.as_secs_f64(), latency_range([without, with]).log_scale())?;
    axes.configure_mesh()
        .x_desc("moment the payment was due (seconds into the run)")
        .y_desc("latency (logarithmic)")
        .y_label_formatter(&|ms| axis_label(*ms))
        .label_style(("sans-serif", 15))
        .light_line_style(BLACK.mix(0.04))
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    mark_flood_start(picture, &mut axes, flood_start)?;
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

/// Draws a line through all answered payments, and a cross for each of the others.
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

/// Draws a dashed line, with a label above the plot where no other line crosses it.
fn mark_flood_start(
    picture: &Picture<'_>,
    axes: &mut Axes<'_, '_>,
    at: Duration,
) -> Result<(), BoxError> {
    let at = at.as_secs_f64();
    let Range { start: bottom, end: top } = axes.y_range();
    let line = DashedLineSeries::new([(at, bottom), (at, top)], 6, 4, BLACK.stroke_width(1));
    axes.draw_series(line)?;
    let (x, y) = axes.backend_coord(&(at, top));
    let style =
        ("sans-serif", 15).into_text_style(picture).pos(Pos::new(HPos::Center, VPos::Bottom));
    picture.draw(&Text::new("the flood starts", (x, y - 4), style))?;
    Ok(())
}

struct Point {
    due: f64,
    latency: f64,
    answered: bool,
}

/// Puts both phases on one axis, the flood right after the steady phase.
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

/// Returns the range from the power of ten below the fastest payment to the one above the slowest.
fn latency_range(runs: [&Run; 2]) -> Range<f64> {
    let latencies = || runs.into_iter().flat_map(points).map(|point| point.latency);
    let fastest = latencies().fold(f64::INFINITY, f64::min);
    let slowest = latencies().fold(f64::NEG_INFINITY, f64::max);
    10f64.powf(fastest.log10().floor())..10f64.powf(slowest.log10().ceil())
}

fn axis_label(ms: f64) -> String {
    if ms >= 1e3 { format!("{} s", ms / 1e3) } else { format!("{ms} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_goes_to_the_target_folder_whatever_its_name() {
        for marker in ["CACHEDIR.TAG", ".rustc_info.json"] {
            let target = tempfile::tempdir().unwrap();
            fs::write(target.path().join(marker), "").unwrap();
            for program in ["release/storefront", "some-triple/release/storefront"] {
                let path = path_for(&target.path().join(program));
                assert_eq!(path, target.path().join("storefront.svg"));
            }
        }
    }

    #[test]
    fn a_program_outside_a_target_folder_writes_the_chart_beside_itself() {
        let path = path_for(Path::new("/nowhere/storefront"));
        assert_eq!(path, Path::new("/nowhere/storefront.svg"));
    }

    #[test]
    fn a_chart_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = check(folder.path()).unwrap_err();
        let expected = format!("cannot write the chart to {}: ", folder.path().display());
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn checking_creates_the_folder_and_leaves_the_chart_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/chart.svg");
        assert_eq!(check(&path), Ok(()));
        assert!(path.parent().unwrap().is_dir());
        assert!(!path.exists());

        fs::write(&path, "old").unwrap();
        assert_eq!(check(&path), Ok(()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    }
}
