//! A waker that runs code of the test.

use std::{
    mem::ManuallyDrop,
    sync::Arc,
    task::{RawWaker, RawWakerVTable, Waker},
};

/// A waker that runs code when it is cloned, woken or dropped. `std::task::Wake` cannot run code on a
/// clone.
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
        // SAFETY: every function of `TABLE` treats its data as the `Arc<Hook>` that `raw` made it from,
        // and keeps the reference count right. `Hook` is `Send + Sync`.
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
    // SAFETY: `data` comes from `raw`, and the cloned waker keeps its reference.
    let hook = unsafe { ManuallyDrop::new(Arc::from_raw(data.cast::<Hook>())) };
    run(&hook.on_clone);
    raw(Arc::clone(&hook))
}

unsafe fn wake(data: *const ()) {
    // SAFETY: `data` comes from `raw`, and this call consumes the waker and its reference.
    let hook = unsafe { Arc::from_raw(data.cast::<Hook>()) };
    run(&hook.on_wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: `data` comes from `raw`, and the waker keeps its reference.
    let hook = unsafe { ManuallyDrop::new(Arc::from_raw(data.cast::<Hook>())) };
    run(&hook.on_wake);
}

unsafe fn drop_hook(data: *const ()) {
    // SAFETY: `data` comes from `raw`, and this call drops the waker and its reference.
    let hook = unsafe { Arc::from_raw(data.cast::<Hook>()) };
    run(&hook.on_drop);
}
