//! Hold times are estimates from a sample: how far they may be from the truth.
//!
//! Which operations are timed is random and cannot be seeded, so each bound here leaves room for chance:
//!
//! - Each workload has 60 intervals with about 100 timed operations. In each, the mean may be wrong by
//!   3 cv / sqrt(timed), which is three standard deviations. If the estimate keeps that promise, six intervals or more
//!   exceed it less often than once in a million runs.
//! - Over all intervals the mean may be wrong by 5 cv / sqrt(timed), which is five standard deviations.
//!
//! Where operations waited, `timed` is more than the estimate is worth, because each of those counts for itself and
//! the others stand for 64: there the bounds take the 64th part of the count instead. Without a line it is the same.
//!
//! The truth is what this test has done itself, in paused time.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use bulklink::{Bulkhead, HoldTimes, Slot};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{Random, bulkhead, in_paused_time, ms, slot_of, waiting};

/// Operations that run at once.
const BATCH: usize = 640;
const BATCHES: usize = 10;
const INTERVALS: usize = 60;

/// One operation in so many is timed if it does not wait.
const GAP: f64 = 64.0;

/// The true holds of some operations.
#[derive(Clone, Debug, Default)]
struct Truth(Vec<Duration>);

impl Truth {
    fn mean(&self) -> f64 {
        self.0.iter().map(Duration::as_secs_f64).sum::<f64>() / self.0.len() as f64
    }

    /// The standard deviation divided by the mean.
    fn cv(&self) -> f64 {
        let mean = self.mean();
        let squares = self.0.iter().map(|hold| (hold.as_secs_f64() - mean).powi(2));
        (squares.sum::<f64>() / self.0.len() as f64).sqrt() / mean
    }

    fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (q * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1].as_secs_f64()
    }
}

/// How wrong the mean is, as a share of it.
fn error(holds: &HoldTimes, truth: &Truth) -> f64 {
    (holds.mean().unwrap().as_secs_f64() / truth.mean() - 1.0).abs()
}

/// Releases each slot after its time.
async fn release(slots: impl IntoIterator<Item = (Duration, Slot)>) {
    let mut by_time = BTreeMap::<Duration, Vec<Slot>>::new();
    slots.into_iter().for_each(|(hold, slot)| by_time.entry(hold).or_default().push(slot));
    let mut now = Duration::ZERO;
    for (hold, slots) in by_time {
        advance(hold - now).await;
        now = hold;
        drop(slots);
    }
}

/// Runs operations that do not wait. `hold` returns how long the one with this number holds its slot.
async fn run_directly(
    bulkhead: &Bulkhead,
    batches: std::ops::Range<usize>,
    mut hold: impl FnMut(usize) -> Duration,
) -> Truth {
    let mut truth = Truth::default();
    for batch in batches {
        let holds: Vec<_> = (0..BATCH).map(|at| hold(batch * BATCH + at)).collect();
        release(holds.iter().map(|&hold| (hold, bulkhead.slot_now().unwrap()))).await;
        truth.0.extend(holds);
    }
    truth
}

/// Checks the estimates of a workload without waits, in each interval and over all of them.
fn check(mut hold: impl FnMut(usize, &mut Random) -> Duration) {
    in_paused_time(async {
        let (payments, mut random) = (bulkhead(BATCH, 0), Random::new(7));
        let (mut all, mut exceeded) = (Truth::default(), 0);
        for interval in 0..INTERVALS {
            let start = payments.status();
            let batches = interval * BATCHES..(interval + 1) * BATCHES;
            let truth = run_directly(&payments, batches, |number| hold(number, &mut random)).await;
            let holds = payments.status().since(&start).unwrap().holds;
            let promised = 3.0 * truth.cv() / (holds.timed() as f64).sqrt();
            exceeded += usize::from(error(&holds, &truth) > promised + 1e-3);
            all.0.extend(truth.0);
        }
        assert!(exceeded < 6, "{exceeded} of {INTERVALS} estimates are worse than promised");

        let holds = payments.status().holds;
        let (timed, operations) = (holds.timed() as f64, all.0.len() as f64);
        // The gaps vary by 36.7, so the number of samples varies by 0.072 times the root of the operations.
        let deviation = (timed - operations / GAP).abs();
        assert!(deviation < 5.0 * 0.072 * operations.sqrt() + 1.0, "{timed} of {operations} timed");
        assert_eq!(holds.histogram().count(), 64 * holds.timed());
        let (error, cv) = (error(&holds, &all), all.cv());
        assert!(error < 5.0 * cv / timed.sqrt() + 1e-3, "{error} with cv {cv} and {timed} timed");
        let unit_seconds = holds.mean_unit_seconds().unwrap();
        assert!((unit_seconds - holds.mean().unwrap().as_secs_f64()).abs() < 1e-6);
        assert_p99(&holds, &all, timed);
    });
}

