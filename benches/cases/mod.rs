//! The measured cases. A case runs an operation a given number of times and returns the elapsed time. The
//! criterion benches, the summary and the instruction counts all run these cases.
//!
//! Our case and the peer's case of a pair do the same work: the same inner service, runtime, number of
//! operations and number of threads. Everything is built before the clock starts.

pub(crate) mod baseline;
pub(crate) mod cancellation;
pub(crate) mod growth;
pub(crate) mod handover;
pub(crate) mod layer;
pub(crate) mod partitions;
pub(crate) mod two_threads;
pub(crate) mod uncontended;

use std::{
    hint::black_box,
    sync::LazyLock,
    time::{Duration, Instant},
};

use bulklink::Bulkhead;
use criterion::Criterion;
use tokio::runtime::Runtime;

/// An operation to measure, with its name.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration>,
}

impl Case {
    /// Creates a case that times itself: `run(times)` returns the elapsed time of `times` operations.
    pub(crate) fn timed(name: &'static str, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// Creates a case that repeats `work` on this thread.
    pub(crate) fn repeat<T>(name: &'static str, mut work: impl FnMut() -> T + 'static) -> Self {
        Self::timed(name, move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed()
        })
    }

    /// Creates a case that repeats `work` within a single task, on a current-thread runtime.
    pub(crate) fn repeat_async<T>(
        name: &'static str,
        mut work: impl AsyncFnMut() -> T + 'static,
    ) -> Self {
        let runtime = current_thread();
        Self::timed(name, move |times| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..times {
                    black_box(work().await);
                }
                start.elapsed()
            })
        })
    }

    /// Runs the operation `times` times and returns the elapsed time.
    pub(crate) fn run(&mut self, times: u64) -> Duration {
        (self.run)(times)
    }
}

/// Measures `cases` as one criterion group.
pub(crate) fn bench_group(criterion: &mut Criterion, group: &str, cases: Vec<Case>) {
    let mut group = criterion.benchmark_group(group);
    for mut case in cases {
        group.bench_function(case.name, |bencher| bencher.iter_custom(|times| case.run(times)));
    }
}

/// Returns a criterion configuration with measurements short enough for groups of a dozen cases.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

pub(crate) fn current_thread() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime with a timer")
}

/// Returns the runtime with two workers, which all cases share. A runtime's speed depends on where its
/// memory happens to be: with a runtime for each case, two cases of the same work differed by more than
/// half.
pub(crate) fn two_workers() -> &'static Runtime {
    static SHARED: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_time().build().expect("a runtime with a timer")
    });
    &SHARED
}

/// The wait limit, and the peers' timeout, in the cases that have one.
pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// The parallelism of the cases that never run out of slots.
pub(crate) const PARALLELISM: usize = 100;

/// Builds a bulkhead with these limits.
pub(crate) fn bulkhead(parallelism: usize, room: usize, limit: Option<Duration>) -> Bulkhead {
    let builder = Bulkhead::builder("bench").parallelism(parallelism).waiting_room(room);
    let builder = match limit {
        Some(limit) => builder.wait_limit(limit),
        None => builder,
    };
    builder.build().expect("valid settings")
}

/// A pseudo-random number generator for choosing keys and waiters: Marsaglia's xorshift64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Returns a number in `0..end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
