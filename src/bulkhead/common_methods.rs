//! Methods common to plain and weighted bulkheads: status, events and closing.
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
            pub fn subscribe<F>(&self, handler: F) -> $crate::observe::event::Subscription
            where
                F: Fn(&$crate::observe::event::BulkheadEvent) + Send + Sync + 'static,
            {
                self.compartment.subscribe(handler)
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

            /// Returns `true` if the bulkhead is closed.
            #[must_use]
            pub fn is_closed(&self) -> bool {
                self.compartment.is_closed()
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
