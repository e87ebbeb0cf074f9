//! Runtimes that are shut down, have no timer, or whose time is paused.

use std::{convert::Infallible, future::pending, time::Duration};

use bulklink::{BulkheadLayer, Deadline, PartitionedBulkhead, WeightedBulkhead};
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{assert_identities, assert_nothing_left, bulkhead, panics};

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

/// Waits until `done` returns true, and yields to other threads meanwhile.
fn wait_until(mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "not done within 60 seconds");
        std::thread::yield_now();
    }
}

#[test]
fn shutting_down_a_runtime_releases_its_slots_and_waiters() {
    let payments = bulkhead(3, 100);
    let reports =
        WeightedBulkhead::builder("reports").capacity(5).waiting_room(100).build().unwrap();
    let customers = PartitionedBulkhead::<usize>::builder("customers")
        .parallelism(1)
        .waiting_room(50)
        .max_partitions(4)
        .build()
        .unwrap();
    let runtime = threads();
    for number in 0..50 {
        let (payments, reports, customers) = (payments.clone(), reports.clone(), customers.clone());
        runtime.spawn({
            let payments = payments.clone();
            async move { payments.execute(pending::<()>()).await }
        });
        runtime.spawn(async move {
            let slot = payments.slot_within(Duration::from_secs(600)).await;
            pending::<()>().await;
            drop(slot);
        });
        runtime.spawn(async move { reports.execute(1 + number % 3, pending::<()>()).await });
        runtime.spawn(async move { customers.execute(&(number % 4), pending::<()>()).await });
    }
    wait_until(|| {
        let (one, two, three) = (payments.status(), reports.status(), customers.status());
        one.in_flight + one.waiting == 100
            && two.in_flight + two.waiting == 50
            && three.in_flight + three.waiting == 50
    });
    // An operation outside the runtime waits behind all of them.
    let mut outsider = task::spawn(reports.slot(5));
    assert_pending!(outsider.poll());
    drop(runtime);
    assert!(outsider.is_woken());
    drop(outsider);
    assert_nothing_left(&payments);
    let status = reports.status();
    assert_identities(&status);
    assert_eq!((status.used, status.waiting), (0, 0));
    assert_eq!(status.totals.admitted, status.totals.finished + status.totals.abandoned);
    let status = customers.status();
    assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0));
    assert_eq!(status.totals.queued, status.totals.settled_waiting());
}

#[test]
fn a_bulkhead_outlives_the_runtime_it_was_used_on() {
    let payments = bulkhead(1, 2);
    let first = threads();
    let slot = first.block_on(payments.slot()).unwrap();
    drop(first);
    let waiter = payments.clone();
    let second = threads();
    let waiting = second.spawn(async move { waiter.slot_within(Duration::from_secs(60)).await });
    wait_until(|| payments.status().waiting == 1);
    drop(slot);
    drop(second.block_on(waiting).unwrap().unwrap());
    assert_nothing_left(&payments);
}

#[test]
fn a_runtime_without_a_timer_fails_a_limited_wait_and_nothing_else() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let payments = bulkhead(1, 3);
    runtime.block_on(async {
        let slot = payments.slot().await.unwrap();
        // Neither an operation that need not wait nor one without a limit needs a timer.
        assert!(payments.slot_within(Duration::ZERO).await.is_err());
        let mut unlimited = task::spawn(payments.slot());
        assert_pending!(unlimited.poll());
        let mut failing = task::spawn(payments.slot_within(Duration::from_secs(1)));
        assert!(panics(|| failing.poll().is_pending()));
        drop(failing);
        assert_eq!(payments.status().waiting, 1);
        drop(slot);
        assert!(unlimited.is_woken());
    });
    assert_nothing_left(&payments);
}

