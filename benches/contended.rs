//! Contention for one bulkhead: two threads, and a thousand tasks.

#[path = "../tests/it/support/counting_allocator.rs"]
#[expect(dead_code, reason = "only the growth bench and the summary count allocations")]
mod alloc;
#[expect(dead_code, reason = "this bench uses only some of the cases")]
mod cases;

use self::cases::{
    WAIT_LIMIT, bench_group,
    handover::{self, RuntimeKind},
    two_threads,
};

fn main() {
    let criterion = &mut cases::criterion();
    let slots = vec![two_threads::slot_now(), two_threads::tokio_try_acquire_owned()];
    bench_group(criterion, "two threads", slots);
    bench_group(
        criterion,
        "two threads, hot keys",
        vec![two_threads::hot_keys(), two_threads::dashmap_hot_keys()],
    );
    for (kind, name) in
        [(RuntimeKind::CurrentThread, "current thread"), (RuntimeKind::TwoWorkers, "two workers")]
    {
        let cases = vec![
            handover::execute(kind, None),
            handover::slot(kind, None),
            handover::tokio_acquire(kind),
        ];
        bench_group(criterion, &format!("hand-over, {name}"), cases);
        let cases =
            vec![handover::execute(kind, Some(WAIT_LIMIT)), handover::tokio_timeout_acquire(kind)];
        bench_group(criterion, &format!("hand-over, wait limit, {name}"), cases);
    }
    criterion.final_summary();
}