/// Asserts that the 99th percentile is within 7 % of a true quantile that is five standard deviations off at most.
fn assert_p99(holds: &HoldTimes, truth: &Truth, timed: f64) {
    let found = holds.quantile(0.99).unwrap().as_secs_f64();
    let chance = 5.0 * (0.99 * 0.01 / timed).sqrt();
    let (low, high) = (truth.quantile(0.99 - chance), truth.quantile((0.99 + chance).min(1.0)));
    assert!((low * 0.93..=high * 1.07).contains(&found), "p99 {found} of {low} to {high}");
}

/// Exponential work with a mean of about 20 ms, in 64 steps.
fn exponential(random: &mut Random) -> Duration {
    let uniform = (random.below(64) as f64 + 0.5) / 64.0;
    Duration::from_secs_f64(-0.02 * uniform.ln())
}

/// 95 % of the operations take 5 ms, and 5 % take 500 ms.
fn bimodal(random: &mut Random) -> Duration {
    if random.below(20) == 0 { ms(500) } else { ms(5) }
}

#[test]
fn exponential_work() {
    check(|_, random| exponential(random));
}

#[test]
fn bimodal_work() {
    check(|_, random| bimodal(random));
}

#[test]
fn every_64th_operation_is_long() {
    check(|number, _| if number % 64 == 63 { ms(500) } else { ms(5) });
}

#[test]
fn alternating_work() {
    check(|number, _| if number % 2 == 0 { ms(100) } else { ms(5) });
}

#[test]
fn bursts_of_long_work() {
    // 320 long ones follow each other, then 2,880 short ones.
    check(|number, _| if number % 3_200 < 320 { ms(300) } else { ms(5) });
}

#[tokio::test(start_paused = true)]
async fn all_operations_from_the_line_are_timed_and_exact() {
    let payments = bulkhead(1, 2);
    let mut random = Random::new(3);
    let first = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    drop(first);
    let mut slot = slot_of(&mut waiter);
    let start = payments.status();
    let mut truth = Truth::default();
    for _ in 0..2_000 {
        let hold = bimodal(&mut random);
        let mut next = waiting(payments.slot());
        advance(hold).await;
        drop(slot);
        slot = slot_of(&mut next);
        truth.0.push(hold);
    }
    let holds = payments.status().since(&start).unwrap().holds;
    assert_eq!((holds.timed(), holds.histogram().count()), (2_000, 2_000));
    // Stamps have a precision of 8.2 microseconds.
    let difference = holds.mean().unwrap().as_secs_f64() - truth.mean();
    assert!(difference.abs() < 8.2e-6, "{difference}");
    assert!((holds.unit_seconds() - 2_000.0 * truth.mean()).abs() < 2_000.0 * 8.2e-6);
    // It does not depend on chance, but on the middle of each bucket.
    assert_p99(&holds, &truth, f64::INFINITY);
    let cv = holds.variability().unwrap().sqrt();
    assert!((cv / truth.cv() - 1.0).abs() < 0.15, "{cv} for {}", truth.cv());
}

