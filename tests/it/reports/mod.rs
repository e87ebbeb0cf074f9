//! What a bulkhead reports about itself: statuses, the intervals between them, their consistency while other
//! threads work, and the findings of the capacity report.

mod held_slots;
mod interval_findings;
mod intervals;
mod outcome_findings;
mod partition_findings;
mod rate_findings;
mod snapshots;
mod state_findings;
mod status;
mod traffic;
