//! Allocations of operations without a layer: none, unless a rejection differs from one that is held.

use std::task::{Context, Waker};

use bulklink::RejectionReason;

use super::{assert_allocates_nothing, hold, partitioned, poll_once, weighted};
use crate::support::{bulkhead, counting_allocator::allocations};

#[test]
fn an_immediate_decision_allocates_nothing() {
    let plain = bulkhead(1, 0);
    assert_allocates_nothing(|| plain.slot_now().is_ok(), hold(&plain));
    let plain = bulkhead(1, 0);
    assert_allocates_nothing(|| poll_once(plain.slot()).is_ok(), hold(&plain));
    let plain = bulkhead(1, 0);
    assert_allocates_nothing(|| poll_once(plain.execute(async {})).is_ok(), hold(&plain));
    let reports = weighted();
    assert_allocates_nothing(|| reports.slot_now(4).is_ok(), || reports.slot_now(1));
    let customers = partitioned();
    assert_allocates_nothing(|| customers.slot_now(&7).is_ok(), || customers.slot_now(&7));
}

#[test]
fn rejections_that_differ_allocate_nothing_unless_one_is_held() {
    let reports = weighted();
    let _held = reports.slot_now(4).unwrap();
    let reject = |cost| reports.slot_now(cost).unwrap_err();
    let different = allocations(|| (1..=6).for_each(|cost| drop(reject(cost))));
    assert_eq!(different.0, 0);
    let (count, (first, second, third)) = allocations(|| (reject(1), reject(2), reject(2)));
    assert_eq!(count, 1, "the second differs from the first, which is held");
    assert!(matches!(first.reason(), RejectionReason::Saturated { cost: 1, .. }), "{first}");
    assert!(matches!(second.reason(), RejectionReason::Saturated { cost: 2, .. }), "{second}");
    assert_eq!(second, third);
}

#[test]
fn waiting_without_a_layer_allocates_nothing_once_there_is_a_line() {
    let bulkhead = bulkhead(1, 10);
    let wait = || {
        let held = bulkhead.slot_now().unwrap();
        let mut waiter = std::pin::pin!(bulkhead.slot());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert!(waiter.as_mut().poll(&mut cx).is_ready());
    };
    wait();
    assert_eq!(allocations(wait).0, 0);
}
