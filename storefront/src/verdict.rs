//! What the comparison means, and whether the bulkheads kept their promise.

use std::time::Duration;

use crate::run::Run;
use crate::store::CONNECTIONS;
use crate::tally::{Tally, in_words};

/// In a shorter phase the flood is over before it has done its harm.
const LONG_ENOUGH_TO_JUDGE: Duration = Duration::from_secs(3);

pub(crate) fn print_meaning(without: &Run, with: &Run) {
    let health = Tally::of(&without.flood.healthz).answered.percentile(99);
    println!(
        "What the payments waited for was the pool: reports had taken its {CONNECTIONS} connections, and \
         up to {} requests\nstood in line for one (with bulkheads: {}). It was not the processor: \
         /healthz, which needs no connection,\nwas answered within {} (p99) in the same flood.",
        without.flood.longest_pool_line,
        with.flood.longest_pool_line,
        in_words(health),
    );
    let reports = Tally::of(&with.flood.reports);
    println!(
        "What it means: with bulkheads the flood fills only the reports' own compartment, where {} \
         were answered and {}\nturned away at once (p50 {}), while connections stay free for \
         payments.",
        reports.answered.count(),
        reports.rejected.count(),
        in_words(reports.rejected.percentile(50)),
    );
}

/// Prints the last sentence, and tells whether the run with bulkheads is good enough: nearly every
/// payment answered, and the slow ones at least four times as fast as without.
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
    // Without any answer to compare with, the other run was as bad as can be.
    let faster = fast.is_some_and(|fast| slow.is_none_or(|slow| fast * 4 <= slow));
    let passed = answered && faster;
    println!("{}  {sentence}", if passed { "PASS" } else { "FAIL" });
    passed
}
