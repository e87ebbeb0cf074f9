//! The rules on keys and partitions.

use super::{
    CapacityFinding, Severity, code::FindingCode, evidence::Evidence, evidence::Subject, finding,
    format, graded,
};
use crate::core::gate::counts::Totals;

pub(super) fn keys_turned_away(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let Totals { partition_limited, invalid_limits, missing_key, .. } = *evidence.totals;
    let decided = evidence.totals.decided();
    if decided < 20 {
        return None;
    }
    let without_partition = evidence.totals.without_partition();
    let severity = [
        graded(without_partition, decided, (1, Severity::Warning), (20, Severity::Critical)),
        graded(missing_key, decided, (5, Severity::Notice), (20, Severity::Warning)),
    ];
    let severity = severity.into_iter().flatten().max()?;
    let causes = [
        (partition_limited, "found all partitions in use"),
        (invalid_limits, "had invalid limits"),
        (missing_key, "had no key"),
    ];
    let message: Vec<_> = causes
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| format!("{count} ({}) {cause}", format::percent(*count, decided)))
        .collect();
    let most = causes.iter().max_by_key(|(count, _)| *count).map_or(0, |&(count, _)| count);
    let recommendation = if most == partition_limited {
        match evidence.subject {
            Subject::Partitioned(status) => format!(
                "allow more than {} partitions, or find out why so many keys are in use at once",
                status.max_partitions
            ),
            Subject::Bulkhead(_) => "allow more partitions".into(),
        }
    } else if most == invalid_limits {
        "correct limits_for: it panics, or returns limits that are not valid, such as a parallelism of 0"
            .into()
    } else {
        "make callers send the key, or choose how requests without one are handled".into()
    };
    finding(
        FindingCode::KeysTurnedAway,
        severity,
        format!("of {decided} operations, {}", message.join(", ")),
        recommendation,
    )
}

pub(super) fn partitions_full(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let Subject::Partitioned(status) = evidence.subject else { return None };
    if status.is_closed || !status.is_out_of_partitions() {
        return None;
    }
    finding(
        FindingCode::PartitionsFull,
        Severity::Warning,
        format!("all {} partitions are in use", status.max_partitions),
        format!(
            "an operation with a new key is rejected: allow more than {} partitions, or find out why so many keys are in \
             use at once",
            status.max_partitions
        ),
    )
}
