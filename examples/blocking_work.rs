//! Blocking work behind a bulkhead: never more than two jobs run at once, although most of the clients leave before theirs
//! has ended.
//!
//! A job in `spawn_blocking` goes on when the future that waits for it is dropped. If the slot were given back with that
//! future, as it is by default, all jobs would run at once.
//!
//! ```text
//! cargo run --example blocking_work
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use axum::{BoxError, Extension, Router, extract::State, routing::get};
use bulklink::{Bulkhead, BulkheadLayer, LentSlot};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, task::spawn_blocking, time::timeout};

const CLIENTS: usize = 20;

/// How many jobs run, and the most that ever did.
#[derive(Clone, Default)]
struct Jobs {
    running: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl Jobs {
    /// Blocks its thread for 200 ms.
    fn run(&self) -> &'static str {
        self.peak.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(200));
        self.running.fetch_sub(1, Ordering::SeqCst);
        "a report"
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let reports = Bulkhead::builder("reports").parallelism(2).waiting_room(CLIENTS).build()?;
    let jobs = Jobs::default();
    let layer = BulkheadLayer::new(&reports).per_request().lend_slot();
    let app = Router::new().route("/report", get(report).layer(layer)).with_state(jobs.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/report", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    // Every other client loses patience.
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let patience = Duration::from_millis(if number % 2 == 0 { 300 } else { 30_000 });
            let url = url.clone();
            tokio::spawn(async move { timeout(patience, fetch(url)).await.is_ok() })
        })
        .collect();
    let mut answered = 0;
    for client in clients {
        answered += usize::from(client.await?);
    }
    let totals = reports.status().totals;
    println!("{answered} of {CLIENTS} clients got their report, the others left");
    println!("{} waited in vain, the work of {} was cut short", totals.cancelled, totals.cut_short);
    println!("at most {} jobs ran at once", jobs.peak.load(Ordering::SeqCst));
    assert!((CLIENTS / 2..CLIENTS).contains(&answered));
    assert!(jobs.peak.load(Ordering::SeqCst) <= 2);
    Ok(())
}

async fn report(State(jobs): State<Jobs>, Extension(slot): Extension<LentSlot>) -> &'static str {
    let job = spawn_blocking(move || {
        let report = jobs.run();
        drop(slot);
        report
    });
    job.await.unwrap_or("the report has failed")
}

async fn fetch(url: String) -> Result<(), BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    client.get(url.parse()?).await?;
    Ok(())
}
