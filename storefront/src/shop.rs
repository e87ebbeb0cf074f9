//! An open shop: its database, its server, its bulkheads if it has any, and a client.

use std::net::Ipv4Addr;

use axum::BoxError;
use bulklink::BulkheadStatus;
use tokio::time::Instant;

use crate::client::Client;
use crate::server::{Bulkheads, Server, listen, routes};
use crate::store::{ORDERS, Store};
use crate::tally::in_words;

pub(crate) struct Shop {
    pub(crate) client: Client,
    pub(crate) store: Store,
    bulkheads: Option<Bulkheads>,
    server: Server,
}

impl Shop {
    /// Opens on a free port of the loopback address, with a fresh database.
    pub(crate) async fn open(bulkheads: Option<Bulkheads>) -> Result<Self, BoxError> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let store = open_store().await?;
        let server = Server::start(listener, routes(store.clone(), bulkheads.as_ref()))?;
        Ok(Self { client: Client::new(server.address), store, bulkheads, server })
    }

    /// Empty if the shop has no bulkheads.
    pub(crate) fn bulkhead_statuses(&self) -> Vec<BulkheadStatus> {
        self.bulkheads.as_ref().map_or_else(Vec::new, Bulkheads::statuses)
    }

    pub(crate) async fn close(self) -> Result<(), BoxError> {
        Ok(self.server.stop().await?)
    }
}

async fn open_store() -> Result<Store, BoxError> {
    let start = Instant::now();
    let store = Store::open().await?;
    let seeded = start.elapsed();
    store.report().await?;
    println!(
        "  {ORDERS} orders seeded in {}; one report alone takes {}",
        in_words(Some(seeded)),
        in_words(Some(start.elapsed() - seeded)),
    );
    Ok(store)
}
