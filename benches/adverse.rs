//! Adverse conditions: cancellations in a long line, and frequent resizes and `status` calls under load.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the growth bench and the summary count allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use self::cases::{bench_group, cancellation, two_threads};

fn main() {
    let criterion = &mut cases::criterion();
    let cancellations = vec![cancellation::join_and_leave(), cancellation::tokio_join_and_leave()];
    bench_group(criterion, "cancellation", cancellations);
    let alongside = vec![
        two_threads::slot_now_alone(),
        two_threads::slot_now_and_infrequent_status(),
        two_threads::slot_now_and_frequent_status(),
        two_threads::slot_now_and_resizes(),
    ];
    bench_group(criterion, "alongside slot_now", alongside);
    criterion.final_summary();
}
