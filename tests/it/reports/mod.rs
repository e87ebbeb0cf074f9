//! What a bulkhead reports about itself: statuses, the intervals between them, their consistency while other
//! threads work, and the findings of the capacity report.

mod intervals;
mod rate_findings;
mod snapshots;
mod state_findings;
mod status;
