//! Memory of panics in foreign code that are caught: none, however many there are.

use std::panic::resume_unwind;

use bulklink::PartitionedBulkhead;

use crate::support::{counting_allocator::live, full};

/// Panics without the panic hook, with a payload on the heap.
fn panic_quietly() -> ! {
    resume_unwind(Box::new([0_u8; 80]))
}

#[track_caller]
fn assert_keeps_nothing(what: &str, mut panic: impl FnMut()) {
    panic();
    let before = live();
    (0..1_000).for_each(|_| panic());
    assert_eq!(live() - before, 0, "bytes left by 1,000 panics in {what}");
}

#[test]
fn a_panic_in_limits_for_leaves_nothing_behind() {
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = customers.max_partitions(10).limits_for(|_| panic_quietly());
    let customers = customers.build().unwrap();
    let mut key = 0;
    assert_keeps_nothing("limits_for", || {
        key += 1;
        assert!(customers.slot_now(&key).is_err());
    });
}

#[test]
fn a_panic_in_an_event_handler_leaves_nothing_behind() {
    let (payments, _slot) = full(0);
    let _subscription = payments.subscribe(|_| panic_quietly());
    assert_keeps_nothing("a handler", || assert!(payments.slot_now().is_err()));
}
