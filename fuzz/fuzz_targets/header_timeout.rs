//! Any timeout in a header is its number of milliseconds or none, and never a panic.
#![no_main]

use bulklink::{DeadlineSource, HeaderTimeout};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let Ok(header) = HeaderValue::from_bytes(value) else { return };
    let request = Request::get("/").header("x-timeout-ms", header).body(()).expect("a request");
    let deadline = HeaderTimeout::millis("x-timeout-ms").deadline(&request);
    let is_digits = value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
    assert_eq!(deadline.is_some(), is_digits && number.is_some());
    if let (Some(deadline), Some(millis)) = (deadline, number) {
        assert!(deadline.remaining().as_millis() <= u128::from(millis));
    }
});
