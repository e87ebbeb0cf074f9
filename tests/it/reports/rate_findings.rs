//! Findings of the capacity report on rates and waits, just below, at and just above each threshold.

use std::time::Duration;

use bulklink::{
    Bulkhead, CapacityReport,
    FindingCode::{self, *},
    Severity::{self, *},
};
use tokio::time::advance;

use crate::support::{rejection_of, slot_of, waiting};

const LIMIT: Duration = Duration::from_millis(100);

/// The history of a bulkhead whose settings and current state cause no finding.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    direct: usize,
    /// Admitted after they waited.
    queued: usize,
    cancelled: usize,
    expired: usize,
    saturated: usize,
}

impl History {
    async fn report(self) -> CapacityReport {
        let payments = Bulkhead::builder("payments")
            .parallelism(1)
            .waiting_room(9)
            .wait_limit(LIMIT)
            .build()
            .unwrap();
        assert!(self.direct > 0, "an operation runs while others wait");
        for _ in 1..self.direct {
            drop(payments.slot_now().unwrap());
        }
        let mut slot = payments.slot_now().unwrap();
        for _ in 0..self.saturated {
            payments.slot_now().unwrap_err();
        }
        for _ in 0..self.queued {
            let mut waiter = waiting(payments.slot());
            drop(slot);
            slot = slot_of(&mut waiter);
        }
        for _ in 0..self.cancelled {
            drop(waiting(payments.slot()));
        }
        for _ in 0..self.expired {
            let mut waiter = waiting(payments.slot());
            advance(LIMIT).await;
            rejection_of(&mut waiter);
        }
        drop(slot);
        payments.capacity_report()
    }

    async fn found(self) -> Vec<(FindingCode, Severity)> {
        found(&self.report().await)
    }
}

