//! Events: changes of a bulkhead, and their delivery to subscribed handlers.
//!
//! It owns the subscribers of a bulkhead and the delivery: outside every lock, in order, on the thread
//! that caused the change, with panics caught. The engine determines what happened and in which order.

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
        reconfiguring::GateSettings,
    },
    sync::{Arc, Mutex, Weak, did_panic},
};

/// A change of a bulkhead, with the state right after it.
///
/// An event holds metadata only, never a request, a result, an error or a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadEvent {
    /// What happened.
    pub kind: EventKind,
    /// The label of the bulkhead.
    pub label: Arc<str>,
    /// A number that is unique to this bulkhead within the process.
    pub instance: u64,
    /// A number that rises strictly with every event and status of this bulkhead, causes before effects.
    pub sequence: u64,
    /// When it happened.
    pub occurred_at: SystemTime,
    /// Units that may be in use at once.
    pub capacity: usize,
    /// Operations that may wait.
    pub waiting_room: usize,
    /// The longest time an operation may wait that joins the line after the change, or `None` if there is no limit.
    pub wait_limit: Option<Duration>,
    /// Units in use after the change.
    pub used: usize,
    /// Operations running after the change.
    pub in_flight: usize,
    /// Operations waiting after the change.
    pub waiting: usize,
    /// Whether the bulkhead is paused after the change.
    pub is_paused: bool,
    /// Whether the bulkhead is draining after the change.
    pub is_draining: bool,
    /// Whether the bulkhead is closed after the change.
    pub is_closed: bool,
    /// The cost of the operation in units, or `None` if the event does not concern a single operation.
    pub cost: Option<usize>,
    /// Whether this is about an operation in the waiting line: it joined it, was admitted from it, or left it. Also of an
    /// [`EventKind::Abandoned`] operation that had waited. Always `false` for [`EventKind::Released`], because a running
    /// operation does not record whether it waited.
    pub from_queue: bool,
    /// How long the operation had waited when it was admitted from the waiting line, expired, was cancelled
    /// or was rejected by a close. Of one that was abandoned after a wait, the time since it joined the waiting line. Zero if it
    /// expired on arrival, and `None` for all other events.
    pub waited: Option<Duration>,
    /// For [`EventKind::Closed`], the number of waiters that the close rejects. For [`EventKind::Draining`], the number of those
    /// that will be served.
    pub affected_waiters: usize,
    /// For [`EventKind::Resized`] and [`EventKind::Reconfigured`], the capacity before the change.
    pub previous_capacity: Option<usize>,
    /// For [`EventKind::Reconfigured`], the settings before the change.
    pub previous: Option<PreviousSettings>,
}

/// The settings of a bulkhead before they were changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreviousSettings {
    /// Units that could be in use at once.
    pub capacity: usize,
    /// Operations that could wait.
    pub waiting_room: usize,
    /// The longest time an operation could wait, or `None` if there was no limit.
    pub wait_limit: Option<Duration>,
}

/// A handler's subscription to the events of one bulkhead.
///
/// Dropping it unsubscribes the handler. An event that is already being delivered may still arrive.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    unsubscribe: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    pub(crate) fn new(unsubscribe: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { unsubscribe: Some(Box::new(unsubscribe)) }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(unsubscribe) = self.unsubscribe.take() {
            unsubscribe();
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

/// The bulkhead that events come from.
#[derive(Clone)]
pub(crate) struct EventSource {
    pub(crate) label: Arc<str>,
    pub(crate) instance: u64,
    /// Counts the panics of handlers. Weak, because the bulkhead holds its listeners.
    pub(crate) panic_counter: Weak<dyn CountPanics>,
}

/// Counts panics of handlers.
pub(crate) trait CountPanics: Send + Sync {
    fn count_handler_panic(&self);
}

/// The handlers subscribed to one bulkhead, and the number of the next subscription.
///
/// This lock is taken before the gate's, never while the gate's is held.
#[derive(Default)]
pub(crate) struct Subscribers(Mutex<(Handlers, u64)>);

/// Handlers with the numbers of their subscriptions.
type Handlers = Vec<(u64, Handler)>;

impl Subscribers {
    /// Subscribes a handler to all changes of `gate` from now on. Returns the number of its subscription.
    pub(crate) fn add(&self, gate: &Gate, source: EventSource, handler: Handler) -> u64 {
        let mut subscribers = self.0.lock();
        let (handlers, next) = &mut *subscribers;
        let number = *next;
        *next += 1;
        handlers.push((number, handler));
        let previous = gate.set_sink(listeners(source, handlers));
        drop(subscribers);
        did_panic(|| drop(previous));
        number
    }

