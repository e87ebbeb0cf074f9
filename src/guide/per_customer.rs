//! How do I keep one customer from using up what is meant for all?
//!
//! Use a [`PartitionedBulkhead`]: every key (a customer, a tenant, a host) has slots and a waiting line of its own.
//!
//! ```
//! use bulklink::PartitionedBulkhead;
//!
//! let customers = PartitionedBulkhead::<u64>::builder("customers")
//!     .parallelism(3)
//!     .waiting_room(10)
//!     .max_partitions(10_000)
//!     .build()?;
//!
//! let slots = [customers.slot_now(&7)?, customers.slot_now(&7)?, customers.slot_now(&7)?];
//! assert!(customers.slot_now(&7).is_err(), "customer 7 has all of hers");
//! assert!(customers.slot_now(&8).is_ok(), "customer 8 does not notice");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A partition is made when a key is first used. It goes when it has been idle for the idle timeout (300 s unless you
//! set it), or when its place is needed. At most `max_partitions` are kept, some 250 bytes each besides the key.
//!
//! These limits are for each key. What all keys may use together is another setting: see "One capacity for all" below.
//!
//! # Authenticate before you key
//!
//! A key that a stranger may choose is no limit: with a new key for each request, each request has fresh slots. So take
//! the key from what an authenticating layer outside of the bulkhead has found out, by [`ExtensionKey`] or a closure:
//!
//! ```
//! use axum::{Router, body::Body, extract::Request, http::StatusCode, middleware::{Next, from_fn}, routing::post};
//! use bulklink::{ExtensionKey, PartitionedBulkhead, PartitionedBulkheadLayer};
//! use tower::ServiceExt;
//!
//! #[derive(Clone, PartialEq, Eq, Hash)]
//! struct Customer(u64);
//!
//! async fn authenticate(mut request: Request, next: Next) -> Result<axum::response::Response, StatusCode> {
//!     let token = request.headers().get("authorization").ok_or(StatusCode::UNAUTHORIZED)?;
//!     let customer = if token == "Bearer ann" { Customer(7) } else { return Err(StatusCode::UNAUTHORIZED) };
//!     request.extensions_mut().insert(customer);
//!     Ok(next.run(request).await)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let customers =
//!     PartitionedBulkhead::<Customer>::builder("customers").parallelism(1).max_partitions(10_000).build()?;
//! let app: Router = Router::new()
//!     .route("/orders", post(async || "ordered"))
//!     .route_layer(PartitionedBulkheadLayer::new(&customers, ExtensionKey::<Customer>::new()))
//!     .route_layer(from_fn(authenticate)); // added later, so it is outside
//!
//! let slot = customers.slot_now(&Customer(7))?;
//! let order = |token: &str| Request::post("/orders").header("authorization", token).body(Body::empty());
//! let answer = app.clone().oneshot(order("Bearer ann")?).await?;
//! assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS); // 429: only this customer is over the limit
//! let answer = app.oneshot(order("Bearer mallory")?).await?;
//! assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(customers.status().partitions, 1, "strangers take no partition");
//! # drop(slot);
//! # Ok(())
//! # }
//! ```
//!
//! | key extractor | use it |
//! |---|---|
//! | [`ExtensionKey`], a closure | after authentication: the best choice |
//! | [`HeaderKey`], [`PathSegmentKey`] | where a gateway of yours has checked the value |
//! | [`BearerTokenKey`] | for tokens that were checked outside; only a digest is kept |
//! | [`ForwardedIpKey`] | before authentication, behind proxies of your own |
//!
//! A request without a key is answered 400, unless `missing_key` of the layer lets it pass or gives it a common key.
//!
//! # Gold customers
//!
//! ```
//! use bulklink::{PartitionLimits, PartitionedBulkhead, RejectionReason};
//!
//! let customers = PartitionedBulkhead::<u64>::builder("customers")
//!     .parallelism(3)
//!     .max_partitions(10_000)
//!     .limits_for(|id| match id {
//!         0..100 => PartitionLimits::new(20).waiting_room(100), // gold
//!         _ => PartitionLimits::new(3).waiting_room(10),
//!     })
//!     .build()?;
//!
//! // By hand, for one key, until they are cleared:
//! customers.set_limits(&4711, PartitionLimits::new(50))?;
//! customers.set_limits(&666, PartitionLimits::refused())?;
//! let rejection = customers.slot_now(&666).unwrap_err();
//! assert_eq!(*rejection.reason(), RejectionReason::KeyRefused); // 403
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `limits_for` is asked when a partition is made, and a request waits for its answer: let it read memory, not a
//! database. After the plans of customers have changed, `refresh_limits` asks again for all partitions.
//!
//! # One capacity for all
//!
//! With `total_parallelism`, the keys together may run only so many operations, and while they compete, each gets its
//! fair share of the time in which slots are held, by weight:
//!
//! ```
//! use bulklink::{PartitionLimits, PartitionedBulkhead};
//!
//! let customers = PartitionedBulkhead::<u64>::builder("customers")
//!     .parallelism(8)
//!     .max_partitions(10_000)
//!     .total_parallelism(40)
//!     .total_waiting_room(200)
//!     .limits_for(|id| match id {
//!         0..100 => PartitionLimits::new(20).waiting_room(50).weight(4).guaranteed(2), // gold
//!         _ => PartitionLimits::new(8).waiting_room(50),
//!     })
//!     .build()?;
//! assert_eq!(customers.total_parallelism(), Some(40));
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! A key alone may use all of it, up to its own parallelism. See [`PartitionedBulkhead`] for the rules, the example
//! `gold_customers` for who is served next, and `fair_customers` for what each of four customers gets.
//!
//! # Made-up keys
//!
//! Where keys cannot be checked first, `max_partitions` bounds the memory. At that limit a new key takes the place of
//! the partition that has been idle longest. So a scan through random keys pushes out idle customers, who lose nothing
//! but the counters of their own partitions. Only if all partitions are in use, a new key is rejected: 503,
//! `PartitionLimit`. The finding [`FindingCode::KeysTurnedAway`] tells of it. Let `limits_for` refuse what cannot be a
//! key: nothing is kept for a refused one.
//!
//! # Who is it?
//!
//! `customers.busiest(5)` returns the busiest keys with their statuses. It and `for_each_partition` are the only ones
//! that give out keys: no status, error, metric or log line has any.
//!
//! [`BearerTokenKey`]: crate::BearerTokenKey
//! [`ExtensionKey`]: crate::ExtensionKey
//! [`FindingCode::KeysTurnedAway`]: crate::FindingCode::KeysTurnedAway
//! [`ForwardedIpKey`]: crate::ForwardedIpKey
//! [`HeaderKey`]: crate::HeaderKey
//! [`PartitionedBulkhead`]: crate::PartitionedBulkhead
//! [`PathSegmentKey`]: crate::PathSegmentKey
