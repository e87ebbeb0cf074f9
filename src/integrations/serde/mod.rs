//! Feature `serde`: what the crate reports as JSON or in any other format of serde, and configurations read from one.
//!
//! It owns the names and units of all fields, which `docs/status.schema.json` describes. They are written out here instead
//! of derived on the types: names outlive a renamed field, units are part of the name, and the engine stays free of
//! conditional code. Every struct is taken apart without `..`, so that a new field does not compile until it has a name.
//!
//! | in Rust | serialized |
//! |---|---|
//! | `Duration` | seconds as a number; the name ends in `_seconds` |
//! | `Instant`, `SystemTime` | milliseconds since 1970 as an integer; the name ends in `_unix_ms` |
//! | `None` | `null`; the field is always there |
//! | a share | a number from 0 to 1 |
//! | an enum | its stable name |

mod config;
pub(super) mod fields;
mod reports;
mod statuses;
mod values;
