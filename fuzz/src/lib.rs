//! Shared by the fuzz targets: runs the checks of the crate's own tests, with tokio's time paused.

#[path = "../../tests/it/proof/request_parsing/checks.rs"]
mod checks;

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static PAUSED: Runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime with paused time");
}

/// Checks one input of the fuzz target named `target`.
///
/// # Panics
///
/// If no target has this name, or if the check fails.
pub fn check(target: &str, input: &[u8]) {
    let check = checks::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = check.expect("a target with a check");
    PAUSED.with(|runtime| {
        let _entered = runtime.enter();
        check(input);
    });
}
