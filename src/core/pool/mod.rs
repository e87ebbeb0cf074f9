//! One capacity that is shared by many: who gets a seat of it next, and who may wait for one.
//!
//! It owns the rules and the order, and nothing that runs: the members are numbers. `rules` has the steps, `state` what is
//! known of the whole, `members` what each member has, `typical` how long an operation takes, and `wheel` the order of
//! those who wait. How the gates of partitions make use of them is in `gate::pooled` and `gate::shared_pool`.

#[cfg(all(test, not(bulklink_loom)))]
mod exhaustive;
mod members;
pub(crate) mod rules;
mod state;
mod typical;
mod wheel;
