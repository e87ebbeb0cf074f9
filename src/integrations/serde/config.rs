//! Configurations, read by hand so that every error names the label, the field and the value.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
};

use crate::registry::{BulkheadConfig, BulkheadKind, RegistryConfig};

impl<'de> Deserialize<'de> for RegistryConfig {
    /// From a map with the field `bulkheads`, which is a map from labels to the settings of bulkheads.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopLevel)
    }
}

impl<'de> Deserialize<'de> for BulkheadConfig {
    /// From a map with the field `kind` and the settings of that kind.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Entry { label: None }.deserialize(deserializer)
    }
}

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = RegistryConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with the field `bulkheads`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RegistryConfig, A::Error> {
        let mut config = None;
        while let Some(field) = map.next_key::<String>()? {
            if field != "bulkheads" {
                return Err(Error::custom(format!(
                    "unknown field `{field}`, expected `bulkheads`"
                )));
            }
            if config.is_some() {
                return Err(Error::custom("field `bulkheads` comes twice"));
            }
            config = Some(map.next_value_seed(Bulkheads)?);
        }
        config.ok_or_else(|| Error::custom("field `bulkheads` is missing"))
    }
}

struct Bulkheads;

impl<'de> DeserializeSeed<'de> for Bulkheads {
    type Value = RegistryConfig;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Bulkheads {
    type Value = RegistryConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from the labels of bulkheads to their settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RegistryConfig, A::Error> {
        let mut config = RegistryConfig::new();
        while let Some(label) = map.next_key::<String>()? {
            let label = label.trim();
            let entry = map.next_value_seed(Entry { label: Some(label) })?;
            match config.insert(label, entry) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    return Err(Error::custom(format!("bulkhead \"{label}\" comes twice")));
                }
                Err(error) => return Err(Error::custom(error)),
            }
        }
        Ok(config)
    }
}

/// The settings of a bulkhead, whose label is known for errors.
#[derive(Clone, Copy)]
struct Entry<'a> {
    label: Option<&'a str>,
}

impl Entry<'_> {
    fn error<E: Error>(self, what: impl fmt::Display) -> E {
        match self.label {
            Some(label) => E::custom(format!("bulkhead \"{label}\": {what}")),
            None => E::custom(what),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = BulkheadConfig;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

/// The settings as they come, in any order.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    /// By name.
    numbers: Vec<(&'static str, usize)>,
    durations: Vec<(&'static str, Duration)>,
}

/// The fields that are numbers, and those that are durations.
const NUMBERS: [&str; 6] = [
    "parallelism",
    "capacity",
    "waiting_room",
    "max_partitions",
    "total_parallelism",
    "total_waiting_room",
];
const DURATIONS: [&str; 2] = ["wait_limit", "idle_timeout"];

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = BulkheadConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label {
            Some(label) => write!(f, "a map with the settings of bulkhead \"{label}\""),
            None => f.write_str("a map with the settings of a bulkhead"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BulkheadConfig, A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = map.next_key::<String>()? {
            let named = |error: A::Error| self.error(format!("{field}: {error}"));
            if field == "kind" {
                if fields.kind.replace(map.next_value().map_err(named)?).is_some() {
                    return Err(self.error("kind comes twice"));
                }
            } else if let Some(name) = NUMBERS.into_iter().find(|name| *name == field) {
                fields.numbers.push((name, map.next_value().map_err(named)?));
            } else if let Some(name) = DURATIONS.into_iter().find(|name| *name == field) {
                let value: humantime_serde::Serde<Duration> = map.next_value().map_err(named)?;
                fields.durations.push((name, value.into_inner()));
            } else {
                map.next_value::<IgnoredAny>()?;
                return Err(self.error(format!("unknown field `{field}`")));
            }
        }
        fields.config().map_err(|error| self.error(error))
    }
}

impl Fields {
    fn config(mut self) -> Result<BulkheadConfig, String> {
        let mut config = match self.kind.take().as_deref() {
            None => return Err("kind is not set, expected plain, weighted or partitioned".into()),
            Some("plain") => BulkheadConfig::plain(self.required("parallelism")?),
            Some("weighted") => BulkheadConfig::weighted(self.required("capacity")?),
            Some("partitioned") => {
                let parallelism = self.required("parallelism")?;
                BulkheadConfig::partitioned(parallelism, self.required("max_partitions")?)
            }
            Some(other) => {
                return Err(format!(
                    "unknown kind \"{other}\", expected plain, weighted or partitioned"
                ));
            }
        };
        if let Some(room) = take(&mut self.numbers, "waiting_room")? {
            config = config.waiting_room(room);
        }
        if let Some(limit) = take(&mut self.durations, "wait_limit")? {
            config = config.wait_limit(limit);
        }
        if config.kind() == BulkheadKind::Partitioned {
            if let Some(timeout) = take(&mut self.durations, "idle_timeout")? {
                config = config.idle_timeout(timeout);
            }
            let total = take(&mut self.numbers, "total_parallelism")?;
            config = config.with_totals(total, take(&mut self.numbers, "total_waiting_room")?);
        }
        let kind = config.kind().name();
        let numbers = self.numbers.iter().map(|(name, _)| name);
        match numbers.chain(self.durations.iter().map(|(name, _)| name)).next() {
            Some(name) => Err(format!("a {kind} bulkhead has no field `{name}`")),
            None => Ok(config),
        }
    }

    fn required(&mut self, name: &'static str) -> Result<usize, String> {
        take(&mut self.numbers, name)?.ok_or_else(|| format!("{name} is not set"))
    }
}

/// Takes out the value of a field, which must not come twice.
fn take<T>(fields: &mut Vec<(&'static str, T)>, name: &str) -> Result<Option<T>, String> {
    let at = fields.iter().position(|(field, _)| *field == name);
    let value = at.map(|at| fields.remove(at).1);
    match fields.iter().any(|(field, _)| *field == name) {
        true => Err(format!("{name} comes twice")),
        false => Ok(value),
    }
}
