//! A slot of a key that is there already.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "the counts are others'")]
mod alloc;
#[expect(dead_code, reason = "each group uses its part")]
mod cases;

use self::cases::{compare, partitions::*};

fn main() {
    let criterion = &mut cases::criterion();
    compare(criterion, "100,000 keys", vec![hit(100_000), dashmap_hit(100_000)]);
    compare(criterion, "100 hot keys", vec![hit(100), dashmap_hit(100)]);
    criterion.final_summary();
}
