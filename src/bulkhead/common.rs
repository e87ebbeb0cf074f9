//! What plain and weighted bulkheads do alike: looking, listening, closing.
//!
//! It owns the methods that both have word for word, so that they stay the same.

/// Gives a handle with a `compartment` the methods of every bulkhead.
macro_rules! common_methods {
    ($bulkhead:ident) => {
        impl $bulkhead {
            /// One instant of the bulkhead. Takes its lock for a moment.
            #[must_use]
            pub fn status(&self) -> $crate::observe::status::BulkheadStatus {
                self.compartment.status()
            }

            /// What the status of this instant says of the sizes that were chosen.
            #[must_use]
            pub fn capacity_report(&self) -> $crate::observe::report::CapacityReport {
                $crate::observe::report::CapacityReport::new(self.status())
            }

            /// Has `handler` told of everything that happens from now on, until the subscription is dropped.
            ///
            /// The handler runs on the thread that caused the change, outside every lock, and may call back
            /// into the bulkhead. A thread delivers its events in their order, those caused inside a handler
            /// after it; between threads only [`sequence`](crate::BulkheadEvent::sequence) orders them. A panic of the
            /// handler is caught and counted.
            pub fn subscribe<F>(&self, handler: F) -> $crate::observe::event::Subscription
            where
                F: Fn(&$crate::observe::event::BulkheadEvent) + Send + Sync + 'static,
            {
                self.compartment.subscribe(handler)
            }

            /// Rejects everybody who waits, in the order of the line, and everybody who comes from now on.
            /// Running work goes on. Final; closing again does nothing.
            pub fn close(&self) {
                self.compartment.close();
            }

            /// Waits until the bulkhead is closed and nothing runs in it. Any number may wait, also before
            /// anybody closes it.
            ///
            /// # Cancel safety
            ///
            /// May be dropped and called again.
            pub async fn wait_closed(&self) {
                self.compartment.wait_closed().await;
            }

            /// Closes the bulkhead and waits until nothing runs in it.
            ///
            /// # Cancel safety
            ///
            /// Once polled, dropping it leaves the bulkhead closed. May be called again.
            pub async fn close_and_wait(&self) {
                self.close();
                self.wait_closed().await;
            }

            /// The bulkhead's name.
            #[must_use]
            pub fn label(&self) -> &str {
                self.compartment.label()
            }

            /// How many operations may wait.
            #[must_use]
            pub fn waiting_room(&self) -> usize {
                self.compartment.waiting_room()
            }

            /// The longest time one operation may wait.
            #[must_use]
            pub fn wait_limit(&self) -> Option<std::time::Duration> {
                self.compartment.wait_limit()
            }

            /// Whether the bulkhead was closed.
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
