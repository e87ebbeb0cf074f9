//! Any `content-length` costs its started chunks, at least one, and is never a panic. The first eight
//! bytes are the size of a chunk.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("content_length", input));
