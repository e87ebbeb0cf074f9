//! The table of admission: what becomes of an operation that arrives at a gate.
//!
//! It owns the order of the reasons: which of them a rejection gives where more than one applies.

use std::time::Duration;

use crate::{
    core::{
        gate::{
            Gate,
            arrival::{Arrival, ArrivalOutcome, WhenFull},
            effects::{Effects, EventKind},
            section::Section,
            state::GateState,
        },
        limits::{Expiry, LimitEnforcer, alarm_state::ToArm},
        line::{Ticket, Waiter},
        rejection::{cache::RejectionCache, reason::RejectionReason},
    },
    sync::Mutex,
};

impl Gate {
    /// An operation arrives: the rows of the table of admission, in their order, in one step. `rejections`
    /// writes its rejection, where the gate does not.
    // Always, here and in what calls it and joins the line: what comes of an arrival would else be copied
    // from one to the next, and read back before it has reached the cache.
    #[inline(always)]
    pub(crate) fn arrive(
        &self,
        mut arrival: Arrival,
        rejections: Option<&Mutex<RejectionCache>>,
    ) -> ArrivalOutcome {
        let prepared = matches!(arrival.when_full, WhenFull::Join(..));
        let now = if prepared { self.time_ahead() } else { None };
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.set_now(now);
        let mut to_arm = None;
        let arrived = match obstacle(&section, &arrival) {
            None => self.admit_or_join(&mut section, &mut arrival, &mut to_arm, rejections),
            Some(obstacle) => {
                let reason = refuse(&mut section, arrival.cost, obstacle);
                ArrivalOutcome::Rejected(section.reject(rejections, reason))
            }
        };
        if let WhenFull::Join(unused, _) = &mut arrival.when_full {
            section.effects.retire(unused.take());
        }
        section.settle();
        drop(section);
        if to_arm.is_some() {
            self.arm_alarm(to_arm, &mut effects);
        }
        effects.carry_out();
        arrived
    }

    /// Rows 5 to 7, for a cost between 1 and the capacity. Leaves in `to_arm` the alarm that is to be
    /// set.
    fn admit_or_join(
        &self,
        section: &mut Section<'_>,
        arrival: &mut Arrival,
        to_arm: &mut Option<ToArm>,
        rejections: Option<&Mutex<RejectionCache>>,
    ) -> ArrivalOutcome {
        let cost = arrival.cost as u32;
        let has_room = section.state.waiting() < self.room;
        // One reading of the word that does not fit is enough to refuse, or to ask for a waker. To
        // admit or to join, the word must stand still.
        let joins = has_room && matches!(arrival.when_full, WhenFull::Join(..));
        if section.fits(cost) || (joins && !section.is_frozen()) {
            section.freeze();
        }
        if section.fits(cost) {
            section.admit(cost, None);
            return ArrivalOutcome::Admitted;
        }
        match &mut arrival.when_full {
            WhenFull::Join(waker, runtime) if has_room => {
                let since = section.now();
                let ticket = join(section, Waiter { cost, since, waker: waker.take() });
                let enforcer = match *runtime {
                    Some(runtime) => section.assign_enforcer(ticket, runtime, to_arm),
                    None => LimitEnforcer::Waiter,
                };
                ArrivalOutcome::Queued { ticket, since, enforcer }
            }
            WhenFull::AskForWaker if has_room => ArrivalOutcome::NeedsWaker,
            _ => {
                section.state.counts.saturated += 1;
                section.record(EventKind::Saturated, |change| change.cost = Some(cost));
                let reason = RejectionReason::Saturated {
                    cost: arrival.cost,
                    used: section.used() as usize,
                    capacity: section.state.capacity as usize,
                    waiting: section.state.waiting() as usize,
                    waiting_room: self.room as usize,
                };
                ArrivalOutcome::Rejected(section.reject(rejections, reason))
            }
        }
    }
}

/// What no free unit would help against.
enum Obstacle {
    Closed,
    Cost,
    Expired(Expiry),
}

/// Rows 1 to 4. Apart from what is done about it, which is seldom.
#[inline]
fn obstacle(section: &Section<'_>, arrival: &Arrival) -> Option<Obstacle> {
    let GateState { is_closed, capacity, .. } = *section.state;
    if is_closed {
        Some(Obstacle::Closed)
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
            section.lazy().counts.closed_before_queue += 1;
            section.record(EventKind::ClosedRejection, |change| {
                change.cost = u32::try_from(cost).ok();
            });
            RejectionReason::Closed
        }
        Obstacle::Cost => {
            section.lazy().counts.oversized += 1;
            match cost {
                0 => RejectionReason::InvalidCost,
                cost => {
                    let capacity = section.state.capacity as usize;
                    RejectionReason::CostExceedsCapacity { cost, capacity }
                }
            }
        }
        Obstacle::Expired(expiry) => {
            section.state.counts.expired_before_queue += 1;
            section.record(EventKind::Expired, |change| {
                change.cost = Some(cost as u32);
                change.waited = Some(Duration::ZERO);
            });
            expiry.reason(Duration::ZERO)
        }
    }
}

#[inline]
fn join(section: &mut Section<'_>, waiter: Waiter) -> Ticket {
    let cost = waiter.cost;
    let line = &mut section.lazy().line;
    let ticket = line.join(waiter);
    let (waiting, waiting_units) = (line.len(), line.units());
    let state = &mut *section.state;
    state.counts.peak_waiting = state.counts.peak_waiting.max(waiting);
    if let Some(units) = state.units_mut() {
        units.queued += u64::from(cost);
        units.peak_waiting = units.peak_waiting.max(waiting_units);
    }
    section.record(EventKind::Queued, |change| change.cost = Some(cost));
    ticket
}
