//! Six good hours, then 95 % are rejected.
//!
//! Six hours outweigh some bad minutes in every share of all time. The interval must be critical at once.

use bulklink::{FindingCode::*, Severity::*};

use super::{
    MINUTE, SECOND, callers::Callers, contains, never_advises, payments, registry_of, silent, text,
};

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn minutes_of_rejections_after_six_good_hours_are_critical() {
    let payments = payments(5, 5, 5 * SECOND);
    let registry = registry_of(&payments);
    let mut callers = Callers::new(0.8, 2 * SECOND).fixed();
    for _ in 0..6 {
        silent(&callers.call(&payments, HOUR).await.capacity_report());
    }
    silent(&payments.capacity_report());
    let before = registry.snapshot();
    // Callers retry: 20 times of what can be served.
    callers.rate = 50.0;
    let interval = callers.call(&payments, MINUTE).await;
    assert!(interval.totals.rejected_share().unwrap() > 0.94);
    let report = interval.capacity_report();
    println!("{}", text(&report));
    let of_registry = &registry.snapshot().since(&before).capacity_reports()[0];
    for report in [&report, of_registry] {
        assert_eq!(report.severity(), Critical, "{}", text(report));
        contains(&report.summary(), &["units wanted of 5; arrivals were 0.8"]);
        never_advises(report, &["to about 9", "to about 10", "takes longer"]);
        let rejections = report.finding(ElevatedRejectionRate).unwrap();
        assert_eq!(rejections.severity, Critical);
        contains(&rejections.message, &["units wanted of 5; arrivals were 0.8"]);
        assert!(!rejections.message.contains("the work took"), "{}", rejections.message);
        contains(
            &rejections.recommendation,
            &["where the additional load comes from", "raise the capacity to about 8 at first"],
        );
    }
    // The means of six hours explain nothing of the present, and the report of all time says so.
    let all_time = payments.capacity_report();
    println!("{}", text(&all_time));
    contains(&all_time.summary(), &["in the 6.0 h since it was created"]);
    never_advises(&all_time, &["raise the capacity", "operations to wait"]);
    contains(&all_time.findings[0].recommendation, &["see the report of a recent interval"]);
}

#[tokio::test(start_paused = true)]
async fn a_seventh_hour_like_the_others_causes_no_finding() {
    let payments = payments(5, 5, 5 * SECOND);
    let mut callers = Callers::new(0.8, 2 * SECOND).fixed();
    for _ in 0..7 {
        silent(&callers.call(&payments, HOUR).await.capacity_report());
    }
    silent(&payments.capacity_report());
}
