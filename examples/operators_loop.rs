//! How does an operator see what the bulkheads need, and change them without a restart? One loop reads the
//! configuration file when it has changed, and says what is wrong. `/metrics` is for Prometheus.
//!
//! ```text
//! cargo run --example operators_loop --all-features
//! ```
//!
//! Output:
//!
//! ```text
//! 40 reports: 3 served, 37 rejected
//! bulkhead "reports" has a critical finding: 37 of 40 operations rejected (92.5 %)
//! bulkhead "reports": parallelism 1 to 8, waiting_room 2 to 40
//! the file is not applied: bulkhead "reports": parallelism 0 is not allowed, it must be greater than 0
//! bulkhead "reports" has a warning finding: 8 of 8 units in use, 8 waiting: ...
//! 40 reports: 40 served, 0 rejected
//! bulkhead_limit{bulkhead="reports"} 8
//! ```
//!
//! The example `reload` reads its file on SIGHUP instead.

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{BoxError, Router, http::StatusCode, routing::get};
use bulklink::{BulkheadRegistry, FindingCode, RegistryConfig};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
    time::{interval, sleep},
};

const FILE: &str = r#"
    [bulkheads.reports]
    kind = "plain"
    parallelism = 1
    waiting_room = 2
    wait_limit = "2s"
"#;

/// What the loop has done.
#[derive(Debug, PartialEq)]
enum Done {
    Reloaded { applied: bool },
    Found(FindingCode),
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bulkheads.toml");
    replace(&file, FILE)?;
    let bulkheads = BulkheadRegistry::configure(toml::from_str(FILE)?).build()?;
    let mut metrics = Registry::default();
    metrics.register_collector(Box::new(bulkheads.prometheus()));
    let metrics = Arc::new(metrics);
    let app = Router::new()
        .route("/report", get(report).layer(bulkheads.layer("reports")?.per_request()))
        // In a service, put it on an address that strangers cannot reach.
        .route("/metrics", get(async move || encode(&metrics)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    let (sender, mut done) = mpsc::unbounded_channel();
    tokio::spawn(operate(bulkheads, file.clone(), sender));
    let mut until = async |wanted| while done.recv().await.expect("the loop runs") != wanted {};

    assert!(ask_for_reports(&url).await? < 20);
    until(Done::Found(FindingCode::ElevatedRejectionRate)).await;

    let larger = FILE.replace("parallelism = 1", "parallelism = 8").replace("= 2\n", "= 40\n");
    replace(&file, &larger)?;
    until(Done::Reloaded { applied: true }).await;
    replace(&file, &larger.replace("= 8", "= 0"))?;
    until(Done::Reloaded { applied: false }).await;

    assert_eq!(ask_for_reports(&url).await?, 40);
    let (_, text) = fetch(format!("{url}/metrics")).await?;
    let limit = text.lines().find(|line| line.starts_with("bulkhead_limit{"));
    println!("{}", limit.unwrap_or_default());
    assert_eq!(
        limit,
        Some("bulkhead_limit{bulkhead=\"reports\"} 8"),
        "the wrong file changed nothing"
    );
    Ok(())
}

/// The loop. In a service it goes around every minute. For advice on sizes, keep the snapshot of an hour ago, too.
async fn operate(bulkheads: BulkheadRegistry, file: PathBuf, done: mpsc::UnboundedSender<Done>) {
    let mut ticks = interval(Duration::from_millis(200));
    let (mut before, mut applied) = (bulkheads.snapshot(), FILE.to_owned());
    loop {
        ticks.tick().await;
        let now = bulkheads.snapshot();
        for report in now.since(&before).capacity_reports() {
            if report.requires_attention() {
                println!("{}", report.summary());
            }
            for finding in report.findings {
                let _ = done.send(Done::Found(finding.code));
            }
        }
        before = now;

        let Ok(text) = fs::read_to_string(&file) else { continue };
        if text != applied {
            let result = reload(&bulkheads, &text);
            if let Err(error) = &result {
                println!("the file is not applied: {error}");
            }
            applied = text; // also if it is wrong: once is enough to say so
            let _ = done.send(Done::Reloaded { applied: result.is_ok() });
        }
    }
}

/// Applies all of a configuration, or nothing.
fn reload(bulkheads: &BulkheadRegistry, text: &str) -> Result<(), Box<dyn Error>> {
    let plan = bulkheads.plan(&toml::from_str::<RegistryConfig>(text)?)?;
    print!("{plan}");
    Ok(bulkheads.apply(plan)?)
}

/// Replaces the file at once, so that nobody reads half of it.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(new, file)
}

async fn report() -> &'static str {
    sleep(Duration::from_millis(50)).await;
    "a report"
}

fn encode(metrics: &Registry) -> Result<String, StatusCode> {
    let mut text = String::new();
    prometheus_text::encode(&mut text, metrics).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(text)
}

/// Asks for 40 reports at once. Returns how many there were.
async fn ask_for_reports(url: &str) -> Result<usize, BoxError> {
    let mut clients = JoinSet::new();
    (0..40).for_each(|_| drop(clients.spawn(fetch(format!("{url}/report")))));
    let mut served = 0;
    while let Some(client) = clients.join_next().await {
        served += usize::from(client??.0 == StatusCode::OK);
    }
    println!("40 reports: {served} served, {} rejected", 40 - served);
    Ok(served)
}

async fn fetch(url: String) -> Result<(StatusCode, String), BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse()?).await?;
    let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
    Ok((status, String::from_utf8(body.to_vec())?))
}
