//! The packed state word: everything the fast path reads and changes, in 64 bits.
//!
//! ```text
//!  63     62         48 47        32 31         16 15         0
//! +------+-------------+------------+-------------+------------+
//! | SLOW |  admissions |   units    | operations  |   units    |
//! |      |   counted here since the |  that may be admitted    |
//! |      |       last section       |  without a new peak      |
//! +------+-------------+------------+-------------+------------+
//! ```
//!
//! It owns the bit arithmetic and the rule of the fast path, as pure functions from one word to the next. It
//! does not own the atomic, nor the decision how much a word may admit: that is made by the locked section.
//!
//! A fast admission depends on nothing but the word. So a compare-exchange that succeeds is correct even if
//! the word has changed and changed back since it was read (ABA).

/// The largest capacity of a gate, in units. It leaves one of 32 bits unused.
pub(crate) const MAX_UNITS: u32 = (1 << 31) - 1;

/// The most units, and the most operations, that a section lets a word admit. As much again may be released
/// into it before a guard bit is reached.
pub(in crate::core) const ALLOWANCE: u32 = (1 << 14) - 1;

/// The largest cost that the fast path releases in one step.
const MAX_FAST_COST: u32 = (1 << 15) - 1;

const SLOW: u64 = 1 << 63;

/// The first bit of each field but the lowest.
const OPERATIONS_AT: u32 = 16;
const COUNTED_UNITS_AT: u32 = 32;
const ADMISSIONS_AT: u32 = 48;

/// One in each field.
const UNIT: u64 = 1;
const OPERATION: u64 = 1 << OPERATIONS_AT;
const COUNTED_UNIT: u64 = 1 << COUNTED_UNITS_AT;
const ADMISSION: u64 = 1 << ADMISSIONS_AT;

/// The bits of a field. The highest one is a guard: an addition to a field whose guard is clear cannot carry
/// into the next field. The field of admissions, which are counted one by one, is one bit shorter.
const FIELD: u64 = (1 << 16) - 1;
const GUARD: u64 = 1 << 15;

/// The guards of the fields that a release adds to. A release that would set one of them goes through the
/// lock, where the excess is tracked.
const OVERFULL: u64 = GUARD | (GUARD << OPERATIONS_AT);

/// The guards of the counts. Once one of them is set, the next admission goes through the lock, which moves
/// the counts to wider integers.
const COUNT_DUE: u64 = (GUARD << COUNTED_UNITS_AT) | (SLOW >> 1);

