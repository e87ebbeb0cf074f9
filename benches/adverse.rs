//! What nobody hopes for: cancellations, resizes and curious dashboards under load.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "the counts are others'")]
mod alloc;
#[expect(dead_code, reason = "each group uses its part")]
mod cases;

use self::cases::{cancellation, compare, two_threads};

fn main() {
    let criterion = &mut cases::criterion();
    let storm = vec![cancellation::cancellation(), cancellation::tokio_cancellation()];
    compare(criterion, "cancellation storm", storm);
    let beside = vec![
        two_threads::without_status(),
        two_threads::with_rare_status(),
        two_threads::with_status(),
        two_threads::with_resizes(),
    ];
    compare(criterion, "beside slot_now", beside);
    criterion.final_summary();
}
