//! Any key in a header is the text of the header or missing, and never a panic. The first byte is the
//! greatest length.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("header_key", input));
