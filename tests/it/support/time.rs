//! Timeouts for what may never end, and time that stands still.

use std::{future::Future, sync::mpsc, thread, time::Duration};

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits for what could fail to come, and fails if it does. On paused time that is known at once.
pub(crate) async fn must_come<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("never comes")
}

/// Runs what could lock up for good on a thread of its own, and fails if it does.
#[track_caller]
pub(crate) fn must_end(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("locked up"),
        _ => thread.join().unwrap(),
    }
}

/// Runs `future` on a runtime whose time stands still unless nothing else is left to do.
pub(crate) fn in_paused_time<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(future)
}
