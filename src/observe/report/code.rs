//! `FindingCode`: the rules of a capacity report, with their thresholds, and their stable names.

/// The rules of a capacity report.
///
/// Thresholds are inclusive. Shares are of operations counted in the assessed time: since the bulkhead was created for a
/// status, between its ends for an interval. Operations are *decided* once they are admitted, rejected or cancelled.
///
/// In the report of an interval, the findings on the current load ([`ActiveWorkAboveCapacity`](Self::ActiveWorkAboveCapacity),
/// [`WaitingRoomFull`](Self::WaitingRoomFull), [`ExecutionFull`](Self::ExecutionFull) and
/// [`WaitingRoomNearCapacity`](Self::WaitingRoomNearCapacity)) are notices unless operations were waiting for at least half
/// of the interval: at a healthy utilization of 80 % some operation waits at a third of all instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingCode {
    /// Closed, with operations still running. A notice.
    ClosedWithActiveWork,
    /// Paused, or in an interval at whose end it is not: paused for some of it, with operations rejected for it. A warning if
    /// it is paused and operations were rejected for it, otherwise a notice. There are no findings on waits and rejections
    /// beside it, because the load is not their cause.
    Paused,
    /// More units in use than the capacity, after a shrink. A warning if any operation waits, otherwise a notice.
    ActiveWorkAboveCapacity,
    /// Units that do not come back: leaked, stuck, or in use by long streams. Only in the report of an interval of a plain
    /// or weighted bulkhead. A notice below a tenth of the capacity, critical from half of it on, otherwise a warning.
    ///
    /// The interval must be at least 1 s and 10 times the 99th percentile of the hold times, or 60 s if none is known. Let
    /// *lo* be the smaller number of units in use at both ends, *p* the share of the time in which operations waited, and *e*
    /// the mean use by operations that ended in the interval. One of these must hold:
    ///
    /// - Nothing ended, and *lo* is at least 1.
    /// - *p* is at least half, and *p* x *lo* - *e* is at least 0.9 and exceeds three standard deviations of what begins and
    ///   ends outside the interval: while operations wait, all units are in use.
    /// - *p* is below 1, and *lo* - *e* exceeds three standard deviations of the use at an instant and of the estimate of
    ///   *e*.
    ///
    /// Where costs differ, the deviations are of costs with a mean square of up to three times the squared mean. Units may
    /// then be unused while operations wait, so that up to six times the mean cost, or half of the capacity if that is less,
    /// takes the place of 0.9.
    ///
    /// If a tenth of the admitted operations never started, only the first of these rules applies.
    SlotsHeldLong,
    /// At least 10 % of at least 20 finished operations were cut short: their callers left while the work ran. A warning;
    /// critical from 50 %.
    WorkCutShort,
    /// At least 10 % of at least 10 waiters that left the line were cancelled. A warning; critical from 30 %.
    WaitersGiveUp,
    /// The limits of at least 5 % of at least 20 decided operations had passed when they arrived, or passed between the
    /// service's readiness and the request. A warning; critical from 20 %.
    DeadlinesPassed,
    /// At least 1 % of at least 20 decided operations had a cost above the capacity or of 0. A notice; a warning from 5 %,
    /// critical from 20 %.
    OversizedRequests,
    /// At least 1 % of at least 20 decided operations found no partition or had invalid limits: a warning, critical from
    /// 20 %. Or at least 5 % of them had no key: a notice, a warning from 20 %.
    KeysTurnedAway,
    /// As many partitions as there may be, all in use. A warning.
    PartitionsFull,
    /// Retained keys are guaranteed more slots than all keys together have. A warning.
    GuaranteesExceedTotal,
    /// All slots that the keys share are in use. A warning if any operation waits, in the report of an interval if keys competed
    /// for at least half of it, otherwise a notice.
    TotalFull,
    /// At least 1 % of at least 20 decided operations were rejected as `TotalSaturated`, and the room of all keys has fewer than
    /// 12 places for each key that waited at once at the peak. A warning; critical from 20 %. Not if nobody may wait.
    TotalRoomTooSmall,
    /// At least 10 % of at least 20 admitted operations never started, for another reason than their deadline. A notice; a
    /// warning from 50 %.
    UnusedAdmissions,
    /// An operation of cost 1 would be rejected, and the waiting room is full. Critical. The other two findings on the
    /// current load are left out then.
    WaitingRoomFull,
    /// An operation of cost 1 would have to wait. A warning if any operation waits or there is no waiting room, otherwise a
    /// notice.
    ExecutionFull,
    /// An operation of cost 1 would have to wait, and at least 80 % of the waiting room is in use. A warning.
    WaitingRoomNearCapacity,
    /// Operations may wait, with no wait limit. A notice.
    UnboundedQueueWait,
    /// A waiting room of at least 100 operations and at least 20 times the capacity. A notice.
    LargeWaitingRoom,
    /// A wait limit and no waiting room. A notice. Not for partitioned bulkheads, whose keys may have waiting rooms of
    /// their own.
    LimitWithoutRoom,
    /// Less than 80 % of the waiting room can be admitted within the wait limit, and at least 10 waiters expired while at
    /// least 10 were admitted. A notice.
    RoomOutlastsLimit,
    /// At least half of at least 20 operations had to wait: of those that were admitted at once, joined the line or were
    /// saturated. A notice.
    FrequentQueueing,
    /// At least 5 % of at least 20 operations were saturated or expired: of these and the admitted ones. A warning;
    /// critical from 20 %.
    ElevatedRejectionRate,
    /// At least 10 % of at least 10 waiters that left the line expired. A warning; critical from 30 %.
    ElevatedExpirationRate,
    /// Of at least 5 admitted waiters, the average wait reached 75 % or the longest 95 % of the wait limit. A warning.
    ///
    /// In an interval, and in a partitioned bulkhead, the longest wait is the upper bound of its bucket in the histogram,
    /// up to 12.5 % above the true one.
    WaitTimeNearLimit,
    /// At least one event handler panicked. A warning.
    HandlersPanic,
}

