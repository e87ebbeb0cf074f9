//! Any key in a header is the text of the header or missing, and never a panic. The first byte is the
//! greatest length.
#![no_main]

use bulklink::{HeaderKey, KeyExtractor};
use http::{HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&longest, value)) = input.split_first() else { return };
    let Ok(header) = HeaderValue::from_bytes(value) else { return };
    let request = Request::get("/").header("x-key", header).body(()).expect("a request");
    let extractor = HeaderKey::new("x-key").max_len(longest.into());
    let is_text = value.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    let is_key = is_text && !value.is_empty() && value.len() <= longest.into();
    let key: Option<String> = extractor.key(&request);
    assert_eq!(key.as_deref().map(str::as_bytes), is_key.then_some(value));
    let key: Option<u64> = extractor.key(&request);
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    assert_eq!(key, number.filter(|_| is_key));
});
