//! What changes when the service runs in many processes?
//!
//! A bulkhead limits its own process and knows of no other. That is enough for what is in the process: its cores, its
//! memory, its own pool of connections. For what all replicas share, such as a database, the limits of all replicas add
//! up.
//!
//! # Divide the limit
//!
//! If the database bears 40 reports at once and there are 6 replicas, give each its share:
//!
//! ```
//! /// The share of one of `replicas`, which are numbered from 0. No replica gets less than one.
//! fn share(total: usize, replicas: usize, number: usize) -> usize {
//!     (total / replicas + usize::from(number < total % replicas)).max(1)
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shares: Vec<_> = (0..6).map(|number| share(40, 6, number)).collect();
//! assert_eq!(shares, [7, 7, 7, 7, 6, 6]);
//!
//! // When the number of replicas changes:
//! # let reports = bulklink::Bulkhead::builder("reports").parallelism(7).build()?;
//! reports.resize(share(40, 8, 0))?;
//! assert_eq!(reports.parallelism(), 5);
//! # Ok(())
//! # }
//! ```
//!
//! - Without numbers, round down: `total / replicas`.
//! - During a rolling deployment there are more replicas than usual. Count those, or leave room.
//! - Small shares serve worse than one large limit: a replica may reject while another has free slots. Give each a
//!   waiting room, so that short bursts wait instead.
//! - Below two or three slots each, dividing does not work well. Then limit at the dependency itself: the size of its
//!   pool, a proxy, or a service of its own in front of it, with one bulkhead.
//!
//! Where the number is in a file or a variable, apply it with [changing](super::changing).
//!
//! # Customers
//!
//! With a load balancer that sends requests anywhere, a customer has the whole limit in each replica: 3 slots and 10
//! replicas are up to 30 at once. Two ways:
//!
//! - **Divide**, as above. A customer whose requests all come to one replica, over one connection for example, then
//!   gets less than meant.
//! - **Route by key**: let the load balancer hash the customer, so that a customer's requests come to one replica. Then
//!   the limit holds as it is written, and each replica keeps fewer partitions. When replicas come and go, some
//!   customers move, and for a moment have slots in two.
//!
//! # What stays local
//!
//! - Statuses, intervals, reports, advice and events are of one process. `advise` sees the load of one replica, and its
//!   numbers are for one.
//! - In Prometheus each process is an instance: `sum by (bulkhead) (bulkhead_usage)` is the use in all of them.
//! - Pausing, draining and changing reach one process. The generation of the configuration is a metric, so that you see
//!   who has not reloaded: `bulkhead_config_generation`.
//! - Waiting lines are first in, first out in each process, not across them.
//!
//! # When a replica is full
//!
//! It answers 503, and a load balancer that tries another one for a 503 evens out what routing at random does not. Let
//! it do that once, and only for requests that may be repeated: most load balancers cannot tell a rejection, which has
//! not run, from another 503. A client of your own that has a bulkhead for each replica can balance by how full these
//! are: with the feature `tower`, a layered service has a `tower::load::Load`.
