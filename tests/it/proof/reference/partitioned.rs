//! The reference for section 5 of the contract: a bulkhead for each key, created on first use.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bulklink::Totals;

use super::{
    bulkhead::{Holds, Id, LeaveReason, Model, Outcome, Phase, Terms, WorkEnd, late},
    observed::Reason,
};

pub(crate) type Key = u8;

/// The key whose limits are invalid.
pub(crate) const INVALID: Key = 4;
/// The key whose limits panic.
pub(crate) const PANICKING: Key = 5;

#[derive(Clone, Debug)]
pub(crate) struct PartitionedModel {
    pub(crate) now: Duration,
    pub(crate) max: usize,
    pub(crate) idle_timeout: Duration,
    capacity: usize,
    room: usize,
    pub(crate) partitions: BTreeMap<Key, Model>,
    /// Idle partitions and since when they are idle, the longest idle first.
    idle: VecDeque<(Key, Duration)>,
    keys: BTreeMap<Id, Key>,
    phase: Phase,
    pub(crate) created: u64,
    pub(crate) evicted: u64,
    pub(crate) discarded: u64,
    partition_limited: u64,
    invalid_limits: u64,
    key_refused: u64,
    /// The limits that were set for keys: `None` if a key is refused, and a room only if it was set too.
    overrides: BTreeMap<Key, Option<(usize, Option<usize>)>>,
    pub(crate) peak: usize,
    pub(crate) closed_before_queue: u64,
    pub(crate) bypassed: u64,
    pub(crate) missing_key: u64,
    /// Operations that expired on arrival while their key had no partition.
    late: u64,
    /// Those of them whose deadline had passed.
    late_by_deadline: u64,
    /// The removed partitions, as they were then.
    removed: Vec<Model>,
    pub(crate) called: Vec<Id>,
}

/// Returns the capacity and the waiting room of a key with valid limits.
pub(crate) fn limits(key: Key, capacity: usize, room: usize) -> (usize, usize) {
    if key == 3 { (capacity + 1, 0) } else { (capacity, room) }
}

impl PartitionedModel {
    pub(crate) fn new(capacity: usize, room: usize, max: usize, idle_timeout: Duration) -> Self {
        Self {
            now: Duration::ZERO,
            max,
            idle_timeout,
            capacity,
            room,
            partitions: BTreeMap::new(),
            idle: VecDeque::new(),
            keys: BTreeMap::new(),
            phase: Phase::Open,
            created: 0,
            evicted: 0,
            discarded: 0,
            partition_limited: 0,
            invalid_limits: 0,
            key_refused: 0,
            overrides: BTreeMap::new(),
            peak: 0,
            closed_before_queue: 0,
            bypassed: 0,
            missing_key: 0,
            late: 0,
            late_by_deadline: 0,
            removed: Vec::new(),
            called: Vec::new(),
        }
    }

    /// Runs `act` on the partition of `key`, and updates whether the partition is idle.
    fn with_partition<T>(&mut self, key: Key, act: impl FnOnce(&mut Model) -> T) -> T {
        self.idle.retain(|&(idle, _)| idle != key);
        let partition = self.partitions.get_mut(&key).unwrap();
        partition.now = self.now;
        let output = act(partition);
        self.called.append(&mut partition.called);
        if !partition.is_in_use() {
            if self.phase >= Phase::Draining {
                self.remove(key);
                self.evicted += 1;
            } else {
                self.idle.push_back((key, self.now));
            }
        }
        output
    }

    fn remove(&mut self, key: Key) {
        self.removed.push(self.partitions.remove(&key).unwrap());
    }

    /// Removes the partitions that have been idle for the timeout, and returns how many.
    pub(crate) fn clean_up(&mut self) -> usize {
        let mut count = 0;
        while let Some(&(key, since)) = self.idle.front() {
            if self.now - since < self.idle_timeout {
                break;
            }
            self.idle.pop_front();
            self.remove(key);
            self.evicted += 1;
            count += 1;
        }
        count
    }

