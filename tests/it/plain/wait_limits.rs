//! The wait limit and the deadline: which one ends a wait, when, and what they do not limit.

use std::{
    fmt::Debug,
    future::{Future, pending},
    time::Duration,
};

use bulklink::{Deadline, Rejection, RejectionReason};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

use crate::support::{assert_nothing_left, bulkhead, checked_status, limited, ms, must_come};

/// Which limit ended the wait, and after how long.
fn expired_by(rejection: &Rejection) -> (&'static str, Duration) {
    match *rejection.reason() {
        RejectionReason::WaitLimit { waited, .. } => ("wait limit", waited),
        RejectionReason::Deadline { waited, .. } => ("deadline", waited),
        ref other => panic!("{other}"),
    }
}

/// Waits for a rejection.
async fn rejected<T: Debug>(wait: impl Future<Output = Result<T, Rejection>>) -> Rejection {
    must_come(wait).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_waiter_leaves_at_the_wait_limit() {
    let payments = limited(9, ms(250));
    let _slot = payments.slot_now().unwrap();
    let start = Instant::now();
    let rejection = rejected(payments.slot()).await;
    assert_eq!(start.elapsed(), ms(250));
    assert_eq!(expired_by(&rejection), ("wait limit", ms(250)));
    assert!(rejection.retry_after().is_some());
    let status = checked_status(&payments);
    assert_eq!((status.waiting, status.totals.expired, status.totals.queued), (0, 1, 1));
    assert_eq!(status.totals.wait_time, Duration::ZERO, "it was never admitted");
}

#[tokio::test(start_paused = true)]
async fn slot_within_applies_the_shorter_of_its_own_limit_and_the_wait_limit() {
    let payments = limited(9, ms(250));
    let slot = payments.slot_now().unwrap();
    for (own, expected) in [(100, 100), (250, 250), (400, 250)] {
        let start = Instant::now();
        let rejection = rejected(payments.slot_within(ms(own))).await;
        assert_eq!(start.elapsed(), ms(expected));
        assert_eq!(expired_by(&rejection), ("wait limit", ms(expected)));
    }
    drop(slot);
    let unlimited = bulkhead(1, 1);
    let _slot = unlimited.slot_now().unwrap();
    let rejection = rejected(unlimited.slot_within(ms(70))).await;
    assert_eq!(expired_by(&rejection), ("wait limit", ms(70)));
    assert_eq!(checked_status(&payments).totals.expired, 3);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_wait_limit_and_deadline_is_reported() {
    let payments = limited(9, ms(250));
    let _slot = payments.slot_now().unwrap();
    let rejection = rejected(payments.slot_before(Deadline::after(ms(249)))).await;
    assert_eq!(expired_by(&rejection), ("deadline", ms(249)));
    assert_eq!(rejection.retry_after(), None, "its deadline has passed");
    let rejection = rejected(payments.slot_before(Deadline::after(ms(251)))).await;
    assert_eq!(expired_by(&rejection), ("wait limit", ms(250)));
    let unlimited = bulkhead(1, 1);
    let _slot = unlimited.slot_now().unwrap();
    let rejection = rejected(unlimited.slot_before(Instant::now() + ms(1))).await;
    assert_eq!(expired_by(&rejection), ("deadline", ms(1)));
}

#[tokio::test(start_paused = true)]
async fn the_wait_limit_starts_at_arrival() {
    let payments = limited(9, ms(250));
    let _slot = payments.slot_now().unwrap();
    let waiter = payments.slot();
    sleep(ms(1_000)).await;
    let start = Instant::now();
    assert_eq!(expired_by(&rejected(waiter).await), ("wait limit", ms(250)));
    assert_eq!(start.elapsed(), ms(250));
}

#[tokio::test(start_paused = true)]
async fn slot_now_ignores_the_wait_limit() {
    let payments = limited(9, ms(1));
    let _slot = payments.slot_now().unwrap();
    let reason = *payments.slot_now().unwrap_err().reason();
    assert!(matches!(reason, RejectionReason::Saturated { .. }), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_admitted_whose_limit_has_passed_although_its_timer_was_not_seen() {
    let payments = limited(9, ms(250));
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    advance(ms(300)).await;
    assert!(waiter.is_woken(), "its timer has fired");
    drop(slot);
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.totals.expired), (0, 1));
    // The clock has jumped past the limit.
    assert_eq!(expired_by(&assert_ready_err!(waiter.poll())), ("wait limit", ms(300)));
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn an_expired_waiter_leaves_the_line_to_the_waiters_behind_it() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    let mut short = task::spawn(payments.slot_within(ms(10)));
    let mut patient = task::spawn(payments.slot());
    assert_pending!(short.poll());
    assert_pending!(patient.poll());
    advance(ms(10)).await;
    assert!(short.is_woken());
    assert_eq!(expired_by(&assert_ready_err!(short.poll())), ("wait limit", ms(10)));
    assert_eq!(checked_status(&payments).waiting, 1);
    drop(slot);
    assert!(patient.is_woken());
    drop(assert_ready_ok!(patient.poll()));
    drop(short);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_limits_the_admission_and_not_the_work() {
    let payments = bulkhead(1, 1);
    let work = async {
        sleep(ms(500)).await;
        "done"
    };
    let outcome = must_come(payments.execute_before(Deadline::after(ms(10)), work)).await;
    assert_eq!(outcome.unwrap(), "done");
    let work = async {
        sleep(ms(500)).await;
        "done"
    };
    let outcome = must_come(payments.execute_within(ms(10), work)).await;
    assert_eq!(outcome.unwrap(), "done");
    let slot = payments.slot_before(Deadline::after(ms(10))).await.unwrap();
    sleep(ms(500)).await;
    assert_eq!(checked_status(&payments).in_flight, 1);
    drop(slot);
    assert_eq!(checked_status(&payments).totals.finished, 3);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn work_admitted_in_time_is_not_cut_short_by_its_wait_limit() {
    let payments = limited(9, ms(100));
    let slot = payments.slot_now().unwrap();
    let mut waiting = task::spawn(payments.execute(async {
        sleep(ms(500)).await;
        "done"
    }));
    assert_pending!(waiting.poll());
    advance(ms(50)).await;
    drop(slot);
    assert_pending!(waiting.poll());
    advance(ms(400)).await;
    assert_pending!(waiting.poll(), "the wait limit has long passed");
    advance(ms(100)).await;
    assert_eq!(assert_ready_ok!(waiting.poll()), "done");
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_the_range_of_instants_is_no_limit() {
    let payments = limited(9, Duration::MAX);
    let slot = payments.slot_now().unwrap();
    let mut forever = task::spawn(payments.slot());
    let mut longer = task::spawn(payments.slot_within(Duration::MAX));
    let mut deadline = task::spawn(payments.slot_before(Deadline::after(Duration::MAX)));
    assert_pending!(forever.poll());
    assert_pending!(longer.poll());
    assert_pending!(deadline.poll());
    advance(Duration::from_secs(365 * 24 * 60 * 60)).await;
    assert!(!forever.is_woken() && !longer.is_woken());
    drop(slot);
    drop(assert_ready_ok!(forever.poll()));
    drop(assert_ready_ok!(longer.poll()));
    drop(assert_ready_ok!(deadline.poll()));
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn every_execute_method_applies_the_limit_in_its_name() {
    let payments = limited(9, ms(250));
    let _slot = payments.slot_now().unwrap();
    let rejection = rejected(payments.execute(pending::<()>())).await;
    assert_eq!(expired_by(&rejection), ("wait limit", ms(250)));
    let rejection = rejected(payments.execute_within(ms(100), pending::<()>())).await;
    assert_eq!(expired_by(&rejection), ("wait limit", ms(100)));
    let rejection = rejected(payments.execute_within(ms(400), pending::<()>())).await;
    assert_eq!(expired_by(&rejection), ("wait limit", ms(250)));
    let deadline = Deadline::after(ms(100));
    let rejection = rejected(payments.execute_before(deadline, pending::<()>())).await;
    assert_eq!(expired_by(&rejection), ("deadline", ms(100)));
    let start = Instant::now();
    let rejection = rejected(payments.execute_now(pending::<()>())).await;
    assert!(matches!(rejection.reason(), RejectionReason::Saturated { .. }));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let guarded = payments.guard(|()| pending::<()>());
    assert_eq!(expired_by(&rejected(guarded(())).await), ("wait limit", ms(250)));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.expired, totals.saturated), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_reports_how_much_time_remains() {
    let now = Instant::now();
    let deadline = Deadline::after(ms(100));
    assert_eq!(deadline, Deadline::at(now + ms(100)));
    assert_eq!(deadline, Deadline::from((now + ms(100)).into_std()));
    assert_eq!((deadline.remaining(), deadline.is_expired()), (ms(100), false));
    advance(ms(99)).await;
    assert_eq!((deadline.remaining(), deadline.is_expired()), (ms(1), false));
    advance(ms(1)).await;
    assert_eq!((deadline.remaining(), deadline.is_expired()), (Duration::ZERO, true));
    advance(ms(1)).await;
    assert_eq!((deadline.remaining(), deadline.is_expired()), (Duration::ZERO, true));
}
