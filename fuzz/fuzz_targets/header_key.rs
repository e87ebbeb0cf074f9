//! Any key header yields its text as the key, or no key if it is invalid or too long. Nothing panics. The first
//! byte of the input is the maximum length.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("header_key", input));
