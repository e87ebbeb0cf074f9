//! Any `grpc-timeout` is a time or none, and never a panic.
#![no_main]

use bulklink::{DeadlineSource, GrpcTimeout};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let Ok(header) = HeaderValue::from_bytes(value) else { return };
    let request = Request::get("/").header("grpc-timeout", header).body(()).expect("a request");
    let is_time = match value.split_last() {
        Some((unit, digits)) => {
            b"HMSmun".contains(unit)
                && (1..=8).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit)
        }
        None => false,
    };
    assert_eq!(GrpcTimeout.deadline(&request).is_some(), is_time);
});
