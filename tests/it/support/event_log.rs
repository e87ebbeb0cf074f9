//! A log of the events delivered to a handler.

use std::sync::{Arc, Mutex};

use bulklink::{BulkheadEvent, EventKind};

/// The events delivered to a handler, in order of delivery.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<BulkheadEvent>>>);

impl Log {
    pub(crate) fn handler(&self) -> impl Fn(&BulkheadEvent) + Send + Sync + 'static + use<> {
        let log = self.clone();
        move |event| log.0.lock().unwrap().push(event.clone())
    }

    pub(crate) fn take(&self) -> Vec<BulkheadEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn take_kinds(&self) -> Vec<EventKind> {
        self.take().iter().map(|event| event.kind).collect()
    }
}
