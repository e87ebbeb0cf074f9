//! Any timeout header yields the deadline its milliseconds state, or none if it is invalid. Nothing panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bulklink_fuzz::check("header_timeout", input));
