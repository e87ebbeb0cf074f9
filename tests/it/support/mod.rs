//! What several behaviours need: bulkheads, the identities of a status, and wakers that remember.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use bulklink::{
    Admission, Bulkhead, BulkheadEvent, BulkheadStatus, EventKind, PartitionedBulkhead,
    PartitionedStatus, Rejection, Slot, WeightedBulkhead,
};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{self, Spawn},
};

pub(crate) use self::waker_hook::Hook;

pub(crate) mod counting_allocator;
pub(crate) mod grpc_service;
pub(crate) mod http_service;
pub(crate) mod random;
pub(crate) mod socket_server;
mod waker_hook;

/// A bulkhead without a wait limit.
pub(crate) fn bulkhead(parallelism: usize, room: usize) -> Bulkhead {
    Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room).build().unwrap()
}

/// A bulkhead that has been full before, so that taking one of its slots takes no lock.
pub(crate) fn practised(parallelism: usize, room: usize) -> Bulkhead {
    let bulkhead = bulkhead(parallelism, room);
    drop((0..parallelism).map(|_| bulkhead.slot_now().unwrap()).collect::<Vec<_>>());
    bulkhead
}

/// What holds in every snapshot of every kind of bulkhead.
#[track_caller]
pub(crate) fn assert_identities(status: &BulkheadStatus) {
    let (totals, peaks) = (&status.totals, &status.peaks);
    let in_flight = status.in_flight as u64;
    assert_eq!(totals.admitted, in_flight + totals.finished + totals.abandoned, "{status:?}");
    let used = status.used as u64;
    let units = used + totals.finished_units + totals.abandoned_units;
    assert_eq!(totals.admitted_units, units, "{status:?}");
    let left = totals.admitted_from_queue
        + totals.expired
        + totals.cancelled
        + totals.closed_while_waiting;
    assert_eq!(totals.queued, status.waiting as u64 + left, "{status:?}");
    assert_eq!(totals.settled_waiting(), left, "{status:?}");
    if status.waiting > 0 {
        // The others in line need at least one unit each, so this is the most the head can need.
        let head = status.waiting_units - (status.waiting - 1);
        assert!(status.free() < head, "the head of the line fits: {status:?}");
    }
    assert!(status.waiting <= status.waiting_room, "{status:?}");
    assert!(!status.is_closed || status.waiting == 0, "{status:?}");
    assert!(totals.admitted_from_queue <= totals.admitted, "{status:?}");
    assert!(status.used <= peaks.used && status.in_flight <= peaks.in_flight, "{status:?}");
    assert!(status.waiting <= peaks.waiting, "{status:?}");
    assert!(status.waiting_units <= peaks.waiting_units, "{status:?}");
    assert!(peaks.wait <= totals.wait_time, "{status:?}");
    assert!(totals.admitted_from_queue > 0 || totals.wait_time.is_zero(), "{status:?}");
}

/// The status of a plain bulkhead, in which every operation has one unit, after checking that
/// everything holds that must.
#[track_caller]
pub(crate) fn checked_status(bulkhead: &Bulkhead) -> BulkheadStatus {
    let status = bulkhead.status();
    assert_plain(&status);
    status
}

/// What holds in every snapshot of a plain bulkhead.
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
}

/// Nothing runs, nothing waits, and every unit can be taken again.
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

/// Remembers the order in which its wakers were woken.
#[derive(Clone, Default)]
pub(crate) struct Wakes(Arc<Mutex<Vec<usize>>>);

struct Numbered(usize, Wakes);

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.1.0.lock().unwrap().push(self.0);
    }
}

impl Wakes {
    pub(crate) fn waker(&self, number: usize) -> Waker {
        Arc::new(Numbered(number, self.clone())).into()
    }

    pub(crate) fn order(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}

/// One poll with a waker of one's own.
pub(crate) fn poll_with<F: Future + ?Sized>(
    future: &mut Pin<Box<F>>,
    waker: &Waker,
) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Work that shall not begin.
pub(crate) async fn never_polled() {
    unreachable!("polled without a slot");
}

/// Waits for what could fail to come, and fails if it does. On paused time that is known at once.
pub(crate) async fn must_come<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("never comes")
}

/// Runs what could lock up for good on a thread of its own, and fails if it does.
#[track_caller]
pub(crate) fn must_end(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("locked up"),
        _ => thread.join().unwrap(),
    }
}

/// A weighted bulkhead without a wait limit.
pub(crate) fn weighted(capacity: usize, room: usize) -> WeightedBulkhead {
    WeightedBulkhead::builder("reports").capacity(capacity).waiting_room(room).build().unwrap()
}

/// Partitions of numbers, without a wait limit.
pub(crate) fn customers(parallelism: usize, room: usize, max: usize) -> PartitionedBulkhead<u64> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(parallelism);
    builder.waiting_room(room).max_partitions(max).build().unwrap()
}

/// Which of these keys have a partition.
pub(crate) fn retained(
    customers: &PartitionedBulkhead<u64>,
    keys: impl IntoIterator<Item = u64>,
) -> Vec<u64> {
    keys.into_iter().filter(|key| customers.partition_status(key).is_some()).collect()
}

/// Polls an admission that must wait.
pub(crate) fn waiting(admission: Admission) -> Spawn<Admission> {
    let mut waiter = task::spawn(admission);
    assert_pending!(waiter.poll());
    waiter
}

/// The slot of a waiter that was woken for it.
pub(crate) fn slot_of(waiter: &mut Spawn<Admission>) -> Slot {
    assert!(waiter.is_woken(), "an admitted waiter is woken");
    assert_ready_ok!(waiter.poll())
}

/// The rejection of a waiter that was woken for it.
pub(crate) fn rejection_of(waiter: &mut Spawn<Admission>) -> Rejection {
    assert!(waiter.is_woken(), "a rejected waiter is woken");
    assert_ready_err!(waiter.poll())
}

/// What a handler was told, in the order of the telling.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<BulkheadEvent>>>);

impl Log {
    pub(crate) fn handler(&self) -> impl Fn(&BulkheadEvent) + Send + Sync + 'static + use<> {
        let log = self.clone();
        move |event| log.0.lock().unwrap().push(event.clone())
    }

    pub(crate) fn take(&self) -> Vec<BulkheadEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn take_kinds(&self) -> Vec<EventKind> {
        self.take().iter().map(|event| event.kind).collect()
    }
}

/// What holds in every status of all partitions together.
#[track_caller]
pub(crate) fn assert_all_consistent(status: &PartitionedStatus) {
    let totals = &status.totals;
    let in_flight = status.in_flight as u64;
    assert_eq!(totals.admitted, in_flight + totals.finished + totals.abandoned, "{status:?}");
    assert_eq!(totals.admitted_units, totals.admitted, "{status:?}");
    assert_eq!(totals.queued, status.waiting as u64 + totals.settled_waiting(), "{status:?}");
    assert_eq!(status.created, status.partitions as u64 + status.evicted + status.discarded);
    assert!(status.partitions <= status.max_partitions, "{} partitions", status.partitions);
    assert!(status.peak_partitions <= status.max_partitions, "{}", status.peak_partitions);
    assert!(status.active_partitions <= status.partitions);
    assert!(status.peak_partitions >= status.partitions);
}

/// This many cases of a property, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(number: u32) -> proptest::test_runner::Config {
    let mut config = proptest::test_runner::Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = number;
    }
    config
}
