//! The proof: references that the crate is compared with, storms that it is left out in, and faults
//! that it has to survive. What each part is for is told in docs/reliability.md.

mod bounds;
mod bytes;
mod calls;
mod dice;
mod drive;
mod ears;
mod faults;
mod heap;
mod model;
mod reference;
mod seats;
mod seen;
mod sequences;
mod services;
mod shelf;
mod stack;
mod storm;
mod stress;

use std::future::Future;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases in a normal run, or as many as `PROPTEST_CASES` asks for. Failures are shrunk and kept
/// in tests/proptest-regressions, from where they run first.
fn cases(normal: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let kept = FileFailurePersistence::SourceParallel("proptest-regressions");
    Config {
        cases: asked.unwrap_or(normal),
        failure_persistence: Some(Box::new(kept)),
        ..Config::default()
    }
}

/// Runs a case on time of its own, which stands still but for the case's steps.
fn on_paused_time(case: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    // A case is one task that polls many: it has no budget to share.
    runtime.block_on(tokio::task::unconstrained(case));
}
