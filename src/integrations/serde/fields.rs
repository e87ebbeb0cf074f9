//! How a struct is serialized: its fields with their units, and values derived from it.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Implements `Serialize` for a struct, given all of its fields by unit, and values derived from it.
///
/// - `plain` fields are serialized as they are.
/// - `text` is for fields that are `&str` by `Deref`.
/// - `seconds` is for durations, whose names get the suffix `_seconds`.
/// - `unix_ms` is for points in time, whose names get the suffix `_unix_ms`.
macro_rules! serialize_struct {
    ($type:ident {
        $(text: $($text:ident)+;)?
        $(plain: $($plain:ident)+;)?
        $(seconds: $($seconds:ident)+;)?
        $(unix_ms: $($unix_ms:ident)+;)?
        $(derived($this:ident): $($key:literal => $value:expr;)+)?
    }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct as _;
                // Without `..`: a field that is not listed does not compile.
                let Self { $($($text,)+)? $($($plain,)+)? $($($seconds,)+)? $($($unix_ms,)+)? } = self;
                const LEN: usize = [
                    $($(stringify!($text),)+)? $($(stringify!($plain),)+)?
                    $($(stringify!($seconds),)+)? $($(stringify!($unix_ms),)+)? $($($key,)+)?
                ].len();
                let mut fields = serializer.serialize_struct(stringify!($type), LEN)?;
                $($(fields.serialize_field(stringify!($text), &**$text)?;)+)?
                $(
                    let $this = self;
                    $(fields.serialize_field($key, &$value)?;)+
                )?
                $($(fields.serialize_field(stringify!($plain), $plain)?;)+)?
                $($(fields.serialize_field(
                    concat!(stringify!($seconds), "_seconds"),
                    &$crate::integrations::serde::fields::InSeconds::in_seconds($seconds),
                )?;)+)?
                $($(fields.serialize_field(
                    concat!(stringify!($unix_ms), "_unix_ms"),
                    &$crate::integrations::serde::fields::InUnixMs::in_unix_ms($unix_ms),
                )?;)+)?
                fields.end()
            }
        }
    };
}

pub(super) use serialize_struct;

/// A duration, or none, in seconds.
pub(in crate::integrations) trait InSeconds {
    fn in_seconds(&self) -> Option<f64>;
}

impl InSeconds for Duration {
    fn in_seconds(&self) -> Option<f64> {
        Some(self.as_secs_f64())
    }
}

impl InSeconds for Option<Duration> {
    fn in_seconds(&self) -> Option<f64> {
        self.as_ref().and_then(InSeconds::in_seconds)
    }
}

/// A point in time, or none, in milliseconds since 1970.
pub(in crate::integrations) trait InUnixMs {
    fn in_unix_ms(&self) -> Option<u64>;
}

impl InUnixMs for SystemTime {
    fn in_unix_ms(&self) -> Option<u64> {
        // A clock that is set before 1970 is taken to stand at its beginning.
        let since = self.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl InUnixMs for Instant {
    /// Related to the wall clock at the time of serialization, because an instant alone has no date. The result is off by
    /// what the wall clock was set since then.
    fn in_unix_ms(&self) -> Option<u64> {
        let (now, wall) = (Self::now(), SystemTime::now());
        let then = match now.checked_duration_since(*self) {
            Some(ago) => wall.checked_sub(ago),
            None => wall.checked_add(self.saturating_duration_since(now)),
        };
        then.unwrap_or(SystemTime::UNIX_EPOCH).in_unix_ms()
    }
}

impl InUnixMs for Option<SystemTime> {
    fn in_unix_ms(&self) -> Option<u64> {
        self.as_ref().and_then(InUnixMs::in_unix_ms)
    }
}

impl InUnixMs for Option<Instant> {
    fn in_unix_ms(&self) -> Option<u64> {
        self.as_ref().and_then(InUnixMs::in_unix_ms)
    }
}