impl FindingCode {
    /// Returns the name of the code, as metrics and logs use it. It is stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ClosedWithActiveWork => "closed_with_active_work",
            Self::Paused => "paused",
            Self::ActiveWorkAboveCapacity => "active_work_above_capacity",
            Self::SlotsHeldLong => "slots_held_long",
            Self::WorkCutShort => "work_cut_short",
            Self::WaitersGiveUp => "waiters_give_up",
            Self::DeadlinesPassed => "deadlines_passed",
            Self::OversizedRequests => "oversized_requests",
            Self::KeysTurnedAway => "keys_turned_away",
            Self::PartitionsFull => "partitions_full",
            Self::GuaranteesExceedTotal => "guarantees_exceed_total",
            Self::TotalFull => "total_full",
            Self::TotalRoomTooSmall => "total_room_too_small",
            Self::UnusedAdmissions => "unused_admissions",
            Self::WaitingRoomFull => "waiting_room_full",
            Self::ExecutionFull => "execution_full",
            Self::WaitingRoomNearCapacity => "waiting_room_near_capacity",
            Self::UnboundedQueueWait => "unbounded_queue_wait",
            Self::LargeWaitingRoom => "large_waiting_room",
            Self::LimitWithoutRoom => "limit_without_room",
            Self::RoomOutlastsLimit => "room_outlasts_limit",
            Self::FrequentQueueing => "frequent_queueing",
            Self::ElevatedRejectionRate => "elevated_rejection_rate",
            Self::ElevatedExpirationRate => "elevated_expiration_rate",
            Self::WaitTimeNearLimit => "wait_time_near_limit",
            Self::HandlersPanic => "handlers_panic",
        }
    }
}
