//! Changes of a bulkhead that is in use: new settings, pauses, and the drain before its end.

mod drain;
mod keys;
mod partitions;
mod pause;
mod reconfigure;
mod stress;
