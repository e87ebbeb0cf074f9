//! A request of any content type is rejected in its own protocol, by a bulkhead with any label. The first eight
//! bytes of the input are the retry hint in nanoseconds, and the next byte is the length of the content type.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("rejection", input));
