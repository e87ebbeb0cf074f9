//! Slots and guarded work without tower, on one thread, never waiting.

use std::{
    future::ready,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bulklink::WeightedBulkhead;
use tokio::sync::Semaphore;

use super::{Case, PARALLELISM, bulkhead};

/// The physical limit of an admission and its release: one compare-exchange and one fetch-sub on an
/// uncontended word.
pub(crate) fn physical_limit() -> Case {
    let word = AtomicU64::new(0);
    Case::repeat("one compare-exchange and one fetch-sub", move || {
        let word = black_box(&word);
        let current = word.load(Ordering::Relaxed);
        let exchanged =
            word.compare_exchange(current, current + 1, Ordering::AcqRel, Ordering::Acquire);
        black_box(exchanged.is_ok());
        word.fetch_sub(1, Ordering::AcqRel)
    })
}

/// One clock reading. A wait needs two, the use of a partition one.
pub(crate) fn clock() -> Case {
    Case::repeat("one clock reading", tokio::time::Instant::now)
}

pub(crate) fn slot_now() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 0, None);
    Case::repeat("slot_now", move || drop(black_box(bulkhead.slot_now().expect("a free slot"))))
}

pub(crate) fn tokio_try_acquire_owned() -> Case {
    let semaphore = Arc::new(Semaphore::new(PARALLELISM));
    Case::repeat("tokio try_acquire_owned", move || {
        drop(black_box(semaphore.clone().try_acquire_owned().expect("a free permit")));
    })
}

pub(crate) fn tokio_try_acquire() -> Case {
    let semaphore = Semaphore::new(PARALLELISM);
    Case::repeat("tokio try_acquire", move || {
        drop(black_box(black_box(&semaphore).try_acquire().expect("a free permit")));
    })
}

pub(crate) fn slot() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 100, None);
    Case::repeat_async("slot().await", async move || {
        drop(black_box(bulkhead.slot().await.expect("a free slot")));
    })
}

pub(crate) fn tokio_acquire_owned() -> Case {
    let semaphore = Arc::new(Semaphore::new(PARALLELISM));
    Case::repeat_async("tokio acquire_owned().await", async move || {
        drop(black_box(semaphore.clone().acquire_owned().await.expect("an open semaphore")));
    })
}

pub(crate) fn execute() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 100, None);
    Case::repeat_async("execute(ready)", async move || {
        black_box(&bulkhead).execute(ready(black_box(7))).await.expect("a free slot")
    })
}

pub(crate) fn tokio_acquire() -> Case {
    let semaphore = Semaphore::new(PARALLELISM);
    Case::repeat_async("tokio acquire().await", async move || {
        let permit = black_box(&semaphore).acquire().await.expect("an open semaphore");
        let output = ready(black_box(7)).await;
        drop(black_box(permit));
        output
    })
}

pub(crate) fn weighted_slot_now() -> Case {
    let bulkhead = WeightedBulkhead::builder("bench").capacity(PARALLELISM).build();
    let bulkhead = bulkhead.expect("valid settings");
    Case::repeat("weighted slot_now(4)", move || {
        drop(black_box(bulkhead.slot_now(black_box(4)).expect("four free units")));
    })
}

pub(crate) fn tokio_try_acquire_many_owned() -> Case {
    let semaphore = Arc::new(Semaphore::new(PARALLELISM));
    Case::repeat("tokio try_acquire_many_owned(4)", move || {
        let permit = semaphore.clone().try_acquire_many_owned(black_box(4));
        drop(black_box(permit.expect("four free permits")));
    })
}

/// A rejection by a full bulkhead with no waiting room.
pub(crate) fn rejected_slot_now() -> Case {
    let bulkhead = bulkhead(1, 0, None);
    let held = bulkhead.slot_now().expect("a free slot");
    Case::repeat("slot_now, full", move || {
        black_box(&held);
        bulkhead.slot_now().expect_err("a full bulkhead")
    })
}
