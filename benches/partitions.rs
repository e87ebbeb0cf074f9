//! Slots for keys whose partition already exists.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the growth bench and the summary count allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use self::cases::{bench_group, partitions::*};

fn main() {
    let criterion = &mut cases::criterion();
    bench_group(criterion, "100,000 keys", vec![hit(100_000), dashmap_hit(100_000)]);
    bench_group(criterion, "100 hot keys", vec![hit(100), dashmap_hit(100)]);
    criterion.final_summary();
}
