//! What the tests share: builders, status checks, wakers, timeouts, a counting allocator, random numbers,
//! and HTTP and gRPC services with their clients.

pub(crate) use self::{
    builders::{bulkhead, customers, full, limited, practised, retained, weighted},
    event_log::Log,
    identities::{
        assert_all_consistent, assert_identities, assert_nothing_left, assert_plain, checked_status,
    },
    panics::{assert_panics, panics},
    polling::{never_polled, poll_with, rejection_of, slot_of, spend_budget, waiting},
    properties::cases,
    random::Random,
    time::{advance_unnoticed, in_paused_time, ms, must_come, must_end},
    waker_hook::Hook,
    wakers::Wakes,
};

mod builders;
pub(crate) mod counting_allocator;
mod event_log;
pub(crate) mod grpc_service;
pub(crate) mod http_service;
mod identities;
mod panics;
mod polling;
mod properties;
mod random;
pub(crate) mod socket_server;
mod time;
mod waker_hook;
mod wakers;
