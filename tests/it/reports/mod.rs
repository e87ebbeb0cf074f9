//! What a bulkhead reports about itself: statuses, the intervals between them, their consistency while other
//! threads work, the findings of the capacity report, and the advice that an interval gives.

mod advice;
mod held_slots;
mod hold_times;
mod interval_findings;
mod intervals;
mod names;
mod outcome_findings;
mod outcomes;
mod partition_findings;
mod pressure;
mod rate_findings;
mod situations;
mod snapshots;
mod state_findings;
mod status;
mod total_findings;
mod traffic;
mod waits;

use bulklink::Totals;

/// Returns all counters and times of `totals`, each with its value, in the order of their declaration. A new one is among
/// them without a change here.
pub(crate) fn counters(totals: &Totals) -> Vec<(String, String)> {
    let text = format!("{totals:?}");
    let fields = text.strip_prefix("Totals { ").and_then(|text| text.strip_suffix(" }")).unwrap();
    fields
        .split(", ")
        .map(|field| field.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
