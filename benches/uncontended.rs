//! Slots without tower.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "the counts are others'")]
mod alloc;
#[expect(dead_code, reason = "each group uses its part")]
mod cases;

use self::cases::{compare, uncontended::*};

fn main() {
    let criterion = &mut cases::criterion();
    compare(
        criterion,
        "slot_now",
        vec![slot_now(), tokio_try_acquire_owned(), tokio_try_acquire()],
    );
    compare(criterion, "slot", vec![slot(), tokio_acquire_owned()]);
    compare(criterion, "execute", vec![execute(), tokio_acquire()]);
    compare(criterion, "weighted", vec![weighted_slot_now(), tokio_try_acquire_many_owned()]);
    compare(criterion, "rejected", vec![rejected_slot_now()]);
    compare(criterion, "physical limit", vec![physical_limit()]);
    criterion.final_summary();
}
