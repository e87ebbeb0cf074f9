//! Any `grpc-timeout` yields the deadline it states, or none if it is invalid. Nothing panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("grpc_timeout", input));
