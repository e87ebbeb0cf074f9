//! `Typical`: the seat time of a typical operation, as an average over the last releases.
//!
//! By Little's law, the seat time since the last release is that of one operation on average. So no operation needs a stamp,
//! no member an estimate of its own, and an operation of an hour does not spoil it. What one sample may not take, because that
//! would be too much at once, is left to the next ones: operations that end at the same instant share what came before.

/// It is an average over so many releases.
const RELEASES: i64 = 16;

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Typical {
    ticks: u64,
    /// The pressure at the last release, in ticks.
    mark: u64,
    /// Seat time up to then that no sample has taken.
    unsampled: u64,
}

impl Typical {
    pub(super) fn new() -> Self {
        Self { ticks: 0, mark: 0, unsampled: 0 }
    }

    pub(super) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// An operation ends under pressure, which has lasted for so long in all. So many seats were held until now.
    pub(super) fn release(&mut self, seats: u32, pressure: u64) {
        let (seats, most) = (u64::from(seats), 2 * self.ticks + 64);
        let seat_time = self.unsampled.saturating_add(seats * (pressure - self.mark));
        let seat_time = seat_time.min(seats * most);
        let sample = seat_time.min(most);
        (self.unsampled, self.mark) = (seat_time - sample, pressure);
        self.ticks =
            self.ticks.saturating_add_signed((sample as i64 - self.ticks as i64) / RELEASES);
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    /// Returns the mean estimate after many rounds, in each of which `seats` operations of 1,000 ticks end, so many at once.
    fn after_rounds(seats: u32, at_once: u32) -> u64 {
        let (mut typical, mut now, mut sum) = (Typical::new(), 0, 0);
        for _ in 0..500 {
            sum = 0;
            for _ in 0..seats / at_once {
                now += 1_000 / u64::from(seats / at_once);
                for ended in 0..at_once {
                    typical.release(seats - ended, now);
                    sum += typical.ticks();
                }
            }
        }
        sum / u64::from(seats)
    }

    #[test]
    fn it_is_the_same_whether_operations_end_one_by_one_or_at_once() {
        for at_once in [1, 2, 4, 8] {
            let ticks = after_rounds(8, at_once);
            assert!((950..=1_050).contains(&ticks), "{at_once} at once: {ticks}");
        }
    }

    #[test]
    fn one_long_operation_changes_little() {
        let (mut typical, mut now) = (Typical::new(), 0);
        for _ in 0..500 {
            now += 125;
            typical.release(8, now);
        }
        let before = typical.ticks();
        typical.release(8, now + 1_000_000_000);
        assert!(typical.ticks() <= before + before / 16 + 5, "{before}, then {}", typical.ticks());
    }
}
