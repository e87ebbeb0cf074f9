//! A request of any content type is answered in its protocol by a bulkhead of any name. The first eight
//! bytes are nanoseconds to try again after, the next is the length of the content type.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("rejection", input));
