//! The packed state word: everything the fast path reads and changes, in 64 bits.
//!
//! ```text
//!  63      62            32 31            0
//! +------+-----------------+---------------+
//! | SLOW |   admissions    |  free units   |
//! +------+-----------------+---------------+
//! ```
//!
//! It owns the bit arithmetic and the rule of the fast path, as pure functions from a word to the next
//! one. It does not own the atomic, nor the question of when a word must be slow: that is the gate's.

/// The most units a gate may have: they fit in the low half of the word with a bit to spare.
pub(crate) const MAX_UNITS: u32 = (1 << 31) - 1;

const SLOW: u64 = 1 << 63;
const ADMISSION: u64 = 1 << 32;
const ADMISSIONS: u64 = SLOW - ADMISSION;
const FREE: u64 = ADMISSION - 1;

/// Set once 2^30 admissions have been counted in the word: the next one is made under the lock, which
/// folds the field into a wider counter. Folding no earlier is what keeps a word from coming back
/// while somebody still holds an old copy of it.
const FOLD_DUE: u64 = ADMISSION << 30;

/// One value of the state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// A word with these free units and nothing admitted yet.
    pub(crate) fn new(free: u32, slow: bool) -> Self {
        debug_assert!(free <= MAX_UNITS);
        Self(u64::from(free)).with_slow(slow)
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn free(self) -> u32 {
        (self.0 & FREE) as u32
    }

    /// Admissions since the last fold, and one for every resize.
    pub(crate) fn admissions(self) -> u32 {
        ((self.0 & ADMISSIONS) >> 32) as u32
    }

    #[inline]
    pub(crate) fn is_slow(self) -> bool {
        self.0 & SLOW != 0
    }

    /// The bit to set in the atomic so that everybody else goes through the lock.
    pub(crate) const fn slow_bit() -> u64 {
        SLOW
    }

    pub(crate) fn with_slow(self, slow: bool) -> Self {
        Self(if slow { self.0 | SLOW } else { self.0 & !SLOW })
    }

    /// The rule of the fast path: the word after admitting `cost` units, or `None` where only the lock
    /// may decide. `floor` is the number of free units below which a new peak would be set.
    #[inline]
    pub(crate) fn admit_fast(self, cost: u32, floor: u32) -> Option<Self> {
        if self.0 & (SLOW | FOLD_DUE) != 0 {
            return None;
        }
        debug_assert!(cost > 0, "a weighted word is always slow, and every other cost is 1");
        let left = self.free().checked_sub(cost)?;
        (left >= floor).then(|| self.admit(cost))
    }

    /// The word after giving back `cost` units without the lock, or `None` while it is slow.
    #[inline]
    pub(crate) fn release_fast(self, cost: u32) -> Option<Self> {
        (!self.is_slow()).then(|| self.give(cost))
    }

    /// One admission of `cost` units, which are free.
    #[inline]
    pub(crate) fn admit(self, cost: u32) -> Self {
        debug_assert!(self.free() >= cost, "{cost} units admitted of {} free", self.free());
        Self(self.0 - u64::from(cost) + ADMISSION)
    }

    /// `units` more are free.
    #[inline]
    pub(crate) fn give(self, units: u32) -> Self {
        debug_assert!(u64::from(self.free()) + u64::from(units) <= u64::from(MAX_UNITS));
        Self(self.0 + u64::from(units))
    }

    /// `units` fewer are free, and nobody was admitted: a shrink.
    pub(crate) fn take(self, units: u32) -> Self {
        debug_assert!(self.free() >= units);
        Self(self.0 - u64::from(units))
    }

    /// The same units under a word nobody has seen before: what a resize leaves behind.
    pub(crate) fn renew(self) -> Self {
        Self(self.0 + ADMISSION)
    }

    /// Moves the admissions out of the word once they are many.
    pub(crate) fn fold(self) -> Option<(Self, u32)> {
        (self.0 & FOLD_DUE != 0).then(|| (Self(self.0 & !ADMISSIONS), self.admissions()))
    }

    /// A word this many admissions on, for models that start at the edge of a fold.
    #[cfg(test)]
    pub(crate) fn aged(self, admissions: u32) -> Self {
        Self(self.0 + ADMISSION * u64::from(admissions))
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_do_not_touch_each_other() {
        let word = Word::new(MAX_UNITS, true).aged((1 << 30) - 1);
        assert_eq!(word.free(), MAX_UNITS);
        assert_eq!(word.admissions(), (1 << 30) - 1);
        assert!(word.is_slow());
        let open = word.with_slow(false);
        assert_eq!(
            (open.free(), open.admissions(), open.is_slow()),
            (MAX_UNITS, (1 << 30) - 1, false)
        );
        let taken = open.admit(MAX_UNITS);
        assert_eq!((taken.free(), taken.admissions()), (0, 1 << 30));
    }

    #[test]
    fn the_fast_path_is_refused_below_the_cost_below_the_floor_when_slow_and_when_a_fold_is_due() {
        let word = Word::new(5, false);
        assert_eq!(word.admit_fast(3, 2), Some(word.admit(3)));
        assert_eq!(word.admit_fast(3, 3), None, "a new peak is set under the lock");
        assert_eq!(word.admit_fast(6, 0), None, "too few units");
        assert_eq!(word.with_slow(true).admit_fast(1, 0), None);
        assert_eq!(word.aged(1 << 30).admit_fast(1, 0), None);
        assert!(word.aged((1 << 30) - 1).admit_fast(1, 0).is_some());
        assert_eq!(word.with_slow(true).release_fast(1), None);
        assert_eq!(word.release_fast(2).map(Word::free), Some(7));
    }

    #[test]
    fn a_fold_takes_exactly_the_admissions() {
        let word = Word::new(7, true).aged(1 << 30).admit(2);
        assert_eq!(word.fold(), Some((Word::new(5, true), (1 << 30) + 1)));
        assert_eq!(Word::new(7, true).aged((1 << 30) - 1).fold(), None);
    }
}
