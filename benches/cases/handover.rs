//! Saturation: 1,000 tasks hand 10 slots over to one another. Each yields while it holds a slot.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bulklink::{Deadline, PartitionedBulkhead};
use tokio::{
    runtime::Runtime,
    sync::Semaphore,
    task::{JoinSet, yield_now},
    time::{timeout, timeout_at},
};

use super::{Case, WAIT_LIMIT, bulkhead, current_thread, two_workers};

const TASKS: u64 = 1_000;
pub(crate) const SLOTS: usize = 10;

/// The runtime that the tasks run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RuntimeKind {
    CurrentThread,
    TwoWorkers,
}

/// Creates a case that divides its operations among [`TASKS`] concurrent tasks. `task(n)` returns the
/// future of a task that performs `n` operations.
pub(crate) fn saturated<F>(
    name: &'static str,
    kind: RuntimeKind,
    mut task: impl FnMut(u64) -> F + 'static,
) -> Case
where
    F: Future<Output = ()> + Send + 'static,
{
    match kind {
        RuntimeKind::CurrentThread => {
            let runtime = current_thread();
            Case::timed(name, move |times| measure(&runtime, times, &mut task))
        }
        RuntimeKind::TwoWorkers => {
            Case::timed(name, move |times| measure(two_workers(), times, &mut task))
        }
    }
}

/// Returns the time for `times` operations. Every task performs the same number, rounded up, and the elapsed
/// time is scaled down accordingly.
fn measure<F>(runtime: &Runtime, times: u64, task: &mut impl FnMut(u64) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let each = times.div_ceil(TASKS);
    let tasks: Vec<F> = (0..TASKS).map(|_| task(each)).collect();
    let elapsed = runtime.block_on(async {
        let start = Instant::now();
        JoinSet::from_iter(tasks.into_iter().map(|task| runtime.spawn(task)))
            .join_all()
            .await
            .into_iter()
            .for_each(|task| task.expect("a task ends"));
        start.elapsed()
    });
    elapsed.mul_f64(times as f64 / (each * TASKS) as f64)
}

pub(crate) fn execute(kind: RuntimeKind, limit: Option<Duration>) -> Case {
    let bulkhead = bulkhead(SLOTS, TASKS as usize, limit);
    saturated("execute(yield)", kind, move |times| {
        let bulkhead = bulkhead.clone();
        async move {
            for _ in 0..times {
                bulkhead.execute(yield_now()).await.expect("room for all tasks");
            }
        }
    })
}

/// The same between the keys of a bulkhead that share their slots.
pub(crate) fn between_keys(kind: RuntimeKind, keys: u64) -> Case {
    let bulkhead = PartitionedBulkhead::<u64>::builder("bench").parallelism(SLOTS);
    let bulkhead = bulkhead.waiting_room(TASKS as usize).max_partitions(keys as usize);
    // Large enough for one key to take all of the tasks.
    let bulkhead = bulkhead.total_parallelism(SLOTS).total_waiting_room(10 * TASKS as usize);
    let bulkhead = bulkhead.build().expect("valid settings");
    let mut key = 0;
    saturated("execute(key, yield)", kind, move |times| {
        key = (key + 1) % keys;
        let (bulkhead, key) = (bulkhead.clone(), key);
        async move {
            for _ in 0..times {
                bulkhead.execute(&key, yield_now()).await.expect("room for all tasks");
            }
        }
    })
}

/// The same in one partition, which shares nothing.
pub(crate) fn in_a_partition(kind: RuntimeKind) -> Case {
    let bulkhead = PartitionedBulkhead::<u64>::builder("bench").parallelism(SLOTS);
    let bulkhead = bulkhead.waiting_room(TASKS as usize).max_partitions(1);
    let bulkhead = bulkhead.build().expect("valid settings");
    saturated("execute(key, yield)", kind, move |times| {
        let bulkhead = bulkhead.clone();
        async move {
            for _ in 0..times {
                bulkhead.execute(&1, yield_now()).await.expect("room for all tasks");
            }
        }
    })
}

/// Every operation has a deadline of its own.
pub(crate) fn execute_before(kind: RuntimeKind) -> Case {
    let bulkhead = bulkhead(SLOTS, TASKS as usize, None);
    saturated("execute_before(deadline, yield)", kind, move |times| {
        let bulkhead = bulkhead.clone();
        async move {
            for _ in 0..times {
                let deadline = Deadline::after(WAIT_LIMIT);
                let done = bulkhead.execute_before(deadline, yield_now()).await;
                done.expect("room for all tasks");
            }
        }
    })
}

pub(crate) fn slot(kind: RuntimeKind, limit: Option<Duration>) -> Case {
    let bulkhead = bulkhead(SLOTS, TASKS as usize, limit);
    saturated("slot().await", kind, move |times| {
        let bulkhead = bulkhead.clone();
        async move {
            for _ in 0..times {
                let slot = bulkhead.slot().await.expect("room for all tasks");
                yield_now().await;
                drop(slot);
            }
        }
    })
}

pub(crate) fn tokio_acquire(kind: RuntimeKind) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio acquire()", kind, move |times| {
        let semaphore = semaphore.clone();
        async move {
            for _ in 0..times {
                let permit = semaphore.acquire().await.expect("an open semaphore");
                yield_now().await;
                drop(permit);
            }
        }
    })
}

/// Like [`tokio_acquire`], but also tracks the longest wait, as a bulkhead does.
pub(crate) fn tokio_acquire_timed(kind: RuntimeKind) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio acquire(), timed", kind, move |times| {
        let semaphore = semaphore.clone();
        async move {
            let mut longest = Duration::ZERO;
            for _ in 0..times {
                let since = Instant::now();
                let permit = semaphore.acquire().await.expect("an open semaphore");
                longest = longest.max(since.elapsed());
                yield_now().await;
                drop(permit);
            }
            black_box(longest);
        }
    })
}

pub(crate) fn tokio_timeout_at_acquire(kind: RuntimeKind) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio timeout_at(acquire())", kind, move |times| {
        let semaphore = semaphore.clone();
        async move {
            for _ in 0..times {
                let deadline = tokio::time::Instant::now() + WAIT_LIMIT;
                let permit = timeout_at(deadline, semaphore.acquire()).await.expect("in time");
                let permit = permit.expect("an open semaphore");
                yield_now().await;
                drop(permit);
            }
        }
    })
}

pub(crate) fn tokio_timeout_acquire(kind: RuntimeKind) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio timeout(acquire())", kind, move |times| {
        let semaphore = semaphore.clone();
        async move {
            for _ in 0..times {
                let permit = timeout(WAIT_LIMIT, semaphore.acquire()).await.expect("in time");
                let permit = permit.expect("an open semaphore");
                yield_now().await;
                drop(permit);
            }
        }
    })
}