    /// Creates the partition of a new key, if the limit on partitions allows it.
    fn create(&mut self, key: Key, terms: &Terms) -> Result<(), Reason> {
        if self.phase >= Phase::Draining {
            self.closed_before_queue += 1;
            return Err(Reason::Closed);
        }
        // An operation that has already expired needs no partition.
        let is_late = terms.deadline.is_some_and(|deadline| self.now >= deadline);
        if is_late || terms.limit == Some(Duration::ZERO) {
            self.late += 1;
            self.late_by_deadline += u64::from(is_late);
            return Err(late(is_late));
        }
        let (capacity, room) = match self.limits(key) {
            Ok(limits) => limits,
            Err(Reason::KeyRefused) => {
                self.key_refused += 1;
                return Err(Reason::KeyRefused);
            }
            Err(reason) => {
                self.invalid_limits += 1;
                return Err(reason);
            }
        };
        self.clean_up();
        self.make_room(self.max - 1);
        if self.partitions.len() >= self.max {
            self.partition_limited += 1;
            let active = self.partitions.len();
            return Err(Reason::PartitionLimit { max: self.max, active });
        }
        let mut partition = Model::new(capacity, room);
        partition.is_partition = true;
        if self.phase == Phase::Paused {
            partition.pause();
        }
        self.partitions.insert(key, partition);
        self.created += 1;
        self.peak = self.peak.max(self.partitions.len());
        Ok(())
    }

    /// Removes idle partitions, the longest idle first, until at most `most` are left.
    fn make_room(&mut self, most: usize) {
        while self.partitions.len() > most {
            let Some((oldest, _)) = self.idle.pop_front() else { return };
            self.remove(oldest);
            self.evicted += 1;
        }
    }

    /// Returns the limits of a key: those that were set, or else those that `limits_for` gives it.
    fn limits(&self, key: Key) -> Result<(usize, usize), Reason> {
        let chosen = match key {
            INVALID => Err(Reason::InvalidLimits),
            PANICKING => Err(Reason::LimitsPanicked),
            key => Ok(limits(key, self.capacity, self.room)),
        };
        match self.overrides.get(&key) {
            None => chosen,
            Some(None) => Err(Reason::KeyRefused),
            Some(Some((capacity, Some(room)))) => Ok((*capacity, *room)),
            Some(Some((capacity, None))) => chosen.map(|(_, room)| (*capacity, room)),
        }
    }

    /// Applies the limits of a key to its partition.
    fn refit(&mut self, key: Key) {
        let limits = match self.limits(key) {
            Ok(limits) => Some(limits),
            Err(Reason::KeyRefused) => None,
            Err(_) => return,
        };
        self.with_limits(key, limits);
    }

    fn with_limits(&mut self, key: Key, limits: Option<(usize, usize)>) {
        if let Some(partition) = self.partitions.get_mut(&key) {
            partition.now = self.now;
            partition.set_limits(limits);
            self.called.append(&mut partition.called);
        }
    }

    pub(crate) fn arrive(&mut self, id: Id, key: Key, terms: Terms) -> Outcome {
        if !self.partitions.contains_key(&key) {
            if let Err(reason) = self.create(key, &terms) {
                return Outcome::Rejected(reason);
            }
        }
        self.keys.insert(id, key);
        let is_late = terms.deadline.is_some_and(|deadline| self.now >= deadline)
            || terms.limit == Some(Duration::ZERO);
        let partition = self.partitions.get_mut(&key).unwrap();
        if is_late && !partition.is_in_use() {
            // It does not use the partition, which goes on being idle.
            partition.now = self.now;
            return partition.arrive(id, terms);
        }
        self.with_partition(key, |partition| partition.arrive(id, terms))
    }

    pub(crate) fn poll_waiter(&mut self, id: Id) -> Outcome {
        self.with_partition(self.keys[&id], |partition| partition.poll_waiter(id))
    }

    pub(crate) fn release(&mut self, id: Id, end: WorkEnd) {
        self.with_partition(self.keys[&id], |partition| partition.release(id, end));
    }

