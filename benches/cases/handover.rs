//! Saturation: 1,000 tasks pass 10 slots on to one another, each yielding while it holds one.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    sync::Semaphore,
    task::{JoinSet, yield_now},
    time::timeout,
};

use super::{Case, LIMIT, bulkhead, current_thread, two_workers};

const TASKS: u64 = 1_000;
pub(crate) const SLOTS: usize = 10;

/// Which runtime the tasks run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    CurrentThread,
    TwoWorkers,
}

pub(crate) fn saturated<F>(
    name: &'static str,
    on: On,
    mut task: impl FnMut(u64) -> F + 'static,
) -> Case
where
    F: Future<Output = ()> + Send + 'static,
{
    match on {
        On::CurrentThread => {
            let runtime = current_thread();
            Case::timed(name, move |times| measure(&runtime, times, &mut task))
        }
        On::TwoWorkers => Case::timed(name, move |times| measure(two_workers(), times, &mut task)),
    }
}

/// How long it takes to do so many of what a task does so many of.
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

pub(crate) fn execute(on: On, limit: Option<Duration>) -> Case {
    let bulkhead = bulkhead(SLOTS, TASKS as usize, limit);
    saturated("execute(yield)", on, move |times| {
        let bulkhead = bulkhead.clone();
        async move {
            for _ in 0..times {
                bulkhead.execute(yield_now()).await.expect("room for all");
            }
        }
    })
}

pub(crate) fn slot(on: On, limit: Option<Duration>) -> Case {
    let bulkhead = bulkhead(SLOTS, TASKS as usize, limit);
    saturated("slot().await", on, move |times| {
        let bulkhead = bulkhead.clone();
        async move {
            for _ in 0..times {
                let slot = bulkhead.slot().await.expect("room for all");
                yield_now().await;
                drop(slot);
            }
        }
    })
}

pub(crate) fn tokio_acquire(on: On) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio acquire()", on, move |times| {
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

/// With the longest wait known in the end, as it is of a bulkhead.
pub(crate) fn tokio_acquire_timed(on: On) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio acquire(), timed", on, move |times| {
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

pub(crate) fn tokio_timeout_acquire(on: On) -> Case {
    let semaphore = Arc::new(Semaphore::new(SLOTS));
    saturated("tokio timeout(acquire())", on, move |times| {
        let semaphore = semaphore.clone();
        async move {
            for _ in 0..times {
                let permit = timeout(LIMIT, semaphore.acquire()).await.expect("in time");
                let permit = permit.expect("an open semaphore");
                yield_now().await;
                drop(permit);
            }
        }
    })
}
