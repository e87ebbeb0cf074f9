//! Wakers are foreign code: they may panic, and they may call back into the bulkhead.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use bulklink::Bulkhead;

use crate::support::{
    Hook, Wakes, assert_nothing_left, assert_panics, bulkhead, checked_status, must_end, poll_with,
};

fn panicking() -> Waker {
    Hook::new().on_wake(|| panic!("a waker that panics")).waker()
}

/// Returns a closure that calls the bulkhead, including everything that takes the lock.
fn call_back(payments: &Bulkhead) -> impl Fn() + Send + Sync + use<> {
    let payments = payments.clone();
    move || {
        checked_status(&payments);
        drop(payments.slot_now());
        assert_ne!(payments.parallelism() + payments.label().len(), 0);
        assert!(!payments.is_closed() || payments.slot_now().is_err());
        assert!(!format!("{payments:?}").is_empty());
    }
}

#[test]
fn a_panicking_waker_does_not_prevent_the_wake_ups_of_others() {
    let payments = bulkhead(1, 9);
    let slot = payments.slot_now().unwrap();
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let waker = if number % 2 == 0 { panicking() } else { wakes.waker(number) };
        assert!(poll_with(waiter, &waker).is_pending());
    }
    payments.resize(3).unwrap();
    assert_eq!(wakes.order(), [1]);
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.waiting), (3, 3));
    drop(slot);
    payments.close();
    assert_eq!(wakes.order(), [1, 3]);
    for (number, mut waiter) in waiters.into_iter().enumerate() {
        let Poll::Ready(outcome) = poll_with(&mut waiter, &wakes.waker(9)) else {
            panic!("{number} still waits");
        };
        assert_eq!(outcome.is_ok(), number < 3);
    }
    assert_nothing_left(&payments);
}

#[test]
fn a_waker_that_panics_while_a_panic_drops_the_slot_does_not_abort_the_process() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiter = Box::pin(payments.slot());
    assert!(poll_with(&mut waiter, &panicking()).is_pending());
    let panic = catch_unwind(AssertUnwindSafe(move || {
        let _slot = slot;
        panic!("work that panics");
    }));
    assert_eq!(*panic.unwrap_err().downcast_ref::<&str>().unwrap(), "work that panics");
    assert!(poll_with(&mut waiter, Waker::noop()).is_ready());
    drop(waiter);
    assert_nothing_left(&payments);
}

#[test]
fn a_panicking_waker_of_one_close_waiter_does_not_block_the_others() {
    let payments = bulkhead(1, 0);
    let wakes = Wakes::default();
    let mut first = Box::pin(payments.wait_closed());
    let mut second = Box::pin(payments.wait_closed());
    assert!(poll_with(&mut first, &panicking()).is_pending());
    assert!(poll_with(&mut second, &wakes.waker(2)).is_pending());
    payments.close();
    assert_eq!(wakes.order(), [2]);
    assert!(poll_with(&mut first, Waker::noop()).is_ready());
}

#[test]
fn a_waker_may_call_the_bulkhead_when_it_is_cloned_woken_and_dropped() {
    must_end(|| {
        let payments = bulkhead(1, 9);
        let calls = Arc::new(AtomicUsize::new(0));
        let hooked = || {
            let counted = |calls: &Arc<AtomicUsize>| {
                let (calls, call) = (calls.clone(), call_back(&payments));
                move || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    call();
                }
            };
            let hook = Hook::new().on_clone(counted(&calls));
            hook.on_wake(counted(&calls)).on_drop(counted(&calls)).waker()
        };
        let slot = payments.slot_now().unwrap();
        let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(payments.slot())).collect();
        for waiter in &mut waiters {
            assert!(poll_with(waiter, &hooked()).is_pending());
            // The second waker replaces the first.
            assert!(poll_with(waiter, &hooked()).is_pending());
        }
        let mut closed = Box::pin(payments.wait_closed());
        assert!(poll_with(&mut closed, &hooked()).is_pending());
        assert!(poll_with(&mut closed, &hooked()).is_pending());
        let called = calls.load(Ordering::SeqCst);
        assert!(called >= 5 * 2 * 2, "cloned and dropped {called} times");
        drop(waiters.remove(1));
        drop(slot);
        drop(waiters.remove(0));
        assert_eq!(checked_status(&payments).totals.abandoned, 1);
        payments.close();
        drop(closed);
        let before = calls.load(Ordering::SeqCst);
        assert!(before > called, "woken");
        for mut waiter in waiters {
            let _ = poll_with(&mut waiter, &hooked());
        }
        assert!(checked_status(&payments).is_drained());
    });
}

#[test]
fn a_slot_owned_by_a_waker_is_given_back_when_the_waker_is_dropped() {
    must_end(|| {
        let payments = bulkhead(1, 2);
        let slot = std::sync::Mutex::new(Some(payments.slot_now().unwrap()));
        let waker = Hook::new().on_drop(move || drop(slot.lock().unwrap().take())).waker();
        let wakes = Wakes::default();
        let mut first = Box::pin(payments.slot());
        let mut second = Box::pin(payments.slot());
        assert!(poll_with(&mut first, &waker).is_pending());
        assert!(poll_with(&mut second, &wakes.waker(2)).is_pending());
        // Replacing the waker drops it. That releases the slot, and this very waiter is admitted.
        assert!(poll_with(&mut first, &wakes.waker(1)).is_pending());
        assert_eq!(wakes.order(), [1]);
        assert!(poll_with(&mut first, &wakes.waker(1)).is_ready());
        assert_eq!(
            wakes.order(),
            [1, 2],
            "the outcome of the poll was dropped, and the slot with it"
        );
        drop((first, second, waker));
        assert_nothing_left(&payments);
    });
}

#[test]
fn a_waker_whose_clone_panics_leaves_no_waiter_behind() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiter = Box::pin(payments.slot());
    let waker = Hook::new().on_clone(|| panic!("a waker that cannot be cloned")).waker();
    assert_panics(|| poll_with(&mut waiter, &waker).is_pending());
    drop(waiter);
    assert_eq!((checked_status(&payments).waiting, payments.status().in_flight), (0, 1));
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn a_waiter_polled_again_by_the_same_task_does_not_clone_its_waker_again() {
    let payments = bulkhead(1, 1);
    let _slot = payments.slot_now().unwrap();
    let clones = Arc::new(AtomicUsize::new(0));
    let counted = clones.clone();
    let waker = Hook::new()
        .on_clone(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .waker();
    let mut waiter = Box::pin(payments.slot());
    for _ in 0..10 {
        assert!(poll_with(&mut waiter, &waker).is_pending());
    }
    assert_eq!(clones.load(Ordering::SeqCst), 1);
}
