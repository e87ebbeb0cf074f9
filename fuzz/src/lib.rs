//! What the fuzz targets share: the checks of the crate's own tests, run while time stands still.

#[path = "../../tests/it/proof/request_parsing/checks.rs"]
mod checks;

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static STILL: Runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads or files");
}

/// Checks one input of a target.
///
/// # Panics
///
/// If something is wrong with it.
pub fn check(target: &str, input: &[u8]) {
    let check = checks::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = check.expect("a target has a check");
    STILL.with(|runtime| {
        let _entered = runtime.enter();
        check(input);
    });
}
