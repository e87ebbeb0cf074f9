//! What nobody hopes for: cancellations, resizes and curious dashboards under load.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "the counts are others'")]
mod alloc;
#[expect(dead_code, reason = "each group uses its part")]
mod cases;

use self::cases::{compare, hostile, threads};

fn main() {
    let criterion = &mut cases::criterion();
    let storm = vec![hostile::cancellation(), hostile::tokio_cancellation()];
    compare(criterion, "cancellation storm", storm);
    let beside = vec![
        threads::without_status(),
        threads::with_rare_status(),
        threads::with_status(),
        threads::with_resizes(),
    ];
    compare(criterion, "beside slot_now", beside);
    criterion.final_summary();
}
