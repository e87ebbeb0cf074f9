//! Reports with their findings, and advice.

use serde::{Serialize, Serializer};

use super::fields::{InSeconds, serialize_struct};
use crate::observe::{
    advice::{Advice, AdviceError},
    report::{CapacityFinding, CapacityReport, Severity, code::FindingCode},
};

serialize_struct!(CapacityReport {
    plain: status totals findings;
    seconds: elapsed pressure;
    unix_ms: assessed_at;
    derived(this):
        "label" => this.status.label();
        "severity" => this.severity();
        "requires_attention" => this.requires_attention();
        "summary" => this.summary();
        "pressure_share" => this.pressure_share();
});

serialize_struct!(CapacityFinding {
    plain: code severity message recommendation;
});

serialize_struct!(Advice {
    plain: capacity waiting_room demand reasons;
    seconds: wait_limit;
});

impl Serialize for FindingCode {
    /// As its [`name`](Self::name).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Severity {
    /// As `ok`, `notice`, `warning` or `critical`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A serialized [`AdviceError`].
#[derive(Serialize)]
struct AdviceErrorFields {
    #[serde(flatten)]
    error: AdviceErrorNumbers,
    message: String,
}

#[derive(Serialize)]
#[serde(tag = "error", rename_all = "snake_case")]
enum AdviceErrorNumbers {
    NotEnoughEvidence { timed: u64 },
    GoalBelowWork { p99_hold_seconds: Option<f64> },
    WorkCutShort { share: f64 },
    SlotsHeldLong { held: f64 },
}

impl Serialize for AdviceError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use AdviceErrorNumbers as Numbers;
        let error = match *self {
            Self::NotEnoughEvidence { timed } => Numbers::NotEnoughEvidence { timed },
            Self::GoalBelowWork { p99_hold } => {
                Numbers::GoalBelowWork { p99_hold_seconds: p99_hold.in_seconds() }
            }
            Self::WorkCutShort { share } => Numbers::WorkCutShort { share },
            Self::SlotsHeldLong { held } => Numbers::SlotsHeldLong { held },
        };
        AdviceErrorFields { error, message: self.to_string() }.serialize(serializer)
    }
}
