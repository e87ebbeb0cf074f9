//! One run: a shop through a steady phase and a flooded one, and what was measured.

use std::pin::pin;
use std::time::Duration;

use axum::BoxError;
use bulklink::BulkheadStatus;
use tokio::time::{Instant, interval};

use crate::client::Route;
use crate::load::{Sample, flood, stream};
use crate::progress::{self, Progress, TICKS_PER_SECOND};
use crate::server::Bulkheads;
use crate::shop::Shop;

pub(crate) const PAYMENTS_PER_SECOND: u32 = 100;
pub(crate) const FLOODING_CLIENTS: usize = 64;
const HEALTH_CHECKS_PER_SECOND: u32 = 20;

pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) steady: Phase,
    pub(crate) flood: Phase,
    /// Empty in the run without bulkheads.
    pub(crate) bulkheads: Vec<BulkheadStatus>,
}

pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) length: Duration,
    pub(crate) payments: Vec<Sample>,
    pub(crate) reports: Vec<Sample>,
    pub(crate) healthz: Vec<Sample>,
    /// From the end of the phase until its last request ended.
    pub(crate) drain: Duration,
    /// The most requests found waiting for one of the pool's connections.
    pub(crate) peak_pool_waiters: usize,
}

impl Run {
    pub(crate) async fn without_bulkheads(length: Duration) -> Result<Self, BoxError> {
        Self::play("without bulkheads", length, None).await
    }

    pub(crate) async fn with_bulkheads(length: Duration) -> Result<Self, BoxError> {
        Self::play("with bulkheads", length, Some(Bulkheads::new()?)).await
    }

    async fn play(
        name: &'static str,
        length: Duration,
        bulkheads: Option<Bulkheads>,
    ) -> Result<Self, BoxError> {
        println!("\n{name}");
        let shop = Shop::open(bulkheads).await?;
        progress::print_header(&shop);
        let run = Self {
            name,
            steady: Phase::play("steady", &shop, length, 0).await,
            flood: Phase::play("flood", &shop, length, FLOODING_CLIENTS).await,
            bulkheads: shop.bulkhead_statuses(),
        };
        shop.close().await?;
        Ok(run)
    }

    pub(crate) fn phases(&self) -> [&Phase; 2] {
        [&self.steady, &self.flood]
    }
}

impl Phase {
    /// Returns when every request of the phase has ended.
    async fn play(name: &'static str, shop: &Shop, length: Duration, flooding: usize) -> Self {
        let (client, start) = (&shop.client, Instant::now());
        let mut load = pin!(async {
            tokio::join!(
                stream(client, Route::Payments, PAYMENTS_PER_SECOND, start, length),
                stream(client, Route::Healthz, HEALTH_CHECKS_PER_SECOND, start, length),
                flood(client, flooding, start, length),
            )
        });
        let mut progress = Progress::new(shop, name, start, length);
        let mut ticks = interval(Duration::from_secs(1) / TICKS_PER_SECOND);
        let (payments, healthz, reports) = loop {
            tokio::select! {
                samples = &mut load => break samples,
                _ = ticks.tick() => progress.tick(),
            }
        };
        let drain = start.elapsed().saturating_sub(length);
        println!("  {name} over, drained after {:.1} s more", drain.as_secs_f64());
        Self {
            name,
            length,
            payments,
            reports,
            healthz,
            drain,
            peak_pool_waiters: progress.peak_pool_waiters,
        }
    }
}
