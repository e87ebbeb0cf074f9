//! Which operations are timed, and the stamp by which a permit carries the time of its admission.
//!
//! Operations that are admitted from the line are all timed: a hand-over has read the clock anyway. Of the others about
//! one in [`GAP`] is, by a count-down of the thread with random gaps. A count-down of the thread needs no shared memory.
//! The gaps are random because traffic may be periodic: of operations that alternate, every 64th is always of one kind.

use std::cell::Cell;

use tokio::time::Instant;

use crate::{
    core::{
        clock::{self, Nanos},
        gate::times::Hold,
    },
    sync::{Ordering, UnexploredU32, unique_number},
};

/// How many operations a sampled one stands for: the mean of the gaps.
pub(super) const GAP: u32 = 64;

const LONGEST_GAP: u32 = 2 * GAP - 1;

thread_local! {
    /// Operations until the next sample. 0 before the first one.
    static COUNT_DOWN: Cell<u32> = const { Cell::new(0) };
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

/// Whether to time this operation, and since when.
#[inline(always)]
fn sample() -> Stamp {
    // Models explore schedules, which may not depend on a count that goes on from one to the next.
    if cfg!(all(test, bulklink_loom)) {
        return Stamp::NONE;
    }
    let sample = |count_down: &Cell<u32>| {
        let left = count_down.get();
        if left > 1 {
            count_down.set(left - 1);
            return Stamp::NONE;
        }
        restart(count_down)
    };
    // The units are taken by now, so nothing may panic, also at the end of a thread.
    COUNT_DOWN.try_with(sample).unwrap_or(Stamp::NONE)
}

/// Draws the next gap, from 1 to 127 with equal chances.
#[cold]
#[inline(never)]
fn restart(count_down: &Cell<u32>) -> Stamp {
    let uniform = || 1 + (random() % u64::from(LONGEST_GAP)) as u32;
    if count_down.get() == 0 {
        // A thread begins somewhere within a gap: what is left of it is r with a chance of (128 - r) / (127 x 64). So
        // threads that do little are sampled as often as others.
        let mut left = uniform();
        while uniform() > LONGEST_GAP + 1 - left {
            left = uniform();
        }
        if left > 1 {
            count_down.set(left - 1);
            return Stamp::NONE;
        }
    }
    count_down.set(uniform());
    Stamp::sampled_at(Nanos::at(clock::now()))
}

/// SplitMix64, from Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
fn random() -> u64 {
    let next = |state: &Cell<u64>| {
        let seed = match state.get() {
            // Each thread begins elsewhere.
            0 => unique_number().wrapping_mul(0xD1B5_4A32_D192_ED03),
            seed => seed,
        };
        let next = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    RANDOM.try_with(next).unwrap_or(0)
}

/// When a timed operation was admitted, and how many operations it stands for, in 32 bits, so that it fits into a permit.
///
/// The time is in units of 2^13 ns, about 8 microseconds. It wraps after 4.9 hours, of which the last 18 minutes are taken for
/// a clock that went back: so holds of up to 4.5 hours are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

impl Stamp {
    /// The stamp of an operation that is not timed.
    pub(crate) const NONE: Self = Self(0);

    const SAMPLED: u32 = 1 << 31;
    const TICKS: u32 = Self::SAMPLED - 1;
    const TICK_POWER: u32 = 13;

    /// The stamp of an operation that the fast path admits, or that is admitted without having waited.
    #[inline(always)]
    pub(in crate::core) fn sampled() -> Self {
        sample()
    }

    fn sampled_at(now: Nanos) -> Self {
        Self(Self::timed(now).0 | Self::SAMPLED)
    }

    /// The stamp of an operation that is admitted from the line at this time.
    #[inline]
    pub(in crate::core) fn timed(at: Nanos) -> Self {
        // 0 is no time.
        Self((ticks(at) & Self::TICKS).max(1))
    }

    #[inline]
    pub(in crate::core) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline]
    pub(in crate::core) fn bits(self) -> u32 {
        self.0
    }

    /// How long an operation of this stamp has held its slot by now; `None` if it is not timed.
    #[inline]
    pub(in crate::core) fn hold(self, now: Nanos, cost: u32, cut_short: bool) -> Option<Hold> {
        if self == Self::NONE {
            return None;
        }
        let ticks = ticks(now).wrapping_sub(self.0) & Self::TICKS;
        // The end of the range lies before the stamp: the clock of another runtime, or one that was paused.
        let ticks = if ticks > Self::TICKS / 16 * 15 { 0 } else { ticks };
        let weight = if self.0 & Self::SAMPLED != 0 { GAP } else { 1 };
        Some(Hold { nanos: u64::from(ticks) << Self::TICK_POWER, cost, weight, cut_short })
    }
}

/// The stamps of the latest hand-overs of a gate, by the numbers of the waiters.
///
/// A waiter that is polled late finds its own stamp here although others have been called since. If too many have, it takes
/// the oldest stamp there is, and its hold seems shorter by the rest.
#[derive(Debug)]
pub(crate) struct HandOverStamps(Box<[UnexploredU32]>);

impl HandOverStamps {
    /// Stamps for as many as may be in use at once, within reason.
    pub(in crate::core) fn new(capacity: u32) -> Self {
        let len = capacity.clamp(64, 1024).next_power_of_two();
        Self((0..len).map(|_| UnexploredU32::new(Stamp::NONE.bits())).collect())
    }

    /// Sets the stamp of the waiter with this number, before the number is called. Under the lock.
    #[inline]
    pub(in crate::core) fn set(&self, number: u64, stamp: Stamp) {
        self.of(number).store(stamp.bits(), Ordering::Relaxed);
    }

    /// Returns the stamp of the waiter with this number, after all numbers below `called` have been called.
    #[inline]
    pub(in crate::core) fn get(&self, number: u64, called: u64) -> Stamp {
        let oldest = called.saturating_sub(self.0.len() as u64);
        Stamp(self.of(number.max(oldest)).load(Ordering::Relaxed))
    }

    #[inline]
    fn of(&self, number: u64) -> &UnexploredU32 {
        &self.0[number as usize & (self.0.len() - 1)]
    }
}

/// A point in time in units of 2^13 ns, of which only the difference to another one means something.
#[inline]
fn ticks(at: Nanos) -> u32 {
    (at.get() >> Stamp::TICK_POWER) as u32
}

/// A point in time in whole seconds after the epoch of this process.
pub(super) fn seconds(at: Instant) -> u32 {
    (Nanos::at(at).get() / 1_000_000_000).clamp(0, u32::MAX.into()) as u32
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn gaps_are_from_1_to_127_and_64_on_average() {
        let (mut gaps, mut gap) = (Vec::new(), 0_u32);
        while gaps.len() < 20_000 {
            gap += 1;
            if sample() != Stamp::NONE {
                gaps.push(gap);
                gap = 0;
            }
        }
        // The first one begins wherever this thread stood.
        let gaps = &gaps[1..];
        assert_eq!((gaps.iter().min(), gaps.iter().max()), (Some(&1), Some(&127)));
        let mean = gaps.iter().map(|&gap| f64::from(gap)).sum::<f64>() / gaps.len() as f64;
        // The standard deviation of the mean is 36.7 / sqrt(20,000) = 0.26.
        assert!((mean - f64::from(GAP)).abs() < 1.3, "{mean}");
    }

    #[test]
    fn a_hold_is_the_time_since_the_stamp_on_either_side_of_the_epoch() {
        let second = Duration::from_secs(1);
        let tick = Duration::from_nanos(1 << Stamp::TICK_POWER);
        let epoch = Nanos::at(Instant::now());
        let before = Instant::now().checked_sub(100 * second).map_or(epoch, Nanos::at);
        for start in [epoch, epoch.plus(10_000 * second), before] {
            for held in [Duration::ZERO, 20 * second / 1000, second, 3600 * second] {
                let hold = Stamp::timed(start).hold(start.plus(held), 3, false).unwrap();
                let difference = hold.nanos.abs_diff(held.as_nanos() as u64);
                assert!(u128::from(difference) <= 2 * tick.as_nanos(), "{held:?}: {}", hold.nanos);
                assert_eq!((hold.cost, hold.weight), (3, 1));
            }
        }
        assert_eq!(
            Stamp::sampled_at(epoch).hold(epoch, 1, true).map(|hold| hold.weight),
            Some(GAP)
        );
        assert!(Stamp::NONE.hold(epoch, 1, false).is_none());
    }

    #[test]
    fn a_clock_that_goes_back_holds_no_time() {
        let now = Nanos::at(Instant::now());
        let hold = Stamp::timed(now.plus(Duration::from_secs(30))).hold(now, 1, false);
        assert_eq!(hold.map(|hold| hold.nanos), Some(0));
    }
}
