//! The state that the lock of a gate protects.
//!
//! It owns the layout of that state. It does not own the changes, which are made by `section`.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    core::{
        clock,
        gate::{
            Gate, GateKind, called_below,
            counts::{ColdCounts, Counts, UnitCounts},
            effects::SharedSink,
            lifecycle::{MilestoneLines, Phase},
            pace::Pace,
            records::OwnRecords,
            sampling::{HandOverStamps, seconds},
            standing::StandingLine,
            times::Times,
            trace::PressureLog,
        },
        limits::{alarm_state::AlarmState, wait_limit::WaitLimit},
        line::Line,
        rejection::cache::RejectionCache,
    },
    sync::{Arc, Ordering},
};

/// The state under the lock. The numbered invariants are in the documentation of [`core`](crate::core).
///
/// The order of the fields is deliberate, here and in the types it contains: what a hand-over reads comes
/// first, so that a processor that takes over from another one fetches few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(in crate::core) struct GateState {
    pub(in crate::core) lazy: Option<Box<LazyState>>,
    pub(in crate::core) capacity: u32,
    /// The sum of the units in use and the units that the word may still admit.
    pub(in crate::core) ceiling: u32,
    pub(in crate::core) phase: Phase,
    /// Whether this is the partition of a key that is refused.
    pub(in crate::core) is_refused: bool,
    /// Whether `lazy` is freed whenever it holds nothing.
    pub(in crate::core) is_compact: bool,
    /// When the gate was created, in seconds after the epoch of `clock`.
    created_at: u32,
    /// Admissions, except those counted in the word.
    pub(in crate::core) admitted: u64,
    pub(in crate::core) counts: Counts,
    pub(in crate::core) sequence: u64,
    /// Allocated on first use in a partition, and with the gate elsewhere.
    cold: Option<Box<ColdCounts>>,
    /// `None` in a partition, because partitions share theirs, and in a gate that rejects no operation.
    pub(in crate::core) records: Option<Box<OwnRecords>>,
}

/// The part of the state that most gates rarely need, allocated on first use. A weighted gate always has it.
/// It starts on a cache line: see [`GateState`].
#[derive(Debug)]
#[repr(C, align(64))]
pub(in crate::core) struct LazyState {
    pub(in crate::core) line: Line,
    pub(in crate::core) sink: Option<SharedSink>,
    /// Present only in a weighted gate.
    pub(in crate::core) units: Option<UnitCounts>,
    /// The number of the first waiter that a close rejected.
    pub(in crate::core) closed_from: Option<u64>,
    /// Allocated while somebody stands in front of the full gate.
    pub(in crate::core) standing: Option<Box<StandingLine>>,
    /// Allocated while somebody waits for a milestone.
    pub(in crate::core) milestones: Option<Box<MilestoneLines>>,
    pub(in crate::core) alarm: Option<AlarmState>,
    /// When the current period of pressure began: when an operation joined the line while it was empty, or when a pause
    /// ended. `None` while the gate is paused.
    pub(in crate::core) pressed_since: Option<Instant>,
    pub(in crate::core) pace: Pace,
}

impl GateState {
    pub(in crate::core) fn new(
        capacity: u32,
        kind: GateKind,
        rejections: Option<RejectionCache>,
    ) -> Self {
        Self {
            capacity,
            ceiling: 0,
            phase: Phase::Open,
            is_refused: false,
            is_compact: kind == GateKind::Partition,
            created_at: seconds(clock::now()),
            sequence: 0,
            admitted: 0,
            counts: Counts::default(),
            cold: (kind != GateKind::Partition).then(Box::default),
            lazy: (kind == GateKind::Weighted)
                .then(|| LazyState::new(Some(UnitCounts::default()), 0)),
            records: rejections.map(|rejections| {
                let stamps = Arc::new(HandOverStamps::new(capacity));
                let wait_limit = Arc::new(WaitLimit::new(None));
                Box::new(OwnRecords {
                    rejections,
                    times: Times::default(),
                    stamps,
                    wait_limit,
                    pressure: PressureLog::default(),
                })
            }),
        }
    }

    /// Returns the age of the gate, in whole seconds.
    pub(in crate::core) fn age(&self, now: Instant) -> Duration {
        Duration::from_secs(seconds(now).saturating_sub(self.created_at).into())
    }

    /// Returns the counts in units, in a weighted gate.
    #[inline]
    pub(in crate::core) fn units(&self) -> Option<&UnitCounts> {
        self.lazy.as_ref().and_then(|lazy| lazy.units.as_ref())
    }

    #[inline]
    pub(in crate::core) fn units_mut(&mut self) -> Option<&mut UnitCounts> {
        self.lazy.as_mut().and_then(|lazy| lazy.units.as_mut())
    }

    #[inline]
    pub(in crate::core) fn waiting(&self) -> u32 {
        self.lazy.as_ref().map_or(0, |lazy| lazy.line.len())
    }

    /// Whether somebody stands in front of the gate.
    #[inline]
    pub(in crate::core) fn has_standing(&self) -> bool {
        self.lazy.as_ref().is_some_and(|lazy| lazy.standing.is_some())
    }

    #[inline]
    pub(in crate::core) fn head_cost(&self) -> Option<u32> {
        self.lazy.as_ref().and_then(|lazy| lazy.line.head_cost())
    }

    /// Returns the lazy state, allocated if there is none. A new line continues with the number that `gate`
    /// calls next.
    #[inline]
    pub(in crate::core) fn lazy(&mut self, gate: &Gate) -> &mut LazyState {
        self.lazy.get_or_insert_with(|| {
            LazyState::new(None, called_below(gate.called.load(Ordering::Relaxed)))
        })
    }

    /// Returns the rarely used counters, to count something.
    #[cold]
    pub(in crate::core) fn cold(&mut self) -> &mut ColdCounts {
        self.cold.get_or_insert_default()
    }

    /// Returns the rarely used counters, to read them.
    pub(in crate::core) fn cold_counts(&self) -> ColdCounts {
        self.cold.as_deref().copied().unwrap_or_default()
    }

    #[inline]
    pub(in crate::core) fn sink(&self) -> Option<&SharedSink> {
        self.lazy.as_ref().and_then(|lazy| lazy.sink.as_ref())
    }
}

impl LazyState {
    fn new(units: Option<UnitCounts>, next: u64) -> Box<Self> {
        Box::new(Self {
            units,
            line: Line::new(next),
            closed_from: None,
            milestones: None,
            standing: None,
            sink: None,
            alarm: None,
            pressed_since: None,
            pace: Pace::default(),
        })
    }

    /// Makes what another gate needs no more that of a gate whose next waiter has this number.
    pub(super) fn restart(&mut self, next: u64) {
        debug_assert!(self.is_droppable(), "it is in use");
        self.line.restart(next);
        self.pressed_since = None;
        self.pace = Pace::default();
    }

    /// Whether it can be dropped without losing anything.
    pub(in crate::core) fn is_droppable(&self) -> bool {
        let Self {
            units,
            line,
            closed_from,
            milestones,
            standing,
            sink,
            alarm: _,
            pressed_since: _,
            pace: _,
        } = self;
        units.is_none()
            && line.is_unused()
            && closed_from.is_none()
            && milestones.is_none()
            && standing.is_none()
            && sink.is_none()
    }
}
