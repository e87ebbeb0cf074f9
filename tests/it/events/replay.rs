//! The events of many threads, sorted by sequence, reproduce every state of the bulkhead.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use bulklink::{BulkheadEvent, BulkheadStatus, EventKind, Totals, WeightedBulkhead};

use crate::support::{Log, Random, assert_identities, weighted};

/// The state of a bulkhead, replayed from its events alone.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replay {
    capacity: usize,
    used: usize,
    in_flight: usize,
    waiting: usize,
    waiting_units: usize,
    closed: bool,
    drained: bool,
    admitted: u64,
    admitted_units: u64,
    from_queue: u64,
    queued: u64,
    saturated: u64,
    expired: u64,
    expired_before: u64,
    cancelled: u64,
    abandoned: u64,
    released: u64,
    released_units: u64,
    closed_before: u64,
    closed_waiting: u64,
}

impl Replay {
    fn apply(&mut self, event: &BulkheadEvent) {
        let cost = event.cost.unwrap_or(0);
        // It left the line with this event, unless it joined it now or left it when it was admitted.
        if event.from_queue && !matches!(event.kind, EventKind::Queued | EventKind::Abandoned) {
            self.waiting -= 1;
            self.waiting_units -= cost;
        }
        match event.kind {
            EventKind::Admitted => {
                assert!(self.used + cost <= self.capacity, "over capacity: {event:?}");
                self.used += cost;
                self.in_flight += 1;
                self.admitted += 1;
                self.admitted_units += cost as u64;
                self.from_queue += u64::from(event.from_queue);
                assert!(event.from_queue || self.waiting == 0, "overtook a waiter: {event:?}");
            }
            EventKind::Queued => {
                assert!(event.from_queue, "{event:?}");
                self.waiting += 1;
                self.waiting_units += cost;
                self.queued += 1;
            }
            EventKind::Saturated => self.saturated += 1,
            EventKind::Expired if event.from_queue => self.expired += 1,
            EventKind::Expired => self.expired_before += 1,
            EventKind::Cancelled => self.cancelled += 1,
            EventKind::Abandoned | EventKind::Released => {
                self.used -= cost;
                self.in_flight -= 1;
                if event.kind == EventKind::Abandoned {
                    assert_eq!(event.from_queue, event.waited.is_some(), "{event:?}");
                    self.abandoned += 1;
                } else {
                    self.released += 1;
                    self.released_units += cost as u64;
                }
            }
            EventKind::Resized => {
                assert_eq!(event.previous_capacity, Some(self.capacity));
                self.capacity = event.capacity;
            }
            EventKind::Closed => {
                assert!(!self.closed);
                assert_eq!(event.affected_waiters, self.waiting);
                self.closed = true;
            }
            EventKind::ClosedRejection if event.from_queue => self.closed_waiting += 1,
            EventKind::ClosedRejection => self.closed_before += 1,
            EventKind::Drained => {
                assert!(self.closed && !self.drained && self.in_flight == 0 && self.waiting == 0);
                self.drained = true;
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            (event.capacity, event.used, event.in_flight, event.waiting, event.is_closed),
            (self.capacity, self.used, self.in_flight, self.waiting, self.closed),
            "{event:?}"
        );
    }

    fn assert_matches(&self, status: &BulkheadStatus) {
        assert_eq!(
            (status.capacity, status.used, status.in_flight, status.waiting, status.waiting_units),
            (self.capacity, self.used, self.in_flight, self.waiting, self.waiting_units)
        );
        let Totals { admitted, admitted_units, admitted_from_queue, queued, .. } = status.totals;
        assert_eq!(
            (admitted, admitted_units, admitted_from_queue, queued),
            (self.admitted, self.admitted_units, self.from_queue, self.queued)
        );
        let Totals { saturated, expired, expired_before_queue, cancelled, abandoned, .. } =
            status.totals;
        assert_eq!(
            (saturated, expired, expired_before_queue, cancelled, abandoned),
            (self.saturated, self.expired, self.expired_before, self.cancelled, self.abandoned)
        );
        let Totals { finished, finished_units, closed_before_queue, closed_while_waiting, .. } =
            status.totals;
        assert_eq!(
            (finished, finished_units, closed_before_queue, closed_while_waiting),
            (self.released, self.released_units, self.closed_before, self.closed_waiting)
        );
    }
}

/// The work of one thread: it arrives, gives up, runs, resizes and takes statuses.
async fn work(reports: WeightedBulkhead, seed: usize, statuses: &mut Vec<BulkheadStatus>) {
    let mut random = Random::new(seed as u64);
    for _ in 0..600 {
        let cost = 1 + random.below(4);
        match random.below(10) {
            0 => drop(reports.slot_now(cost)),
            1 => drop(reports.slot_within(std::time::Duration::ZERO, cost).await),
            2 => {
                let mut leaving = tokio_test::task::spawn(reports.slot(cost));
                let _ = leaving.poll();
            }
            3 => {
                let limit = std::time::Duration::from_micros(200);
                drop(reports.slot_within(limit, cost).await);
            }
            4 => reports.resize(4 + random.below(5)).unwrap_or(()),
            5 => statuses.push(reports.status()),
            _ => {
                let slot = reports.slot(cost).await;
                thread::yield_now();
                drop(slot);
            }
        }
    }
}

#[test]
fn events_sorted_by_sequence_reproduce_every_state_and_the_totals() {
    const THREADS: usize = 4;
    let reports = weighted(6, 4);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let start = Arc::new(Barrier::new(THREADS + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (reports, start) = (reports.clone(), start.clone());
            thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let mut statuses = Vec::new();
                start.wait();
                runtime.block_on(work(reports, seed + 1, &mut statuses));
                statuses
            })
        })
        .collect();
    start.wait();
    let mut statuses: Vec<_> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    reports.close();
    assert!(reports.slot_now(1).is_err());

    let mut events = log.take();
    events.sort_by_key(|event| event.sequence);
    assert!(events.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    statuses.push(reports.status());
    statuses.sort_by_key(|status| status.sequence);
    let mut statuses = statuses.iter().peekable();
    let mut replay = Replay { capacity: 6, ..Replay::default() };
    for event in &events {
        while let Some(status) = statuses.next_if(|status| status.sequence < event.sequence) {
            assert_identities(status);
            replay.assert_matches(status);
        }
        replay.apply(event);
    }
    let last = statuses.next().unwrap();
    replay.assert_matches(last);
    assert!(statuses.next().is_none());
    assert!(replay.drained && replay.queued > 0 && replay.cancelled > 0 && replay.saturated > 0);
    assert_eq!(last.totals.handler_panics, 0);
}