/// One value of the state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// Creates a word that may admit this many units and operations, with all counts zero.
    #[inline]
    pub(in crate::core) fn new(units: u32, operations: u32, slow: bool) -> Self {
        debug_assert!(units <= ALLOWANCE && operations <= ALLOWANCE);
        let slow = if slow { SLOW } else { 0 };
        Self(slow | u64::from(units) | (u64::from(operations) << OPERATIONS_AT))
    }

    #[inline]
    pub(in crate::core) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(in crate::core) fn bits(self) -> u64 {
        self.0
    }

    /// Returns the units that may be admitted without a new peak.
    #[inline]
    pub(in crate::core) fn units(self) -> u32 {
        (self.0 & FIELD) as u32
    }

    /// Returns the operations that may be admitted without a new peak.
    #[inline]
    pub(in crate::core) fn operations(self) -> u32 {
        ((self.0 >> OPERATIONS_AT) & FIELD) as u32
    }

    /// Returns the admissions since the last section that froze the word.
    #[inline]
    pub(in crate::core) fn admissions(self) -> u64 {
        (self.0 & !SLOW) >> ADMISSIONS_AT
    }

    /// Returns the units admitted since the last section that froze the word.
    #[inline]
    pub(in crate::core) fn counted_units(self) -> u64 {
        (self.0 >> COUNTED_UNITS_AT) & FIELD
    }

    #[inline]
    pub(in crate::core) fn is_slow(self) -> bool {
        self.0 & SLOW != 0
    }

    /// Returns the bit to set in the atomic to force all other threads through the lock.
    pub(in crate::core) const fn slow_bit() -> u64 {
        SLOW
    }

    /// The rule of the fast path: returns the word after admitting an operation of `cost` units, or `None` if
    /// only the slow path may decide.
    #[inline]
    pub(in crate::core) fn admit(self, cost: u32) -> Option<Self> {
        let admits = self.0 & (SLOW | COUNT_DUE) == 0
            && cost > 0
            && self.units() >= cost
            && self.operations() > 0;
        admits.then(|| {
            let units = u64::from(cost) * (COUNTED_UNIT - UNIT);
            Self(self.0 + ADMISSION - OPERATION + units)
        })
    }

    /// Returns the word after releasing an operation of `cost` units, or `None` if it must be released under
    /// the lock.
    #[inline]
    pub(in crate::core) fn release(self, cost: u32) -> Option<Self> {
        debug_assert!(self.0 & OVERFULL == 0, "a word is never left overfull");
        if cost > MAX_FAST_COST {
            return None;
        }
        let next = self.0 + u64::from(cost) * UNIT + OPERATION;
        (next & (SLOW | OVERFULL) == 0).then_some(Self(next))
    }

    /// Returns the same word with this many more operations of one unit counted, for models that start just
    /// before its counts are due.
    #[cfg(test)]
    pub(in crate::core) fn counting(self, admissions: u32) -> Self {
        Self(self.0 + (ADMISSION + COUNTED_UNIT) * u64::from(admissions))
    }

    /// The admissions that a word counts before the next one goes through the lock.
    #[cfg(test)]
    pub(in crate::core) const MOST_ADMISSIONS: u32 = 1 << 14;
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    fn fields(word: Word) -> (u32, u32, u64, u64, bool) {
        (word.units(), word.operations(), word.admissions(), word.counted_units(), word.is_slow())
    }

    #[test]
    fn an_admission_and_its_release_change_each_field_by_the_right_amount() {
        let word = Word::new(ALLOWANCE, 7, false);
        let admitted = word.admit(5).unwrap();
        assert_eq!(fields(admitted), (ALLOWANCE - 5, 6, 1, 5, false));
        let released = admitted.release(5).unwrap();
        assert_eq!(fields(released), (ALLOWANCE, 7, 1, 5, false));
        let all = word.admit(ALLOWANCE).unwrap();
        assert_eq!(fields(all), (0, 6, 1, u64::from(ALLOWANCE), false));
    }

    #[test]
    fn the_slow_path_decides_if_units_or_operations_are_short_or_the_word_is_slow() {
        let word = Word::new(5, 1, false);
        assert!(word.admit(5).is_some());
        assert_eq!(word.admit(6), None, "too few units");
        assert_eq!(word.admit(0), None, "no cost at all");
        assert_eq!(word.admit(1).and_then(|next| next.admit(1)), None, "too few operations");
        assert_eq!(word.admit(u32::MAX), None);
        let slow = Word::new(5, 1, true);
        assert_eq!((slow.admit(1), slow.release(1)), (None, None));
    }

    #[test]
    fn counts_are_due_before_they_overflow_into_another_field() {
        let word = Word::new(ALLOWANCE, ALLOWANCE, false);
        let full = word.counting(Word::MOST_ADMISSIONS);
        assert_eq!(full.admit(1), None, "admissions are due");
        let last = word.counting(Word::MOST_ADMISSIONS - 1).admit(1);
        assert_eq!(last.map(fields).unwrap().2, u64::from(Word::MOST_ADMISSIONS));

        // Each operation takes all units and releases them, until the count of units is due.
        let (mut word, mut units) = (word, 0);
        while let Some(next) = word.admit(ALLOWANCE) {
            units += u64::from(ALLOWANCE);
            assert_eq!(next.counted_units(), units);
            word = next.release(ALLOWANCE).unwrap();
        }
        assert!((u64::from(MAX_FAST_COST)..2 * u64::from(MAX_FAST_COST)).contains(&units));
        assert!(word.release(1).is_some(), "a release needs no count");
    }

    #[test]
    fn a_release_that_the_word_cannot_hold_goes_through_the_lock() {
        let mut word = Word::new(ALLOWANCE, 0, false);
        assert_eq!(word.release(MAX_FAST_COST + 1), None);
        assert_eq!(word.release(MAX_FAST_COST), None, "more than the field");
        for returned in 1..=MAX_FAST_COST {
            match word.release(1) {
                Some(next) => word = next,
                None => {
                    assert_eq!(returned, MAX_FAST_COST - ALLOWANCE + 1);
                    return assert_eq!(word.units(), MAX_FAST_COST);
                }
            }
        }
        panic!("a word holds {} units", word.units());
    }
}
