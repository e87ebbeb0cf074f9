//! Two threads, and a thousand tasks, on one bulkhead.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "the counts are others'")]
mod alloc;
#[expect(dead_code, reason = "each group uses its part")]
mod cases;

use self::cases::{
    LIMIT, compare,
    handover::{self, On},
    two_threads,
};

fn main() {
    let criterion = &mut cases::criterion();
    let two = vec![two_threads::slot_now(), two_threads::tokio_try_acquire_owned()];
    compare(criterion, "two threads", two);
    compare(
        criterion,
        "two threads, hot keys",
        vec![two_threads::hot_keys(), two_threads::dashmap_hot_keys()],
    );
    for (on, name) in [(On::CurrentThread, "current thread"), (On::TwoWorkers, "two workers")] {
        let cases = vec![
            handover::execute(on, None),
            handover::slot(on, None),
            handover::tokio_acquire(on),
        ];
        compare(criterion, &format!("hand-over, {name}"), cases);
        let cases = vec![handover::execute(on, Some(LIMIT)), handover::tokio_timeout_acquire(on)];
        compare(criterion, &format!("hand-over, wait limit, {name}"), cases);
    }
    criterion.final_summary();
}
