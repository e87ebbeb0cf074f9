//! What the comparison means, and whether the bulkheads protected the payments.

use std::time::Duration;

use crate::run::Run;
use crate::store::CONNECTIONS;
use crate::tally::{Tally, in_words};

/// A shorter flood is over before it does much harm.
const LONG_ENOUGH_TO_JUDGE: Duration = Duration::from_secs(3);

pub(crate) fn print_meaning(without: &Run, with: &Run) {
    let health = Tally::of(&without.flood.healthz).answered.percentile(99);
    println!(
        "Without bulkheads, payments waited for the pool: reports held its {CONNECTIONS} connections, and up \
         to {} requests\nwaited for one (with bulkheads: {}). The processor was not the bottleneck: \
         /healthz, which needs no connection,\nwas answered within {} (p99) in the same flood.",
        without.flood.peak_pool_waiters,
        with.flood.peak_pool_waiters,
        in_words(health),
    );
    let reports = Tally::of(&with.flood.reports);
    println!(
        "With bulkheads, the flood fills only the reports' bulkhead: {} reports were answered and {} \
         rejected at once\n(p50 {}), and connections stay free for payments.",
        reports.answered.count(),
        reports.rejected.count(),
        in_words(reports.rejected.percentile(50)),
    );
}

/// Prints the verdict and returns whether the run with bulkheads passes: at least 99 % of the
/// payments are answered, and their p99 is at most a quarter of the p99 without.
pub(crate) fn judge(without: &Run, with: &Run) -> bool {
    let before = Tally::of(&without.flood.payments);
    let after = Tally::of(&with.flood.payments);
    let slow = before.answered.percentile(99);
    let fast = after.answered.percentile(99);
    let sentence = format!(
        "payments p99 under the flood: {} without bulkheads ({} of {} answered), \
         {} with ({} of {} answered)",
        in_words(slow),
        before.answered.count(),
        before.sent,
        in_words(fast),
        after.answered.count(),
        after.sent,
    );
    if with.flood.length < LONG_ENOUGH_TO_JUDGE {
        println!("{sentence}; phases this short are not judged");
        return true;
    }
    let answered = after.answered.count() * 100 >= after.sent * 99;
    // If the run without bulkheads answered nothing, any answer is faster.
    let faster = fast.is_some_and(|fast| slow.is_none_or(|slow| fast * 4 <= slow));
    let passed = answered && faster;
    println!("{}  {sentence}", if passed { "PASS" } else { "FAIL" });
    passed
}
