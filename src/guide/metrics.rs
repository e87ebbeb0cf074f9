//! How do I get this into Prometheus, with alerts, and onto a page?
//!
//! Operations pay nothing for any of these: they read the statuses when somebody asks.
//!
//! | you have | feature | call |
//! |---|---|---|
//! | `prometheus-client` | `prometheus` | `registry.prometheus()`, a collector |
//! | the `metrics` crate | `metrics` | `registry.metrics()`, a publisher that you call every few seconds |
//! | OpenTelemetry | none | see the example `opentelemetry` |
//! | nothing yet | `dashboard` | `registry.dashboard()`, with `/metrics` and a live page |
//! | log lines | `tracing` | nothing: a subscriber gets them, at target `bulklink` |
//! | something that reads JSON | `serde` | statuses, intervals and reports are `Serialize` |
//!
//! # Prometheus
//!
//! ```
//! # #[cfg(feature = "prometheus")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bulklink::{Bulkhead, BulkheadRegistry};
//! use prometheus_client::{encoding::prometheus_text, registry::Registry};
//!
//! let bulkheads = BulkheadRegistry::new();
//! let payments = bulkheads.create(Bulkhead::builder("payments").parallelism(1))?;
//! let mut metrics = Registry::default();
//! metrics.register_collector(Box::new(bulkheads.prometheus()));
//!
//! let slot = payments.slot_now()?;
//! assert!(payments.slot_now().is_err());
//!
//! let mut text = String::new();
//! prometheus_text::encode(&mut text, &metrics)?; // what your `/metrics` answers
//! assert!(text.contains("bulkhead_requests_total{bulkhead=\"payments\",result=\"saturated\"} 1\n"));
//! assert!(text.contains("bulkhead_active_requests{bulkhead=\"payments\"} 1\n"));
//! # drop(slot);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "prometheus"))]
//! # fn main() {}
//! ```
//!
//! Bulkheads that are registered later appear by themselves. No label holds a key, so a partitioned bulkhead is one
//! series, however many customers there are. The example `operators_loop` serves these metrics from axum.
//!
//! # What to look at
//!
//! | question | query |
//! |---|---|
//! | how much is rejected | `rate(bulkhead_requests_total{result=~"saturated\|total_saturated\|wait_limit"}[5m])` |
//! | how full it is | `bulkhead_usage / bulkhead_limit` |
//! | how long requests wait | `histogram_quantile(0.99, rate(bulkhead_request_time_in_queue_seconds_bucket{result="admitted"}[5m]))` |
//! | whether it is at its limit for long | `rate(bulkhead_pressure_seconds_total[5m])`: the share of the time in which somebody waited; not for partitioned bulkheads, where it is a sum |
//! | how much work is wasted | `rate(bulkhead_finished_total{end="cut_short"}[5m])` |
//!
//! `docs/grafana.json` is a dashboard for Grafana with these.
//!
//! # Alerts
//!
//! `docs/alerts.yml` has rules for Prometheus. The thresholds are a start; change them to what your service promises.
//!
//! | alert | means |
//! |---|---|
//! | `BulkheadRejecting` | more than 5 % of the requests are rejected |
//! | `BulkheadUnderPressure` | somebody has been waiting for more than half of the time |
//! | `BulkheadWorkCutShort` | callers leave before the work is done |
//! | `BulkheadSlotsHeldLong` | requests run, and none ends |
//! | `BulkheadKeysTurnedAway` | there is no partition for some of the keys |
//! | `BulkheadPaused` | it was paused, and perhaps forgotten |
//!
//! # A page
//!
//! ```
//! # #[cfg(feature = "dashboard")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use bulklink::{Bulkhead, BulkheadRegistry};
//!
//! let bulkheads = BulkheadRegistry::new();
//! bulkheads.create(Bulkhead::builder("payments").parallelism(10))?;
//! let admin: Router = Router::new().nest_service("/bulkheads", bulkheads.dashboard());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "dashboard"))]
//! # fn main() {}
//! ```
//!
//! It shows every bulkhead live, with its findings, and serves `/status.json`, `/metrics` and `/health` beside the
//! page. It shows no keys, but it is still not for strangers: put it on an address of its own, or behind your
//! authentication. It only reads, unless you call `allow_changes`; then whoever reaches it can change capacities.
//!
//! # Logs
//!
//! With the feature `tracing` there are lines for what an operator should know: waits of more than a second (warn),
//! changes, pauses, drains (info). Rejections and waits are at debug. There is no line per request at info or above.
