//! Random sequences of operations with costs, compared with a simple model of the admission table.

use std::collections::VecDeque;

use bulklink::{Admission, RejectionReason, ResizeError, Slot, WeightedBulkhead};
use proptest::prelude::*;
use tokio_test::task::Spawn;

use crate::support::{assert_identities, cases, weighted};

#[derive(Clone, Debug)]
enum Step {
    Now(usize),
    Slot(usize),
    Release(usize),
    Cancel(usize),
    Resize(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..12).prop_map(Step::Now),
        8 => (0usize..12).prop_map(Step::Slot),
        6 => any::<usize>().prop_map(Step::Release),
        3 => any::<usize>().prop_map(Step::Cancel),
        3 => (0usize..14).prop_map(Step::Resize),
        1 => (0u8..6).prop_map(|choice| if choice == 0 { Step::Close } else { Step::Slot(1) }),
    ]
}

/// The rules, with an id for each operation instead of a future.
#[derive(Debug, Default)]
struct Model {
    capacity: usize,
    room: usize,
    closed: bool,
    running: Vec<(usize, usize)>,
    line: VecDeque<(usize, usize)>,
    admitted: u64,
    admitted_units: u64,
    from_queue_units: u64,
    queued_units: u64,
    saturated: u64,
    cancelled: u64,
    oversized: u64,
    invalid_cost: u64,
    abandoned_units: u64,
    closed_before: u64,
    closed_waiting: u64,
    peak_used: usize,
    peak_running: usize,
    peak_line: usize,
    peak_line_units: usize,
}

impl Model {
    fn used(&self) -> usize {
        self.running.iter().map(|&(_, cost)| cost).sum()
    }

    fn line_units(&self) -> usize {
        self.line.iter().map(|&(_, cost)| cost).sum()
    }

    fn admit(&mut self, id: usize, cost: usize) {
        self.running.push((id, cost));
        self.admitted += 1;
        self.admitted_units += cost as u64;
        self.peak_used = self.peak_used.max(self.used());
        self.peak_running = self.peak_running.max(self.running.len());
    }

    /// The outcome of an arrival, as one word.
    fn arrive(&mut self, id: usize, cost: usize, waits: bool) -> &'static str {
        if self.closed {
            self.closed_before += 1;
            return "closed";
        }
        if cost == 0 {
            self.invalid_cost += 1;
            return "invalid";
        }
        if cost > self.capacity {
            self.oversized += 1;
            return "oversized";
        }
        if self.line.is_empty() && self.used() + cost <= self.capacity {
            self.admit(id, cost);
            return "admitted";
        }
        if !waits || self.line.len() >= self.room {
            self.saturated += 1;
            return "saturated";
        }
        self.line.push_back((id, cost));
        self.queued_units += cost as u64;
        self.peak_line = self.peak_line.max(self.line.len());
        self.peak_line_units = self.peak_line_units.max(self.line_units());
        "waits"
    }

    fn hand_over(&mut self) {
        while let Some(&(id, cost)) = self.line.front() {
            if self.used() + cost > self.capacity {
                return;
            }
            self.line.pop_front();
            self.from_queue_units += cost as u64;
            self.admit(id, cost);
        }
    }

    fn give_back(&mut self, id: usize, abandoned: bool) {
        let at = self.running.iter().position(|&(other, _)| other == id).unwrap();
        let (_, cost) = self.running.remove(at);
        self.abandoned_units += if abandoned { cost as u64 } else { 0 };
        self.hand_over();
    }

    fn cancel(&mut self, id: usize) {
        if let Some(at) = self.line.iter().position(|&(other, _)| other == id) {
            self.line.remove(at);
            self.cancelled += 1;
            self.hand_over();
        } else if self.running.iter().any(|&(other, _)| other == id) {
            self.give_back(id, true);
        }
    }

    fn resize(&mut self, to: usize) -> bool {
        let largest = self.line.iter().map(|&(_, cost)| cost).max().unwrap_or(0);
        if to == 0 || self.closed || (to < largest && to != self.capacity) {
            return false;
        }
        self.capacity = to;
        self.hand_over();
        true
    }
}

fn word(reason: &RejectionReason) -> &'static str {
    match reason {
        RejectionReason::Closed => "closed",
        RejectionReason::InvalidCost => "invalid",
        RejectionReason::CostExceedsCapacity { .. } => "oversized",
        RejectionReason::Saturated { .. } => "saturated",
        other => panic!("{other}"),
    }
}

