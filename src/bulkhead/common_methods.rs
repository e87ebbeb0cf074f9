//! Methods common to plain and weighted bulkheads: status, events, pausing, draining and closing.
//!
//! It owns the methods that are identical in both, so that they stay identical.

/// Implements the common methods for a handle with a `compartment` field.
macro_rules! common_methods {
    ($bulkhead:ident) => {
        impl $bulkhead {
            /// Returns a snapshot of the bulkhead at one instant. Takes its lock briefly.
            #[must_use]
            pub fn status(&self) -> $crate::observe::status::BulkheadStatus {
                self.compartment.status()
            }

            /// Assesses everything since the bulkhead was created, and its current state.
            ///
            /// For what happened of late, see
            /// [`BulkheadInterval::capacity_report`](crate::BulkheadInterval::capacity_report).
            #[must_use]
            pub fn capacity_report(&self) -> $crate::observe::report::CapacityReport {
                self.status().capacity_report()
            }

            /// Calls `handler` for every event from now on, until the subscription is dropped.
            ///
            /// The handler runs on the thread that caused the change, outside every lock, and may call back
            /// into the bulkhead. Each thread delivers its events in order, and events caused inside a handler
            /// after that handler returns. Across threads only
            /// [`sequence`](crate::BulkheadEvent::sequence) orders events. A panic in the handler is caught and
            /// counted.
            ///
            /// A handler that asks for a slot whenever one is refused is told of each refusal it causes, and may never return.
            /// Subscribing copies the list of handlers, and each event calls all of them: meant for a few, not for thousands.
            pub fn subscribe<F>(&self, handler: F) -> $crate::observe::event::Subscription
            where
                F: Fn(&$crate::observe::event::BulkheadEvent) + Send + Sync + 'static,
            {
                self.compartment.subscribe(handler)
            }

            /// Pauses the bulkhead: no operation is admitted until it is [resumed](Self::resume).
            ///
            /// Running work continues. Operations join the waiting line while there is a place, and their limits run on; one
            /// that does not wait or finds no place is rejected as
            /// [`Paused`](crate::RejectionReason::Paused). Paused time does not count as pressure. Does nothing if the
            /// bulkhead is paused, draining or closed.
            ///
            /// For maintenance of what is behind the bulkhead, and for tests of what happens when it is slow.
            pub fn pause(&self) {
                self.compartment.set_paused(true);
            }

            /// Ends a [pause](Self::pause): admits waiters, in order, before this method returns. Does nothing if the
            /// bulkhead is not paused.
            pub fn resume(&self) {
                self.compartment.set_paused(false);
            }

            /// Drains the bulkhead: rejects every later operation as [`Closed`](crate::RejectionReason::Closed), serves those
            /// in the waiting line, and closes the bulkhead once nobody waits.
            ///
            /// It ends a pause. Running work continues, and the limits of those who wait run on. Capacity and limits can be
            /// changed meanwhile; [`close`](Self::close) rejects those who still wait. Draining cannot be undone; draining
            /// again, or what is closed, does nothing.
            pub fn drain(&self) {
                self.compartment.drain();
            }

            /// Drains the bulkhead, and waits until nobody waits and no operation is running.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped after its first poll, the bulkhead goes on draining. The method may be called again.
            pub async fn drain_and_wait(&self) {
                self.drain();
                self.wait_closed().await;
            }

            /// Waits until [`drain`](Self::drain) or [`close`](Self::close) is called, so that work without an end, such as a
            /// stream, can end itself.
            ///
            /// Any number of callers may wait.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the future may be dropped and the method called again.
            pub async fn closing(&self) {
                self.compartment.closing().await;
            }

            /// Closes the bulkhead: rejects all waiters, in FIFO order, and every later operation.
            ///
            /// Running work continues. Closing is final; closing again does nothing.
            pub fn close(&self) {
                self.compartment.close();
            }

            /// Waits until the bulkhead is closed and no operation is running.
            ///
            /// Any number of callers may wait, and may start before the bulkhead is closed.
            ///
            /// # Cancel safety
            ///
            /// This method is cancel safe: the future may be dropped and the method called again.
            pub async fn wait_closed(&self) {
                self.compartment.wait_closed().await;
            }

            /// Closes the bulkhead and waits until no operation is running.
            ///
            /// # Cancel safety
            ///
            /// If the future is dropped after its first poll, the bulkhead stays closed. The method may be
            /// called again.
            pub async fn close_and_wait(&self) {
                self.close();
                self.wait_closed().await;
            }

            /// Returns `true` if newcomers are rejected because the bulkhead is draining or closed.
            pub(crate) fn is_closing(&self) -> bool {
                self.compartment.phase().turns_away()
            }

            /// Returns the bulkhead's label.
            #[must_use]
            pub fn label(&self) -> &str {
                self.compartment.label()
            }

            /// Returns how many operations may wait.
            #[must_use]
            pub fn waiting_room(&self) -> usize {
                self.compartment.waiting_room()
            }

            /// Returns the longest time one operation may wait, or `None` if there is no limit.
            #[must_use]
            pub fn wait_limit(&self) -> Option<std::time::Duration> {
                self.compartment.wait_limit().get()
            }

            /// Returns `true` if the bulkhead is paused.
            #[must_use]
            pub fn is_paused(&self) -> bool {
                self.compartment.phase().is_paused()
            }

            /// Returns `true` if the bulkhead is draining and somebody still waits. Once nobody does, it is closed.
            #[must_use]
            pub fn is_draining(&self) -> bool {
                self.compartment.phase().is_draining()
            }

            /// Returns `true` if the bulkhead is closed.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.compartment.phase().is_closed()
            }
        }

        impl std::fmt::Debug for $bulkhead {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.compartment.debug(stringify!($bulkhead), f)
            }
        }
    };
}

pub(super) use common_methods;
