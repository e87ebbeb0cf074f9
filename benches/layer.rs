//! A request through a layer.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "the counts are others'")]
mod alloc;
#[expect(dead_code, reason = "each group uses its part")]
mod cases;

use self::cases::{compare, layer::*};

fn main() {
    let criterion = &mut cases::criterion();
    let admitted = vec![
        bare(),
        plain(),
        per_request(),
        weighted(),
        partitioned(),
        concurrency_limit(),
        tower_stack(),
        resilience_waiting(),
        resilience_backpressure(),
    ];
    compare(criterion, "layer", admitted);
    let rejected = vec![plain_rejection(), tower_stack_rejection(), load_shed_rejection()];
    compare(criterion, "layer, rejected", rejected);
    criterion.final_summary();
}
