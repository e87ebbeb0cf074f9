//! Four customers of one dependency that can do eight things at once: one floods it, one sends requests that take long, one
//! pays for more, and one needs little. What each of them gets, with three ways to protect the dependency.
//!
//! ```text
//! cargo run --example fair_customers [PICTURE.svg]
//! ```
//!
//! The little that the light customer needs comes at once only if all of them share the capacity: two bulkheads in a row have a
//! common line, in which it stands behind the flood.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    BoxError, Router,
    http::{HeaderMap, Request, StatusCode},
    routing::get,
};
use bulklink::{
    Bulkhead, BulkheadLayer, HeaderKey, PartitionLimits, PartitionedBulkhead,
    PartitionedBulkheadLayer,
};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plotters::prelude::*;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{interval, sleep},
};

/// What the dependency can do at once.
const CAPACITY: usize = 8;
const TIME: Duration = Duration::from_secs(4);
/// What happens first is not counted: the slots are given to whoever is there, and nobody takes them back.
const WARM_UP: Duration = Duration::from_secs(1);

/// How a customer behaves.
struct Behaviour {
    name: &'static str,
    /// Requests at once. Each is followed by the next one.
    clients: usize,
    /// The time between two requests of a client, if it takes that time.
    every: Option<Duration>,
    work: Duration,
}

const CUSTOMERS: [Behaviour; 4] = [
    Behaviour { name: "light", clients: 1, every: Some(ms(50)), work: ms(20) },
    Behaviour { name: "gold", clients: 40, every: None, work: ms(20) },
    Behaviour { name: "flood", clients: 80, every: None, work: ms(20) },
    Behaviour { name: "slow", clients: 10, every: None, work: ms(200) },
];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What protects the dependency.
#[derive(Clone, Copy, PartialEq)]
enum Protection {
    /// A limit for each customer.
    OfEach,
    /// A limit for each customer, and one for all behind it.
    TwoInARow,
    /// A limit for each customer, and one that all share fairly.
    Shared,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let alone = run(Protection::Shared, &CUSTOMERS[..1]).await?;
    println!(
        "alone, the light customer waits for {} ms at the 99th percentile",
        alone[0].p99.as_millis()
    );
    let mut all = Vec::new();
    for (protection, title) in [
        (Protection::OfEach, "a limit for each customer"),
        (Protection::TwoInARow, "a limit for each customer, and a bulkhead for all behind it"),
        (Protection::Shared, "a limit for each customer, and a capacity that all share"),
    ] {
        let got = run(protection, &CUSTOMERS).await?;
        println!(
            "\n{title}\n{:<8} {:>10} {:>10} {:>9} {:>9} {:>9}",
            "", "answered", "rejected", "p50", "p99", "share"
        );
        for (customer, got) in CUSTOMERS.iter().zip(&got) {
            println!(
                "{:<8} {:>8}/s {:>9.1} % {:>6} ms {:>6} ms {:>7.1} %",
                customer.name,
                got.answered / TIME.as_secs() as usize,
                got.rejected * 100.0,
                got.p50.as_millis(),
                got.p99.as_millis(),
                got.share * 100.0
            );
        }
        all.push((title, got));
    }
    let shared = &all[2].1;
    assert_eq!(shared[0].rejected, 0.0, "the light customer finds a place");
    if let Some(path) = env::args().nth(1) {
        draw(&path, &all)?;
    }
    Ok(())
}

/// What a customer got.
struct Got {
    answered: usize,
    /// Of its requests, the part that was rejected.
    rejected: f64,
    p50: Duration,
    p99: Duration,
    /// Its part of the time that the dependency worked.
    share: f64,
}

/// Lets customers send requests for a while.
async fn run(
    protection: Protection,
    customers: &'static [Behaviour],
) -> Result<Vec<Got>, BoxError> {
    let worked: Arc<Vec<AtomicU64>> =
        Arc::new(customers.iter().map(|_| AtomicU64::new(0)).collect());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = app(protection, worked.clone())?;
    let server = tokio::spawn(async { axum::serve(listener, app).await });

    let begin = Instant::now() + WARM_UP;
    let mut clients = JoinSet::new();
    for (number, customer) in customers.iter().enumerate() {
        for _ in 0..customer.clients {
            let client = Client::builder(TokioExecutor::new()).build_http();
            let url = url.clone();
            clients.spawn(async move {
                (number, requests(&client, &url, number, customer, begin).await)
            });
        }
    }
    sleep(WARM_UP).await;
    let before: Vec<u64> = worked.iter().map(|time| time.load(Ordering::Relaxed)).collect();
    let mut answers: Vec<(Vec<Duration>, usize)> =
        customers.iter().map(|_| Default::default()).collect();
    while let Some(client) = clients.join_next().await {
        let (number, (times, rejected)) = client?;
        answers[number].0.extend(times);
        answers[number].1 += rejected;
    }
    server.abort();
    let worked =
        worked.iter().zip(before).map(|(time, before)| time.load(Ordering::Relaxed) - before);
    let worked: Vec<u64> = worked.collect();
    let all: u64 = worked.iter().sum();
    let got = answers.into_iter().zip(worked.iter()).map(|((mut times, rejected), worked)| {
        times.sort();
        let quantile =
            |per_cent| times.get(times.len() * per_cent / 100).copied().unwrap_or_default();
        Got {
            answered: times.len(),
            rejected: rejected as f64 / (times.len() + rejected).max(1) as f64,
            p50: quantile(50),
            p99: quantile(99),
            share: *worked as f64 / all as f64,
        }
    });
    Ok(got.collect())
}

