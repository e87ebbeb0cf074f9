//! Many waiters with the bulkhead's own limit: each leaves when its time is up, whoever keeps it.

use std::{
    panic,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use bulklink::{Admission, BulkheadLayer, Deadline, EventKind, RejectionReason};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, service_fn};

use crate::support::{assert_nothing_left, checked_status, limited, ms, must_come, poll_with};

/// A runtime on this thread, which is driven only while it blocks.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn has_run_out(rejection: &bulklink::Rejection) -> Option<Duration> {
    match *rejection.reason() {
        RejectionReason::WaitLimit { waited, .. } => Some(waited),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn each_of_many_waiters_expires_at_its_own_time() {
    let payments = limited(99, ms(10));
    let slot = payments.slot_now().unwrap();
    let mut waits = Vec::new();
    for number in 0..20 {
        let (payments, begun) = (payments.clone(), Instant::now());
        waits.push(tokio::spawn(async move {
            let rejection = payments.slot().await.unwrap_err();
            assert_eq!((begun.elapsed(), has_run_out(&rejection)), (ms(10), Some(ms(10))));
        }));
        // Some come together, and the first leave before the last come.
        tokio::time::sleep(ms(number % 3)).await;
    }
    for wait in waits {
        must_come(wait).await.unwrap();
    }
    assert_eq!(checked_status(&payments).totals.expired, 20);
    drop(slot);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn waiters_behind_an_admitted_one_expire_on_time() {
    let payments = limited(99, ms(10));
    let slot = payments.slot_now().unwrap();
    let mut first = task::spawn(payments.slot());
    assert_pending!(first.poll());
    advance(ms(6)).await;
    let mut second = task::spawn(payments.slot());
    assert_pending!(second.poll());
    drop(slot);
    let _slot = assert_ready_ok!(first.poll());
    advance(ms(9)).await;
    assert!(!second.is_woken());
    assert_pending!(second.poll());
    advance(ms(1)).await;
    assert!(second.is_woken());
    let rejection = assert_ready_err!(second.poll());
    assert_eq!(has_run_out(&rejection), Some(ms(10)));
}

#[tokio::test(start_paused = true)]
async fn wait_limits_hold_again_after_the_line_was_empty() {
    let payments = limited(99, ms(10));
    let _slot = payments.slot_now().unwrap();
    for pause in [0, 3, 10, 1_000] {
        let mut waiter = task::spawn(payments.slot());
        assert_pending!(waiter.poll());
        drop(waiter);
        advance(ms(pause)).await;
        let begun = Instant::now();
        assert!(has_run_out(&must_come(payments.slot()).await.unwrap_err()).is_some());
        assert_eq!(begun.elapsed(), ms(10), "after a pause of {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_between_two_wait_limits_expires_on_time() {
    let payments = limited(99, ms(10));
    let _slot = payments.slot_now().unwrap();
    let begun = Instant::now();
    let (first, late, last) = tokio::join!(
        async { (payments.slot().await, begun.elapsed()) },
        async { (payments.slot_before(Deadline::after(ms(4))).await, begun.elapsed()) },
        async { (payments.slot_within(ms(20)).await, begun.elapsed()) },
    );
    assert_eq!([first.1, late.1, last.1], [ms(10), ms(4), ms(10)]);
    assert!(matches!(late.0.unwrap_err().reason(), RejectionReason::Deadline { .. }));
}

/// A request takes its place when it is called, whenever its future is polled first.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_polled_late_is_limited_from_its_call_on() {
    let payments = limited(99, ms(10));
    let _slot = payments.slot_now().unwrap();
    let echo = service_fn(|request: u64| async move { Ok::<_, std::convert::Infallible>(request) });
    let mut service = BulkheadLayer::new(&payments).per_request().into_error().layer(echo);
    let mut early = task::spawn(service.call(1));
    advance(ms(3)).await;
    let mut late = task::spawn(service.call(2));
    assert_pending!(late.poll());
    advance(ms(2)).await;
    assert_pending!(early.poll());
    advance(ms(5)).await;
    assert!(early.is_woken() && !late.is_woken());
    assert_ready_err!(early.poll());
    let mut never = task::spawn(service.call(3));
    advance(ms(3)).await;
    assert!(late.is_woken());
    assert_ready_err!(late.poll());
    advance(ms(20)).await;
    assert_ready_err!(never.poll());
    assert_eq!(checked_status(&payments).totals.expired, 3);
}

#[test]
fn a_stalled_runtime_does_not_delay_the_waiters_of_others() {
    let payments = limited(99, ms(20));
    let _slot = payments.slot_now().unwrap();
    let (stuck, driven) = (runtime(), runtime());
    let mut waiter = Box::pin(payments.slot());
    stuck.block_on(async { assert_pending!(poll_with(&mut waiter, Waker::noop())) });
    for _ in 0..2 {
        let rejection = driven.block_on(must_come(payments.slot())).unwrap_err();
        // Long before whoever only looks for a wait that never ends would have polled it.
        assert!((ms(20)..Duration::from_secs(30)).contains(&has_run_out(&rejection).unwrap()));
    }
    // It is seen to be over wherever it is polled next.
    let outcome = driven.block_on(must_come(waiter));
    assert!(has_run_out(&outcome.unwrap_err()).unwrap() >= ms(20));
}

#[test]
fn a_waiter_whose_runtime_is_gone_expires_in_another_one() {
    let payments = limited(99, ms(30));
    let slot = payments.slot_now().unwrap();
    let mut waits: Vec<_> = (0..3).map(|_| Box::pin(payments.slot())).collect();
    let gone = runtime();
    gone.block_on(async {
        for wait in &mut waits {
            assert_pending!(poll_with(wait, Waker::noop()));
        }
    });
    drop(gone);
    let next = runtime();
    for wait in waits {
        let rejection = next.block_on(must_come(wait)).unwrap_err();
        assert!((ms(30)..Duration::from_secs(30)).contains(&has_run_out(&rejection).unwrap()));
    }
    // And whoever comes later is kept by an alarm of the runtime that is left.
    let rejection = next.block_on(must_come(payments.slot())).unwrap_err();
    assert!(has_run_out(&rejection).unwrap() >= ms(30));
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn an_armed_timer_does_not_keep_its_bulkhead_alive() {
    let payments = limited(99, Duration::from_secs(3_600));
    let held = Arc::new(());
    let within = held.clone();
    let _subscription = payments.subscribe(move |_| drop(within.clone()));
    let slot = payments.slot_now().unwrap();
    let mut waiter = Box::pin(payments.slot());
    let runtime = runtime();
    runtime.block_on(async { assert_pending!(poll_with(&mut waiter, Waker::noop())) });
    assert_eq!(Arc::strong_count(&held), 2);
    drop((waiter, slot, payments));
    assert_eq!(Arc::strong_count(&held), 1, "its handlers went with it");
}

/// A handler may take its time: the alarm is set before anybody is told.
#[test]
fn a_slow_event_handler_does_not_delay_an_expiry() {
    let payments = limited(99, ms(50));
    let _slot = payments.slot_now().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    // There is an alarm afterwards, which is not set.
    let rejection = runtime.block_on(must_come(payments.slot())).unwrap_err();
    assert!(has_run_out(&rejection).is_some());
    let (told, is_told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let hold = Mutex::new(Some((told, may_go_on)));
    let subscription = payments.subscribe(move |event| {
        if event.kind == EventKind::Queued {
            let Some((told, may_go_on)) = hold.lock().unwrap().take() else { return };
            told.send(()).unwrap();
            let _ = may_go_on.recv();
        }
    });
    let held = payments.clone();
    let first = runtime.spawn(async move { held.slot().await.is_err() });
    is_told.recv().unwrap();
    let rejection = runtime.block_on(must_come(payments.slot())).unwrap_err();
    assert!((ms(50)..Duration::from_secs(30)).contains(&has_run_out(&rejection).unwrap()));
    go_on.send(()).unwrap();
    assert!(runtime.block_on(first).unwrap());
    drop(subscription);
}

/// Nothing panics, on the way or in a hook, when a runtime goes from under a line.
#[test]
fn shutting_down_a_runtime_with_an_armed_timer_does_not_panic() {
    let payments = limited(99, Duration::from_secs(3_600));
    let _slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    let gone = runtime();
    gone.block_on(async { assert_pending!(waiter.poll()) });
    // A hook hears also of a panic that is caught; it stays, and passes on what it hears.
    let (here, panics) = (thread::current().id(), Arc::<AtomicUsize>::default());
    let (heard, former) = (panics.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        heard.fetch_add(usize::from(thread::current().id() == here), Ordering::Relaxed);
        former(info);
    }));
    drop(gone);
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    assert!(waiter.is_woken(), "it must keep its limit itself from now on");
    assert_eq!(payments.status().waiting, 1);
}

#[test]
fn a_service_called_after_its_runtime_is_gone_rejects() {
    let payments = limited(99, Duration::from_secs(3_600));
    let _slot = payments.slot_now().unwrap();
    let (kept, gone) = (runtime(), runtime());
    let mut other = Box::pin(payments.slot());
    kept.block_on(async { assert_pending!(poll_with(&mut other, Waker::noop())) });
    let echo = service_fn(|request: u64| async move { Ok::<_, std::convert::Infallible>(request) });
    let mut service = BulkheadLayer::new(&payments).into_error().layer(echo);
    let mut cx = Context::from_waker(Waker::noop());
    gone.block_on(async { assert_pending!(Service::<u64>::poll_ready(&mut service, &mut cx)) });
    drop(gone);
    assert_ready_err!(task::spawn(service.call(1)).poll());
}

#[test]
fn a_request_called_in_one_runtime_and_polled_in_another_expires_there() {
    let payments = limited(99, ms(30));
    let _slot = payments.slot_now().unwrap();
    let (stuck, driven) = (runtime(), runtime());
    let mut first = Box::pin(payments.slot());
    let echo = service_fn(|request: u64| async move { Ok::<_, std::convert::Infallible>(request) });
    let mut service = BulkheadLayer::new(&payments).per_request().into_error().layer(echo);
    stuck.block_on(async { assert_pending!(poll_with(&mut first, Waker::noop())) });
    let answer = {
        let _within = stuck.enter();
        service.call(1)
    };
    let begun = std::time::Instant::now();
    assert!(driven.block_on(must_come(answer)).is_err());
    assert!(begun.elapsed() < Duration::from_secs(30), "only its own timer can have woken it");
}

/// A waker that polls the wait it is for on the spot.
struct OnTheSpot(Mutex<Option<Pin<Box<Admission>>>>, Mutex<Vec<bool>>);

impl Wake for OnTheSpot {
    fn wake(self: Arc<Self>) {
        let wait = self.0.lock().unwrap().take();
        if let Some(mut wait) = wait {
            let expired = matches!(poll_with(&mut wait, Waker::noop()), Poll::Ready(Err(_)));
            self.1.lock().unwrap().push(expired);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_polled_by_its_own_waker_expires_in_that_poll() {
    let payments = limited(99, ms(10));
    let _slot = payments.slot_now().unwrap();
    let spots: Vec<_> =
        (0..3).map(|_| Arc::new(OnTheSpot(Mutex::new(None), Mutex::default()))).collect();
    for spot in &spots {
        let mut wait = Box::pin(payments.slot());
        assert_pending!(poll_with(&mut wait, &spot.clone().into()));
        *spot.0.lock().unwrap() = Some(wait);
    }
    advance(ms(10)).await;
    for spot in &spots {
        assert_eq!(*spot.1.lock().unwrap(), [true]);
    }
    assert_eq!(checked_status(&payments).totals.expired, 3);
}
