//! How many operations may run, how many may wait, and for how long?
//!
//! Three numbers, in this order:
//!
//! 1. **Parallelism**: what the dependency can do at once. Not more than that, however many requests there are.
//! 2. **Wait limit**: the patience of the caller, less the time of the work.
//! 3. **Waiting room**: as many as are admitted within the wait limit. Whoever stands further back waits in vain.
//!
//! # Parallelism: demand, by Little's law
//!
//! The *demand* is how many slots the operations use on average, if all are admitted: arrivals per second, times the
//! seconds that each one holds its slot.
//!
//! Take the shop of the package `storefront`. It has a pool of 8 connections, and 100 payments arrive each second. A
//! payment of 10 ms would need 100 x 0.01 = 1 connection on average. Then 64 clients ask for reports, one after another
//! without a pause. In the run that the README shows, one report at a time was let through, and 36 were served in the
//! flood of six seconds: a report takes about 170 ms. 3,523 were asked for, 587 a second, which is a demand of 587 x
//! 0.17 = 100 connections. No pool has those, so most reports have to be rejected, and the question is only whether
//! they take the payments with them.
//!
//! So the shop splits its 8 connections: at most 6 payments and 1 report at once. Together that is below 8, so that
//! whoever is admitted never waits for a connection. 6 is far more than payments need on average; the rest is for
//! bursts. As a rule, plan for a demand of at most 80 % of the parallelism.
//!
//! # Wait limit: the patience, less the work
//!
//! A caller with a timeout of 3 s, for work that takes up to 1 s, may wait for 2 s. With a longer wait it is admitted,
//! and leaves while the work runs: the slot was used for nothing, and is counted as [`Totals::cut_short`]. Where
//! requests say how long their callers wait, use [deadlines](super::deadlines) too.
//!
//! # Waiting room: what the line can serve in that time
//!
//! With 6 slots and work of 10 ms, the line moves up by 600 a second, so a room of 50 is served in 83 ms. A single slot
//! with reports of 170 ms moves up by 6 a second: in 5 s it serves 29. The shop lets 4 wait: none of them waits for
//! much longer than 0.7 s, and everybody else hears "no" at once. A room of 0 is fine where callers can go elsewhere.
//!
//! # Measure, then ask
//!
//! [`BulkheadInterval::demand`] is the demand as measured, rejected operations included, and
//! [`BulkheadInterval::advise`] computes all three numbers from an interval:
//!
//! ```
//! use std::time::Duration;
//! use bulklink::{Bulkhead, Goal};
//! use tokio::{task::JoinSet, time::{interval, sleep}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(4).waiting_room(20).build()?;
//! let before = payments.status();
//!
//! // For a minute, one arrives every 8 ms and takes 40 ms: 125 x 0.04 = 5.
//! let mut clients = JoinSet::new();
//! let mut arrivals = interval(Duration::from_millis(8));
//! for _ in 0..60 * 125 {
//!     arrivals.tick().await;
//!     let payments = payments.clone();
//!     let payment = async { sleep(Duration::from_millis(40)).await };
//!     clients.spawn(async move { payments.execute(payment).await });
//! }
//! let interval = payments.status().since(&before)?;
//! let demand = interval.demand().expect("operations were timed");
//! assert!((4.9..5.1).contains(&demand), "{demand}");
//! assert!(interval.totals.saturated > 1_000, "4 slots cannot meet it");
//!
//! let advice = interval.advise(Goal::answer_within(Duration::from_millis(500)))?;
//! // A demand of 5 is 80 % of 7 slots, but no more than 1.5 times the present 4 are advised in one step.
//! assert_eq!(*advice.capacity.end(), 6);
//! assert!(advice.wait_limit < Duration::from_millis(500));
//! advice.reasons.iter().for_each(|reason| println!("{reason}"));
//! # clients.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The advice is careful: it needs 1,000 timed operations, or 64,000 if none of them had to wait, because then only one
//! in 64 is timed. It never goes beyond 1.5 times the present capacity in one step, because nobody has tried whether
//! the dependency bears more. It describes the mean load of its interval, so ask about the busiest hour. It counts
//! retries as arrivals. `docs/advice.md` has the formulas.
//!
//! # When the numbers are wrong
//!
//! | you see | change |
//! |---|---|
//! | many rejections, and the dependency is idle | more parallelism |
//! | the dependency slows down as the parallelism grows | less parallelism |
//! | [`FindingCode::WorkCutShort`] | a shorter wait limit |
//! | [`FindingCode::RoomOutlastsLimit`] | a smaller waiting room |
//! | [`FindingCode::WaitTimeNearLimit`] | more parallelism, or a smaller room |
//! | [`FindingCode::SlotsHeldLong`] | nothing here: find out what holds the slots |
//!
//! [reading](super::reading) shows how to get these.
//!
//! [`BulkheadInterval::advise`]: crate::BulkheadInterval::advise
//! [`BulkheadInterval::demand`]: crate::BulkheadInterval::demand
//! [`FindingCode::RoomOutlastsLimit`]: crate::FindingCode::RoomOutlastsLimit
//! [`FindingCode::SlotsHeldLong`]: crate::FindingCode::SlotsHeldLong
//! [`FindingCode::WaitTimeNearLimit`]: crate::FindingCode::WaitTimeNearLimit
//! [`FindingCode::WorkCutShort`]: crate::FindingCode::WorkCutShort
//! [`Totals::cut_short`]: crate::Totals::cut_short
