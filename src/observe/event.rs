//! Events: what happens to a bulkhead, told to those who subscribed.
//!
//! It owns the subscribers of one bulkhead and the delivery: outside every lock, in order, on the
//! thread that caused the change, with panics caught. What happened and in which order is the
//! engine's to say.

use std::{
    cell::RefCell,
    collections::VecDeque,
    fmt, mem,
    time::{Duration, SystemTime},
};

use crate::{
    core::gate::{
        Gate,
        effects::{Change, EventKind, EventSink, SharedSink},
    },
    sync::{Arc, Mutex, Weak, did_panic},
};

/// Something that happened to a bulkhead, with the state it left behind.
///
/// It holds metadata only: never a request, a result, an error or a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadEvent {
    /// What happened.
    pub kind: EventKind,
    /// The bulkhead's name.
    pub label: Arc<str>,
    /// Rises strictly with every event and status of this bulkhead: causes before their effects.
    pub sequence: u64,
    /// When it happened.
    pub occurred_at: SystemTime,
    /// Units that may be in use at once.
    pub capacity: usize,
    /// Operations that may be in line.
    pub waiting_room: usize,
    /// Units in use, after this.
    pub used: usize,
    /// Operations running, after this.
    pub in_flight: usize,
    /// Operations in line, after this.
    pub waiting: usize,
    /// Whether the bulkhead is closed.
    pub is_closed: bool,
    /// The units of the operation, where it is about one.
    pub cost: Option<usize>,
    /// Whether this happened to the operation in line: it was admitted from there, or left it. What
    /// has been admitted does not remember where from: `false` of [`EventKind::Released`] and
    /// [`EventKind::Abandoned`].
    pub from_queue: bool,
    /// How long the operation had been in line, where it was admitted from it, expired, was cancelled
    /// or rejected there; zero if it expired on arrival.
    pub waited: Option<Duration>,
    /// Of [`EventKind::Closed`]: how many waiters are rejected by it.
    pub affected_waiters: usize,
    /// Of [`EventKind::Resized`]: the capacity until then.
    pub previous_capacity: Option<usize>,
}

/// A handler's subscription to the events of one bulkhead. Dropping it unsubscribes; an event that is
/// already under way may still arrive.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    pub(crate) fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { end: Some(Box::new(end)) }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// A subscribed handler.
type Handler = Arc<dyn Fn(&BulkheadEvent) + Send + Sync>;

/// Whose events these are.
#[derive(Clone)]
pub(crate) struct EventSource {
    pub(crate) label: Arc<str>,
    pub(crate) waiting_room: usize,
    /// Where panics of handlers are counted. Weak, because a bulkhead holds its listeners.
    pub(crate) panic_counter: Weak<dyn CountPanics>,
}

/// Counts panics of handlers.
pub(crate) trait CountPanics: Send + Sync {
    fn count_handler_panic(&self);
}

/// Who is subscribed to one bulkhead: the handlers, and the number of the next.
///
/// The lock is taken before the gate's and never within it.
#[derive(Default)]
pub(crate) struct Subscribers(Mutex<(Handlers, u64)>);

/// Handlers by the number of their subscription.
type Handlers = Vec<(u64, Handler)>;

impl Subscribers {
    /// Adds a handler and has `gate` tell it of everything from now on. Returns its number.
    pub(crate) fn add(&self, gate: &Gate, source: EventSource, handler: Handler) -> u64 {
        let mut roster = self.0.lock();
        let (handlers, next) = &mut *roster;
        let number = *next;
        *next += 1;
        handlers.push((number, handler));
        let former = gate.set_sink(listeners(source, handlers));
        drop(roster);
        did_panic(|| drop(former));
        number
    }

    /// Removes a handler, which hears nothing of what happens from now on.
    pub(crate) fn remove(&self, gate: &Gate, source: EventSource, number: u64) {
        let mut roster = self.0.lock();
        let handlers = &mut roster.0;
        let at = handlers.iter().position(|&(own, _)| own == number);
        let removed = at.map(|at| handlers.remove(at));
        let former = gate.set_sink(listeners(source, handlers));
        drop(roster);
        // The drop of a handler is code of others: here, after both locks.
        did_panic(|| drop((former, removed)));
    }
}

/// Everybody who is subscribed now, or nobody.
fn listeners(source: EventSource, handlers: &Handlers) -> Option<SharedSink> {
    let handlers: Vec<_> = handlers.iter().map(|(_, handler)| handler.clone()).collect();
    (!handlers.is_empty()).then(|| Arc::new(Listeners { source, handlers }) as SharedSink)
}

/// Everybody subscribed at one instant.
struct Listeners {
    source: EventSource,
    handlers: Vec<Handler>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").field("handlers", &self.handlers.len()).finish()
    }
}

impl Listeners {
    fn tell(&self, changes: Vec<Change>) {
        for change in changes {
            let event = BulkheadEvent::new(change, &self.source);
            for handler in &self.handlers {
                if did_panic(|| handler(&event)) {
                    if let Some(bulkhead) = self.source.panic_counter.upgrade() {
                        bulkhead.count_handler_panic();
                        // If all others have let go of it meanwhile, its handlers are dropped here.
                        did_panic(|| drop(bulkhead));
                    }
                }
            }
        }
    }
}

/// What one thread has to tell, in order.
#[derive(Default)]
struct Outbox {
    mail: VecDeque<(Arc<Listeners>, Vec<Change>)>,
    is_delivering: bool,
}

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::default();
}

impl EventSink for Listeners {
    fn post(self: Arc<Self>, changes: Vec<Change>) {
        let mut letter = Some((self, changes));
        let posted = OUTBOX.try_with(|outbox| outbox.borrow_mut().mail.extend(letter.take()));
        if posted.is_err() {
            // The thread is ending and its outbox is gone: there is no later.
            if let Some((listeners, changes)) = letter {
                listeners.tell(changes);
                did_panic(|| drop(listeners));
            }
        }
    }

    fn deliver(&self) {
        // Events that a handler causes find the delivery under way and wait for it to come to them.
        let is_first =
            OUTBOX.try_with(|outbox| !mem::replace(&mut outbox.borrow_mut().is_delivering, true));
        if !is_first.unwrap_or(false) {
            return;
        }
        let _end = EndOfDelivery;
        while let Ok(Some((listeners, changes))) =
            OUTBOX.try_with(|outbox| outbox.borrow_mut().mail.pop_front())
        {
            listeners.tell(changes);
            // Whoever unsubscribed meanwhile has left the handler's drop to this.
            did_panic(|| drop(listeners));
        }
    }
}

/// Ends a delivery also where the drop of a handler panics.
struct EndOfDelivery;

impl Drop for EndOfDelivery {
    fn drop(&mut self) {
        let _ = OUTBOX.try_with(|outbox| outbox.borrow_mut().is_delivering = false);
    }
}

impl BulkheadEvent {
    fn new(change: Change, source: &EventSource) -> Self {
        Self {
            kind: change.kind,
            label: source.label.clone(),
            sequence: change.sequence,
            occurred_at: change.occurred_at,
            capacity: change.capacity as usize,
            waiting_room: source.waiting_room,
            used: change.used as usize,
            in_flight: change.in_flight as usize,
            waiting: change.waiting as usize,
            is_closed: change.is_closed,
            cost: change.cost.map(|cost| cost as usize),
            from_queue: change.from_queue,
            waited: change.waited,
            affected_waiters: change.affected_waiters as usize,
            previous_capacity: change.previous_capacity.map(|capacity| capacity as usize),
        }
    }
}
