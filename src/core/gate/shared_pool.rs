//! The pool of a bulkhead whose partitions share a capacity, under one lock.
//!
//! It owns who is a member and how the gate of a member is reached, what members that are gone still owe, and the peaks of
//! the whole. Who gets a seat and who gets a place to wait is up to `core::pool`.
//!
//! The lock comes before that of a gate. The gate of a member is locked under it by whoever changes what is in use or waits
//! there: so the state of a member and of its gate agree. While it is held, gates may be locked one within the other.

use std::fmt;

use crate::{
    core::{
        clock::Nanos,
        gate::{Gate, state::LazyState},
        pool::rules::{PoolLimits, PoolState, Rules, Share},
    },
    sync::{Arc, Mutex, MutexGuard, Ordering, UnexploredBool, Weak},
};

/// How many of those that are gone are remembered.
const DEBTS: usize = 256;

/// A gate that is a member of a pool.
pub(crate) trait PooledGate: Send + Sync {
    fn gate(&self) -> &Gate;
}

/// A pool and its lock.
#[derive(Debug)]
pub(crate) struct SharedPool {
    pool: Mutex<Pool>,
    /// Whether a section will probably need the time.
    is_pressed: UnexploredBool,
}

/// The state under the lock.
pub(crate) struct Pool {
    pub(crate) rules: Rules,
    /// The gates by member.
    gates: Vec<Option<Weak<dyn PooledGate>>>,
    debts: Option<Box<[Debt; DEBTS]>>,
    /// Kept for gates whose lines begin.
    #[expect(clippy::vec_box, reason = "they are moved in and out as boxes")]
    pub(in crate::core) spare: Vec<Box<LazyState>>,
    /// The members in front of which somebody stands.
    pub(in crate::core) standing: Vec<u32>,
}

/// What a member had used above the others when it went. It is not forgiven if it comes back.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    hash: u32,
    level: u64,
}

/// What a pool is like at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolSnapshot {
    pub(crate) state: PoolState,
    /// In nanoseconds.
    pub(crate) pressure: u64,
}

impl SharedPool {
    /// Boxed, because it is large and few bulkheads have one.
    #[inline(never)]
    pub(crate) fn boxed(limits: PoolLimits) -> Box<Self> {
        let pool = Pool {
            rules: Rules::new(limits),
            gates: Vec::new(),
            debts: None,
            spare: Vec::new(),
            standing: Vec::new(),
        };
        Box::new(Self { pool: Mutex::new(pool), is_pressed: UnexploredBool::new(false) })
    }

    #[inline]
    pub(in crate::core) fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock()
    }

    #[inline]
    pub(in crate::core) fn seems_pressed(&self) -> bool {
        self.is_pressed.load(Ordering::Relaxed)
    }

    /// Publishes whether there is pressure. Under the lock.
    #[inline]
    pub(in crate::core) fn publish(&self, is_pressed: bool) {
        if self.seems_pressed() != is_pressed {
            self.is_pressed.store(is_pressed, Ordering::Relaxed);
        }
    }

    /// Adds the gate of a key with this hash, which nobody else can reach yet.
    pub(crate) fn add(&self, gate: &Arc<impl PooledGate + 'static>, hash: u32, share: Share) {
        let weak: Weak<dyn PooledGate> = Arc::downgrade(gate) as Weak<dyn PooledGate>;
        let mut pool = self.lock();
        let debt = pool.take_debt(hash);
        let member = pool.rules.add(gate.gate().capacity(), share, debt);
        if pool.gates.len() <= member as usize {
            pool.gates.resize_with(member as usize + 1, || None);
        }
        pool.gates[member as usize] = Some(weak);
        gate.gate().become_member(member);
    }

    /// Removes the gate of a key with this hash: nobody uses it, and nobody can reach it. Without `keeps_debt`, it may begin
    /// anew.
    pub(crate) fn remove(&self, gate: &Gate, hash: u32, keeps_debt: bool) {
        let mut pool = self.lock();
        let Some(member) = gate.leave_pool() else { return };
        let debt = pool.rules.remove(member).filter(|_| keeps_debt);
        let gone = pool.gates[member as usize].take();
        if pool.rules.is_empty() {
            pool.gates = Vec::new();
        }
        if let Some(level) = debt {
            pool.keep_debt(Debt { hash, level });
        }
        drop(pool);
        // The last reference to a gate that is gone frees its memory.
        drop(gone);
    }

    pub(crate) fn snapshot(&self, now: Nanos) -> PoolSnapshot {
        let pool = self.lock();
        PoolSnapshot { state: pool.rules.state(), pressure: pool.rules.pressure(now) }
    }

    /// Whether a newcomer of this gate would get a seat, and whether it would get a place to wait, as far as the pool is concerned.
    pub(crate) fn offers(&self, gate: &Gate) -> (bool, bool) {
        let pool = self.lock();
        let has_place = gate.member().is_none_or(|member| pool.rules.has_place(member));
        (pool.rules.has_seat(), has_place)
    }

    /// Returns the share of a gate, and its seat time in nanoseconds.
    pub(crate) fn share_of(&self, gate: &Gate, now: Nanos) -> Option<(Share, u64)> {
        let mut pool = self.lock();
        let member = gate.member()?;
        pool.rules.clock(now);
        Some((pool.rules.share(member), pool.rules.seat_time(member)))
    }
}

impl Pool {
    /// Returns the gate of a member that somebody waits or stands at, and who keeps it alive so.
    pub(in crate::core) fn gate_of(&self, member: u32) -> Option<Arc<dyn PooledGate>> {
        self.gates[member as usize].as_ref()?.upgrade()
    }

    pub(in crate::core) fn release_fast(&mut self, member: u32) -> bool {
        self.standing.is_empty() && self.rules.release_fast(member)
    }

    fn keep_debt(&mut self, debt: Debt) {
        let level = self.rules.level();
        let debts = self.debts.get_or_insert_with(|| Box::new([Debt::default(); DEBTS]));
        let former = &mut debts[debt.hash as usize % DEBTS];
        // A debtor is displaced by a larger one only, as long as it is one.
        if former.level <= level || former.level < debt.level {
            *former = debt;
        }
    }

    fn take_debt(&mut self, hash: u32) -> Option<u64> {
        let debt = &mut self.debts.as_mut()?[hash as usize % DEBTS];
        (debt.hash == hash && debt.level > 0).then(|| std::mem::take(debt).level)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("rules", &self.rules).finish_non_exhaustive()
    }
}
