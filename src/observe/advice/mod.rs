//! `Advice`: the sizes a bulkhead needs for its load to be answered in time, from one interval.
//!
//! It owns the rule, a pure function of an interval. How the line behaves is in `erlang`, what the interval knows in
//! `evidence`, and the sentences in `reasons`.

mod erlang;
mod evidence;
mod reasons;

use std::{error::Error, fmt, ops::RangeInclusive, time::Duration};

use self::{erlang::Erlang, evidence::Evidence, reasons::reasons};
use super::interval::BulkheadInterval;
use crate::core::MAX_UNITS;

/// The share of the operations that may be answered later than the goal.
const MOST_LATE: f64 = 0.02;

/// The utilization up to which a capacity is planned: above it, a small error of the demand makes a long line.
const MOST_USED: f64 = 0.8;

/// How far beyond what was in force the advice goes.
const MOST_GROWTH: f64 = 1.5;

/// The demand, as a multiple of the capacity, above which the waiting room is taken to be always full.
const ALWAYS_FULL: f64 = 1.15;

/// Servers from which a load of 80 % makes practically no one wait: Erlang's C is below 10^-9.
const LARGE: f64 = 2000.0;

/// What a bulkhead is to achieve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    answer_within: Duration,
}

impl Goal {
    /// Operations are to be answered within this time of their arrival, their wait included. At most 2 % may be later.
    ///
    /// A goal that is shorter than the work itself, such as zero, is answered with [`AdviceError::GoalBelowWork`].
    #[must_use]
    pub const fn answer_within(time: Duration) -> Self {
        Self { answer_within: time }
    }
}

/// The sizes that a bulkhead needs to reach a [`Goal`] at the load of one interval.
///
/// It describes the mean load of the interval. If the load varies, ask about the busiest hour.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// The least capacity that reaches the goal. A range, because the mean hold is an estimate: within two standard
    /// deviations of it, the least capacity is in this range. The upper end is the careful choice.
    ///
    /// It is never above 1.5 times the largest capacity at the start and the end of the interval, rounded up: more was
    /// not tried, and what is behind the bulkhead may not bear it.
    pub capacity: RangeInclusive<usize>,
    /// How many operations may wait: as many as the upper end of `capacity` admits, on average, in a time that leaves 99 of
    /// 100 operations enough of the goal for their work. There is a margin, because the line moves in jumps; none where the
    /// demand is far above the capacity, so that the room is always full.
    pub waiting_room: usize,
    /// How long an operation may wait: the goal less the 90th percentile of the holds. If callers give up sooner than the
    /// goal, the 10th percentile of their patience is in its place. Never less than the median hold.
    ///
    /// The waiting room bounds the usual wait. The limit ends that of a waiter for which the line moves more slowly than
    /// usual, and so it is the longer one of the two.
    pub wait_limit: Duration,
    /// Units that the operations would use on average if all were admitted: see [`BulkheadInterval::demand`].
    pub demand: f64,
    /// Where each number comes from, and what it leaves out, in sentences.
    pub reasons: Vec<String>,
}

/// The reason there is no [`Advice`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AdviceError {
    /// Fewer than 1,000 completed operations were timed, or the interval has no length.
    #[non_exhaustive]
    NotEnoughEvidence {
        /// How many were timed.
        timed: u64,
    },
    /// Operations hold their slots for longer than the goal allows, even without waiting. No capacity reaches it.
    #[non_exhaustive]
    GoalBelowWork {
        /// The 99th percentile of the holds.
        p99_hold: Duration,
    },
    /// At least 10 % of the operations were cut short, so that it is not known how long the work takes. A shorter wait
    /// limit leaves callers more time for the work.
    #[non_exhaustive]
    WorkCutShort {
        /// The share of the finished operations that were cut short, from 0 to 1.
        share: f64,
    },
    /// Units have not come back for much longer than operations hold them: they leaked, are stuck, or serve long streams. A
    /// larger capacity would hide it.
    #[non_exhaustive]
    SlotsHeldLong {
        /// How many units, about.
        held: f64,
    },
}

impl fmt::Display for AdviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnoughEvidence { timed } => write!(
                f,
                "not enough evidence: {timed} completed operations were timed, of at least 1000"
            ),
            Self::GoalBelowWork { p99_hold } => write!(
                f,
                "the goal is below the work itself: 1 in 100 operations holds its slot for \
                 {p99_hold:.1?} or more"
            ),
            Self::WorkCutShort { share } => write!(
                f,
                "{:.1} % of the operations were cut short: how long the work takes is not known",
                share * 100.0
            ),
            Self::SlotsHeldLong { held } => {
                write!(f, "about {held:.0} units have been held for too long")
            }
        }
    }
}

impl Error for AdviceError {}

