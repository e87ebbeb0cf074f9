//! Event handlers of several kinds, and checks of the events delivered to them.

use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex},
};

use bulklink::{BulkheadEvent, Subscription};

use super::{
    reference::observed::ObservedEvent,
    reference::{Real, Reference},
};
use crate::support::assert_identities;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandlerKind {
    Records,
    /// Panics after each event.
    Panics,
    /// Reads the status of the bulkhead during each event.
    ReadsStatus,
}

struct Recorder {
    kind: HandlerKind,
    events: Arc<Mutex<Vec<BulkheadEvent>>>,
    _subscription: Subscription,
}

/// All handlers subscribed to one bulkhead.
#[derive(Default)]
pub(crate) struct EventHandlers {
    handlers: Vec<Recorder>,
    /// The highest sequence number so far, of events and statuses.
    sequence: u64,
}

impl EventHandlers {
    pub(crate) fn subscribe(&mut self, real: &Real, kind: HandlerKind) {
        let events = Arc::<Mutex<Vec<_>>>::default();
        let (recorded, bulkhead) = (events.clone(), real.clone());
        let handler = move |event: &BulkheadEvent| {
            recorded.lock().unwrap().push(event.clone());
            match (kind, &bulkhead) {
                (HandlerKind::Records, _) | (_, Real::Partitioned(_)) => {}
                // Panics without printing a message.
                (HandlerKind::Panics, _) => resume_unwind(Box::new(())),
                (HandlerKind::ReadsStatus, Real::Plain(bulkhead)) => {
                    check_status(event, &bulkhead.status())
                }
                (HandlerKind::ReadsStatus, Real::Weighted(bulkhead)) => {
                    check_status(event, &bulkhead.status())
                }
            }
        };
        let subscription = match real {
            Real::Plain(bulkhead) => bulkhead.subscribe(handler),
            Real::Weighted(bulkhead) => bulkhead.subscribe(handler),
            Real::Partitioned(_) => return,
        };
        self.handlers.push(Recorder { kind, events, _subscription: subscription });
    }

    pub(crate) fn unsubscribe(&mut self, at: usize) {
        if !self.handlers.is_empty() {
            let at = at % self.handlers.len();
            self.handlers.remove(at);
        }
    }

    /// Checks that every handler received exactly the events of the reference, in order.
    #[track_caller]
    pub(crate) fn compare(&mut self, reference: &mut Reference) {
        let (Reference::Plain(model) | Reference::Weighted(model)) = reference else { return };
        let expected = std::mem::take(&mut model.events);
        let mut sequences: Option<Vec<u64>> = None;
        for recorder in &self.handlers {
            let events = std::mem::take(&mut *recorder.events.lock().unwrap());
            let observed: Vec<ObservedEvent> = events.iter().map(ObservedEvent::from).collect();
            assert_eq!(observed, expected, "events");
            if recorder.kind == HandlerKind::Panics {
                model.totals.handler_panics += events.len() as u64;
            }
            let own: Vec<u64> = events.iter().map(|event| event.sequence).collect();
            assert_eq!(*sequences.get_or_insert(own.clone()), own, "sequence numbers of an event");
        }
        for sequence in sequences.into_iter().flatten() {
            self.check_sequence(sequence);
        }
    }

    /// Checks that sequence numbers increase.
    #[track_caller]
    pub(crate) fn check_sequence(&mut self, sequence: u64) {
        assert!(sequence > self.sequence, "sequence number {sequence} after {}", self.sequence);
        self.sequence = sequence;
    }
}

fn check_status(event: &BulkheadEvent, status: &bulklink::BulkheadStatus) {
    assert_identities(status);
    assert!(
        status.sequence > event.sequence,
        "a status read during an event is later than the event"
    );
}