    pub(crate) fn leave(&mut self, id: Id, reason: LeaveReason) {
        self.with_partition(self.keys[&id], |partition| partition.leave(id, reason));
    }

    /// Counts a body that was dropped before its end, for the operation that held a slot for it.
    pub(crate) fn end_body_early(&mut self, id: Id) {
        self.partitions.get_mut(&self.keys[&id]).unwrap().totals.bodies_ended_early += 1;
    }

    pub(crate) fn resize(&mut self, key: Key, capacity: usize) -> bool {
        if !self.partitions.contains_key(&key) || capacity == 0 || self.phase() == Phase::Closed {
            return false;
        }
        let before = self.overrides.get(&key).copied();
        let set = match before {
            Some(None) => None,
            Some(Some((_, room))) => Some((capacity, room)),
            None => Some((capacity, None)),
        };
        self.keep(key, set);
        if set.is_some() {
            let room = self.partitions[&key].room;
            self.with_limits(key, Some((capacity, room)));
        }
        true
    }

    /// Sets the limits of a key, or refuses it. Returns whether that was possible.
    pub(crate) fn set_limits(&mut self, key: Key, limits: Option<(usize, usize)>) -> bool {
        if limits.is_some_and(|(capacity, _)| capacity == 0) || self.phase() == Phase::Closed {
            return false;
        }
        self.keep(key, limits.map(|(capacity, room)| (capacity, Some(room))));
        self.with_limits(key, limits);
        true
    }

    /// Keeps the limits of a key, unless no newcomer will have them.
    fn keep(&mut self, key: Key, limits: Option<(usize, Option<usize>)>) {
        if self.phase < Phase::Draining {
            self.overrides.insert(key, limits);
        }
    }

    /// Removes the limits that were set for a key. Returns whether there were any.
    pub(crate) fn clear_limits(&mut self, key: Key) -> bool {
        let is_cleared = self.phase() != Phase::Closed && self.overrides.remove(&key).is_some();
        if is_cleared {
            self.refit(key);
        }
        is_cleared
    }

    pub(crate) fn overrides(&self) -> usize {
        self.overrides.len()
    }

    /// Changes what is given. Returns whether that was possible.
    pub(crate) fn reconfigure(
        &mut self,
        max: Option<usize>,
        idle_timeout: Option<Duration>,
    ) -> bool {
        let is_invalid = max == Some(0) || idle_timeout == Some(Duration::ZERO);
        if is_invalid || self.phase() == Phase::Closed {
            return false;
        }
        let before = self.max;
        self.max = max.unwrap_or(self.max);
        self.idle_timeout = idle_timeout.unwrap_or(self.idle_timeout);
        if self.max < before {
            self.make_room(self.max);
        }
        true
    }

    pub(crate) fn discard(&mut self, key: Key) -> bool {
        let is_idle = self.idle.iter().any(|&(idle, _)| idle == key);
        if is_idle {
            self.idle.retain(|&(idle, _)| idle != key);
            self.remove(key);
            self.discarded += 1;
        }
        is_idle
    }

