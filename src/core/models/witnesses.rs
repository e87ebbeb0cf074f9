//! What models observe by: wakers that block a thread or remember that they were woken, and a record of the changes.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Wake, Waker},
};

use crate::{
    core::gate::effects::{Change, EventSink},
    sync::{
        Arc, Ordering,
        models::{Condvar, Mutex, StdBool, StdMutex, ThreadId, thread},
    },
};

/// Wakes a blocked thread.
pub(super) struct ThreadWaker {
    is_woken: Mutex<bool>,
    condvar: Condvar,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock().expect("not poisoned") = true;
        self.condvar.notify_one();
    }
}

/// Polls a future until it is ready. After the first poll it is polled only when it has been woken.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let thread_waker =
        Arc::new(ThreadWaker { is_woken: Mutex::new(false), condvar: Condvar::new() });
    let waker = Waker::from(thread_waker.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut is_woken = thread_waker.is_woken.lock().expect("not poisoned");
        while !*is_woken {
            is_woken = thread_waker.condvar.wait(is_woken).expect("not poisoned");
        }
        *is_woken = false;
    }
}

/// Records that its waker was woken, for models that check this only after their threads have ended.
#[derive(Default)]
pub(super) struct WakeFlag(pub(super) StdBool);

impl WakeFlag {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let flag = Arc::new(Self::default());
        (flag.clone(), flag.into())
    }

    pub(super) fn was_woken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.swap(true, Ordering::Relaxed), "a waker is woken twice");
    }
}

/// Records the changes posted to it, each with the thread that posted it.
#[derive(Debug, Default)]
pub(super) struct Recorder(pub(super) StdMutex<Vec<(ThreadId, Change)>>);

impl EventSink for Recorder {
    fn post(self: Arc<Self>, changes: Vec<Change>) {
        let poster = thread::current().id();
        let mut posted = self.0.lock().expect("not poisoned");
        posted.extend(changes.into_iter().map(|change| (poster, change)));
    }

    /// Does nothing: a change is recorded when it is posted.
    fn deliver(&self) {}
}

impl Recorder {
    /// Returns the recorded changes by ascending sequence number. Asserts that each thread posted its
    /// changes in that order.
    pub(super) fn changes(&self) -> Vec<Change> {
        let posted = self.0.lock().expect("not poisoned");
        for (at, (poster, change)) in posted.iter().enumerate() {
            let earlier = posted[..at].iter().rev().find(|(other, _)| other == poster);
            assert!(earlier.is_none_or(|(_, other)| other.sequence < change.sequence));
        }
        let mut changes: Vec<_> = posted.iter().map(|(_, change)| change.clone()).collect();
        changes.sort_by_key(|change| change.sequence);
        changes
    }
}