impl BulkheadInterval {
    /// Returns the capacity, waiting room and wait limit with which the load of this interval is answered within the goal.
    ///
    /// The capacity is the least one at which at most 2 % of the operations are answered later, by the queueing model with
    /// Poisson arrivals (Erlang's formula with the Allen-Cunneen approximation), and at which the demand is at most 80 % of
    /// it. Arrivals in bursts need more. The demand counts every attempt: callers that retry a rejection are counted
    /// again.
    ///
    /// There is no advice from fewer than 1,000 timed operations. If none has to wait, about one in 64 is timed, and it
    /// takes 64,000 of them. Holds of more than 137 seconds count as that: see [`Histogram`](crate::Histogram).
    ///
    /// In a weighted bulkhead the largest cost is not recorded. Keep the capacity at or above it: the advice only knows mean
    /// costs, and is never below those. It adds the units that stay idle because the head of the line does not fit into
    /// them. The range covers the error of the holds, and not that of the costs.
    ///
    /// # Errors
    ///
    /// Returns an [`AdviceError`] if the interval does not show what the load needs, or no capacity can reach the goal.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use bulklink::{AdviceError, Bulkhead, Goal};
    ///
    /// let payments = Bulkhead::builder("payments").parallelism(10).build()?;
    /// let before = payments.status();
    /// // An hour later:
    /// let interval = payments.status().since(&before)?;
    /// match interval.advise(Goal::answer_within(Duration::from_secs(2))) {
    ///     Ok(advice) => {
    ///         payments.resize(*advice.capacity.end())?;
    ///         advice.reasons.iter().for_each(|reason| println!("{reason}"));
    ///     }
    ///     Err(AdviceError::NotEnoughEvidence { timed, .. }) => println!("only {timed} were timed"),
    ///     Err(error) => println!("no advice: {error}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn advise(&self, goal: Goal) -> Result<Advice, AdviceError> {
        let goal = goal.answer_within;
        let evidence = Evidence::new(self)?;
        let p99_hold = evidence.p99_hold;
        if goal < p99_hold {
            return Err(AdviceError::GoalBelowWork { p99_hold });
        }
        // Never below a cost that was served.
        let served = evidence.least_largest_cost.min(self.end.peaks.used);
        let cap = growth_cap(evidence.in_force).max(served);
        let [low, high] = [1.0 - evidence.error, 1.0 + evidence.error]
            .map(|scale| least_capacity(&evidence, scale, goal));
        let capacity = low.min(cap)..=high.min(cap);
        // Whoever gives up is served in time or not at all.
        let time = evidence.patience.map_or(goal, |patience| patience.min(goal));
        let left_for_wait = |hold| time.saturating_sub(hold).max(evidence.p50_hold);
        let (usual_wait, wait_limit) = (left_for_wait(p99_hold), left_for_wait(evidence.p90_hold));
        let drained = evidence.drained_per_unit * *capacity.end() as f64 * usual_wait.as_secs_f64();
        let overload = evidence.demand / *capacity.end() as f64;
        let waiting_room = room(drained, evidence.variability, overload);
        let wanted = low..=high;
        let reasons = reasons(&evidence, goal, &wanted, &capacity, usual_wait, wait_limit);
        Ok(Advice { capacity, waiting_room, wait_limit, demand: evidence.demand, reasons })
    }
}

/// Returns how many may wait if the line moves up by `drained` on average in the time that they have.
///
/// The line moves in jumps, so that a room of just that many rejects operations that would have been in time. It has
/// one more, and two standard deviations: for a renewal process one is about the square root of `drained` times the
/// coefficient of variation (D. R. Cox, "Renewal Theory", 1962). Where the demand is far above the capacity the room is
/// always full, and a larger one only makes every operation wait for longer.
fn room(drained: f64, variability: f64, overload: f64) -> usize {
    let jumps = if overload <= ALWAYS_FULL { 2.0 * (drained * variability).sqrt() } else { 0.0 };
    ((drained + jumps).ceil() as usize).saturating_add(1).min(MAX_UNITS as usize)
}

/// Returns the largest capacity to advise. One of 1 may grow, too.
fn growth_cap(in_force: usize) -> usize {
    ((in_force as f64 * MOST_GROWTH).ceil() as usize).clamp(1, MAX_UNITS as usize)
}

/// Returns the least capacity that reaches the goal if the mean hold is `scale` times the measured one.
fn least_capacity(evidence: &Evidence, scale: f64, goal: Duration) -> usize {
    let floor = floor(evidence, scale);
    let Evidence { cost, wasted, demand, mean_hold, .. } = *evidence;
    let load = demand / cost * scale;
    let mut servers = ((floor - wasted) / cost + 1e-9).floor().max(1.0);
    let mut erlang = Erlang::new(load);
    while servers < LARGE {
        erlang.advance(servers as u32);
        if late_share(&erlang, evidence, mean_hold * scale, goal) <= MOST_LATE {
            break;
        }
        servers += 1.0;
    }
    // A sum of costs that is a whole number may come out slightly above it.
    let capacity = (servers * cost + wasted - 1e-6).ceil();
    capacity.max(floor).min(f64::from(MAX_UNITS)) as usize
}

/// Returns the capacity that is needed for the demand alone.
fn floor(evidence: &Evidence, scale: f64) -> f64 {
    let floor = (evidence.demand * scale / MOST_USED - 1e-6).ceil();
    floor.max(evidence.least_largest_cost as f64).max(1.0)
}

/// Returns the share of the operations that are answered later than the goal: the sum over all holds of the chance that
/// the wait is longer than what remains of the goal. The tail of the wait is exponential, as it is in M/M/n.
fn late_share(erlang: &Erlang, evidence: &Evidence, mean_hold: f64, goal: Duration) -> f64 {
    let chance = erlang.wait_chance();
    let Some(wait) = erlang.mean_wait_of_waiters(mean_hold, evidence.variability) else {
        return 1.0;
    };
    let (wait, goal) = (wait.max(f64::MIN_POSITIVE), goal.as_secs_f64());
    let (mut late, mut count) = (0.0, 0.0);
    for (hold, weight) in evidence.holds.middles() {
        let left = goal - hold;
        late += weight * if left < 0.0 { 1.0 } else { chance * (-left / wait).exp() };
        count += weight;
    }
    late / count
}
