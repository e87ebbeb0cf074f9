//! Configuration of the property tests.

use proptest::test_runner::{Config, FileFailurePersistence};

/// Returns the configuration for `default` cases, or for `PROPTEST_CASES` cases if that variable is set.
/// Failures are shrunk and saved in tests/proptest-regressions. Saved failures run first.
pub(crate) fn cases(default: u32) -> Config {
    let requested = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let persistence = FileFailurePersistence::SourceParallel("proptest-regressions");
    Config {
        cases: requested.unwrap_or(default),
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    }
}
