//! The cost of any `content-length` is its number of started chunks, and at least one. Nothing panics. The
//! first eight bytes of the input are the chunk size.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("content_length", input));
