//! Changing the bulkheads of an open shop: no customer notices.

use std::time::Duration;

use axum::BoxError;
use bulklink::BulkheadConfig;
use tokio::time::{Instant, sleep};

use crate::client::{Outcome, Route};
use crate::load::stream;
use crate::run::PAYMENTS_PER_SECOND;
use crate::server::Bulkheads;
use crate::shop::Shop;

const LENGTH: Duration = Duration::from_secs(3);

/// How many may run and wait, and for how long: each setting suffices for the load, with nothing to spare but the wait limit.
const SETTINGS: [(usize, usize, u64); 4] =
    [(6, 50, 2_000), (3, 20, 5_000), (7, 50, 1_500), (4, 30, 9_000)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_the_configuration_is_reloaded() -> Result<(), BoxError> {
    let bulkheads = Bulkheads::new()?;
    let registry = bulkheads.registry.clone();
    let shop = Shop::open(Some(bulkheads)).await?;
    let reload = async {
        let start = Instant::now();
        let mut applied = 0;
        while start.elapsed() < LENGTH {
            let (parallelism, room, limit) = SETTINGS[applied % SETTINGS.len()];
            let mut config = registry.config();
            let payments = BulkheadConfig::plain(parallelism).waiting_room(room);
            let payments = payments.wait_limit(Duration::from_millis(limit));
            config.insert("payments", payments)?;
            registry.apply(registry.plan(&config)?)?;
            applied += 1;
            sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, BoxError>(applied)
    };
    let payments =
        stream(&shop.client, Route::Payments, PAYMENTS_PER_SECOND, Instant::now(), LENGTH);
    let (samples, applied) = tokio::join!(payments, reload);
    let applied = applied?;
    assert!(applied > 20, "only {applied} reloads");
    assert_eq!(registry.snapshot().config_generation, applied as u64);
    let failed: Vec<_> =
        samples.iter().filter(|sample| !matches!(sample.outcome, Outcome::Answered)).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), samples.len());
    shop.close().await
}
