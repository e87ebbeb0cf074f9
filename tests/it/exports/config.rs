//! Configurations read from TOML and JSON: every error names the label, the field and the value.

use std::time::Duration;

use bulklink::{BulkheadConfig, RegistryConfig};

const FILE: &str = r#"
[bulkheads.payments]
kind = "plain"
parallelism = 10
waiting_room = 50
wait_limit = "2s"

[bulkheads.reports]
kind = "weighted"
capacity = 64
wait_limit = "1m 30s"

[bulkheads."customers: gold"]
max_partitions = 1000
parallelism = 3
idle_timeout = "250ms"
total_waiting_room = 0
total_parallelism = 8
kind = "partitioned"
"#;

fn expected() -> RegistryConfig {
    let mut config = RegistryConfig::new();
    let payments = BulkheadConfig::plain(10).waiting_room(50).wait_limit(Duration::from_secs(2));
    config.insert("payments", payments).unwrap();
    let reports = BulkheadConfig::weighted(64).wait_limit(Duration::from_secs(90));
    config.insert("reports", reports).unwrap();
    let customers = BulkheadConfig::partitioned(3, 1000).idle_timeout(Duration::from_millis(250));
    let customers = customers.total_parallelism(8).total_waiting_room(0);
    config.insert("customers: gold", customers).unwrap();
    config
}

#[test]
fn a_file_is_read() {
    assert_eq!(toml::from_str::<RegistryConfig>(FILE).unwrap(), expected());
    let json = r#"{"bulkheads": {
        "payments": {"kind": "plain", "parallelism": 10, "waiting_room": 50, "wait_limit": "2s"},
        "reports": {"kind": "weighted", "capacity": 64, "wait_limit": "90s"},
        " customers: gold ": {"kind": "partitioned", "parallelism": 3, "max_partitions": 1000,
            "idle_timeout": "250ms", "total_parallelism": 8, "total_waiting_room": 0}
    }}"#;
    assert_eq!(serde_json::from_str::<RegistryConfig>(json).unwrap(), expected());
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::from_value::<RegistryConfig>(value).unwrap(), expected());
    let one = r#"{"kind": "plain", "parallelism": 1}"#;
    assert_eq!(serde_json::from_str::<BulkheadConfig>(one).unwrap(), BulkheadConfig::plain(1));
    assert_eq!(toml::from_str::<RegistryConfig>("[bulkheads]").unwrap(), RegistryConfig::new());
}

#[test]
fn an_error_names_the_label_the_field_and_the_value() {
    let entry = |fields: &str| format!("{{\"bulkheads\": {{\"payments\": {{{fields}}}}}}}");
    let plain = |fields: &str| entry(&format!(r#""kind": "plain", "parallelism": 1, {fields}"#));
    let cases = [
        (plain(r#""wait_limt": "2s""#), "bulkhead \"payments\": unknown field `wait_limt`"),
        (plain(r#""wait_limit": 2"#), "bulkhead \"payments\": wait_limit: invalid type: integer `2`"),
        (plain(r#""wait_limit": "2""#), "\"payments\": wait_limit: invalid value: string \"2\""),
        (plain(r#""wait_limit": "-2s""#), "\"payments\": wait_limit: invalid value: string \"-2s\""),
        (plain(r#""waiting_room": -1"#), "\"payments\": waiting_room: invalid value: integer `-1`"),
        (plain(r#""waiting_room": 1.5"#), "\"payments\": waiting_room: invalid type: floating point"),
        (plain(r#""waiting_room": "5""#), "\"payments\": waiting_room: invalid type: string \"5\""),
        (plain(r#""capacity": 5"#), "\"payments\": a plain bulkhead has no field `capacity`"),
        (plain(r#""max_partitions": 5"#), "a plain bulkhead has no field `max_partitions`"),
        (plain(r#""idle_timeout": "5s""#), "a plain bulkhead has no field `idle_timeout`"),
        (plain(r#""parallelism": 2"#), "\"payments\": parallelism comes twice"),
        (plain(r#""kind": "plain""#), "\"payments\": kind comes twice"),
        (entry(r#""parallelism": 1"#), "\"payments\": kind is not set"),
        (entry(r#""kind": "plan""#), "\"payments\": unknown kind \"plan\", expected plain"),
        (entry(r#""kind": "plain""#), "\"payments\": parallelism is not set"),
        (entry(r#""kind": "weighted", "parallelism": 1"#), "\"payments\": capacity is not set"),
        (entry(r#""kind": "partitioned", "parallelism": 1"#), "max_partitions is not set"),
        (r#"{"bulkheads": {"payments": 5}}"#.into(), "settings of bulkhead \"payments\""),
        (r#"{"bulkheads": {" ": {"kind": "plain", "parallelism": 1}}}"#.into(), "label \"\" is empty"),
        (r#"{"bulkhead": {}}"#.into(), "unknown field `bulkhead`, expected `bulkheads`"),
        ("{}".into(), "field `bulkheads` is missing"),
        ("5".into(), "expected a map with the field `bulkheads`"),
        (
            r#"{"bulkheads": {"a": {"kind": "plain", "parallelism": 1}, " a": {"kind": "plain", "parallelism": 1}}}"#
                .into(),
            "bulkhead \"a\" comes twice",
        ),
    ];
    for (text, expected) in cases {
        let error = serde_json::from_str::<RegistryConfig>(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = toml::from_str::<RegistryConfig>("[bulkheads.a]\nkind = 'plain'\nwait_limit = 5\n");
    let error = error.unwrap_err().to_string();
    assert!(error.contains("bulkhead \"a\": wait_limit: invalid type: integer `5`"), "{error}");
}

/// A file that is cut off anywhere is an error, or what it says up to there is whole.
#[test]
fn a_file_that_is_half_written_is_never_misread() {
    let json = r#"{"bulkheads": {"payments": {"kind": "plain", "parallelism": 10, "waiting_room": 50, "wait_limit": "2s"}}}"#;
    for end in 0..json.len() {
        assert!(serde_json::from_str::<RegistryConfig>(&json[..end]).is_err(), "{end}");
    }
}
