//! Prints the measurements: a table of both runs, every failure, and what the bulkheads counted.

use bulklink::BulkheadStatus;

use crate::client::Route;
use crate::load::Sample;
use crate::run::{Phase, Run};
use crate::tally::{Latencies, Reasons, Tally, in_words, milliseconds};

pub(crate) fn print(runs: [&Run; 2]) {
    println!("times in ms, counted from the moment each request was due");
    println!(
        "{:24}{:>6}{:>6}  {:26}{:>6}{:>9}{:>9}{:>9}",
        "", "sent", "ok", "rejected", "failed", "p50", "p99", "max"
    );
    for run in runs {
        println!("{}", run.name);
        for phase in run.phases() {
            println!(
                "  {} ({} s, drained after {:.1} s more)",
                phase.name,
                phase.length.as_secs(),
                phase.drain.as_secs_f64()
            );
            for (route, samples) in routes(phase) {
                print_route(route, &Tally::of(samples));
            }
        }
    }
    print_failures(runs);
    print_lateness(runs);
}

pub(crate) fn print_bulkheads(statuses: &[BulkheadStatus]) {
    println!("as the bulkheads counted");
    println!(
        "{:14}{:>9}{:>14}{:>14}{:>11}{:>9}{:>15}{:>15}",
        "",
        "admitted",
        "after a wait",
        "longest wait",
        "saturated",
        "expired",
        "most running",
        "most waiting"
    );
    for status in statuses {
        let (totals, peaks) = (&status.totals, &status.peaks);
        println!(
            "{:14}{:>9}{:>14}{:>14}{:>11}{:>9}{:>15}{:>15}",
            format!("  {}", status.label),
            totals.admitted,
            totals.admitted_from_queue,
            in_words(Some(peaks.wait).filter(|_| totals.admitted_from_queue > 0)),
            totals.saturated,
            totals.expired,
            format!("{} of {}", peaks.in_flight, status.capacity),
            format!("{} of {}", peaks.waiting, status.waiting_room),
        );
    }
}

fn routes(phase: &Phase) -> impl Iterator<Item = (Route, &[Sample])> {
    [
        (Route::Payments, &*phase.payments),
        (Route::Reports, &*phase.reports),
        (Route::Healthz, &*phase.healthz),
    ]
    .into_iter()
    .filter(|(_, samples)| !samples.is_empty())
}

fn print_route(route: Route, tally: &Tally<'_>) {
    println!(
        "{:24}{:>6}{:>6}  {:26}{:>6}{}",
        format!("    {}", route.name()),
        tally.sent,
        tally.answered.count(),
        in_list(&tally.rejections),
        tally.failures.values().sum::<usize>(),
        columns(&tally.answered),
    );
    if tally.rejected.count() > 0 {
        println!("{:70}{}", "      time to reject", columns(&tally.rejected));
    }
}

fn columns(latencies: &Latencies) -> String {
    [latencies.percentile(50), latencies.percentile(99), latencies.max()]
        .map(|latency| match latency {
            Some(latency) => format!("{:>9.1}", milliseconds(latency)),
            None => format!("{:>9}", "-"),
        })
        .concat()
}

fn in_list(reasons: &Reasons<'_>) -> String {
    if reasons.is_empty() {
        return "0".to_owned();
    }
    let counts: Vec<_> =
        reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counts.join(", ")
}

fn print_failures(runs: [&Run; 2]) {
    for run in runs {
        for (route, samples) in run.phases().into_iter().flat_map(routes) {
            for (failure, count) in Tally::of(samples).failures {
                println!("FAILED {count} x {}, {}: {failure}", route.name(), run.name);
            }
        }
    }
}

fn print_lateness(runs: [&Run; 2]) {
    let phases = runs.into_iter().flat_map(Run::phases);
    let scheduled = phases.flat_map(|phase| phase.payments.iter().chain(&phase.healthz));
    let lateness: Vec<_> = scheduled.map(|sample| sample.late).collect();
    let lateness = Latencies::from(lateness);
    println!(
        "the load generator sent its scheduled requests {} late (p99), {} at most",
        in_words(lateness.percentile(99)),
        in_words(lateness.max()),
    );
}
