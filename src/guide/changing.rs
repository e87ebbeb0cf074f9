//! How do I change limits while the service runs?
//!
//! One bulkhead changes by `reconfigure`, at one instant, and nothing that runs or waits is lost:
//!
//! ```
//! use std::time::Duration;
//! use bulklink::{Bulkhead, Change};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(10).waiting_room(50).build()?;
//! payments.reconfigure(Change::new().parallelism(20).wait_limit(Duration::from_secs(2)))?;
//! payments.resize(15)?; // the parallelism only
//! assert_eq!((payments.parallelism(), payments.waiting_room()), (15, 50));
//!
//! // What cannot be is refused, and changes nothing.
//! assert!(payments.reconfigure(Change::new().parallelism(0).waiting_room(9)).is_err());
//! assert_eq!(payments.waiting_room(), 50);
//! # Ok(())
//! # }
//! ```
//!
//! - More slots admit waiters, in order, before the call returns.
//! - Fewer slots stop nothing that runs: nobody is admitted until enough has ended.
//! - A smaller waiting room rejects nobody who is in it.
//! - A new wait limit holds for those who join the line from now on.
//!
//! [`WeightedChange`] and [`PartitionedChange`] are the same for the other kinds. The new limits of a partitioned
//! bulkhead reach the partitions that exist, but for those whose limits came from `limits_for` or `set_limits`.
//!
//! # All of them, from a file
//!
//! A [`RegistryConfig`] has the settings of all bulkheads. [`BulkheadRegistry::plan`] says what it would change, and
//! [`BulkheadRegistry::apply`] does all of it, or nothing. With the feature `serde` it is read from any format:
//!
//! ```
//! # #[cfg(feature = "serde")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bulklink::{Bulkhead, BulkheadRegistry, RegistryConfig};
//!
//! let file = r#"
//!     [bulkheads.payments]
//!     kind = "plain"
//!     parallelism = 10
//!     waiting_room = 50
//!     wait_limit = "2s"
//!
//!     [bulkheads.customers]
//!     kind = "partitioned"
//!     parallelism = 3
//!     max_partitions = 1000
//! "#;
//! let registry = BulkheadRegistry::configure(toml::from_str(file)?)
//!     .partitioned::<u64>("customers", |builder| builder) // only code knows what a key is
//!     .build()?;
//!
//! // Later, when the file has changed:
//! let file = file.replace("parallelism = 10", "parallelism = 20").replace("wait_limit = \"2s\"", "");
//! let plan = registry.plan(&toml::from_str(&file)?)?;
//! assert_eq!(plan.to_string(), "bulkhead \"payments\": parallelism 10 to 20, wait_limit 2s to none\n");
//! registry.apply(plan)?;
//! assert_eq!(registry.get::<Bulkhead>("payments")?.parallelism(), 20);
//!
//! // A mistake is named, and nothing changes.
//! let error = toml::from_str::<RegistryConfig>("[bulkheads.payments]\nkind = \"plain\"\nparalelism = 1").unwrap_err();
//! assert!(error.to_string().contains("paralelism"));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "serde"))]
//! # fn main() {}
//! ```
//!
//! An entry is the whole of a bulkhead: what it leaves out goes back to the default, as the builder has it. So an entry
//! without `wait_limit` removes the limit. Bulkheads that are registered and not in the file are left alone, unless
//! [`RegistryPlan::remove_missing`] is asked for. What cannot be done in place, such as another kind or a new
//! partitioned bulkhead, is an error of `plan`.
//!
//! A plan is for what it was made for: if anything in the registry has changed since, `apply` refuses it. Make another.
//!
//! The example `reload` reads a file on SIGHUP, and `operators_loop` when its text has changed. Write the new file
//! beside the old one and rename it, so that nobody reads half of it. Settings without a file work as well:
//! [`RegistryConfig::insert`] takes a [`BulkheadConfig`].
//!
//! # Stop and go
//!
//! [`Bulkhead::pause`] admits nobody until [`Bulkhead::resume`]: for maintenance of what is behind, for example.
//! Operations wait meanwhile if there is a place, their limits run on, and those that find none are rejected as
//! `Paused` (503). [`BulkheadRegistry::pause`] does it by label.
//!
//! # Who changed it?
//!
//! Each change is an event: `Resized`, `Reconfigured`, `Paused` or `Resumed`. The first two say what was before. With
//! the feature `tracing` each is a log line at info. [`RegistrySnapshot::config_generation`] counts the configurations
//! that were applied.
//!
//! [`Bulkhead::pause`]: crate::Bulkhead::pause
//! [`Bulkhead::resume`]: crate::Bulkhead::resume
//! [`BulkheadConfig`]: crate::BulkheadConfig
//! [`BulkheadRegistry::apply`]: crate::BulkheadRegistry::apply
//! [`BulkheadRegistry::pause`]: crate::BulkheadRegistry::pause
//! [`BulkheadRegistry::plan`]: crate::BulkheadRegistry::plan
//! [`PartitionedChange`]: crate::PartitionedChange
//! [`RegistryConfig::insert`]: crate::RegistryConfig::insert
//! [`RegistryConfig`]: crate::RegistryConfig
//! [`RegistryPlan::remove_missing`]: crate::RegistryPlan::remove_missing
//! [`RegistrySnapshot::config_generation`]: crate::RegistrySnapshot::config_generation
//! [`WeightedChange`]: crate::WeightedChange
