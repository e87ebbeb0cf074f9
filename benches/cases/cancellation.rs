//! Cancellation: waiters that leave a long waiting line.

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use tokio::sync::Semaphore;

use super::{Case, bulkhead, current_thread};

/// Waiters that stay in the line while the case runs.
const WAITERS: usize = 1_000;

/// Each operation joins the end of a long line and leaves it at once.
pub(crate) fn join_and_leave() -> Case {
    let runtime = current_thread();
    let bulkhead = bulkhead(1, WAITERS + 1, None);
    let slot = bulkhead.slot_now().expect("a free slot");
    Case::timed("join and leave a line of 1,000", move |times| {
        black_box(&slot);
        let _guard = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(bulkhead.slot())).collect();
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
        let start = Instant::now();
        for _ in 0..times {
            assert!(black_box(pin!(bulkhead.slot()).poll(&mut cx)).is_pending());
        }
        start.elapsed()
    })
}

pub(crate) fn tokio_join_and_leave() -> Case {
    let runtime = current_thread();
    let semaphore = Arc::new(Semaphore::new(0));
    Case::timed("tokio: join and leave a line of 1,000", move |times| {
        let _guard = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiters: Vec<_> =
            (0..WAITERS).map(|_| Box::pin(semaphore.clone().acquire_owned())).collect();
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
        let start = Instant::now();
        for _ in 0..times {
            assert!(black_box(pin!(semaphore.clone().acquire_owned()).poll(&mut cx)).is_pending());
        }
        start.elapsed()
    })
}
