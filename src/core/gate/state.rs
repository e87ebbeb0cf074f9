//! What the lock of a gate protects.

use crate::{
    core::{
        gate::{
            Gate, GateKind,
            counts::{Counts, RareCounts, Units},
            effects::SharedAudience,
        },
        limits::alarm_state::Watch,
        line::Line,
        rejection::Clerk,
    },
    sync::Ordering,
};

/// What the lock protects. The numbered invariants are in the documentation of [`core`](super).
///
/// In this order, here and in what it is made of: what a hand-over looks at comes first, so that a processor that
/// comes after another one fetches few cache lines.
#[derive(Debug)]
#[repr(C)]
pub(in crate::core) struct State {
    pub(in crate::core) rare: Option<Box<Rare>>,
    pub(in crate::core) capacity: u32,
    /// Units in use and units that the word may hand out, together.
    pub(in crate::core) reach: u32,
    pub(in crate::core) is_closed: bool,
    pub(in crate::core) is_drained: bool,
    /// Whether `rare` is given up whenever there is no need of it.
    pub(in crate::core) is_frugal: bool,
    /// Admissions but for those that are counted in the word.
    pub(in crate::core) admitted: u64,
    pub(in crate::core) counts: Counts,
    pub(in crate::core) sequence: u64,
    /// None in a gate among very many, which share one, and in one that rejects nobody.
    pub(in crate::core) clerk: Option<Clerk>,
}

/// What most gates do without most of the time. A weighted gate has it always. It begins a cache line: see
/// [`State`].
#[derive(Debug)]
#[repr(C, align(64))]
pub(in crate::core) struct Rare {
    pub(in crate::core) line: Line,
    pub(in crate::core) audience: Option<SharedAudience>,
    /// Present in a weighted gate only.
    pub(in crate::core) units: Option<Units>,
    /// The number of the first who waited when the gate closed.
    pub(in crate::core) closed_from: Option<u64>,
    /// Those who wait for the drain, in a line of their own.
    pub(in crate::core) drains: Line,
    pub(in crate::core) watch: Option<Watch>,
    pub(in crate::core) counts: RareCounts,
}

impl State {
    pub(in crate::core) fn new(capacity: u32, kind: GateKind, clerk: Option<Clerk>) -> Self {
        Self {
            capacity,
            reach: 0,
            is_closed: false,
            is_drained: false,
            is_frugal: kind == GateKind::Partition,
            sequence: 0,
            admitted: 0,
            counts: Counts::default(),
            rare: (kind == GateKind::Weighted).then(|| Rare::new(Some(Units::default()), 0)),
            clerk,
        }
    }

    /// What is counted in units besides, in a weighted gate.
    #[inline]
    pub(in crate::core) fn units(&self) -> Option<&Units> {
        self.rare.as_ref().and_then(|rare| rare.units.as_ref())
    }

    #[inline]
    pub(in crate::core) fn units_mut(&mut self) -> Option<&mut Units> {
        self.rare.as_mut().and_then(|rare| rare.units.as_mut())
    }

    #[inline]
    pub(in crate::core) fn waiting(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.line.len())
    }

    #[inline]
    pub(in crate::core) fn head_cost(&self) -> Option<u32> {
        self.rare.as_ref().and_then(|rare| rare.line.head_cost())
    }

    /// The rare part. A line that is made anew goes on with the numbers after those that `gate` called.
    #[inline]
    pub(in crate::core) fn rare(&mut self, gate: &Gate) -> &mut Rare {
        self.rare.get_or_insert_with(|| Rare::new(None, gate.called.load(Ordering::Relaxed)))
    }

    #[inline]
    pub(in crate::core) fn audience(&self) -> Option<&SharedAudience> {
        self.rare.as_ref().and_then(|rare| rare.audience.as_ref())
    }
}

impl Rare {
    fn new(units: Option<Units>, next: u64) -> Box<Self> {
        Box::new(Self {
            units,
            line: Line::new(next),
            closed_from: None,
            drains: Line::new(0),
            audience: None,
            watch: None,
            counts: RareCounts::default(),
        })
    }

    /// Whether nothing would be lost with it.
    pub(in crate::core) fn is_needless(&self) -> bool {
        // Whoever was closed out is counted.
        let Self { units, line, closed_from: _, drains, audience, watch: _, counts } = self;
        units.is_none()
            && line.len() == 0
            && drains.len() == 0
            && audience.is_none()
            && *counts == RareCounts::default()
    }
}
