//! The shop's database: SQLite in a temporary folder, behind a small pool of connections.
//!
//! Owns the schema, the orders it starts with and the two queries. It knows nothing of HTTP or of
//! bulkheads.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use deadpool_sqlite::rusqlite::{self, Connection};
use deadpool_sqlite::{Config, Hook, HookError, Pool, Runtime, Status};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

pub(crate) const ORDERS: u32 = 200_000;
pub(crate) const CONNECTIONS: usize = 8;

/// Long on purpose: a short timeout would turn a stall into errors and hide how long it lasts.
const WAIT_FOR_A_CONNECTION: Duration = Duration::from_secs(30);

pub(crate) type StoreError = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Store {
    pool: Pool,
    /// Deleted when the last clone is dropped.
    _folder: Arc<TempDir>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Payment {
    order: i64,
    cents: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    payment: i64,
    still_owed_cents: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ReportRow {
    country: String,
    month: String,
    orders: i64,
    cents: i64,
    largest_cents: i64,
}

impl Store {
    /// Creates a database with [`ORDERS`] orders and opens every connection of the pool.
    pub(crate) async fn open() -> Result<Self, StoreError> {
        let folder = tempfile::tempdir()?;
        let config = Config::new(folder.path().join("shop.sqlite"));
        let pool = config
            .builder(Runtime::Tokio1)?
            .max_size(CONNECTIONS)
            .wait_timeout(Some(WAIT_FOR_A_CONNECTION))
            .post_create(Hook::async_fn(|connection, _| {
                Box::pin(async {
                    let settings =
                        connection.interact(|connection| connection.execute_batch(SETTINGS));
                    match settings.await {
                        Ok(result) => result.map_err(HookError::Backend),
                        Err(panicked) => Err(HookError::message(panicked.to_string())),
                    }
                })
            }))
            .build()?;
        let store = Self { pool, _folder: Arc::new(folder) };
        store.with_connection(|connection| connection.execute_batch(SCHEMA)).await?;
        store.with_connection(|connection| connection.execute(SEED, [ORDERS])).await?;
        store.open_every_connection().await?;
        Ok(store)
    }

    /// Records a payment. Returns `None` if there is no such order.
    pub(crate) async fn pay(&self, payment: Payment) -> Result<Option<Receipt>, StoreError> {
        self.with_connection(move |connection| {
            let Payment { order, cents } = payment;
            let inserted = connection.prepare_cached(INSERT_PAYMENT)?.execute([order, cents])?;
            if inserted == 0 {
                return Ok(None);
            }
            let payment = connection.last_insert_rowid();
            let still_owed_cents =
                connection.prepare_cached(STILL_OWED)?.query_row([order], |row| row.get(0))?;
            Ok(Some(Receipt { payment, still_owed_cents }))
        })
        .await
    }

    /// Sums up all orders by country and month.
    pub(crate) async fn report(&self) -> Result<Vec<ReportRow>, StoreError> {
        self.with_connection(|connection| {
            let mut report = connection.prepare_cached(REPORT)?;
            let rows = report.query_map([], |row| {
                Ok(ReportRow {
                    country: row.get(0)?,
                    month: row.get(1)?,
                    orders: row.get(2)?,
                    cents: row.get(3)?,
                    largest_cents: row.get(4)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    pub(crate) fn pool_status(&self) -> Status {
        self.pool.status()
    }

    /// Waits for a connection and runs `work` with it on a blocking thread.
    async fn with_connection<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.pool.get().await?;
        let result = connection.interact(work).await;
        // A panic's payload is not `Sync`, so only its message is passed on.
        Ok(result.map_err(|panicked| panicked.to_string())??)
    }

    async fn open_every_connection(&self) -> Result<(), StoreError> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(self.pool.get().await?);
        }
        Ok(())
    }
}

const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA busy_timeout = 5000;";

const SCHEMA: &str = "
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, country TEXT NOT NULL, placed_at INTEGER NOT NULL, cents INTEGER NOT NULL);
    CREATE TABLE payments (
        id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders, cents INTEGER NOT NULL);
    CREATE INDEX payments_by_order ON payments (order_id);";

/// The same orders every time, with countries, times and amounts scattered by multiplication.
const SEED: &str = "
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
    INSERT INTO orders (id, country, placed_at, cents)
    SELECT n,
           substr('ATBEDEESFRITNLPTSEUK', 1 + 2 * (n * 7919 % 10), 2),
           1704067200 + n * 104729 % 31536000,
           500 + n * 15485863 % 20000
    FROM number";

const INSERT_PAYMENT: &str = "
    INSERT INTO payments (order_id, cents) SELECT id, ?2 FROM orders WHERE id = ?1";

const STILL_OWED: &str = "
    SELECT orders.cents - sum(payments.cents)
    FROM orders JOIN payments ON payments.order_id = orders.id
    WHERE orders.id = ?1";

const REPORT: &str = "
    SELECT country, strftime('%Y-%m', placed_at, 'unixepoch') AS month,
           count(*), sum(cents), max(cents)
    FROM orders GROUP BY country, month ORDER BY country, month";
