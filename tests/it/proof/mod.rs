//! Reliability tests: random sequences against a reference, stress, mass cancellation, bounds, and faults in
//! user code. docs/reliability.md explains what each part is for.

mod bounds;
mod bulkhead_driver;
mod bulkhead_sequences;
mod event_handlers;
mod faults;
mod heap;
mod mass_cancellation;
mod reference;
mod request_parsing;
mod service_calls;
mod service_driver;
mod service_handles;
mod service_sequences;
mod shared_sequences;
mod stress;

use std::{fs, future::Future};

use proptest::{
    prop_assert,
    test_runner::{Config, TestError, TestRunner},
};

use crate::support::{cases, in_paused_time};

/// Runs `case` with paused time, which only the steps of the case advance.
fn on_paused_time(case: impl Future<Output = ()>) {
    // One task polls all operations of a case, so tokio's budget per task must not make them pending.
    in_paused_time(tokio::task::unconstrained(case));
}

#[test]
fn a_failing_case_is_shrunk_and_saved_and_runs_first() {
    let folder = tempfile::tempdir().unwrap();
    let (root, source) = (folder.path().join("it/main.rs"), folder.path().join("it/proof/some.rs"));
    fs::create_dir_all(source.parent().unwrap()).unwrap();
    fs::write(root, "").unwrap();
    fs::write(&source, "").unwrap();
    let source: &str = source.to_str().unwrap().to_owned().leak();
    let run = |new| {
        let config = Config { cases: new, source_file: Some(source), ..cases(0) };
        TestRunner::new(config).run(&(0u32..1_000_000), |number| {
            prop_assert!(number < 1_000);
            Ok(())
        })
    };
    let Err(TestError::Fail(_, smallest)) = run(100) else { panic!("no case failed") };
    assert_eq!(smallest, 1_000, "not shrunk");
    let saved = folder.path().join("proptest-regressions/proof/some.txt");
    assert!(fs::read_to_string(saved).unwrap().contains("shrinks to 1000"), "not saved");
    assert!(run(0).is_err(), "a saved failure runs even if no new case does");
}

#[test]
fn the_saved_failures_are_found() {
    let saved = cases(0).failure_persistence.unwrap();
    assert!(
        !saved.load_persisted_failures2(Some("tests/it/proof/service_sequences.rs")).is_empty()
    );
}
