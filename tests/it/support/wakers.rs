//! Wakers that record the order in which they are woken.

use std::{
    sync::{Arc, Mutex},
    task::{Wake, Waker},
};

/// Records the order in which its wakers are woken.
#[derive(Clone, Default)]
pub(crate) struct Wakes(Arc<Mutex<Vec<usize>>>);

struct Numbered(usize, Wakes);

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.1.0.lock().unwrap().push(self.0);
    }
}

impl Wakes {
    pub(crate) fn waker(&self, number: usize) -> Waker {
        Arc::new(Numbered(number, self.clone())).into()
    }

    pub(crate) fn order(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}
