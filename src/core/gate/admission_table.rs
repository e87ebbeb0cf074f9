//! The admission table: the outcome of an operation's arrival at a gate.
//!
//! | row | the first that applies | outcome |
//! |---|---|---|
//! | 1 | the gate is closed or draining | rejected: closed |
//! | 2 | it is the partition of a key that is refused | rejected: key refused |
//! | 3 | the cost is 0 | rejected: invalid cost |
//! | 4 | the cost exceeds the capacity | rejected: cost exceeds capacity |
//! | 5 | the wait limit or deadline has passed | rejected: expired |
//! | 6 | the gate is not paused, the line is empty and the cost fits | admitted |
//! | 7 | the operation may wait and the waiting room is not full | queued |
//! | 8 | the operation stands in front of a full gate | not arrived yet |
//! | 9 | the gate is paused | rejected: paused |
//! | 10 | the gate has a seat or a place, and the pool has none | rejected: total saturated |
//! | 11 | otherwise | rejected: saturated |
//!
//! It owns the order of the rows, and so the reason that a rejection gives if more than one applies. It does
//! not own the fast path, which is in `word`.

use std::time::Duration;

use crate::core::{
    gate::{
        Gate,
        arrival::{Arrival, ArrivalOutcome, WhenFull},
        effects::{Effects, EventKind},
        pooled::PoolAccess,
        records::SharedRecords,
        section::Section,
        state::GateState,
    },
    limits::{Expiry, LimitEnforcer, alarm_state::ToArm},
    line::{Ticket, Waiter, ends::End},
    pool::rules::Rules,
    rejection::reason::RejectionReason,
};

impl Gate {
    /// Decides on an arrival: applies the rows of the admission table, in their order, as one step.
    /// `shared` is what the gate shares if it is a partition.
    // Inlined always, as are its callers and `Line::join`: otherwise the outcome would be copied from one to
    // the next, and read back before its stores have reached the cache.
    #[inline(always)]
    pub(crate) fn arrive(
        &self,
        arrival: Arrival<'_>,
        shared: Option<&SharedRecords>,
    ) -> ArrivalOutcome {
        if self.is_pooled() {
            return self.arrive_pooled(arrival, shared);
        }
        self.arrive_with(arrival, shared, || PoolAccess::None)
    }

    /// A function of its own, so that gates without a pool do not pay for one.
    #[cold]
    #[inline(never)]
    fn arrive_pooled(
        &self,
        arrival: Arrival<'_>,
        shared: Option<&SharedRecords>,
    ) -> ArrivalOutcome {
        self.arrive_with(arrival, shared, || PoolAccess::of(self, shared))
    }

    #[inline(always)]
    fn arrive_with<'a>(
        &'a self,
        mut arrival: Arrival<'_>,
        shared: Option<&'a SharedRecords>,
        pool: impl FnOnce() -> PoolAccess<'a>,
    ) -> ArrivalOutcome {
        let has_waker = matches!(arrival.when_full, WhenFull::Join(..));
        let now = if has_waker { self.time_if_busy(shared) } else { None };
        let mut effects = Effects::default();
        let mut section = Section::enter_with(self, shared, pool(), &mut effects);
        section.set_now(now);
        section.look_for_overdue();
        let mut to_arm = None;
        let outcome = match obstacle(&section, &arrival) {
            None => self.admit_or_join(&mut section, &mut arrival, &mut to_arm),
            Some(obstacle) => {
                let reason = refuse(&mut section, arrival.cost, obstacle);
                ArrivalOutcome::Rejected(section.reject(reason))
            }
        };
        if let WhenFull::Join(unused, _) = &mut arrival.when_full {
            section.effects.retire(unused.take());
        }
        section.settle();
        drop(section);
        self.arm_alarm(to_arm, &mut effects);
        effects.carry_out();
        outcome
    }

    /// Rows 6 to 11, for a cost between 1 and the capacity: admit, join the line, or reject as paused or saturated.
    /// Leaves the alarm in `to_arm` if it must be armed.
    fn admit_or_join(
        &self,
        section: &mut Section<'_>,
        arrival: &mut Arrival<'_>,
        to_arm: &mut Option<ToArm>,
    ) -> ArrivalOutcome {
        let cost = arrival.cost as u32;
        let has_room = section.has_place();
        // A single read of the word, if the cost does not fit, is enough to reject or to ask for a waker. To
        // admit or to join, the word must be frozen.
        let waits = has_room || arrival.stands;
        let joins = waits && matches!(arrival.when_full, WhenFull::Join(..));
        if section.fits(cost) || (joins && (!section.is_frozen() || section.pool.is_some())) {
            section.freeze();
        }
        if section.fits(cost) {
            section.admit(cost, None);
            section.in_pool(Rules::admit);
            return ArrivalOutcome::Admitted;
        }
        match &mut arrival.when_full {
            WhenFull::Join(waker, runtime) if has_room => {
                let (at, since) = (section.now(), section.nanos());
                let end = arrival.policy.end(since, section.wait_limit());
                let ticket = join(section, Waiter { cost, since, end, waker: waker.take() });
                let enforcer = match end {
                    End::NONE => LimitEnforcer::Line,
                    _ => section.enforcer(ticket, *runtime, to_arm),
                };
                ArrivalOutcome::Queued { ticket, since: at, enforcer }
            }
            WhenFull::AskForWaker if waits => ArrivalOutcome::NeedsWaker,
            WhenFull::Join(waker, _) if arrival.stands => {
                let waker = waker.take().expect("whoever joins has a waker");
                ArrivalOutcome::Standing(section.stand(cost, waker))
            }
            _ if section.is_paused() => {
                section.state.cold().paused += 1;
                section.record(EventKind::PausedRejection, |change| change.cost = Some(cost));
                ArrivalOutcome::Rejected(section.reject(RejectionReason::Paused))
            }
            when_full if section.is_saturated_in_pool(matches!(when_full, WhenFull::Reject)) => {
                section.state.cold().total_saturated += 1;
                let reason = section.total_saturated();
                ArrivalOutcome::Rejected(section.reject(reason))
            }
            _ => {
                section.state.counts.saturated += 1;
                section.record(EventKind::Saturated, |change| change.cost = Some(cost));
                let reason = RejectionReason::Saturated {
                    cost: arrival.cost,
                    used: section.used() as usize,
                    capacity: section.state.capacity as usize,
                    waiting: section.state.waiting() as usize,
                    waiting_room: self.room() as usize,
                };
                ArrivalOutcome::Rejected(section.reject(reason))
            }
        }
    }
}