    /// Removes a handler, which is not notified of any later change.
    pub(crate) fn remove(&self, gate: &Gate, source: EventSource, number: u64) {
        let mut subscribers = self.0.lock();
        let handlers = &mut subscribers.0;
        let at = handlers.iter().position(|&(own, _)| own == number);
        let removed = at.map(|at| handlers.remove(at));
        let previous = gate.set_sink(listeners(source, handlers));
        drop(subscribers);
        // Dropping a handler is user code, so it is done after both locks are released.
        did_panic(|| drop((previous, removed)));
    }
}

/// Returns a sink with all current handlers, or `None` if there are none.
fn listeners(source: EventSource, handlers: &Handlers) -> Option<SharedSink> {
    let handlers: Vec<_> = handlers.iter().map(|(_, handler)| handler.clone()).collect();
    (!handlers.is_empty()).then(|| Arc::new(Listeners { source, handlers }) as SharedSink)
}

/// The handlers subscribed at one instant.
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
    fn notify(&self, changes: Vec<Change>) {
        for change in changes {
            let event = BulkheadEvent::new(change, &self.source);
            for handler in &self.handlers {
                if did_panic(|| handler(&event)) {
                    if let Some(bulkhead) = self.source.panic_counter.upgrade() {
                        bulkhead.count_handler_panic();
                        // If this is the last reference by now, dropping it drops handlers, which is user code.
                        did_panic(|| drop(bulkhead));
                    }
                }
            }
        }
    }
}

/// The changes that one thread has yet to deliver, in order.
#[derive(Default)]
struct PendingDeliveries {
    queue: VecDeque<(Arc<Listeners>, Vec<Change>)>,
    is_delivering: bool,
}

thread_local! {
    static PENDING: RefCell<PendingDeliveries> = RefCell::default();
}

impl EventSink for Listeners {
    fn post(self: Arc<Self>, changes: Vec<Change>) {
        let mut entry = Some((self, changes));
        let posted = PENDING.try_with(|pending| pending.borrow_mut().queue.extend(entry.take()));
        if posted.is_err() {
            // The thread is exiting and its thread-local queue has been destroyed, so deliver now.
            if let Some((listeners, changes)) = entry {
                listeners.notify(changes);
                did_panic(|| drop(listeners));
            }
        }
    }

    fn deliver(&self) {
        // Events caused inside a handler are only queued here: the delivery in progress reaches them later.
        let is_first = PENDING
            .try_with(|pending| !mem::replace(&mut pending.borrow_mut().is_delivering, true));
        if !is_first.unwrap_or(false) {
            return;
        }
        let _end = EndDelivery;
        while let Ok(Some((listeners, changes))) =
            PENDING.try_with(|pending| pending.borrow_mut().queue.pop_front())
        {
            listeners.notify(changes);
            // If a handler was unsubscribed meanwhile, this may be what drops it.
            did_panic(|| drop(listeners));
        }
    }
}

/// Ends a delivery, even if dropping a handler panics.
struct EndDelivery;

impl Drop for EndDelivery {
    fn drop(&mut self) {
        let _ = PENDING.try_with(|pending| pending.borrow_mut().is_delivering = false);
    }
}

impl BulkheadEvent {
    fn new(change: Change, source: &EventSource) -> Self {
        let GateSettings { capacity, room, wait_limit } = change.settings;
        let previous = change.previous.map(|previous| PreviousSettings {
            capacity: previous.capacity as usize,
            waiting_room: previous.room as usize,
            wait_limit: previous.wait_limit,
        });
        Self {
            kind: change.kind,
            label: source.label.clone(),
            instance: source.instance,
            sequence: change.sequence,
            occurred_at: change.occurred_at,
            capacity: capacity as usize,
            waiting_room: room as usize,
            wait_limit,
            used: change.used as usize,
            in_flight: change.in_flight as usize,
            waiting: change.waiting as usize,
            is_paused: change.phase.is_paused(),
            is_draining: change.phase.is_draining(),
            is_closed: change.phase.is_closed(),
            cost: change.cost.map(|cost| cost as usize),
            from_queue: change.from_queue,
            waited: change.waited,
            affected_waiters: change.affected_waiters as usize,
            previous_capacity: previous.map(|previous| previous.capacity),
            previous: previous.filter(|_| change.kind == EventKind::Reconfigured),
        }
    }
}
