//! Measures two cases in alternation, in many short rounds each.
//!
//! Most other load on the machine then affects both cases alike. Load that hits one case only disturbs a few
//! rounds, which do not move the median of the ratios of neighbouring rounds.

use std::time::Duration;

use crate::cases::Case;

/// The length of a round: shorter than the time slice that another program gets of the processor.
pub(crate) const SHORT_ROUND: Duration = Duration::from_micros(500);

/// The length of a round that starts threads or tasks.
pub(crate) const LONG_ROUND: Duration = Duration::from_millis(5);

/// The result of comparing two cases. Times are nanoseconds per operation, medians over the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    pub(crate) ours: f64,
    pub(crate) peer: f64,
    pub(crate) ratio: f64,
    /// The lower and upper quartiles of the rounds' ratios.
    pub(crate) spread: (f64, f64),
    /// The ratio of the fastest rounds.
    pub(crate) ratio_of_fastest: f64,
}

/// Runs `rounds` rounds of each case, in alternation.
pub(crate) fn compare(
    mut ours: Case,
    mut peer: Case,
    round: Duration,
    rounds: usize,
) -> Comparison {
    let (our_times, peer_times) =
        (operations_per_round(round, &mut ours), operations_per_round(round, &mut peer));
    let pairs: Vec<(f64, f64)> = (0..rounds)
        .map(|round| {
            // Each case goes first in every other round.
            if round % 2 == 0 {
                let our_nanos = nanos_per_operation(&mut ours, our_times);
                (our_nanos, nanos_per_operation(&mut peer, peer_times))
            } else {
                let peer_nanos = nanos_per_operation(&mut peer, peer_times);
                (nanos_per_operation(&mut ours, our_times), peer_nanos)
            }
        })
        .collect();
    let sorted = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (ours, peer) = (sorted(|&(ours, _)| ours), sorted(|&(_, peer)| peer));
    let ratios = sorted(|&(ours, peer)| ours / peer);
    Comparison {
        ours: ours[rounds / 2],
        peer: peer[rounds / 2],
        ratio: ratios[rounds / 2],
        spread: (ratios[rounds / 4], ratios[rounds * 3 / 4]),
        ratio_of_fastest: ours[0] / peer[0],
    }
}

/// Returns the nanoseconds per operation of the fastest of `rounds` rounds.
pub(crate) fn fastest(mut case: Case, rounds: usize) -> f64 {
    let times = operations_per_round(SHORT_ROUND, &mut case);
    (0..rounds).map(|_| nanos_per_operation(&mut case, times)).fold(f64::INFINITY, f64::min)
}

fn nanos_per_operation(case: &mut Case, times: u64) -> f64 {
    case.run(times).as_nanos() as f64 / times as f64
}

/// Returns the number of operations that take about one round. Doubles the number until it is long enough,
/// which also warms up the case.
fn operations_per_round(round: Duration, case: &mut Case) -> u64 {
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
