//! The rules on the capacity that all keys of a partitioned bulkhead share.

use super::{
    CapacityFinding, Severity, code::FindingCode, evidence::Evidence, evidence::Subject, finding,
    format, graded,
};
use crate::observe::partitions::TotalStatus;

/// With fewer places in the room for each key that waits, keys find none although they have taken none. In a simulation of
/// twenty keys that flood, a key that sends little lost 7 to 12 % of its operations with 3 places for each, and none with 12.
const PLACES_PER_KEY: usize = 12;

pub(super) fn guarantees_exceed_total(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let TotalStatus { guaranteed, parallelism, .. } = *open_total(evidence)?;
    if guaranteed <= parallelism {
        return None;
    }
    finding(
        FindingCode::GuaranteesExceedTotal,
        Severity::Warning,
        format!("keys are guaranteed {guaranteed} slots, and {parallelism} may be in use in total"),
        format!(
            "while all of these keys compete, each gets less than it is guaranteed: lower the guarantees, or raise \
             total_parallelism to {guaranteed}"
        ),
    )
}

pub(super) fn total_full(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let total = open_total(evidence)?;
    if evidence.was_paused || total.in_flight < total.parallelism {
        return None;
    }
    let is_pressed = match evidence.is_interval() {
        true => evidence.competed.is_some_and(|competed| competed * 2 >= evidence.elapsed),
        false => total.waiting > 0,
    };
    let severity = if is_pressed { Severity::Warning } else { Severity::Notice };
    finding(
        FindingCode::TotalFull,
        severity,
        format!(
            "{} of {} slots in use over all keys, {}",
            total.in_flight,
            total.parallelism,
            match total.waiting {
                0 => "and nobody waits".into(),
                waiting => format!(
                    "and {} of {} waiting",
                    format::count(waiting as u64, "operation"),
                    format::count(total.waiting_keys as u64, "key")
                ),
            }
        ),
        "an operation of any key has to wait, and each key gets its share: find out what is slow, or raise total_parallelism \
         if the dependency can take it",
    )
}

pub(super) fn total_room_too_small(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let &TotalStatus { waiting_room, peak_waiting_keys, .. } = open_total(evidence)?;
    let enough = PLACES_PER_KEY.saturating_mul(peak_waiting_keys);
    let (decided, rejected) = (evidence.totals.decided(), evidence.totals.total_saturated);
    if evidence.was_paused || decided < 20 || waiting_room == 0 || waiting_room >= enough {
        return None;
    }
    let severity = graded(rejected, decided, (1, Severity::Warning), (20, Severity::Critical))?;
    finding(
        FindingCode::TotalRoomTooSmall,
        severity,
        format!(
            "{rejected} of {decided} operations found no place ({}) in a room of {waiting_room} for all keys, in which up to \
             {peak_waiting_keys} keys waited at once",
            format::percent(rejected, decided)
        ),
        format!(
            "raise total_waiting_room to {enough}, so that keys that send much leave places for those that send little; a \
             wait limit bounds how long the longer line makes them wait"
        ),
    )
}

/// What all keys share, unless the bulkhead is closed.
fn open_total<'a>(evidence: &Evidence<'a>) -> Option<&'a TotalStatus> {
    match evidence.subject {
        Subject::Partitioned(status) if !status.is_closed => status.total.as_ref(),
        _ => None,
    }
}
