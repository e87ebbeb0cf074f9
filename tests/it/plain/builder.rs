//! What the builder of a plain bulkhead accepts and refuses. An error names the setting and the value.

use std::{error::Error, time::Duration};

use bulklink::{Bulkhead, BulkheadBuilder, ConfigError};

const TOO_LARGE: usize = Bulkhead::MAX_CAPACITY + 1;

fn builder() -> BulkheadBuilder {
    Bulkhead::builder("payments").parallelism(1)
}

#[track_caller]
fn build_error(builder: BulkheadBuilder, message: &str) -> ConfigError {
    let error = builder.build().unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(error.source().is_none());
    error
}

#[test]
fn a_bulkhead_has_the_settings_of_its_builder() {
    let payments =
        builder().parallelism(10).waiting_room(50).wait_limit(Duration::from_secs(2)).build();
    let payments = payments.unwrap();
    assert_eq!((payments.label(), payments.parallelism()), ("payments", 10));
    assert_eq!(
        (payments.waiting_room(), payments.wait_limit()),
        (50, Some(Duration::from_secs(2)))
    );
    assert!(!payments.is_closed());
    let status = payments.status();
    assert_eq!((&*status.label, status.capacity), ("payments", 10));
    assert_eq!((status.waiting_room, status.wait_limit), (50, payments.wait_limit()));
}

#[test]
fn there_is_no_waiting_room_and_no_wait_limit_by_default() {
    let payments = builder().build().unwrap();
    assert_eq!((payments.waiting_room(), payments.wait_limit()), (0, None));
    assert_eq!((payments.status().waiting_room, payments.status().wait_limit), (0, None));
}

#[test]
fn the_last_value_of_a_setting_counts() {
    let payments = builder().parallelism(0).parallelism(3).waiting_room(TOO_LARGE).waiting_room(4);
    let payments = payments.wait_limit(Duration::ZERO).wait_limit(Duration::MAX).build().unwrap();
    assert_eq!((payments.parallelism(), payments.waiting_room()), (3, 4));
    assert_eq!(payments.wait_limit(), Some(Duration::MAX));
}

#[test]
fn parallelism_is_required() {
    let error =
        build_error(Bulkhead::builder("payments"), "bulkhead \"payments\": parallelism is not set");
    assert!(matches!(error, ConfigError::Missing { setting: "parallelism", .. }));
}

#[test]
fn parallelism_must_not_be_zero() {
    let message = "bulkhead \"payments\": parallelism 0 is not allowed, it must be greater than 0";
    let error = build_error(builder().parallelism(0), message);
    assert!(matches!(error, ConfigError::Zero { setting: "parallelism", .. }));
}

#[test]
fn parallelism_must_not_exceed_the_maximum() {
    let largest = builder().parallelism(Bulkhead::MAX_CAPACITY).build().unwrap();
    assert_eq!(largest.status().free(), (1 << 31) - 1);
    for value in [TOO_LARGE, 1 << 32, (1 << 32) + 1, usize::MAX] {
        let message =
            format!("bulkhead \"payments\": parallelism {value} exceeds the maximum 2147483647");
        let error = build_error(builder().parallelism(value), &message);
        let ConfigError::TooLarge { setting, value: reported, maximum, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((setting, reported, maximum), ("parallelism", value, Bulkhead::MAX_CAPACITY));
    }
}

#[test]
fn a_waiting_room_must_not_exceed_the_maximum() {
    let largest = builder().waiting_room(Bulkhead::MAX_CAPACITY).build().unwrap();
    assert_eq!(largest.waiting_room(), (1 << 31) - 1);
    for value in [TOO_LARGE, 1 << 32, usize::MAX] {
        let message =
            format!("bulkhead \"payments\": waiting_room {value} exceeds the maximum 2147483647");
        let error = build_error(builder().waiting_room(value), &message);
        assert!(matches!(error, ConfigError::TooLarge { setting: "waiting_room", .. }));
    }
}

#[test]
fn a_wait_limit_must_not_be_zero() {
    let message = "bulkhead \"payments\": wait_limit 0 is not allowed, it must be greater than 0";
    let error = build_error(builder().wait_limit(Duration::ZERO), message);
    assert!(matches!(error, ConfigError::Zero { setting: "wait_limit", .. }));
    assert!(builder().wait_limit(Duration::from_nanos(1)).build().is_ok());
}

#[test]
fn a_label_is_trimmed() {
    for label in ["payments", "  payments", "payments\n", "\t payments \u{a0}"] {
        let payments = Bulkhead::builder(label).parallelism(1).build().unwrap();
        assert_eq!((payments.label(), &*payments.status().label), ("payments", "payments"));
        let slot = payments.slot_now().unwrap();
        assert_eq!(payments.slot_now().unwrap_err().label(), "payments");
        drop(slot);
    }
    let spaced = Bulkhead::builder(String::from(" card payments ")).parallelism(1).build().unwrap();
    assert_eq!(spaced.label(), "card payments");
}

#[test]
fn an_empty_or_blank_label_is_refused() {
    for label in ["", " ", "\t\n \u{2003}"] {
        let error = build_error(Bulkhead::builder(label).parallelism(1), "label \"\" is empty");
        assert_eq!(error, ConfigError::EmptyLabel);
    }
}
