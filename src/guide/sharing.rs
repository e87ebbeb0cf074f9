//! How do several modules use the same bulkhead?
//!
//! A handle is cheap to clone, and all clones are one bulkhead. So pass a clone, or put it into your state:
//!
//! ```
//! use bulklink::Bulkhead;
//!
//! #[derive(Clone)]
//! struct Shop {
//!     payments: Bulkhead,
//! }
//! ```
//!
//! With more than a few bulkheads, make all of them in one place, in a [`BulkheadRegistry`], and let each module ask by
//! label:
//!
//! ```
//! use axum::{Router, routing::post};
//! use bulklink::{Bulkhead, BulkheadRegistry, HeaderKey, PartitionedBulkhead, RegistryError, WeightedBulkhead};
//!
//! mod orders {
//!     # use super::*;
//!     pub fn routes(bulkheads: &BulkheadRegistry) -> Result<Router, RegistryError> {
//!         let customer = HeaderKey::new("x-customer-id");
//!         Ok(Router::new()
//!             .route("/pay", post(async || "paid").layer(bulkheads.layer("payments")?.per_request()))
//!             .route_layer(bulkheads.partitioned_layer::<u64, _>("customers", customer)?))
//!     }
//! }
//!
//! # fn main() -> Result<(), RegistryError> {
//! let bulkheads = BulkheadRegistry::new();
//! bulkheads.create(Bulkhead::builder("payments").parallelism(10).waiting_room(50))?;
//! bulkheads.create(WeightedBulkhead::builder("uploads").capacity(64))?;
//! bulkheads.create(PartitionedBulkhead::<u64>::builder("customers").parallelism(3).max_partitions(1_000))?;
//! let app = Router::<()>::new().merge(orders::routes(&bulkheads)?);
//!
//! // Direct use, too:
//! let payments = bulkheads.get::<Bulkhead>("payments")?;
//! assert_eq!(payments.parallelism(), 10);
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! The example `axum_layers` is a server of such modules.
//!
//! A label that is unknown, taken or of another kind is an error with the label in it, at startup, where the routes are
//! made:
//!
//! ```
//! # use bulklink::{Bulkhead, BulkheadRegistry};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bulkheads = BulkheadRegistry::new();
//! bulkheads.create(Bulkhead::builder("payments").parallelism(10))?;
//! let error = bulkheads.create(Bulkhead::builder("payments").parallelism(5)).unwrap_err();
//! assert_eq!(error.to_string(), "label \"payments\" is taken");
//! assert!(bulkheads.layer("paymets").is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # What else a registry is for
//!
//! - One status, snapshot or report of everything: [`BulkheadRegistry::statuses`], [`BulkheadRegistry::snapshot`]. See
//!   [reading](super::reading).
//! - Limits from a file, changed while it runs: [changing](super::changing).
//! - Draining everything at once: [shutdown](super::shutdown).
//! - [metrics](super::metrics) and the dashboard.
//!
//! A bulkhead that was made elsewhere joins with [`BulkheadRegistry::register`]. [`BulkheadRegistry::remove`] closes a
//! bulkhead and frees its label at once; [`BulkheadRegistry::remove_drained`] serves its line first.
//!
//! # What to put behind one bulkhead
//!
//! What breaks together. A bulkhead protects a dependency (a database pool, an upstream service, the cores) from too
//! much work, and everything else from that dependency. So:
//!
//! - Two routes that use the same pool for work of the same kind share one bulkhead.
//! - Payments and reports that use the same pool have one each, with fewer slots together than the pool has
//!   connections.
//! - A limit per customer goes around all of them, in the same registry, as a bulkhead of its own.
//!
//! [`BulkheadRegistry::register`]: crate::BulkheadRegistry::register
//! [`BulkheadRegistry::remove_drained`]: crate::BulkheadRegistry::remove_drained
//! [`BulkheadRegistry::remove`]: crate::BulkheadRegistry::remove
//! [`BulkheadRegistry::snapshot`]: crate::BulkheadRegistry::snapshot
//! [`BulkheadRegistry::statuses`]: crate::BulkheadRegistry::statuses
//! [`BulkheadRegistry`]: crate::BulkheadRegistry
