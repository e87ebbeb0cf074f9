//! Requests through a layer, admitted and rejected.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the growth bench and the summary count allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use self::cases::{bench_group, layer::*};

fn main() {
    let criterion = &mut cases::criterion();
    let admitted = vec![
        no_layer(),
        plain(),
        per_request(),
        weighted(),
        partitioned(),
        concurrency_limit(),
        tower_stack(),
        resilience_waiting(),
        resilience_backpressure(),
    ];
    bench_group(criterion, "layer", admitted);
    let rejected = vec![plain_rejection(), tower_stack_rejection(), load_shed_rejection()];
    bench_group(criterion, "layer, rejected", rejected);
    criterion.final_summary();
}
