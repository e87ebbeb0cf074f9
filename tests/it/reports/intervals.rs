//! Intervals: what was counted between two statuses.

use std::error::Error;

use bulklink::{Bulkhead, IntervalError};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{bulkhead, checked_status};

#[test]
fn an_interval_holds_the_counts_in_between_and_both_statuses() {
    let payments = bulkhead(1, 2);
    drop(payments.slot_now().unwrap());
    let slot = payments.slot_now().unwrap();
    let before = checked_status(&payments);
    assert!(payments.slot_now().is_err());
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
    let after = checked_status(&payments);
    let interval = after.since(&before).unwrap();
    assert_eq!((&interval.start, &interval.end), (&before, &after));
    let totals = interval.totals;
    assert_eq!((totals.admitted, totals.finished, totals.saturated), (1, 2, 1));
    assert_eq!((totals.queued, totals.admitted_from_queue), (1, 1));
    assert_eq!((totals.direct_admitted(), totals.rejected()), (0, 1));
    assert_eq!((after.totals.admitted, after.totals.finished), (3, 3), "nothing was reset");
}

#[test]
fn consecutive_intervals_add_up() {
    let payments = bulkhead(1, 0);
    let start = checked_status(&payments);
    drop(payments.slot_now().unwrap());
    let middle = checked_status(&payments);
    drop(payments.slot_now().unwrap());
    drop(payments.slot_now().unwrap());
    let end = checked_status(&payments);
    let admitted =
        |after: &bulklink::BulkheadStatus, before| after.since(before).unwrap().totals.admitted;
    assert_eq!((admitted(&middle, &start), admitted(&end, &middle)), (1, 2));
    assert_eq!(admitted(&end, &start), 3);
}

#[test]
fn an_interval_from_a_status_to_itself_is_empty() {
    let payments = bulkhead(1, 0);
    drop(payments.slot_now().unwrap());
    let status = checked_status(&payments);
    let interval = status.since(&status).unwrap();
    assert!(!interval.totals.has_activity());
    let idle = checked_status(&payments).since(&status).unwrap();
    assert!(!idle.totals.has_activity(), "taking a status counts nothing");
}

#[test]
fn statuses_in_reverse_order_have_no_interval() {
    let payments = bulkhead(1, 0);
    let (before, after) = (checked_status(&payments), checked_status(&payments));
    let error = before.since(&after).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "statuses of \"payments\" are in reverse order: sequence {} is before {}",
            before.sequence, after.sequence
        )
    );
    let IntervalError::ReverseOrder { label, sequence, earlier_sequence, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(
        (&*label, sequence, earlier_sequence),
        ("payments", before.sequence, after.sequence)
    );
}

#[test]
fn statuses_of_different_bulkheads_have_no_interval_even_under_one_label() {
    let first = checked_status(&bulkhead(1, 0));
    let second = checked_status(&bulkhead(1, 0));
    let third = Bulkhead::builder("reports").parallelism(1).build().unwrap().status();
    let error = second.since(&first).unwrap_err();
    assert!(matches!(&error, IntervalError::DifferentInstances { instance, earlier_instance, .. }
        if (*instance, *earlier_instance) == (second.instance, first.instance)));
    assert!(error.source().is_none());
    let error = third.since(&first).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "statuses are of different bulkheads: \"reports\" (instance {}) and \"payments\" \
             (instance {})",
            third.instance, first.instance
        )
    );
}
