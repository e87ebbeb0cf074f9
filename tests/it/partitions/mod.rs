//! Partitioned bulkheads: how partitions are created, kept, evicted and closed, the limits and keys that
//! user code supplies, and what a status reports.

mod builder;
mod busiest;
mod close;
mod concurrency;
mod eviction;
mod fair_time;
mod idle;
mod in_use;
mod key_secrecy;
mod keys;
mod lifecycle;
mod limits_for;
mod shared_capacity;
mod status_and_resize;
mod visits;
