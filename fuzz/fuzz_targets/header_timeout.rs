//! Any timeout in a header is its number of milliseconds or none, and never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("header_timeout", input));
