//! What the builder of a weighted bulkhead accepts and refuses. An error names the setting and the value.

use std::time::Duration;

use bulklink::{Bulkhead, WeightedBulkhead, WeightedBulkheadBuilder};

const TOO_LARGE: usize = Bulkhead::MAX_CAPACITY + 1;

fn reports() -> WeightedBulkheadBuilder {
    WeightedBulkhead::builder("reports").capacity(10)
}

#[test]
fn a_weighted_builder_names_an_invalid_setting() {
    let message = |builder: WeightedBulkheadBuilder| builder.build().unwrap_err().to_string();
    let bare = WeightedBulkhead::builder(" reports ");
    assert_eq!(message(bare), "bulkhead \"reports\": capacity is not set");
    assert_eq!(
        message(reports().capacity(0)),
        "bulkhead \"reports\": capacity 0 is not allowed, it must be greater than 0"
    );
    assert_eq!(
        message(reports().capacity(TOO_LARGE)),
        "bulkhead \"reports\": capacity 2147483648 exceeds the maximum 2147483647"
    );
    assert_eq!(
        message(reports().waiting_room(usize::MAX)),
        format!("bulkhead \"reports\": waiting_room {} exceeds the maximum 2147483647", usize::MAX)
    );
    assert_eq!(
        message(reports().wait_limit(Duration::ZERO)),
        "bulkhead \"reports\": wait_limit 0 is not allowed, it must be greater than 0"
    );
    assert_eq!(message(WeightedBulkhead::builder(" \t").capacity(1)), "label \"\" is empty");
}

#[test]
fn a_weighted_builder_accepts_valid_settings() {
    let reports = WeightedBulkhead::builder(" reports\n")
        .capacity(Bulkhead::MAX_CAPACITY)
        .waiting_room(Bulkhead::MAX_CAPACITY)
        .wait_limit(Duration::from_nanos(1))
        .build()
        .unwrap();
    assert_eq!((reports.label(), reports.capacity()), ("reports", Bulkhead::MAX_CAPACITY));
    assert_eq!(reports.waiting_room(), Bulkhead::MAX_CAPACITY);
    assert_eq!(reports.wait_limit(), Some(Duration::from_nanos(1)));
    let reports = WeightedBulkhead::builder("reports").capacity(1).build().unwrap();
    assert_eq!(
        (reports.waiting_room(), reports.wait_limit(), reports.is_closed()),
        (0, None, false)
    );
}
