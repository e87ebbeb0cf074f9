//! Many waiters under the wait limit of the bulkhead: each expires on time, whether the alarm of the line
//! or the waiter's own timer enforces its limit.

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

/// A runtime on this thread, which makes progress only inside `block_on`.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// How long the operation waited, if it reached the wait limit.
fn expired_after(rejection: &bulklink::Rejection) -> Option<Duration> {
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
        let (payments, start) = (payments.clone(), Instant::now());
        waits.push(tokio::spawn(async move {
            let rejection = payments.slot().await.unwrap_err();
            assert_eq!((start.elapsed(), expired_after(&rejection)), (ms(10), Some(ms(10))));
        }));
        // Some arrive together, and the first expire before the last arrive.
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
    assert_eq!(expired_after(&rejection), Some(ms(10)));
}

#[tokio::test(start_paused = true)]
async fn wait_limits_apply_again_after_the_line_was_empty() {
    let payments = limited(99, ms(10));
    let _slot = payments.slot_now().unwrap();
    for pause in [0, 3, 10, 1_000] {
        let mut waiter = task::spawn(payments.slot());
        assert_pending!(waiter.poll());
        drop(waiter);
        advance(ms(pause)).await;
        let start = Instant::now();
        assert!(expired_after(&must_come(payments.slot()).await.unwrap_err()).is_some());
        assert_eq!(start.elapsed(), ms(10), "after a pause of {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_between_two_wait_limits_expires_on_time() {
    let payments = limited(99, ms(10));
    let _slot = payments.slot_now().unwrap();
    let start = Instant::now();
    let (first, late, last) = tokio::join!(
        async { (payments.slot().await, start.elapsed()) },
        async { (payments.slot_before(Deadline::after(ms(4))).await, start.elapsed()) },
        async { (payments.slot_within(ms(20)).await, start.elapsed()) },
    );
    assert_eq!([first.1, late.1, last.1], [ms(10), ms(4), ms(10)]);
    assert!(matches!(late.0.unwrap_err().reason(), RejectionReason::Deadline { .. }));
}

/// A request joins the line in `call`, no matter when its future is polled first.
#[tokio::test(start_paused = true)]
async fn the_wait_limit_of_a_request_starts_at_its_call() {
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
    let mut unpolled = task::spawn(service.call(3));
    advance(ms(3)).await;
    assert!(late.is_woken());
    assert_ready_err!(late.poll());
    advance(ms(20)).await;
    assert_ready_err!(unpolled.poll());
    assert_eq!(checked_status(&payments).totals.expired, 3);
}

#[test]
fn a_stalled_runtime_does_not_delay_waiters_in_other_runtimes() {
    let payments = limited(99, ms(20));
    let _slot = payments.slot_now().unwrap();
    let (stalled, driven) = (runtime(), runtime());
    let mut waiter = Box::pin(payments.slot());
    stalled.block_on(async { assert_pending!(poll_with(&mut waiter, Waker::noop())) });
    for _ in 0..2 {
        let rejection = driven.block_on(must_come(payments.slot())).unwrap_err();
        // Long before the timeout of `must_come` would have polled it.
        assert!((ms(20)..Duration::from_secs(30)).contains(&expired_after(&rejection).unwrap()));
    }
    // The first waiter finds that it has expired, wherever it is polled next.
    let outcome = driven.block_on(must_come(waiter));
    assert!(expired_after(&outcome.unwrap_err()).unwrap() >= ms(20));
}

#[test]
fn a_waiter_whose_runtime_is_gone_expires_in_another() {
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
        assert!((ms(30)..Duration::from_secs(30)).contains(&expired_after(&rejection).unwrap()));
    }
    // The limit of a later waiter is enforced by an alarm in the remaining runtime.
    let rejection = next.block_on(must_come(payments.slot())).unwrap_err();
    assert!(expired_after(&rejection).unwrap() >= ms(30));
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn an_armed_timer_does_not_keep_its_bulkhead_alive() {
    let payments = limited(99, Duration::from_secs(3_600));
    let token = Arc::new(());
    let in_handler = token.clone();
    let _subscription = payments.subscribe(move |_| drop(in_handler.clone()));
    let slot = payments.slot_now().unwrap();
    let mut waiter = Box::pin(payments.slot());
    let runtime = runtime();
    runtime.block_on(async { assert_pending!(poll_with(&mut waiter, Waker::noop())) });
    assert_eq!(Arc::strong_count(&token), 2);
    drop((waiter, slot, payments));
    assert_eq!(Arc::strong_count(&token), 1, "its handlers are dropped with it");
}

/// A handler may be slow, since the alarm is armed before any handler is called.
#[test]
fn a_slow_event_handler_does_not_delay_an_expiry() {
    let payments = limited(99, ms(50));
    let _slot = payments.slot_now().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    // This leaves an alarm that is not armed.
    let rejection = runtime.block_on(must_come(payments.slot())).unwrap_err();
    assert!(expired_after(&rejection).is_some());
    let (entered, has_entered) = mpsc::channel();
    let (resume, may_resume) = mpsc::channel::<()>();
    let first_call = Mutex::new(Some((entered, may_resume)));
    let subscription = payments.subscribe(move |event| {
        if event.kind == EventKind::Queued {
            let Some((entered, may_resume)) = first_call.lock().unwrap().take() else { return };
            entered.send(()).unwrap();
            let _ = may_resume.recv();
        }
    });
    let in_task = payments.clone();
    let first = runtime.spawn(async move { in_task.slot().await.is_err() });
    has_entered.recv().unwrap();
    let rejection = runtime.block_on(must_come(payments.slot())).unwrap_err();
    assert!((ms(50)..Duration::from_secs(30)).contains(&expired_after(&rejection).unwrap()));
    resume.send(()).unwrap();
    assert!(runtime.block_on(first).unwrap());
    drop(subscription);
}

/// Neither the shutdown itself nor anything it calls panics, not even with a panic that is caught.
#[test]
fn shutting_down_a_runtime_with_an_armed_timer_does_not_panic() {
    let payments = limited(99, Duration::from_secs(3_600));
    let _slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    let gone = runtime();
    gone.block_on(async { assert_pending!(waiter.poll()) });
    // A hook is also called for a panic that is caught. It stays installed and calls the previous hook.
    let (this_thread, panics) = (thread::current().id(), Arc::<AtomicUsize>::default());
    let (counter, previous) = (panics.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        counter.fetch_add(usize::from(thread::current().id() == this_thread), Ordering::Relaxed);
        previous(info);
    }));
    drop(gone);
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    assert!(waiter.is_woken(), "it has to enforce its limit itself from now on");
    assert_eq!(payments.status().waiting, 1);
}

