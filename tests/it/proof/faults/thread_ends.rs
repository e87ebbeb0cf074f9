//! Slots, places in line and services that are dropped by the thread-locals of a thread that ends, in a process in which
//! tokio's clock was paused: from then on, tokio's clock panics in such moments, and a panic there aborts the process.

use std::{
    any::Any,
    cell::RefCell,
    convert::Infallible,
    env,
    future::{Pending, pending},
    process::Command,
    task::{Context, Poll, Waker},
    thread,
};

use bulklink::{
    Bulkhead, BulkheadLayer, BulkheadStatus, PartitionedBulkhead, PartitionedBulkheadLayer,
    WeightedBulkhead,
};
use http::{Request, Response};
use tokio::runtime::{Builder, Handle};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, service_fn};

use crate::support::{assert_identities, assert_nothing_left, bulkhead, retained};

/// Set in the process that runs the cases: an abort would end the other tests too.
const IN_PROCESS: &str = "BULKLINK_THREAD_ENDS";

thread_local! {
    static HELD: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `hold` in a thread of its own, which ends at once and drops what `hold` returned after tokio's thread-locals.
fn drop_last<T: 'static>(hold: impl FnOnce() -> T + Send) {
    let end = || {
        // Thread-locals are dropped in the reverse order of their first use.
        HELD.with_borrow(Vec::is_empty);
        assert!(Handle::try_current().is_err_and(|error| error.is_missing_context()));
        let held = hold();
        HELD.with_borrow_mut(|all| all.push(Box::new(held)));
    };
    thread::scope(|scope| scope.spawn(end).join()).unwrap();
}

/// A slot of a bulkhead of 1, which `hold` uses, is handed over to the next in line.
fn hands_over<T: 'static>(payments: &Bulkhead, hold: impl FnOnce() -> T + Send) {
    let mut next = None;
    drop_last(|| {
        let held = hold();
        next = Some(task::spawn(payments.slot()));
        assert_pending!(next.as_mut().unwrap().poll());
        held
    });
    let next = next.unwrap();
    assert!(next.is_woken());
    drop(next);
    assert_nothing_left(payments);
}

async fn never(_: Request<()>) -> Result<Response<String>, Infallible> {
    pending().await
}

#[test]
fn what_is_dropped_by_a_thread_that_ends_is_given_back() {
    if env::var_os(IN_PROCESS).is_none() {
        let path = thread::current().name().unwrap().to_owned();
        let test = Command::new(env::current_exe().unwrap())
            .args([&*path, "--exact", "--nocapture"])
            .env(IN_PROCESS, "1")
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&test.stdout);
        assert!(output.contains("1 passed"), "{}: {test:?}", test.status);
        return;
    }
    // The clock was paused once, somewhere.
    drop(Builder::new_current_thread().enable_time().start_paused(true).build().unwrap());

    slots();
    waiters();
    requests();
    partitions();
}

fn slots() {
    let payments = bulkhead(1, 2);
    // One in 64 is timed.
    for _ in 0..300 {
        drop_last(|| payments.slot_now().unwrap());
        hands_over(&payments, || payments.slot_now().unwrap());
    }
    // Only then is the first operation admitted.
    drop_last(|| OnDrop(Some(|| drop(bulkhead(1, 0).slot_now().unwrap()))));

    let guarded = payments.guard(|()| pending::<()>());
    hands_over(&payments, || {
        let mut running = task::spawn(guarded(()));
        assert_pending!(running.poll());
        running
    });
    assert_eq!(payments.status().totals.cut_short, 1);

    let reports = WeightedBulkhead::builder("reports").capacity(5).waiting_room(2).build().unwrap();
    drop_last(|| reports.slot_now(5).unwrap());
    assert_given_back(&reports.status());
}

fn waiters() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    drop_last(|| {
        let mut waiting = task::spawn(payments.slot());
        assert_pending!(waiting.poll());
        waiting
    });
    assert_eq!(payments.status().totals.cancelled, 1);
    hands_over(&payments, || {
        let mut admitted = task::spawn(payments.slot());
        assert_pending!(admitted.poll());
        drop(slot);
        assert!(admitted.is_woken());
        admitted
    });
    assert_eq!(payments.status().totals.abandoned, 2);
}

fn requests() {
    let payments = bulkhead(1, 2);
    let layer = BulkheadLayer::new(&payments);
    hands_over(&payments, || {
        let mut service = layer.layer(service_fn(never));
        assert_ready_ok!(service.poll_ready(&mut Context::from_waker(Waker::noop())));
        service
    });
    hands_over(&payments, || {
        let mut response = task::spawn(layer.layer(service_fn(never)).call(Request::new(())));
        assert_pending!(response.poll());
        response
    });
    // It has waited for its slot, and the inner service is not ready.
    let slot = payments.slot_now().unwrap();
    let layer = BulkheadLayer::new(&payments).per_request();
    hands_over(&payments, || {
        let mut response = task::spawn(layer.layer(NeverReady).call(Request::new(())));
        assert_pending!(response.poll());
        drop(slot);
        assert_pending!(response.poll());
        response
    });
    let body = BulkheadLayer::new(&payments).hold_body();
    hands_over(&payments, || {
        let answer = async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::from("a")));
        let mut response = task::spawn(body.layer(service_fn(answer)).call(Request::new(())));
        assert_ready_ok!(response.poll())
    });
    assert_eq!(payments.status().totals.bodies_ended_early, 1);
}

fn partitions() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(1)
        .waiting_room(1)
        .max_partitions(2)
        .build()
        .unwrap();
    drop_last(|| customers.slot_now(&1).unwrap());
    let layer = PartitionedBulkheadLayer::new(&customers, |_: &Request<()>| Some(2));
    drop_last(|| {
        let mut response = task::spawn(layer.layer(service_fn(never)).call(Request::new(())));
        assert_pending!(response.poll());
        response
    });
    let status = customers.status();
    assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0));
    assert_eq!((status.totals.finished, status.totals.cut_short), (2, 1));
    customers.close();
    assert!(retained(&customers, 1..3).is_empty(), "no longer pinned");
}

#[track_caller]
fn assert_given_back(status: &BulkheadStatus) {
    assert_identities(status);
    assert_eq!((status.used, status.waiting), (0, 0), "{status:?}");
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0.take().unwrap()();
    }
}

#[derive(Clone)]
struct NeverReady;

impl Service<Request<()>> for NeverReady {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pending<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        pending()
    }
}