    /// Returns the phase of the whole: closed once nobody waits.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase {
            Phase::Draining if self.sum(Model::waiting) == 0 => Phase::Closed,
            phase => phase,
        }
    }

    fn with_each(&mut self, act: impl Fn(&mut Model)) {
        for partition in self.partitions.values_mut() {
            partition.now = self.now;
            act(partition);
            self.called.append(&mut partition.called);
        }
    }

    pub(crate) fn pause(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Paused;
            self.with_each(Model::pause);
        }
    }

    pub(crate) fn resume(&mut self) {
        if self.phase == Phase::Paused {
            self.phase = Phase::Open;
            self.with_each(Model::resume);
        }
    }

    pub(crate) fn drain(&mut self) {
        if self.phase < Phase::Draining {
            self.phase = Phase::Draining;
            self.with_each(Model::drain);
            self.remove_idle();
        }
    }

    pub(crate) fn close(&mut self) {
        self.phase = Phase::Closed;
        self.with_each(Model::close);
        self.remove_idle();
    }

    fn remove_idle(&mut self) {
        self.overrides.clear();
        // Idle partitions go at once, and the others when they become idle.
        while let Some((key, _)) = self.idle.pop_front() {
            self.remove(key);
            self.evicted += 1;
        }
    }

    pub(crate) fn active(&self) -> usize {
        self.partitions.values().filter(|partition| partition.is_in_use()).count()
    }

    pub(crate) fn sum(&self, number: impl Fn(&Model) -> usize) -> usize {
        self.partitions.values().map(number).sum()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.phase() == Phase::Closed && self.sum(Model::in_flight) == 0
    }

    /// Returns all partitions, also those that were removed.
    fn all(&self) -> impl Iterator<Item = &Model> {
        self.partitions.values().chain(&self.removed)
    }

    /// Returns how many partitions have waiters, and for how long these have been under pressure together.
    pub(crate) fn pressure(&self) -> (usize, Duration) {
        let since = self.partitions.values().filter_map(|partition| partition.pressed_since);
        (since.clone().count(), since.map(|since| self.now - since).sum())
    }

    /// Returns the waits of all partitions: of admitted waiters, and of cancelled ones.
    pub(crate) fn waits(&self) -> [Vec<Duration>; 2] {
        let waits = self.all().flat_map(|partition| &partition.waits).copied().collect();
        let patience = self.all().flat_map(|partition| &partition.patience).copied().collect();
        [waits, patience]
    }

    pub(crate) fn holds(&self) -> Holds {
        self.all().fold(Holds::default(), |sum, Model { holds, .. }| Holds {
            completed: sum.completed + holds.completed,
            time: sum.time + holds.time,
            unit_time: sum.unit_time + holds.unit_time,
            untimed: sum.untimed + holds.untimed,
            untimed_cut_short: sum.untimed_cut_short + holds.untimed_cut_short,
        })
    }

    /// Returns the totals, summed over all present and removed partitions.
    pub(crate) fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        sum.closed_before_queue = self.closed_before_queue;
        sum.bypassed = self.bypassed;
        sum.expired_before_queue = self.late;
        sum.expired_before_queue_by_deadline = self.late_by_deadline;
        sum.partition_limited = self.partition_limited;
        sum.invalid_limits = self.invalid_limits;
        sum.key_refused = self.key_refused;
        sum.missing_key = self.missing_key;
        for Model { totals, .. } in self.all() {
            sum.admitted += totals.admitted;
            sum.admitted_units += totals.admitted_units;
            sum.admitted_from_queue += totals.admitted_from_queue;
            sum.admitted_from_queue_units += totals.admitted_from_queue_units;
            sum.abandoned += totals.abandoned;
            sum.abandoned_units += totals.abandoned_units;
            sum.queued += totals.queued;
            sum.queued_units += totals.queued_units;
            sum.saturated += totals.saturated;
            sum.expired += totals.expired;
            sum.expired_before_queue += totals.expired_before_queue;
            sum.cancelled += totals.cancelled;
            sum.closed_before_queue += totals.closed_before_queue;
            sum.closed_while_waiting += totals.closed_while_waiting;
            sum.paused += totals.paused;
            sum.key_refused += totals.key_refused;
            sum.oversized += totals.oversized;
            sum.invalid_cost += totals.invalid_cost;
            sum.finished += totals.finished;
            sum.finished_units += totals.finished_units;
            sum.cut_short += totals.cut_short;
            sum.cut_short_units += totals.cut_short_units;
            sum.abandoned_by_deadline += totals.abandoned_by_deadline;
            sum.expired_by_deadline += totals.expired_by_deadline;
            sum.expired_before_queue_by_deadline += totals.expired_before_queue_by_deadline;
            sum.bodies_ended_early += totals.bodies_ended_early;
            sum.wait_time += totals.wait_time;
            sum.cancelled_wait_time += totals.cancelled_wait_time;
            sum.expired_wait_time += totals.expired_wait_time;
            sum.pressure_time += totals.pressure_time;
        }
        sum
    }
}
