//! A waker that is code of others.

use std::{
    mem::ManuallyDrop,
    sync::Arc,
    task::{RawWaker, RawWakerVTable, Waker},
};

/// A waker that runs code when it is cloned, woken and dropped. `std::task::Wake` has no place for
/// code that runs on a clone.
#[derive(Default)]
pub(crate) struct Hook {
    on_clone: Option<Box<dyn Fn() + Send + Sync>>,
    on_wake: Option<Box<dyn Fn() + Send + Sync>>,
    on_drop: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Hook {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn on_clone(mut self, run: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_clone = Some(Box::new(run));
        self
    }

    pub(crate) fn on_wake(mut self, run: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_wake = Some(Box::new(run));
        self
    }

    pub(crate) fn on_drop(mut self, run: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(run));
        self
    }

    pub(crate) fn waker(self) -> Waker {
        // SAFETY: every function of the table takes the data for an `Arc<Hook>`, which it is, and
        // keeps its count; `Hook` is `Send + Sync`.
        unsafe { Waker::from_raw(raw(Arc::new(self))) }
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_hook);

fn raw(hook: Arc<Hook>) -> RawWaker {
    RawWaker::new(Arc::into_raw(hook).cast(), &TABLE)
}

fn run(code: &Option<Box<dyn Fn() + Send + Sync>>) {
    if let Some(code) = code {
        code();
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: `data` is from `raw`, and the waker that is cloned keeps its count.
    let hook = unsafe { ManuallyDrop::new(Arc::from_raw(data.cast::<Hook>())) };
    run(&hook.on_clone);
    raw(Arc::clone(&hook))
}

unsafe fn wake(data: *const ()) {
    // SAFETY: `data` is from `raw`, and waking consumes the waker.
    let hook = unsafe { Arc::from_raw(data.cast::<Hook>()) };
    run(&hook.on_wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: `data` is from `raw`, and the waker keeps its count.
    let hook = unsafe { ManuallyDrop::new(Arc::from_raw(data.cast::<Hook>())) };
    run(&hook.on_wake);
}

unsafe fn drop_hook(data: *const ()) {
    // SAFETY: `data` is from `raw`, and the waker is gone.
    let hook = unsafe { Arc::from_raw(data.cast::<Hook>()) };
    run(&hook.on_drop);
}