/// The service: a router in front of the dependency.
fn app(protection: Protection, worked: Arc<Vec<AtomicU64>>) -> Result<Router, BoxError> {
    let connections = Arc::new(Semaphore::new(CAPACITY));
    let handler = move |headers: HeaderMap| async move {
        let number = |name| headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
        let (Some(customer), Some(work)) = (number("x-customer"), number("x-work")) else {
            return StatusCode::BAD_REQUEST;
        };
        let _connection = connections.acquire().await.expect("it is never closed");
        sleep(ms(work)).await;
        worked[customer as usize].fetch_add(work, Ordering::Relaxed);
        StatusCode::OK
    };
    let limits = |name: &String| {
        let is_gold = name == "1";
        let limits = PartitionLimits::new(CAPACITY).waiting_room(50);
        if is_gold { limits.weight(4).guaranteed(2) } else { limits }
    };
    let each = PartitionedBulkhead::builder("customers")
        .parallelism(CAPACITY)
        .waiting_room(50)
        .max_partitions(1_000);
    let each = match protection {
        // By the rule of thumb: twelve places for each customer that may flood.
        Protection::Shared => {
            each.total_parallelism(CAPACITY).total_waiting_room(64).limits_for(limits)
        }
        _ => each,
    };
    let each =
        PartitionedBulkheadLayer::new(&each.build()?, HeaderKey::new("x-customer")).per_request();
    let all = Bulkhead::builder("all").parallelism(CAPACITY).waiting_room(64).build()?;
    let router = Router::new().route("/", get(handler));
    let router = match protection {
        Protection::TwoInARow => router.layer(BulkheadLayer::new(&all).per_request()),
        _ => router,
    };
    Ok(router.layer(each))
}

/// Sends requests for a while. Returns the times of those that were answered after the beginning, and how many were rejected.
async fn requests(
    client: &Client<HttpConnector, Empty<Bytes>>,
    url: &str,
    number: usize,
    customer: &Behaviour,
    begin: Instant,
) -> (Vec<Duration>, usize) {
    let (mut times, mut rejected) = (Vec::new(), 0);
    let mut every = customer.every.map(interval);
    while Instant::now() < begin + TIME {
        if let Some(every) = &mut every {
            every.tick().await;
        }
        let request = Request::get(url)
            .header("x-customer", number.to_string())
            .header("x-work", customer.work.as_millis().to_string())
            .body(Empty::new())
            .expect("a valid request");
        let sent = Instant::now();
        let Ok(response) = client.request(request).await else { continue };
        let status = response.status();
        let _ = response.into_body().collect().await;
        if sent >= begin {
            match status {
                StatusCode::OK => times.push(sent.elapsed()),
                _ => rejected += 1,
            }
        }
        if status != StatusCode::OK {
            sleep(ms(10)).await;
        }
    }
    (times, rejected)
}

/// Draws for each protection and customer how long its requests took, on a logarithmic scale, and how many were rejected.
fn draw(path: &str, all: &[(&str, Vec<Got>)]) -> Result<(), BoxError> {
    let area = SVGBackend::new(path, (900, 360)).into_drawing_area();
    area.fill(&WHITE)?;
    let columns =
        area.titled("99th percentile in ms, and rejected requests", ("sans-serif", 18))?;
    for (part, (title, got)) in columns.split_evenly((1, all.len())).iter().zip(all) {
        let title = title.strip_prefix("a limit for each customer, and ").unwrap_or(title);
        let mut chart = ChartBuilder::on(part)
            .caption(title, ("sans-serif", 13))
            .margin(12)
            .x_label_area_size(24)
            .y_label_area_size(40)
            .build_cartesian_2d(0.0..CUSTOMERS.len() as f64, (10.0..20_000.0).log_scale())?;
        chart.configure_mesh().disable_x_mesh().disable_x_axis().draw()?;
        for (at, (customer, got)) in CUSTOMERS.iter().zip(got).enumerate() {
            let (left, height) = (at as f64, (got.p99.as_millis() as f64).max(10.0));
            let color = if customer.name == "light" { RED } else { BLUE };
            chart.draw_series([Rectangle::new(
                [(left + 0.15, 10.0), (left + 0.85, height)],
                color.mix(0.6).filled(),
            )])?;
            let label = format!("{}: {:.0} %", customer.name, got.rejected * 100.0);
            chart.draw_series([Text::new(
                label,
                (left + 0.1, height * 1.35),
                ("sans-serif", 11),
            )])?;
        }
    }
    area.present()?;
    Ok(())
}
