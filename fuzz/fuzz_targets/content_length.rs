//! Any `content-length` costs its started chunks, at least one, and is never a panic. The first eight
//! bytes are the size of a chunk.
#![no_main]

use bulklink::{ContentLengthCost, CostExtractor};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((per, value)) = input.split_first_chunk::<8>() else { return };
    let per = u64::from_le_bytes(*per).max(1);
    let Ok(header) = HeaderValue::from_bytes(value) else { return };
    let request = Request::get("/").header("content-length", header).body(()).expect("a request");
    let cost = ContentLengthCost::per(per).cost(&request);
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
    match (is_number, length) {
        (false, _) => assert_eq!(cost, 1),
        (true, Some(length)) => assert_eq!(cost as u64, length.div_ceil(per).max(1)),
        (true, None) => assert_eq!(cost, usize::MAX),
    }
});
