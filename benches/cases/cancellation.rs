//! What a bad day brings: waiters that give up, a capacity that moves, a close.

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use tokio::sync::Semaphore;

use super::{Case, bulkhead, current_thread};

/// Waiters in line while the case runs.
const CROWD: usize = 1_000;

/// A storm of cancellations: each operation joins a long line and leaves it at once.
pub(crate) fn cancellation() -> Case {
    let runtime = current_thread();
    let bulkhead = bulkhead(1, CROWD + 1, None);
    let slot = bulkhead.slot_now().expect("a free slot");
    Case::timed("join and leave a line of 1,000", move |times| {
        black_box(&slot);
        let _guard = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut crowd: Vec<_> = (0..CROWD).map(|_| Box::pin(bulkhead.slot())).collect();
        for waiter in &mut crowd {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
        let start = Instant::now();
        for _ in 0..times {
            assert!(black_box(pin!(bulkhead.slot()).poll(&mut cx)).is_pending());
        }
        start.elapsed()
    })
}

pub(crate) fn tokio_cancellation() -> Case {
    let runtime = current_thread();
    let semaphore = Arc::new(Semaphore::new(0));
    Case::timed("tokio: join and leave a line of 1,000", move |times| {
        let _guard = runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        let mut crowd: Vec<_> =
            (0..CROWD).map(|_| Box::pin(semaphore.clone().acquire_owned())).collect();
        for waiter in &mut crowd {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
        let start = Instant::now();
        for _ in 0..times {
            assert!(black_box(pin!(semaphore.clone().acquire_owned()).poll(&mut cx)).is_pending());
        }
        start.elapsed()
    })
}
