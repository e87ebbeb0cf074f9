//! Memory of waiters while they wait and after a burst.

use std::task::{Context, Waker};

use crate::support::{bulkhead, counting_allocator::live_bytes};

const WAITERS: usize = 10_000;

#[test]
fn a_waiter_takes_at_most_96_bytes_beyond_its_future() {
    let bulkhead = bulkhead(1, WAITERS);
    let _held = bulkhead.slot_now().unwrap();
    let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(bulkhead.slot())).collect();
    let mut cx = Context::from_waker(Waker::noop());
    let (bytes, ()) = live_bytes(|| {
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
    });
    assert!(bytes <= 96 * WAITERS as i64, "{} bytes per waiter", bytes / WAITERS as i64);
}

#[test]
fn a_burst_of_waiters_gives_its_memory_back() {
    let bulkhead = bulkhead(1, WAITERS);
    let _held = bulkhead.slot_now().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let (bytes, ()) = live_bytes(|| {
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(bulkhead.slot())).collect();
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
    });
    assert!(bytes <= 96 * 1_024 + 1_024, "{bytes} bytes are left");
}
