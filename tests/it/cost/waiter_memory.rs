//! How much memory waiters take, and that a burst gives it back.

use std::task::{Context, Waker};

use crate::support::{bulkhead, counting_allocator::live_bytes};

const MANY: usize = 10_000;

#[test]
fn a_waiter_takes_96_bytes_at_most_beyond_its_future() {
    let bulkhead = bulkhead(1, MANY);
    let _held = bulkhead.slot_now().unwrap();
    let mut waiters: Vec<_> = (0..MANY).map(|_| Box::pin(bulkhead.slot())).collect();
    let mut cx = Context::from_waker(Waker::noop());
    let (bytes, ()) = live_bytes(|| {
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
    });
    assert!(bytes <= 96 * MANY as i64, "{} bytes a waiter", bytes / MANY as i64);
}

#[test]
fn a_burst_of_waiters_gives_its_memory_back() {
    let bulkhead = bulkhead(1, MANY);
    let _held = bulkhead.slot_now().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let (bytes, ()) = live_bytes(|| {
        let mut waiters: Vec<_> = (0..MANY).map(|_| Box::pin(bulkhead.slot())).collect();
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
    });
    assert!(bytes <= 96 * 1_024 + 1_024, "{bytes} bytes are left");
}
