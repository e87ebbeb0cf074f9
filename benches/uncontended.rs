//! Slots and guarded work without tower, on one thread.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the growth bench and the summary count allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use self::cases::{bench_group, uncontended::*};

fn main() {
    let criterion = &mut cases::criterion();
    bench_group(
        criterion,
        "slot_now",
        vec![slot_now(), tokio_try_acquire_owned(), tokio_try_acquire()],
    );
    bench_group(criterion, "slot", vec![slot(), tokio_acquire_owned()]);
    bench_group(criterion, "execute", vec![execute(), tokio_acquire()]);
    bench_group(criterion, "weighted", vec![weighted_slot_now(), tokio_try_acquire_many_owned()]);
    bench_group(criterion, "rejected", vec![rejected_slot_now()]);
    bench_group(criterion, "physical limit", vec![physical_limit()]);
    criterion.final_summary();
}
