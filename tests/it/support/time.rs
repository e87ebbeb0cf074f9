//! Timeouts for code that may hang, and paused time.

use std::{future::Future, sync::mpsc, thread, time::Duration};

use tokio_test::task;

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Advances the paused time before any timer can notice.
pub(crate) fn advance_unnoticed(duration: Duration) {
    let polled = task::spawn(tokio::time::advance(duration)).poll();
    assert!(polled.is_pending(), "it gives the timers a turn");
}

/// Awaits `future`, and panics if it takes more than 60 seconds. With paused time, this panics as soon as no
/// task can make progress.
pub(crate) async fn must_come<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("not ready within 60 seconds")
}

/// Runs `work` on its own thread, and panics if it takes more than 60 seconds.
#[track_caller]
pub(crate) fn must_end(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done within 60 seconds"),
        _ => thread.join().unwrap(),
    }
}

/// Runs `future` on a runtime with paused time, which advances by itself only while every task is idle.
pub(crate) fn in_paused_time<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(future)
}
