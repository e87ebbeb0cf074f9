//! How admitted operations end: completed, cut short or abandoned.
//!
//! It owns what is counted and timed then. Handing the units over is for `section`.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    core::{
        clock::{self, Nanos},
        gate::{
            Gate,
            effects::{Effects, EventKind},
            records::SharedRecords,
            sampling::Stamp,
            section::Section,
            times::Hold,
            word::Word,
        },
    },
    sync::Ordering,
};

/// How an admitted operation ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) enum Ending {
    /// It completed, and was not timed.
    Released,
    /// It was cut short.
    CutShort { hold: Option<Hold> },
    /// It never started.
    Abandoned(Abandonment),
}

/// Why an admitted operation never started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Abandonment {
    /// How long it had been there since it joined the line, if it did.
    pub(crate) waited: Option<Duration>,
    /// Its deadline had passed before it could start.
    pub(crate) by_deadline: bool,
}

impl Gate {
    /// Releases the units of an operation that has completed and is not timed.
    #[inline(always)]
    pub(crate) fn release<'a>(
        &'a self,
        cost: u32,
        shared: impl FnOnce() -> Option<&'a SharedRecords>,
    ) {
        if !self.release_fast(cost) {
            self.release_slow(cost, shared());
        }
    }

    #[cold]
    #[inline(never)]
    fn release_slow(&self, cost: u32, shared: Option<&SharedRecords>) {
        if !(self.is_pooled() && self.release_pooled(shared)) {
            self.end(cost, Ending::Released, self.time_if_busy(shared), shared);
        }
    }

    /// Releases the units of an operation that has completed and may be timed.
    #[cold]
    pub(crate) fn release_timed(&self, cost: u32, stamp: Stamp, shared: Option<&SharedRecords>) {
        let now = clock::now();
        let nanos = Nanos::at(now);
        let hold = stamp.hold(nanos, cost, false);
        if self.release_fast(cost) {
            let Some(hold) = hold else { return };
            match shared {
                Some(shared) => shared.times.lock().record(&hold),
                None => {
                    if let Some(own) = &mut self.state.lock().records {
                        own.times.record(&hold);
                    }
                }
            }
            return;
        }
        // As `end`, which would move the hold through memory.
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        section.set_now(Some(now));
        section.set_nanos(nanos);
        section.freeze();
        section.release(cost, hold.as_ref());
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Releases the units of an operation that was dropped or panicked before it had an outcome.
    #[cold]
    pub(crate) fn cut_short(&self, cost: u32, stamp: Stamp, shared: Option<&SharedRecords>) {
        let now = clock::now();
        let hold = stamp.hold(Nanos::at(now), cost, true);
        self.end(cost, Ending::CutShort { hold }, Some(now), shared);
    }

    /// Returns the units of an admitted operation that never started.
    #[cold]
    pub(crate) fn abandon(
        &self,
        cost: u32,
        abandonment: Abandonment,
        shared: Option<&SharedRecords>,
    ) {
        self.end(cost, Ending::Abandoned(abandonment), self.time_if_busy(shared), shared);
    }

    /// Releases units if no lock is needed for it.
    #[inline(always)]
    fn release_fast(&self, cost: u32) -> bool {
        let mut word = Word::from_bits(self.word.load(Ordering::Relaxed));
        while let Some(next) = word.release(cost) {
            match self.exchange(word, next) {
                Ok(()) => return true,
                Err(current) => word = current,
            }
        }
        false
    }

    #[cold]
    fn end(&self, cost: u32, ending: Ending, now: Option<Instant>, shared: Option<&SharedRecords>) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        section.set_now(now);
        section.freeze();
        section.give_back(cost, ending);
        section.settle();
        drop(section);
        effects.carry_out();
    }
}

impl Section<'_> {
    /// Takes back the units of an operation, and counts how it ended.
    #[inline]
    pub(in crate::core) fn give_back(&mut self, cost: u32, ending: Ending) {
        match ending {
            Ending::Released => self.release(cost, None),
            Ending::CutShort { hold } => {
                self.count_cut_short(cost);
                self.release(cost, hold.as_ref());
            }
            Ending::Abandoned(abandonment) => {
                self.take_back(cost);
                self.count_abandoned(cost, abandonment);
            }
        }
    }

    #[inline]
    fn release(&mut self, cost: u32, hold: Option<&Hold>) {
        self.take_back(cost);
        if let Some(hold) = hold {
            self.with_times(|times| times.record(hold));
        }
        self.record(EventKind::Released, |change| change.cost = Some(cost));
    }

    #[cold]
    fn count_cut_short(&mut self, cost: u32) {
        let state = &mut *self.state;
        state.counts.cut_short += 1;
        if let Some(units) = state.units_mut() {
            units.cut_short += u64::from(cost);
        }
    }

    #[cold]
    fn count_abandoned(&mut self, cost: u32, Abandonment { waited, by_deadline }: Abandonment) {
        let state = &mut *self.state;
        state.counts.abandoned += 1;
        if let Some(units) = state.units_mut() {
            units.abandoned += u64::from(cost);
        }
        if by_deadline {
            state.cold().abandoned_by_deadline += 1;
        }
        self.record(EventKind::Abandoned, |change| {
            change.cost = Some(cost);
            change.from_queue = waited.is_some();
            change.waited = waited;
        });
    }
}
