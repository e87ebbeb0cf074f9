//! What is measured: each case runs an operation so many times and says how long that took. The criterion
//! groups, the summary and the instruction counts all run these.
//!
//! Ours and the peer's case of a pair do the same work: the same inner service, runtime, number of
//! operations and threads, everything built before the clock starts.

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

/// One operation, to be run so many times.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    run: Box<dyn FnMut(u64) -> Duration>,
}

impl Case {
    /// A case that keeps its own time.
    pub(crate) fn timed(name: &'static str, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// A case that repeats `work` on this thread.
    pub(crate) fn repeat<T>(name: &'static str, mut work: impl FnMut() -> T + 'static) -> Self {
        Self::timed(name, move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(work());
            }
            start.elapsed()
        })
    }

    /// A case that repeats what `work` makes, inside one task of a runtime on this thread.
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

    pub(crate) fn run(&mut self, times: u64) -> Duration {
        (self.run)(times)
    }
}

/// Measures the cases of a group with criterion.
pub(crate) fn compare(criterion: &mut Criterion, group: &str, cases: Vec<Case>) {
    let mut group = criterion.benchmark_group(group);
    for mut case in cases {
        group.bench_function(case.name, |bencher| bencher.iter_custom(|times| case.run(times)));
    }
}

/// Criterion with rounds short enough for a group of a dozen.
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

/// A runtime of two workers. One for all, because how fast one is depends on where its memory happens to be:
/// with one for each, two cases that do the same differed by more than half.
pub(crate) fn two_workers() -> &'static Runtime {
    static SHARED: LazyLock<Runtime> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_time().build().expect("a runtime with a timer")
    });
    &SHARED
}

/// The wait limit, and the peers' time-out, where there is one.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// How many may run, where that is not what the case is about.
pub(crate) const PARALLELISM: usize = 100;

pub(crate) fn bulkhead(parallelism: usize, room: usize, limit: Option<Duration>) -> Bulkhead {
    let builder = Bulkhead::builder("bench").parallelism(parallelism).waiting_room(room);
    let builder = match limit {
        Some(limit) => builder.wait_limit(limit),
        None => builder,
    };
    builder.build().expect("valid settings")
}

/// Pseudo-random numbers for choosing keys: Marsaglia's xorshift64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