#[test]
fn a_service_called_after_its_runtime_is_gone_rejects_the_request() {
    let payments = limited(99, Duration::from_secs(3_600));
    let _slot = payments.slot_now().unwrap();
    let (alive, gone) = (runtime(), runtime());
    let mut other = Box::pin(payments.slot());
    alive.block_on(async { assert_pending!(poll_with(&mut other, Waker::noop())) });
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
    let (stalled, driven) = (runtime(), runtime());
    let mut first = Box::pin(payments.slot());
    let echo = service_fn(|request: u64| async move { Ok::<_, std::convert::Infallible>(request) });
    let mut service = BulkheadLayer::new(&payments).per_request().into_error().layer(echo);
    stalled.block_on(async { assert_pending!(poll_with(&mut first, Waker::noop())) });
    let response = {
        let _context = stalled.enter();
        service.call(1)
    };
    let start = std::time::Instant::now();
    assert!(driven.block_on(must_come(response)).is_err());
    assert!(start.elapsed() < Duration::from_secs(30), "only its own timer can have woken it");
}

/// A waker that polls its own wait inside `wake`, and records whether that poll rejected it.
struct PollInWake(Mutex<Option<Pin<Box<Admission>>>>, Mutex<Vec<bool>>);

impl Wake for PollInWake {
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
    let wakers: Vec<_> =
        (0..3).map(|_| Arc::new(PollInWake(Mutex::new(None), Mutex::default()))).collect();
    for waker in &wakers {
        let mut wait = Box::pin(payments.slot());
        assert_pending!(poll_with(&mut wait, &waker.clone().into()));
        *waker.0.lock().unwrap() = Some(wait);
    }
    advance(ms(10)).await;
    for waker in &wakers {
        assert_eq!(*waker.1.lock().unwrap(), [true]);
    }
    assert_eq!(checked_status(&payments).totals.expired, 3);
}