fn found(report: &CapacityReport) -> Vec<(FindingCode, Severity)> {
    report.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

#[tokio::test(start_paused = true)]
async fn frequent_queueing_from_twenty_operations_of_which_half_had_to_wait() {
    let history = |direct, queued| History { direct, queued, ..History::default() };
    let frequent = [(FrequentQueueing, Notice)];
    assert_eq!(history(9, 10).found().await, [], "nineteen are too few");
    assert_eq!(history(10, 10).found().await, frequent);
    assert_eq!(history(11, 10).found().await, [], "less than half");
    assert_eq!(history(10, 11).found().await, frequent);
    assert_eq!(history(11, 9).found().await, []);
    // Those who were saturated are among the twenty.
    let mixed = History { direct: 5, queued: 10, saturated: 5, ..History::default() };
    assert!(mixed.found().await.contains(&(FrequentQueueing, Notice)));
    let mixed = History { saturated: 6, ..mixed };
    assert!(!mixed.found().await.contains(&(FrequentQueueing, Notice)));
    let mixed = History { direct: 1, queued: 10, saturated: 8, ..History::default() };
    assert!(!mixed.found().await.contains(&(FrequentQueueing, Notice)));
}

#[tokio::test(start_paused = true)]
async fn elevated_rejections_take_twenty_operations_with_thresholds_of_a_twentieth_and_a_fifth() {
    let history = |direct, saturated| History { direct, saturated, ..History::default() };
    assert_eq!(history(18, 1).found().await, [], "nineteen are too few");
    assert_eq!(history(1, 18).found().await, [], "however many are rejected");
    assert_eq!(history(19, 1).found().await, [(ElevatedRejectionRate, Warning)]);
    assert_eq!(history(20, 1).found().await, [], "below a twentieth");
    assert_eq!(history(38, 2).found().await, [(ElevatedRejectionRate, Warning)]);
    assert_eq!(history(39, 2).found().await, []);
    assert_eq!(history(16, 4).found().await, [(ElevatedRejectionRate, Critical)]);
    assert_eq!(history(17, 4).found().await, [(ElevatedRejectionRate, Warning)]);
    assert_eq!(history(15, 5).found().await, [(ElevatedRejectionRate, Critical)]);
}

#[tokio::test(start_paused = true)]
async fn expired_waiters_count_as_rejected_and_cancelled_ones_do_not() {
    let history = |direct, expired| History { direct, expired, ..History::default() };
    assert_eq!(history(19, 1).found().await, [(ElevatedRejectionRate, Warning)]);
    assert_eq!(history(18, 1).found().await, []);
    assert_eq!(history(20, 1).found().await, []);
    let cancelled = History { direct: 19, cancelled: 1, ..History::default() };
    assert_eq!(cancelled.found().await, []);
    let mixed = History { direct: 36, expired: 2, saturated: 2, ..History::default() };
    let report = mixed.report().await;
    assert_eq!(found(&report), [(ElevatedRejectionRate, Warning)]);
    assert!(report.findings[0].message.contains("4 of 40"), "{:?}", report.findings);
}

#[tokio::test(start_paused = true)]
async fn elevated_expirations_take_ten_waiters_with_thresholds_of_a_tenth_and_three_tenths() {
    // Enough direct admissions that nothing else is found.
    let history = |queued, expired| History { direct: 200, queued, expired, ..History::default() };
    assert_eq!(history(0, 9).found().await, [], "nine are too few");
    assert_eq!(history(9, 1).found().await, [(ElevatedExpirationRate, Warning)]);
    assert_eq!(history(10, 1).found().await, [], "below a tenth");
    assert_eq!(history(8, 2).found().await, [(ElevatedExpirationRate, Warning)]);
    assert_eq!(history(7, 3).found().await, [(ElevatedExpirationRate, Critical)]);
    assert_eq!(history(8, 3).found().await, [(ElevatedExpirationRate, Warning)]);
    assert_eq!(history(0, 10).found().await, [(ElevatedExpirationRate, Critical)]);
}

/// The findings after waits of these lengths in milliseconds.
async fn waits(limit: Option<Duration>, milliseconds: &[u64]) -> Vec<(FindingCode, Severity)> {
    let builder = Bulkhead::builder("payments").parallelism(1).waiting_room(9);
    let builder = match limit {
        Some(limit) => builder.wait_limit(limit),
        None => builder,
    };
    let payments = builder.build().unwrap();
    for &wait in milliseconds {
        let slot = payments.slot_now().unwrap();
        let mut waiter = waiting(payments.slot());
        advance(Duration::from_millis(wait)).await;
        drop(slot);
        drop(slot_of(&mut waiter));
    }
    found(&payments.capacity_report())
}

#[tokio::test(start_paused = true)]
async fn waits_near_the_limit_take_five_admissions_and_count_by_average_or_peak() {
    let near = [(WaitTimeNearLimit, Warning)];
    assert_eq!(waits(Some(LIMIT), &[99; 4]).await, [], "four are too few");
    assert_eq!(waits(Some(LIMIT), &[75; 5]).await, near);
    assert_eq!(waits(Some(LIMIT), &[74; 5]).await, []);
    assert_eq!(waits(Some(LIMIT), &[75, 75, 75, 75, 74]).await, [], "just below on average");
    assert_eq!(waits(Some(LIMIT), &[60, 90, 75, 70, 80]).await, near);
    assert_eq!(waits(Some(LIMIT), &[1, 1, 1, 1, 95]).await, near);
    assert_eq!(waits(Some(LIMIT), &[1, 1, 1, 1, 94]).await, []);
    assert_eq!(waits(Some(LIMIT), &[1, 1, 1, 96]).await, []);
    assert_eq!(waits(None, &[99; 6]).await, [(UnboundedQueueWait, Notice)], "there is no limit");
}

#[tokio::test(start_paused = true)]
async fn only_the_waits_of_admitted_operations_count() {
    let history = History { direct: 200, expired: 9, ..History::default() };
    assert_eq!(history.found().await, [], "nine waited up to the limit but were never admitted");
}

/// A bulkhead with as many findings as possible at once.
async fn with_many_findings() -> (Bulkhead, Vec<bulklink::Slot>) {
    let builder = Bulkhead::builder("payments").parallelism(5).waiting_room(100);
    let payments = builder.wait_limit(LIMIT).build().unwrap();
    let slots: Vec<_> = (0..5).map(|_| payments.slot_now().unwrap()).collect();
    for _ in 0..6 {
        payments.slot_now().unwrap_err();
    }
    let mut line: Vec<_> = (0..5).map(|_| waiting(payments.slot())).collect();
    let mut expiring: Vec<_> = (0..7).map(|_| waiting(payments.slot())).collect();
    advance(Duration::from_millis(96)).await;
    drop(slots);
    let running = line.iter_mut().map(slot_of).collect();
    advance(Duration::from_millis(4)).await;
    expiring.iter_mut().for_each(|waiter| drop(rejection_of(waiter)));
    (payments, running)
}

#[tokio::test(start_paused = true)]
async fn findings_come_in_the_order_of_the_rules_and_the_summary_gives_the_worst() {
    let (payments, running) = with_many_findings().await;
    payments.resize(2).unwrap();
    let lasting = [
        (LargeWaitingRoom, Notice),
        (FrequentQueueing, Notice),
        (ElevatedRejectionRate, Critical),
        (ElevatedExpirationRate, Critical),
        (WaitTimeNearLimit, Warning),
    ];
    let report = payments.capacity_report();
    assert_eq!(found(&report)[0], (ActiveWorkAboveCapacity, Notice));
    assert_eq!(found(&report)[1..], lasting);
    let worst = &report.findings[3];
    assert_eq!(
        report.summary(),
        format!(
            "bulkhead \"payments\" has a critical finding: {}, the most severe of 6 findings",
            worst.message
        )
    );
    // However many wait now, the share is of those that have left the line.
    let _line: Vec<_> = (0..100).map(|_| waiting(payments.slot())).collect();
    let report = payments.capacity_report();
    let now = [(ActiveWorkAboveCapacity, Warning), (WaitingRoomFull, Critical)];
    assert_eq!(found(&report)[..2], now);
    // Findings on the past do not depend on whether the waiting room is full.
    assert_eq!(found(&report)[2..], lasting);
    payments.close();
    let report = payments.capacity_report();
    assert_eq!(found(&report)[0], (ClosedWithActiveWork, Notice));
    // A hundred that were closed have left the line too.
    let lasting: Vec<_> =
        lasting.into_iter().filter(|&(code, _)| code != ElevatedExpirationRate).collect();
    assert_eq!(found(&report)[1..], lasting);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_report_assesses_the_status_it_contains() {
    let (payments, _running) = with_many_findings().await;
    let report = payments.capacity_report();
    let status = payments.status();
    assert_eq!((report.totals, *report.status.totals()), (status.totals, status.totals));
    assert_eq!((report.status.instance(), report.status.label()), (status.instance, "payments"));
    assert!(report.status.sequence() < status.sequence);
    assert_eq!(report.severity(), Critical);
}

/// Adds a thousand to each of these counters alone, and returns those that change no finding.
macro_rules! without_effect {
    ($status:expr; $($counter:ident)*; $($time:ident)*) => {{
        let status = &$status;
        let before = status.capacity_report().findings;
        let mut silent = Vec::new();
        $({
            let mut changed = status.clone();
            changed.totals.$counter += 1000;
            if changed.capacity_report().findings == before {
                silent.push(stringify!($counter));
            }
        })*
        $({
            let mut changed = status.clone();
            changed.totals.$time += Duration::from_secs(1000);
            if changed.capacity_report().findings == before {
                silent.push(stringify!($time));
            }
        })*
        silent
    }};
}

#[tokio::test(start_paused = true)]
async fn every_counter_of_an_outcome_changes_some_finding() {
    let history = History { direct: 200, queued: 100, cancelled: 50, expired: 50, saturated: 50 };
    let report = history.report().await;
    let mut status = report.status.bulkhead().unwrap().clone();
    status.totals.cut_short = 50;
    status.totals.oversized = 50;
    status.totals.expired_before_queue = 50;
    status.waiting_room = 1000;
    status.age += Duration::from_secs(3600);
    // The status of a single partition has none.
    status.patience = bulklink::Histogram::default();
    let silent = without_effect! { status;
        admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned
        abandoned_units abandoned_by_deadline queued queued_units saturated expired
        expired_by_deadline expired_before_queue expired_before_queue_by_deadline cancelled
        closed_before_queue closed_while_waiting oversized invalid_cost partition_limited
        invalid_limits missing_key bypassed nested finished finished_units cut_short cut_short_units
        bodies_ended_early handler_panics;
        wait_time cancelled_wait_time expired_wait_time pressure_time
    };
    let exceptions = [
        // Units tell how large operations are, and are in the causes of an interval.
        "admitted_units",
        "admitted_from_queue_units",
        "abandoned_units",
        "queued_units",
        "bypassed",
        "nested",
        "finished_units",
        "cut_short_units",
        "bodies_ended_early",
    ];
    let unexpected: Vec<_> = silent.iter().filter(|name| !exceptions.contains(name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}
