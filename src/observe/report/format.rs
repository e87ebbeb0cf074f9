//! How messages write times, rates, shares and numbers of units.

use std::time::Duration;

/// Writes a duration with two or three digits, such as "210 ms", "1.5 s" or "30 min".
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        7200.0.. => format!("{:.1} h", seconds / 3600.0),
        600.0.. => format!("{:.0} min", seconds / 60.0),
        10.0.. => format!("{seconds:.0} s"),
        1.0.. => format!("{seconds:.1} s"),
        0.01.. => format!("{:.0} ms", seconds * 1e3),
        0.001.. => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{:.0} us", seconds * 1e6),
    }
}

/// Writes a rate, such as "95/s" or "0.25/s".
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        10.0.. => format!("{per_second:.0}/s"),
        1.0.. => format!("{per_second:.1}/s"),
        _ => format!("{per_second:.2}/s"),
    }
}

/// Writes a count with its noun, such as "1 operation" or "3 operations".
pub(super) fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Writes a number of units that need not be whole.
pub(super) fn units(units: f64) -> String {
    if units < 9.95 { format!("{units:.1}") } else { format!("{units:.0}") }
}

/// Writes `part` as a percentage of `whole`, such as "12.5 %".
pub(super) fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole as f64)
}

/// Writes a share of 1 as a percentage, such as "12 %".
pub(super) fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Returns a duration of this many seconds; the longest or shortest one if there is none.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}
