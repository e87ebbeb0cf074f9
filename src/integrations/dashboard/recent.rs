//! `Recent`: the snapshots of the last ten minutes, taken whenever somebody asked.
//!
//! It owns which of them are kept and which one an interval begins with. It reads no clock.

use std::{collections::VecDeque, time::Duration};

use crate::observe::registry::{RegistryInterval, RegistrySnapshot};

/// The longest time that figures can cover.
pub(super) const LONGEST_WINDOW: Duration = Duration::from_secs(600);

/// The least time between two snapshots that are kept, and between the two ends of an interval.
const SPACING: Duration = Duration::from_secs(5);

/// Snapshots older than this are kept further apart.
const DENSE: Duration = Duration::from_secs(60);

/// The least time between two snapshots that are older.
const SPARSE_SPACING: Duration = Duration::from_secs(30);

/// Snapshots in the order in which they were taken, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<RegistrySnapshot>);

impl Recent {
    /// Returns what happened in about the time of `window` before `now`, and keeps `now` for later questions.
    ///
    /// The interval begins with the kept snapshot whose age is nearest to the window. `None` if nothing is kept that is old
    /// enough for figures to mean anything.
    pub(super) fn interval(
        &mut self,
        now: &RegistrySnapshot,
        window: Duration,
    ) -> Option<RegistryInterval> {
        let age = |kept: &RegistrySnapshot| now.taken_at.saturating_duration_since(kept.taken_at);
        let candidates = self.0.iter().filter(|kept| age(kept) >= SPACING.min(window));
        let begin = candidates.min_by_key(|kept| age(kept).abs_diff(window));
        let interval = begin.map(|begin| now.since(begin));
        self.keep(now);
        interval
    }

    fn keep(&mut self, now: &RegistrySnapshot) {
        let age = |kept: &RegistrySnapshot| now.taken_at.saturating_duration_since(kept.taken_at);
        if self.0.back().is_none_or(|newest| age(newest) >= SPACING) {
            self.0.push_back(now.clone());
        }
        // The one before the longest window stays, for an interval that begins there.
        while self.0.len() > 1 && age(&self.0[1]) >= LONGEST_WINDOW {
            self.0.pop_front();
        }
        let mut previous: Option<Duration> = None;
        self.0.retain(|kept| {
            let age = age(kept);
            let is_far = previous.is_none_or(|previous| previous - age >= SPARSE_SPACING);
            let stays = age <= DENSE || is_far;
            if stays {
                previous = Some(age);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Asks at each of the given seconds and returns the length of the last answer.
    fn covered(asked: &[u64], window: u64) -> Option<u64> {
        let (start, mut recent) = (Instant::now(), Recent::default());
        let mut ask = |&at| {
            let now = RegistrySnapshot::new(start + seconds(at), Vec::new());
            recent.interval(&now, seconds(window))
        };
        asked.iter().map(&mut ask).last().flatten().map(|interval| interval.elapsed.as_secs())
    }

    #[test]
    fn the_first_answer_has_no_beginning() {
        assert_eq!(covered(&[0], 60), None);
        assert_eq!(covered(&[0, 2, 4], 60), None);
    }

    #[test]
    fn an_interval_grows_until_it_has_about_the_length_of_the_window() {
        assert_eq!(covered(&[0, 5], 60), Some(5));
        let every_two: Vec<u64> = (0..40).map(|number| 2 * number).collect();
        assert_eq!(covered(&every_two[..=15], 60), Some(30));
        assert!((57..=63).contains(&covered(&every_two, 60).unwrap()));
        assert!((7..=13).contains(&covered(&every_two, 10).unwrap()));
        let last_hour: Vec<u64> = (0..1_800).map(|number| 2 * number).collect();
        assert!((570..=630).contains(&covered(&last_hour, 600).unwrap()));
    }

    #[test]
    fn after_a_pause_it_begins_with_the_last_snapshot_before_it() {
        assert_eq!(covered(&[0, 10, 5_000], 60), Some(4_990));
        assert_eq!(covered(&[0, 10, 5_000, 5_005], 60), Some(5));
    }

    #[test]
    fn a_window_below_the_spacing_is_as_short_as_the_snapshots_allow() {
        assert_eq!(covered(&[0, 5, 10, 11], 1), Some(1));
        assert_eq!(covered(&[0, 5, 10, 13], 1), Some(3));
    }

    #[test]
    fn a_bounded_number_is_kept_however_often_somebody_asks() {
        let (start, mut recent) = (Instant::now(), Recent::default());
        for tenth in 0..36_000 {
            let at = start + Duration::from_millis(100) * tenth;
            recent.interval(&RegistrySnapshot::new(at, Vec::new()), seconds(60));
            assert!(recent.0.len() <= 32, "{}", recent.0.len());
        }
    }
}