fn assert_same(reports: &WeightedBulkhead, model: &Model, step: &Step) {
    let status = reports.status();
    assert_identities(&status);
    assert_eq!(
        (status.capacity, status.used, status.in_flight, status.waiting, status.waiting_units),
        (model.capacity, model.used(), model.running.len(), model.line.len(), model.line_units()),
        "after {step:?}"
    );
    let totals = &status.totals;
    assert_eq!(
        (totals.admitted, totals.admitted_units, totals.admitted_from_queue_units),
        (model.admitted, model.admitted_units, model.from_queue_units)
    );
    assert_eq!(
        (totals.queued_units, totals.abandoned_units, totals.saturated, totals.cancelled),
        (model.queued_units, model.abandoned_units, model.saturated, model.cancelled)
    );
    assert_eq!(
        (totals.oversized, totals.invalid_cost),
        (model.oversized, model.invalid_cost),
        "after {step:?}"
    );
    assert_eq!(
        (totals.closed_before_queue, totals.closed_while_waiting),
        (model.closed_before, model.closed_waiting)
    );
    let peaks = &status.peaks;
    assert_eq!(
        (peaks.used, peaks.in_flight, peaks.waiting, peaks.waiting_units),
        (model.peak_used, model.peak_running, model.peak_line, model.peak_line_units)
    );
}

fn compare(capacity: usize, room: usize, steps: &[Step]) {
    let reports = weighted(capacity, room);
    let mut model = Model { capacity, room, ..Model::default() };
    let mut waiters: Vec<(usize, Spawn<Admission>)> = Vec::new();
    let mut slots: Vec<(usize, Slot)> = Vec::new();
    for (id, step) in steps.iter().enumerate() {
        match *step {
            Step::Now(cost) => match reports.slot_now(cost) {
                Ok(slot) => {
                    assert_eq!(model.arrive(id, cost, false), "admitted");
                    slots.push((id, slot));
                }
                Err(rejection) => {
                    assert_eq!(model.arrive(id, cost, false), word(rejection.reason()));
                }
            },
            Step::Slot(cost) => {
                let mut waiter = tokio_test::task::spawn(reports.slot(cost));
                let expected = model.arrive(id, cost, true);
                match waiter.poll() {
                    std::task::Poll::Pending => {
                        assert_eq!(expected, "waits");
                        waiters.push((id, waiter));
                    }
                    std::task::Poll::Ready(Ok(slot)) => {
                        assert_eq!(expected, "admitted");
                        slots.push((id, slot));
                    }
                    std::task::Poll::Ready(Err(rejection)) => {
                        assert_eq!(expected, word(rejection.reason()));
                    }
                }
            }
            Step::Release(which) if !slots.is_empty() => {
                let (id, slot) = slots.swap_remove(which % slots.len());
                drop(slot);
                model.give_back(id, false);
            }
            Step::Cancel(which) if !waiters.is_empty() => {
                let (id, waiter) = waiters.remove(which % waiters.len());
                drop(waiter);
                model.cancel(id);
            }
            Step::Resize(to) => {
                let resized = reports.resize(to);
                assert_eq!(resized.is_ok(), model.resize(to), "{resized:?}");
                assert!(!matches!(resized, Err(ResizeError::TooLarge { .. })));
            }
            Step::Close => {
                reports.close();
                model.closed = true;
                model.closed_waiting += model.line.len() as u64;
                model.line.clear();
            }
            Step::Release(_) | Step::Cancel(_) => {}
        }
        for (id, waiter) in &waiters {
            let waits = model.line.iter().any(|(other, _)| other == id);
            assert_eq!(waiter.is_woken(), !waits, "waiter {id} after {step:?}");
        }
        // Woken waiters take their slots at every third step only. In between, they may be dropped with them.
        if id % 3 == 0 {
            for (id, mut waiter) in std::mem::take(&mut waiters) {
                match waiter.is_woken().then(|| waiter.poll()) {
                    None => waiters.push((id, waiter)),
                    Some(std::task::Poll::Ready(Ok(slot))) => slots.push((id, slot)),
                    Some(outcome) => assert!(model.closed, "{outcome:?}"),
                }
            }
        }
        assert_same(&reports, &model, step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(2_000) })]

    #[test]
    fn weighted_bulkheads_follow_the_admission_table(
        capacity in 1usize..12,
        room in 0usize..6,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        compare(capacity, room, &steps);
    }
}
