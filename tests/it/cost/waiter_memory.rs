//! What waiters and partitions hold on to.

use std::task::{Context, Waker};

use bulklink::PartitionedBulkhead;

use crate::support::{bulkhead, counting_allocator::live_bytes};

const MANY: usize = 10_000;

#[test]
fn a_waiter_takes_96_bytes_at_most_beyond_its_future() {
    let bulkhead = bulkhead(1, MANY);
    let _held = bulkhead.slot_now().unwrap();
    let mut waiters: Vec<_> = (0..MANY).map(|_| Box::pin(bulkhead.slot())).collect();
    let mut cx = Context::from_waker(Waker::noop());
    let (bytes, ()) = live_bytes(|| {
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
    });
    assert!(bytes <= 96 * MANY as i64, "{} bytes a waiter", bytes / MANY as i64);
}

#[test]
fn a_line_gives_back_what_a_burst_took() {
    let bulkhead = bulkhead(1, MANY);
    let _held = bulkhead.slot_now().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let (bytes, ()) = live_bytes(|| {
        let mut waiters: Vec<_> = (0..MANY).map(|_| Box::pin(bulkhead.slot())).collect();
        for waiter in &mut waiters {
            assert!(waiter.as_mut().poll(&mut cx).is_pending());
        }
    });
    assert!(bytes <= 96 * 1_024 + 1_024, "{bytes} bytes are left");
}

#[test]
fn an_idle_partition_takes_256_bytes_at_most() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(3)
        .waiting_room(10)
        .max_partitions(MANY)
        .build()
        .unwrap();
    let (bytes, ()) = live_bytes(|| {
        for key in 0..MANY as u64 {
            drop(customers.slot_now(&key).unwrap());
        }
    });
    assert_eq!(customers.status().partitions, MANY);
    assert!(bytes <= 256 * MANY as i64, "{} bytes a partition", bytes / MANY as i64);
}

#[test]
fn partitions_give_back_what_they_took() {
    let (bytes, ()) = live_bytes(|| {
        let customers =
            PartitionedBulkhead::<u64>::builder("customers").parallelism(3).max_partitions(MANY);
        let customers = customers.build().unwrap();
        for key in 0..2 * MANY as u64 {
            drop(customers.slot_now(&key).unwrap());
        }
    });
    assert_eq!(bytes, 0);
}
