//! Any `grpc-timeout` is its time or none, and never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("grpc_timeout", input));