/// Runs a batch that does not wait, and `waiting` operations that wait behind it. Returns the holds of all.
async fn run_with_line(
    bulkhead: &Bulkhead,
    waiting_operations: usize,
    mut hold: impl FnMut(bool) -> Duration,
) -> Truth {
    let (mut truth, mut ends) = (Truth::default(), BTreeMap::<Duration, Vec<Slot>>::new());
    let mut run = |from_line, now, slot, ends: &mut BTreeMap<Duration, Vec<Slot>>| {
        let hold = hold(from_line);
        truth.0.push(hold);
        ends.entry(now + hold).or_default().push(slot);
    };
    for _ in 0..BATCH {
        run(false, Duration::ZERO, bulkhead.slot_now().unwrap(), &mut ends);
    }
    let line: Vec<_> = (0..waiting_operations).map(|_| waiting(bulkhead.slot())).collect();
    let (mut line, mut now) = (line.into_iter(), Duration::ZERO);
    while let Some((end, slots)) = ends.pop_first() {
        advance(end - now).await;
        now = end;
        let released = slots.len();
        drop(slots);
        for mut waiter in line.by_ref().take(released) {
            run(true, now, slot_of(&mut waiter), &mut ends);
        }
    }
    truth
}

/// Checks the estimates of quiet times, in which an operation that is timed counts for 64, together with times under
/// pressure, in which each operation from the line is timed and counts for itself.
fn check_with_pressure(mut hold: impl FnMut(bool, &mut Random) -> Duration) {
    const LINE: usize = 5 * BATCH;
    in_paused_time(async {
        let (payments, mut random) = (bulkhead(BATCH, LINE), Random::new(9));
        let (mut all, mut exceeded) = (Truth::default(), 0);
        for _ in 0..INTERVALS {
            let start = payments.status();
            let mut truth = run_directly(&payments, 0..4, |_| hold(false, &mut random)).await;
            let mixed = run_with_line(&payments, LINE, |from_line| hold(from_line, &mut random));
            truth.0.extend(mixed.await.0);
            let holds = payments.status().since(&start).unwrap().holds;
            let count = holds.histogram().count();
            let sampled = holds.timed() - LINE as u64;
            assert_eq!(count, LINE as u64 + 64 * sampled, "each counts for what it stands for");
            let promised = 3.0 * truth.cv() / (count as f64 / GAP).sqrt();
            exceeded += usize::from(error(&holds, &truth) > promised + 1e-3);
            all.0.extend(truth.0);
        }
        assert!(exceeded < 6, "{exceeded} of {INTERVALS} estimates are worse than promised");
        let holds = payments.status().holds;
        let samples = holds.histogram().count() as f64 / GAP;
        let (error, cv) = (error(&holds, &all), all.cv());
        assert!(
            error < 5.0 * cv / samples.sqrt() + 1e-3,
            "{error} with cv {cv}, {samples} samples"
        );
        assert_p99(&holds, &all, samples);
    });
}

#[test]
fn the_same_work_in_quiet_and_in_pressed_times() {
    check_with_pressure(|_, random| exponential(random));
}

#[test]
fn work_that_is_slower_under_pressure() {
    check_with_pressure(|from_line, random| exponential(random) * if from_line { 10 } else { 1 });
}

#[test]
fn work_that_is_faster_under_pressure() {
    check_with_pressure(|from_line, random| bimodal(random) * if from_line { 1 } else { 10 });
}

#[tokio::test(start_paused = true)]
async fn work_that_was_cut_short_is_not_in_the_mean_but_in_the_use() {
    let payments = bulkhead(1, 2);
    let first = payments.slot_now().unwrap();
    let mut completes = waiting(payments.slot());
    let mut cut_short = tokio_test::task::spawn(payments.execute(std::future::pending::<()>()));
    assert!(cut_short.poll().is_pending());
    drop(first);
    let start = payments.status();
    let slot = slot_of(&mut completes);
    advance(ms(100)).await;
    drop(slot);
    assert!(cut_short.poll().is_pending());
    advance(ms(900)).await;
    drop(cut_short);
    let holds = payments.status().since(&start).unwrap().holds;
    assert_eq!((holds.timed(), holds.histogram().count()), (1, 1));
    let close = |seconds: f64, exact: f64| (seconds - exact).abs() < 2e-5;
    assert!(close(holds.mean().unwrap().as_secs_f64(), 0.1), "{holds:?}");
    assert!(close(holds.mean_unit_seconds().unwrap(), 0.1), "{holds:?}");
    assert!(close(holds.unit_seconds(), 1.0), "{}", holds.unit_seconds());
}

