//! How do I find out what a bulkhead is doing, and whether its limits are right?
//!
//! | you want | take |
//! |---|---|
//! | what it is doing now, and all counters since it was made | [`Bulkhead::status`] |
//! | what happened between two times | [`BulkheadStatus::since`] |
//! | what is wrong, in sentences | [`BulkheadInterval::capacity_report`] |
//! | better sizes | [`BulkheadInterval::advise`] |
//! | every single change | [`Bulkhead::subscribe`] |
//!
//! # A status
//!
//! All of its numbers are of one instant, so they add up:
//!
//! ```
//! use bulklink::Bulkhead;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(2).build()?;
//! let slot = payments.slot_now()?;
//! drop(payments.slot_now()?);
//!
//! let status = payments.status();
//! assert_eq!((status.in_flight, status.waiting, status.free()), (1, 0, 1));
//! let totals = &status.totals;
//! assert_eq!(totals.admitted, status.in_flight as u64 + totals.finished + totals.abandoned);
//! assert_eq!(totals.arrived(), totals.admitted + totals.rejected() + totals.cancelled + status.waiting as u64);
//! # drop(slot);
//! # Ok(())
//! # }
//! ```
//!
//! Every outcome has one counter. Those to know first:
//!
//! | counter | means |
//! |---|---|
//! | `saturated` | rejected, because there was no slot and no place |
//! | `expired` | waited until the limit or the deadline |
//! | `cancelled` | the caller left while it waited |
//! | `cut_short` | the caller left while the work ran: the work was wasted |
//! | `abandoned` | admitted, but never started |
//!
//! [`Totals`] has all of them. `waits`, `patience` and `holds` of a status are distributions: of waits that ended with
//! an admission, of those that ended with the caller leaving, and of the time that slots were held.
//! `status.waits.quantile(0.99)` is the 99th percentile.
//!
//! # An interval, and its report
//!
//! Counters only rise, so take two statuses and look at the difference. A report of a status judges all of time, and an
//! incident of last week is still in it. Act on reports of intervals:
//!
//! ```
//! use std::time::Duration;
//! use bulklink::{Bulkhead, FindingCode};
//! use tokio::time::{sleep, timeout};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(1).build()?;
//! let before = payments.status();
//!
//! // All callers leave after 100 ms, and the work takes a second.
//! for _ in 0..30 {
//!     let work = async { sleep(Duration::from_secs(1)).await };
//!     let _ = timeout(Duration::from_millis(100), payments.execute(work)).await;
//! }
//!
//! let report = payments.status().since(&before)?.capacity_report();
//! let finding = report.finding(FindingCode::WorkCutShort).expect("it is reported");
//! println!("{}: {}; {}", finding.severity, finding.message, finding.recommendation);
//! assert!(report.requires_attention());
//! # Ok(())
//! # }
//! ```
//!
//! [`FindingCode`] lists all rules with their thresholds. A rule is silent while there are too few operations to judge,
//! so no findings in the first seconds say little. [`CapacityReport::summary`] is one sentence, for a log line.
//!
//! # All bulkheads, every minute
//!
//! ```no_run
//! use std::time::Duration;
//! use bulklink::BulkheadRegistry;
//!
//! async fn watch(bulkheads: BulkheadRegistry) {
//!     let mut before = bulkheads.snapshot();
//!     loop {
//!         tokio::time::sleep(Duration::from_secs(60)).await;
//!         let now = bulkheads.snapshot();
//!         for report in now.since(&before).capacity_reports() {
//!             if report.requires_attention() {
//!                 eprintln!("{}", report.summary());
//!             }
//!         }
//!         before = now;
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! The example `operators_loop` is such a loop, with metrics and a configuration file.
//!
//! For better sizes, keep the snapshot of an hour ago as well: see [sizing](super::sizing). For graphs and alerts:
//! [metrics](super::metrics).
//!
//! # Events
//!
//! [`Bulkhead::subscribe`] calls a handler for every change, on the thread that made it, outside of all locks. Be quick
//! there. While there is a subscriber, every operation takes the lock of the bulkhead, which is slower. For counts and
//! rates take statuses, which cost operations nothing.
//!
//! [`Bulkhead::status`]: crate::Bulkhead::status
//! [`Bulkhead::subscribe`]: crate::Bulkhead::subscribe
//! [`BulkheadInterval::advise`]: crate::BulkheadInterval::advise
//! [`BulkheadInterval::capacity_report`]: crate::BulkheadInterval::capacity_report
//! [`BulkheadStatus::since`]: crate::BulkheadStatus::since
//! [`CapacityReport::summary`]: crate::CapacityReport::summary
//! [`FindingCode`]: crate::FindingCode
//! [`Totals`]: crate::Totals
