//! Random inputs for everything that parses bytes or numbers of a request.

use std::{fs, path::Path};

use proptest::prelude::*;

use self::checks::TARGETS;
use super::on_paused_time;
use crate::support::cases;

mod checks;

/// Bytes that are or resemble a number, with or without a unit.
fn number_like() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[0-9]{0,9}[HMSmun]?".prop_map(String::into_bytes),
        "[+ -]?[0-9]{1,25}[a-zA-Z]{0,2}".prop_map(String::into_bytes),
        "0{0,30}[0-9]{1,21}".prop_map(String::into_bytes),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

/// Content types that are, resemble or are unlike those of gRPC.
fn content_type() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[aA]pplication/[gG]rpc(-web(-text)?)?([+;].{0,8})?".prop_map(String::into_bytes),
        "[aA]pplication/[a-z+]{0,5}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..30),
    ]
}

/// Nanoseconds close to whole seconds, and any others.
fn hint() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u64..100, 0u64..3)
            .prop_map(|(seconds, off)| (seconds * 1_000_000_000 + off).saturating_sub(1)),
        any::<u64>(),
    ]
}

#[test]
fn every_saved_input_of_the_fuzzer_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (target, check) in TARGETS {
        let mut inputs = 0;
        for input in fs::read_dir(corpus.join(target)).unwrap() {
            let input = fs::read(input.unwrap().path()).unwrap();
            on_paused_time(async { check(&input) });
            inputs += 1;
        }
        assert!(inputs > 0, "no saved input for {target}");
    }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn every_value_of_grpc_timeout_means_what_the_specification_says(value in number_like()) {
        on_paused_time(async { checks::grpc_timeout(&value) });
    }

    #[test]
    fn every_value_of_a_header_timeout_is_its_number_or_none(value in number_like()) {
        on_paused_time(async { checks::header_timeout(&value) });
    }

    #[test]
    fn every_content_length_costs_its_units_rounded_up(
        value in number_like(), unit in prop_oneof![1u64..1_000, any::<u64>().prop_map(|n| n.max(1))]
    ) {
        checks::content_length(&value, unit);
    }

    #[test]
    fn every_header_key_is_the_text_of_the_header_or_missing(
        value in number_like(), max_len in 0usize..40
    ) {
        checks::header_key(&value, max_len);
    }

    #[test]
    fn every_rejection_is_answered_in_the_protocol_of_its_request(
        content_type in content_type(), label in "\\PC{0,20}|.{0,20}", hint in hint()
    ) {
        on_paused_time(async { checks::rejection(&content_type, &label, hint) });
    }
}
