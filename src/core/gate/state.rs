//! What the lock of a gate protects.

use crate::{
    core::{
        gate::{
            Gate, GateKind,
            counts::{Counts, LazyCounts, UnitCounts},
            effects::SharedSink,
        },
        limits::alarm_state::AlarmState,
        line::Line,
        rejection::cache::RejectionCache,
    },
    sync::Ordering,
};

/// What the lock protects. The numbered invariants are in the documentation of [`core`](super).
///
/// In this order, here and in what it is made of: what a hand-over looks at comes first, so that a processor that
/// comes after another one fetches few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(in crate::core) struct GateState {
    pub(in crate::core) lazy: Option<Box<LazyState>>,
    pub(in crate::core) capacity: u32,
    /// Units in use and units that the word may hand out, together.
    pub(in crate::core) ceiling: u32,
    pub(in crate::core) is_closed: bool,
    pub(in crate::core) is_drained: bool,
    /// Whether `lazy` is given up whenever there is no need of it.
    pub(in crate::core) is_compact: bool,
    /// Admissions but for those that are counted in the word.
    pub(in crate::core) admitted: u64,
    pub(in crate::core) counts: Counts,
    pub(in crate::core) sequence: u64,
    /// None in a gate among very many, which share one, and in one that rejects nobody.
    pub(in crate::core) rejections: Option<RejectionCache>,
}

/// What most gates do without most of the time. A weighted gate has it always. It begins a cache line: see
/// [`GateState`].
#[derive(Debug)]
#[repr(C, align(64))]
pub(in crate::core) struct LazyState {
    pub(in crate::core) line: Line,
    pub(in crate::core) sink: Option<SharedSink>,
    /// Present in a weighted gate only.
    pub(in crate::core) units: Option<UnitCounts>,
    /// The number of the first who waited when the gate closed.
    pub(in crate::core) closed_from: Option<u64>,
    /// Those who wait for the drain, in a line of their own.
    pub(in crate::core) drain_waiters: Line,
    pub(in crate::core) alarm: Option<AlarmState>,
    pub(in crate::core) counts: LazyCounts,
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
            is_closed: false,
            is_drained: false,
            is_compact: kind == GateKind::Partition,
            sequence: 0,
            admitted: 0,
            counts: Counts::default(),
            lazy: (kind == GateKind::Weighted)
                .then(|| LazyState::new(Some(UnitCounts::default()), 0)),
            rejections,
        }
    }

    /// What is counted in units besides, in a weighted gate.
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

    #[inline]
    pub(in crate::core) fn head_cost(&self) -> Option<u32> {
        self.lazy.as_ref().and_then(|lazy| lazy.line.head_cost())
    }

    /// The rare part. A line that is made anew goes on with the numbers after those that `gate` called.
    #[inline]
    pub(in crate::core) fn lazy(&mut self, gate: &Gate) -> &mut LazyState {
        self.lazy.get_or_insert_with(|| LazyState::new(None, gate.called.load(Ordering::Relaxed)))
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
            drain_waiters: Line::new(0),
            sink: None,
            alarm: None,
            counts: LazyCounts::default(),
        })
    }

    /// Whether nothing would be lost with it.
    pub(in crate::core) fn is_droppable(&self) -> bool {
        // Whoever was closed out is counted.
        let Self { units, line, closed_from: _, drain_waiters, sink, alarm: _, counts } = self;
        units.is_none()
            && line.len() == 0
            && drain_waiters.len() == 0
            && sink.is_none()
            && *counts == LazyCounts::default()
    }
}