#[test]
fn a_service_with_a_wait_limit_fails_without_a_timer_and_holds_nothing() {
    let payments = bulklink::Bulkhead::builder("payments").parallelism(1).waiting_room(3);
    let payments = payments.wait_limit(Duration::from_secs(1)).build().unwrap();
    let inner = service_fn(|_: Request<()>| async { Ok::<_, ()>(Response::new(())) });
    let slot = payments.slot_now().unwrap();
    let mut ready = BulkheadLayer::new(&payments).layer(inner);
    assert!(panics(|| task::spawn(()).enter(|cx, _| ready.poll_ready(cx).is_pending())));
    assert_eq!(payments.status().waiting, 0, "the handle still waits");
    let mut service = BulkheadLayer::new(&payments).per_request().layer(inner);
    let mut response = task::spawn(Box::pin(service.call(Request::new(()))));
    assert!(panics(|| response.poll().is_pending()));
    drop(response);
    assert_eq!(payments.status().waiting, 0);
    drop((slot, ready));
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn paused_time_expires_no_waiter_and_prevents_no_admission() {
    let payments = bulkhead(1, 100);
    let slot = payments.slot_now().unwrap();
    let mut waiters: Vec<_> = (0..100)
        .map(|number| task::spawn(payments.slot_within(Duration::from_nanos(1 + number))))
        .collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop(slot);
    for waiter in &mut waiters {
        assert!(waiter.is_woken());
        assert!(matches!(waiter.poll(), std::task::Poll::Ready(Ok(_))));
    }
    let totals = payments.status().totals;
    assert_eq!((totals.admitted, totals.expired, totals.wait_time), (101, 0, Duration::ZERO));
}

#[test]
fn shutting_down_a_runtime_cancels_its_queued_requests() {
    let payments = bulkhead(2, 100);
    let inner = service_fn(|_: Request<()>| pending::<Result<Response<String>, Infallible>>());
    let in_readiness = BulkheadLayer::new(&payments).layer(inner);
    let deadline = |_: &Request<()>| Some(Deadline::after(Duration::from_secs(600)));
    let per_request = BulkheadLayer::new(&payments).deadline(deadline).layer(inner);
    let runtime = threads();
    for _ in 0..20 {
        let (mut in_readiness, mut per_request) = (in_readiness.clone(), per_request.clone());
        runtime
            .spawn(async move { in_readiness.ready().await.unwrap().call(Request::new(())).await });
        runtime
            .spawn(async move { per_request.ready().await.unwrap().call(Request::new(())).await });
    }
    wait_until(|| payments.status().waiting == 38);
    let mut outsider = task::spawn(payments.slot());
    assert_pending!(outsider.poll());
    drop(runtime);
    assert!(outsider.is_woken());
    drop(assert_ready_ok!(outsider.poll()));
    assert_nothing_left(&payments);
}

/// Descriptors that this process has open.
#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Bulkheads that outlive the runtimes in which their waiters had limits: nothing of those runtimes is left.
#[test]
#[cfg(target_os = "linux")]
fn a_runtime_that_is_gone_leaves_no_descriptor_with_a_bulkhead() {
    // Alone in a process of its own: other tests open descriptors too.
    const ALONE: &str = "BULKLINK_ALONE_WITH_DESCRIPTORS";
    if std::env::var_os(ALONE).is_none() {
        let name = "a_runtime_that_is_gone_leaves_no_descriptor_with_a_bulkhead";
        let this = std::process::Command::new(std::env::current_exe().unwrap());
        let output = { this }.env(ALONE, "1").arg(name).output().unwrap();
        return assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // The first runtime of a process opens what all of them share.
    drop(Builder::new_current_thread().enable_all().build().unwrap());
    for limit in [Duration::from_millis(1), Duration::from_secs(600)] {
        let before = descriptors();
        let mut kept = Vec::new();
        for _ in 0..20 {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let builder = bulklink::Bulkhead::builder("payments").parallelism(1).waiting_room(2);
            let payments = builder.wait_limit(limit).build().unwrap();
            runtime.block_on(async {
                let slot = payments.slot_now().unwrap();
                let mut waiter = task::spawn(payments.slot());
                assert_pending!(waiter.poll());
                if limit < Duration::from_secs(1) {
                    assert!(payments.slot().await.is_err(), "it expires");
                }
                drop((slot, waiter));
            });
            kept.push(payments);
        }
        assert_eq!(descriptors(), before, "with a limit of {limit:?}");
        kept.iter().for_each(assert_nothing_left);
    }
}

/// The first waiter is past its limit when its runtime ends, a second one is not: no panic is heard, and both expire elsewhere.
#[test]
fn a_runtime_that_ends_with_an_overdue_alarm_panics_nowhere() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    let this_thread = std::thread::current().id();
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == this_thread {
            HEARD.fetch_add(1, Ordering::SeqCst);
        }
        previous(info);
    }));
    let limit = Duration::from_millis(40);
    let builder = bulklink::Bulkhead::builder("payments").parallelism(1).waiting_room(2);
    let payments = builder.wait_limit(limit).build().unwrap();
    let _slot = payments.slot_now().unwrap();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut waiters = [task::spawn(payments.slot()), task::spawn(payments.slot())];
    let entered = runtime.enter();
    assert_pending!(waiters[0].poll());
    // The driver of the runtime does not run, so the alarm does not fire.
    let joined = std::time::Instant::now();
    wait_until(|| joined.elapsed() > limit);
    assert_pending!(waiters[1].poll());
    drop(entered);
    drop(runtime);
    assert_eq!(HEARD.load(Ordering::SeqCst), 0, "a panic was heard");
    let other = Builder::new_current_thread().enable_time().build().unwrap();
    for waiter in &mut waiters {
        assert!(waiter.is_woken(), "nobody enforces its limit any more");
        // The first is late already, and the second has joined less than a limit ago.
        let outcome = other.block_on(async {
            tokio::time::sleep(limit).await;
            waiter.poll()
        });
        assert!(matches!(outcome, std::task::Poll::Ready(Err(_))), "{outcome:?}");
    }
}

/// A wait of its own limit that is polled in another runtime than at first, which is gone.
#[test]
fn a_wait_goes_on_in_another_runtime_when_its_first_is_gone() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    let first = Builder::new_current_thread().enable_time().build().unwrap();
    let mut expiring = Box::pin(payments.slot_within(Duration::from_millis(30)));
    let mut admitted = Box::pin(payments.slot_within(Duration::from_secs(600)));
    first.block_on(async {
        for waiter in [&mut expiring, &mut admitted] {
            assert!(
                std::future::poll_fn(|cx| std::task::Poll::Ready(waiter.as_mut().poll(cx)))
                    .await
                    .is_pending()
            );
        }
    });
    drop(first);
    let other = Builder::new_current_thread().enable_time().build().unwrap();
    assert!(other.block_on(expiring).is_err(), "it expires");
    drop(slot);
    drop(other.block_on(admitted).unwrap());
    assert_nothing_left(&payments);
}
