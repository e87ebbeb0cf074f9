//! Ten bad minutes, then all is well.
//!
//! The interval of the incident is critical, and the interval after it is not. The report of all time remembers the incident
//! for hours: it must say that it speaks of all time.

use bulklink::{FindingCode::*, Severity::*};

use super::{
    MINUTE, SECOND, callers::Callers, contains, never_advises, payments, registry_of, silent,
    silent_but, text,
};
use crate::support::ms;

#[tokio::test(start_paused = true)]
async fn an_incident_of_ten_minutes_is_over_in_the_minute_after_it() {
    let payments = payments(10, 10, 5 * SECOND);
    let registry = registry_of(&payments);
    let mut callers = Callers::new(25.0, ms(200)).fixed();
    for _ in 0..5 {
        silent(&callers.call(&payments, MINUTE).await.capacity_report());
    }
    // The dependency takes four times as long.
    callers.work *= 4;
    let before = registry.snapshot();
    for minute in 0..10 {
        let report = callers.call(&payments, MINUTE).await.capacity_report();
        contains(&report.summary(), &["units wanted of 10; the work took "]);
        never_advises(&report, &["raise the capacity"]);
        if minute == 0 {
            // It takes a while to fill the waiting room.
            assert!(report.requires_attention(), "{}", text(&report));
            continue;
        }
        assert_eq!(report.severity(), Critical, "{}", text(&report));
        let finding = report.finding(ElevatedRejectionRate).unwrap();
        assert_eq!(finding.severity, Critical, "{}", text(&report));
        contains(&finding.message, &["units wanted of 10", "the work took "]);
        contains(&finding.recommendation, &["why the work takes longer"]);
    }
    let incident = registry.snapshot().since(&before);
    let report = &incident.capacity_reports()[0];
    println!("{}", text(report));
    assert_eq!(report.severity(), Critical);
    contains(&report.summary(), &["units wanted of 10; the work took "]);
    callers.work /= 4;
    let before = registry.snapshot();
    for _ in 0..5 {
        let report = callers.call(&payments, MINUTE).await.capacity_report();
        println!("{}", text(&report));
        assert!(!report.requires_attention(), "{}", text(&report));
    }
    silent_but(&registry.snapshot().since(&before).capacity_reports()[0], &[ExecutionFull]);
    let all_time = payments.capacity_report();
    println!("{}", text(&all_time));
    assert_eq!(all_time.severity(), Critical);
    contains(&all_time.summary(), &["in the 20 min since it was created"]);
    never_advises(&all_time, &["raise the capacity", "slow"]);
    contains(&all_time.findings[0].recommendation, &["see the report of a recent interval"]);
}
