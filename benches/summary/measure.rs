//! Two cases in alternation, many short rounds each.
//!
//! What else the machine does falls on both alike, and the median of the ratios of neighbouring rounds
//! does not see the rounds that it fell on alone.

use std::time::Duration;

use crate::cases::Case;

/// What a round should take: less than the slice of time for which another program takes the processor.
pub(crate) const SHORT: Duration = Duration::from_micros(500);

/// What a round takes that starts threads or tasks.
pub(crate) const LONG: Duration = Duration::from_millis(5);

/// What the rounds of a pair came to. Times are nanoseconds an operation, medians over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) ours: f64,
    pub(crate) peers: f64,
    pub(crate) ratio: f64,
    /// The quartiles of the rounds' ratios.
    pub(crate) spread: (f64, f64),
    /// The ratio of the fastest rounds.
    pub(crate) ratio_of_fastest: f64,
}

pub(crate) fn compare(mut ours: Case, mut peers: Case, round: Duration, rounds: usize) -> Measured {
    let (our_times, peer_times) = (times_of(round, &mut ours), times_of(round, &mut peers));
    let each: Vec<(f64, f64)> = (0..rounds)
        .map(|round| {
            // Neither always comes after the other.
            if round % 2 == 0 {
                let own = nanos(&mut ours, our_times);
                (own, nanos(&mut peers, peer_times))
            } else {
                let peer = nanos(&mut peers, peer_times);
                (nanos(&mut ours, our_times), peer)
            }
        })
        .collect();
    let sorted = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = each.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (own, peer) = (sorted(|&(own, _)| own), sorted(|&(_, peer)| peer));
    let ratios = sorted(|&(own, peer)| own / peer);
    Measured {
        ours: own[rounds / 2],
        peers: peer[rounds / 2],
        ratio: ratios[rounds / 2],
        spread: (ratios[rounds / 4], ratios[rounds * 3 / 4]),
        ratio_of_fastest: own[0] / peer[0],
    }
}

/// The nanoseconds of one operation, in the fastest of many rounds.
pub(crate) fn fastest(mut case: Case, rounds: usize) -> f64 {
    let times = times_of(SHORT, &mut case);
    (0..rounds).map(|_| nanos(&mut case, times)).fold(f64::INFINITY, f64::min)
}

fn nanos(case: &mut Case, times: u64) -> f64 {
    case.run(times).as_nanos() as f64 / times as f64
}

/// How many operations take about a round, found by running ever more of them, which warms up too.
fn times_of(round: Duration, case: &mut Case) -> u64 {
    let mut times = 64;
    loop {
        let elapsed = case.run(times);
        if elapsed > round / 4 {
            let scale = round.as_secs_f64() / elapsed.as_secs_f64();
            return ((times as f64 * scale) as u64).max(1);
        }
        times *= 2;
    }
}
