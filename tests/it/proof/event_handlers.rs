//! Event handlers of all manners, and what they must have heard.

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
    Listens,
    /// Panics after each event.
    Panics,
    /// Looks at the bulkhead from within.
    Looks,
}

struct Recorder {
    manner: HandlerKind,
    heard: Arc<Mutex<Vec<BulkheadEvent>>>,
    _subscription: Subscription,
}

/// Everybody subscribed to one bulkhead.
#[derive(Default)]
pub(crate) struct EventHandlers {
    handlers: Vec<Recorder>,
    /// The highest number seen in an event or a status.
    sequence: u64,
}

impl EventHandlers {
    pub(crate) fn subscribe(&mut self, real: &Real, manner: HandlerKind) {
        let heard = Arc::<Mutex<Vec<_>>>::default();
        let (own, looked_at) = (heard.clone(), real.clone());
        let handler = move |event: &BulkheadEvent| {
            own.lock().unwrap().push(event.clone());
            match (manner, &looked_at) {
                (HandlerKind::Listens, _) | (_, Real::Many(_)) => {}
                // A panic without its message.
                (HandlerKind::Panics, _) => resume_unwind(Box::new(())),
                (HandlerKind::Looks, Real::Plain(bulkhead)) => look(event, &bulkhead.status()),
                (HandlerKind::Looks, Real::Weighted(bulkhead)) => look(event, &bulkhead.status()),
            }
        };
        let subscription = match real {
            Real::Plain(bulkhead) => bulkhead.subscribe(handler),
            Real::Weighted(bulkhead) => bulkhead.subscribe(handler),
            Real::Many(_) => return,
        };
        self.handlers.push(Recorder { manner, heard, _subscription: subscription });
    }

    pub(crate) fn unsubscribe(&mut self, at: usize) {
        if !self.handlers.is_empty() {
            let at = at % self.handlers.len();
            self.handlers.remove(at);
        }
    }

    /// Everybody has heard what happened, in the order in which it did, and nothing else.
    #[track_caller]
    pub(crate) fn compare(&mut self, reference: &mut Reference) {
        let (Reference::Plain(model) | Reference::Weighted(model)) = reference else { return };
        let happened = std::mem::take(&mut model.events);
        let mut numbers: Option<Vec<u64>> = None;
        for recorder in &self.handlers {
            let heard = std::mem::take(&mut *recorder.heard.lock().unwrap());
            let seen: Vec<ObservedEvent> = heard.iter().map(ObservedEvent::from).collect();
            assert_eq!(seen, happened, "events");
            if recorder.manner == HandlerKind::Panics {
                model.totals.handler_panics += heard.len() as u64;
            }
            let own: Vec<u64> = heard.iter().map(|event| event.sequence).collect();
            assert_eq!(*numbers.get_or_insert(own.clone()), own, "the same event, the same number");
        }
        for number in numbers.into_iter().flatten() {
            self.number(number);
        }
    }

    /// Numbers rise.
    #[track_caller]
    pub(crate) fn number(&mut self, number: u64) {
        assert!(number > self.sequence, "number {number} after {}", self.sequence);
        self.sequence = number;
    }
}

fn look(event: &BulkheadEvent, status: &bulklink::BulkheadStatus) {
    assert_identities(status);
    assert!(status.sequence > event.sequence, "a status from within an event is later");
}
