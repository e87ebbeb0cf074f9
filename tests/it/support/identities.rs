//! Invariants of every status, whatever has happened before.

use bulklink::{Bulkhead, BulkheadStatus, PartitionedStatus, Totals};

/// Asserts the invariants of a status of any kind of bulkhead.
#[track_caller]
pub(crate) fn assert_identities(status: &BulkheadStatus) {
    let (totals, peaks) = (&status.totals, &status.peaks);
    let in_flight = status.in_flight as u64;
    assert_eq!(totals.admitted, in_flight + totals.finished + totals.abandoned, "{status:?}");
    let used = status.used as u64;
    let units = used + totals.finished_units + totals.abandoned_units;
    assert_eq!(totals.admitted_units, units, "{status:?}");
    let left_line = totals.admitted_from_queue
        + totals.expired
        + totals.cancelled
        + totals.closed_while_waiting;
    assert_eq!(totals.queued, status.waiting as u64 + left_line, "{status:?}");
    assert_eq!(totals.settled_waiting(), left_line, "{status:?}");
    assert_outcomes(totals, status.waiting);
    let is_pressed = status.waiting > 0 && !status.is_paused;
    assert_eq!(status.under_pressure_since.is_some(), is_pressed, "{status:?}");
    // A single partition has no histograms.
    if !status.waits.is_empty()
        || !status.patience.is_empty()
        || !status.holds.histogram().is_empty()
    {
        assert_eq!(status.waits.count(), totals.admitted_from_queue, "{status:?}");
        assert_eq!(status.patience.count(), totals.cancelled, "{status:?}");
    }
    if is_pressed {
        // Every other waiter costs at least one unit, so the head costs at most this much.
        let head = status.waiting_units - (status.waiting - 1);
        assert!(status.free() < head, "the head of the line fits: {status:?}");
    }
    assert!(!status.is_closed || status.waiting == 0, "{status:?}");
    assert!(!status.is_draining || status.waiting > 0, "{status:?}");
    assert!(totals.admitted_from_queue <= totals.admitted, "{status:?}");
    assert!(status.used <= peaks.used && status.in_flight <= peaks.in_flight, "{status:?}");
    assert!(status.waiting <= peaks.waiting, "{status:?}");
    assert!(status.waiting_units <= peaks.waiting_units, "{status:?}");
    assert!(peaks.wait <= totals.wait_time, "{status:?}");
    assert!(totals.admitted_from_queue > 0 || totals.wait_time.is_zero(), "{status:?}");
}

/// Asserts that every outcome is counted once.
#[track_caller]
fn assert_outcomes(totals: &Totals, waiting: usize) {
    let decided = totals.admitted + totals.rejected() + totals.cancelled;
    assert_eq!(totals.arrived(), decided + waiting as u64, "{totals:?}");
    assert_eq!(totals.decided(), decided, "{totals:?}");
    assert_eq!(totals.finished, totals.completed() + totals.cut_short, "{totals:?}");
    assert!(totals.cut_short_units <= totals.finished_units, "{totals:?}");
    assert!(totals.expired_by_deadline <= totals.expired, "{totals:?}");
    assert!(totals.expired_before_queue_by_deadline <= totals.expired_before_queue, "{totals:?}");
    assert!(totals.abandoned_by_deadline <= totals.abandoned, "{totals:?}");
    for (count, time) in [
        (totals.admitted_from_queue, totals.wait_time),
        (totals.cancelled, totals.cancelled_wait_time),
        (totals.expired, totals.expired_wait_time),
        (totals.queued, totals.pressure_time),
    ] {
        assert!(count > 0 || time.is_zero(), "{totals:?}");
    }
}

/// Returns the status of a plain bulkhead whose waiting room was never made smaller, after asserting its invariants.
#[track_caller]
pub(crate) fn checked_status(bulkhead: &Bulkhead) -> BulkheadStatus {
    let status = bulkhead.status();
    assert_plain(&status);
    assert!(status.waiting <= status.waiting_room, "{status:?}");
    status
}

/// Asserts the invariants of a status of a plain bulkhead, where every operation costs one unit.
#[track_caller]
pub(crate) fn assert_plain(status: &BulkheadStatus) {
    assert_identities(status);
    let (totals, peaks) = (&status.totals, &status.peaks);
    assert_eq!((status.used, status.waiting_units), (status.in_flight, status.waiting));
    assert_eq!((peaks.used, peaks.waiting_units), (peaks.in_flight, peaks.waiting));
    assert_eq!(totals.admitted_units, totals.admitted);
    assert_eq!(totals.admitted_from_queue_units, totals.admitted_from_queue);
    assert_eq!(totals.abandoned_units, totals.abandoned);
    assert_eq!(totals.queued_units, totals.queued);
    assert_eq!(totals.finished_units, totals.finished);
    assert_eq!(totals.cut_short_units, totals.cut_short);
}

/// Asserts that no operation runs or waits, and that every unit can be taken again.
#[track_caller]
pub(crate) fn assert_nothing_left(bulkhead: &Bulkhead) {
    let status = checked_status(bulkhead);
    assert_eq!((status.used, status.in_flight, status.waiting), (0, 0, 0), "{status:?}");
    if !status.is_closed {
        let all: Vec<_> = (0..status.capacity).map(|_| bulkhead.slot_now().unwrap()).collect();
        assert!(bulkhead.slot_now().is_err(), "more slots than capacity");
        drop(all);
        assert_eq!(checked_status(bulkhead).used, 0);
    }
}

/// Asserts the invariants of the status of all partitions together.
#[track_caller]
pub(crate) fn assert_all_consistent(status: &PartitionedStatus) {
    let totals = &status.totals;
    let in_flight = status.in_flight as u64;
    assert_eq!(totals.admitted, in_flight + totals.finished + totals.abandoned, "{status:?}");
    assert_eq!(totals.admitted_units, totals.admitted, "{status:?}");
    assert_eq!(totals.queued, status.waiting as u64 + totals.settled_waiting(), "{status:?}");
    assert_outcomes(totals, status.waiting);
    assert_eq!(status.created, status.partitions as u64 + status.evicted + status.discarded);
    assert!(status.partitions <= status.max_partitions, "{} partitions", status.partitions);
    assert!(status.peak_partitions <= status.max_partitions, "{}", status.peak_partitions);
    assert!(status.active_partitions <= status.partitions);
    assert!(status.peak_partitions >= status.partitions);
}
