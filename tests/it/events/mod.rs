//! Events: what each kind carries, their order, who receives them, and what a handler may do.

mod fields;
mod handlers;
mod order;
mod replay;
mod subscriptions;
