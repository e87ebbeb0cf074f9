//! Configuration of the property tests.

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases in a normal run, or as many as `PROPTEST_CASES` asks for. Failures are shrunk and kept
/// in tests/proptest-regressions, from where they run first.
pub(crate) fn cases(normal: u32) -> Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let kept = FileFailurePersistence::SourceParallel("proptest-regressions");
    Config {
        cases: asked.unwrap_or(normal),
        failure_persistence: Some(Box::new(kept)),
        ..Config::default()
    }
}
