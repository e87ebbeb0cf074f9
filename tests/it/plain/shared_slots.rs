//! Slots that are shared: they are given back with the last clone.

use std::{sync::mpsc, thread};

use tokio_test::task;

use crate::support::{bulkhead, must_end};

#[test]
fn a_shared_slot_is_given_back_with_its_last_clone() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap().share();
    let clones = [slot.clone(), slot.clone()];
    let mut waiting = task::spawn(payments.slot());
    assert!(waiting.poll().is_pending());
    drop(slot);
    let [first, second] = clones;
    drop(first);
    assert!(waiting.poll().is_pending());
    assert_eq!(payments.status().in_flight, 1);
    drop(second);
    assert!(waiting.is_woken() && waiting.poll().is_ready());
    assert_eq!(payments.status().totals.finished, 2);
}

#[test]
fn work_that_outlives_its_caller_holds_its_slot() {
    must_end(|| {
        let reports = bulkhead(1, 0);
        let (finish, finished) = mpsc::channel();
        let slot = reports.slot_now().unwrap().share();
        let work = {
            let slot = slot.clone();
            thread::spawn(move || {
                finished.recv().unwrap();
                drop(slot);
            })
        };
        // The caller leaves.
        drop(slot);
        assert!(reports.slot_now().is_err());
        finish.send(()).unwrap();
        work.join().unwrap();
        assert!(reports.slot_now().is_ok());
    });
}