/// A reason to reject that does not depend on free units.
enum Obstacle {
    Closed,
    Refused,
    Cost,
    Expired(Expiry),
}

/// Rows 1 to 5. Separate from the handling in `refuse`, which is rarely needed.
#[inline]
fn obstacle(section: &Section<'_>, arrival: &Arrival<'_>) -> Option<Obstacle> {
    let GateState { phase, is_refused, capacity, .. } = *section.state;
    if phase.turns_away() {
        Some(Obstacle::Closed)
    } else if is_refused {
        Some(Obstacle::Refused)
    } else if arrival.cost == 0 || arrival.cost > capacity as usize {
        Some(Obstacle::Cost)
    } else {
        arrival.expired.map(Obstacle::Expired)
    }
}

#[cold]
fn refuse(section: &mut Section<'_>, cost: usize, obstacle: Obstacle) -> RejectionReason {
    match obstacle {
        Obstacle::Closed => {
            section.state.cold().closed_before_queue += 1;
            section.record(EventKind::ClosedRejection, |change| {
                change.cost = u32::try_from(cost).ok();
            });
            RejectionReason::Closed
        }
        Obstacle::Refused => {
            section.state.cold().key_refused += 1;
            RejectionReason::KeyRefused
        }
        Obstacle::Cost => match cost {
            0 => {
                section.state.cold().invalid_cost += 1;
                RejectionReason::InvalidCost
            }
            cost => {
                section.state.cold().oversized += 1;
                let capacity = section.state.capacity as usize;
                RejectionReason::CostExceedsCapacity { cost, capacity }
            }
        },
        Obstacle::Expired(expiry) => {
            section.state.cold().expired_before_queue += 1;
            if expiry == Expiry::Deadline {
                section.state.cold().expired_before_queue_by_deadline += 1;
            }
            section.record(EventKind::Expired, |change| {
                change.cost = Some(cost as u32);
                change.waited = Some(Duration::ZERO);
            });
            // A limit that has passed on arrival is one of no time.
            expiry.reason(Duration::ZERO, Duration::ZERO)
        }
    }
}

#[inline]
fn join(section: &mut Section<'_>, waiter: Waiter) -> Ticket {
    let (cost, since) = (waiter.cost, waiter.since);
    let (now, is_paused) = (section.now(), section.state.phase.is_paused());
    let lazy = section.lazy();
    let ticket = lazy.line.join(waiter);
    let (waiting, waiting_units) = (lazy.line.len(), lazy.line.units());
    if waiting == 1 && !is_paused {
        lazy.pressed_since = Some(now);
        lazy.pace.begin(since);
    }
    let state = &mut *section.state;
    state.counts.peak_waiting = state.counts.peak_waiting.max(waiting);
    if let Some(units) = state.units_mut() {
        units.queued += u64::from(cost);
        units.peak_waiting = units.peak_waiting.max(waiting_units);
    }
    section.in_pool(Rules::join);
    section.record(EventKind::Queued, |change| {
        change.cost = Some(cost);
        change.from_queue = true;
    });
    ticket
}