#[test]
fn nothing_timed_has_no_mean() {
    let holds = HoldTimes::default();
    assert_eq!((holds.timed(), holds.mean(), holds.quantile(0.5)), (0, None, None));
    assert_eq!((holds.mean_unit_seconds(), holds.variability()), (None, None));
    assert_eq!(holds.unit_seconds(), 0.0);
}

/// Polls a future, and again only after some time: as a busy task does, or one that waits for something else meanwhile.
async fn polled_late<F: Future>(future: F, mut delay: impl FnMut() -> Duration) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return output;
        }
        tokio::time::sleep(delay()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_polled_late_holds_its_slot_from_the_hand_over_on() {
    let bulkhead = Bulkhead::builder("late").parallelism(10).waiting_room(100).build().unwrap();
    for client in 0..60_u64 {
        let bulkhead = bulkhead.clone();
        tokio::spawn(async move {
            let mut turn = client * 37;
            let mut delay = move || {
                turn = (turn + 41) % 99;
                Duration::from_millis(1 + turn)
            };
            loop {
                let slot = polled_late(bulkhead.slot(), &mut delay).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
                drop(slot);
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let start = bulkhead.status();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let interval = bulkhead.status().since(&start).unwrap();
    assert_eq!(interval.pressure(), interval.elapsed, "operations wait all the time");
    // All ten slots are in use all the time, so Little's law gives the true mean.
    let true_mean = 10.0 / interval.completions_per_second().unwrap();
    let mean = interval.mean_hold().unwrap().as_secs_f64();
    assert!((mean / true_mean - 1.0).abs() < 0.02, "{mean} s of {true_mean} s");
    assert!((interval.utilization().unwrap() - 1.0).abs() < 0.02, "{interval:?}");
    assert_eq!(interval.units_held_long(), None, "nothing leaks");
}

#[tokio::test(start_paused = true)]
async fn holds_of_hours_are_measured() {
    const HOUR: u64 = 3600;
    for hours in [1, 2, 3, 4] {
        let bulkhead = Bulkhead::builder("streams").parallelism(1).waiting_room(1).build().unwrap();
        let first = bulkhead.slot_now().unwrap();
        let mut waiter = task::spawn(bulkhead.slot());
        assert_pending!(waiter.poll());
        drop(first);
        // The first operation did not wait, so chance decides whether it is timed: it stays out of the interval.
        let start = bulkhead.status();
        let slot = assert_ready_ok!(waiter.poll());
        tokio::time::advance(Duration::from_secs(hours * HOUR)).await;
        drop(slot);
        let interval = bulkhead.status().since(&start).unwrap();
        let mean = interval.mean_hold().unwrap().as_secs_f64();
        assert!((mean - (hours * HOUR) as f64).abs() < 0.001, "{hours} h: {mean} s");
    }
}

#[test]
fn threads_that_do_little_are_sampled_like_others() {
    for operations in [1, 10, 64] {
        let bulkhead = Bulkhead::builder("threads").parallelism(1).build().unwrap();
        let threads = 16_000 / operations;
        for _ in 0..threads {
            let bulkhead = bulkhead.clone();
            let work = move || (0..operations).for_each(|_| drop(bulkhead.slot_now().unwrap()));
            std::thread::spawn(work).join().unwrap();
        }
        // 250 are expected, with a standard deviation of at most 16.
        let timed = bulkhead.status().holds.timed();
        assert!((170..330).contains(&timed), "{timed} of 16,000, {operations} a thread");
    }
}
