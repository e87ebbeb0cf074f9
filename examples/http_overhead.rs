//! The cost of a layer in an HTTP server at saturation: "hello, world" without a layer, behind tower's
//! `ConcurrencyLimit`, and behind a bulkhead, over loopback, in alternation.
//!
//! ```text
//! cargo run --release --example http_overhead -- [--seconds 30]
//! ```
//!
//! One thread serves and another sends the requests, each with its own runtime. A round loads the three
//! servers one after another, for a fifth of a second each. The table shows the medians over the rounds, and
//! how each server compares with the one without a layer in the same round.

use std::{
    error::Error,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use bulklink::{Bulkhead, BulkheadLayer};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
};
use tower::limit::GlobalConcurrencyLimitLayer;

/// Connections, each with one request in flight at all times.
const CONNECTIONS: usize = 64;
/// More than there are connections, so that no request waits and only admission is measured.
const PARALLELISM: usize = 1_000;
const LOAD_TIME: Duration = Duration::from_millis(200);

const NAMES: [&str; 3] = ["no layer", "ConcurrencyLimit", "BulkheadLayer"];

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = seconds()?;
    let (address_sender, addresses) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut servers = JoinSet::new();
            for router in routers() {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                address_sender
                    .send(listener.local_addr().expect("a bound port"))
                    .expect("the main thread is receiving");
                servers.spawn(axum::serve(listener, router).into_future());
            }
            servers.join_all().await
        })
    });
    let addresses: Vec<SocketAddr> = addresses.iter().take(NAMES.len()).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let rounds = runtime.block_on(measure_rounds(&addresses, Duration::from_secs(seconds)))?;
    print_table(&rounds);
    Ok(())
}

fn seconds() -> Result<u64, Box<dyn Error>> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let mut seconds = 30;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => seconds = parser.value()?.parse()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(seconds)
}

fn routers() -> [Router; 3] {
    let hello = || Router::new().route("/", get(async || "hello, world"));
    let bulkhead = Bulkhead::builder("hello").parallelism(PARALLELISM).waiting_room(PARALLELISM);
    let bulkhead = bulkhead.build().expect("valid settings");
    [
        hello(),
        hello().layer(GlobalConcurrencyLimitLayer::new(PARALLELISM)),
        hello().layer(BulkheadLayer::new(&bulkhead)),
    ]
}

/// The measurements of one server in one round.
#[derive(Clone, Copy)]
struct Measurement {
    requests_per_second: f64,
    p99_micros: f64,
}

async fn measure_rounds(
    addresses: &[SocketAddr],
    duration: Duration,
) -> Result<Vec<[Measurement; 3]>, Box<dyn Error>> {
    let mut connections = Vec::new();
    for &address in addresses {
        let mut senders = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            senders.push(sender);
        }
        connections.push(senders);
    }
    let end = Instant::now() + duration;
    let mut rounds = Vec::new();
    while Instant::now() < end || rounds.len() < 3 {
        let mut round = [Measurement { requests_per_second: 0.0, p99_micros: 0.0 }; 3];
        // The server that went first in the previous round goes last in this one.
        for step in 0..3 {
            let server = (step + rounds.len()) % 3;
            round[server] = load(&mut connections[server]).await?;
        }
        rounds.push(round);
    }
    // The first round is a warm-up.
    rounds.remove(0);
    Ok(rounds)
}

type Sender = http1::SendRequest<Empty<Bytes>>;

async fn load(senders: &mut Vec<Sender>) -> Result<Measurement, Box<dyn Error>> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut sender in senders.drain(..) {
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < LOAD_TIME {
                let sent = Instant::now();
                let request = Request::get("/").header("host", "localhost").body(Empty::new());
                let request = request.expect("a valid request");
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                response.into_body().collect().await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, hyper::Error>((sender, latencies))
        });
    }
    let mut all = Vec::new();
    for outcome in tasks.join_all().await {
        let (sender, latencies) = outcome?;
        senders.push(sender);
        all.extend(latencies);
    }
    let elapsed = start.elapsed().as_secs_f64();
    all.sort_unstable();
    Ok(Measurement {
        requests_per_second: all.len() as f64 / elapsed,
        p99_micros: all[all.len() * 99 / 100].as_secs_f64() * 1e6,
    })
}

fn print_table(rounds: &[[Measurement; 3]]) {
    println!(
        "{} rounds of {} ms per server, {CONNECTIONS} connections",
        rounds.len(),
        LOAD_TIME.as_millis()
    );
    println!(
        "\n| server | requests/s | against no layer | middle half | p99 us | against no layer | middle half |"
    );
    println!(
        "|--------|-----------:|-----------------:|:-----------:|-------:|-----------------:|:-----------:|"
    );
    for (server, name) in NAMES.iter().enumerate() {
        let columns = |of: fn(&Measurement) -> f64| {
            let value = quartiles(rounds.iter().map(|round| of(&round[server])));
            let ratio = quartiles(rounds.iter().map(|round| of(&round[server]) / of(&round[0])));
            let [low, middle, high] = ratio.map(|ratio| (ratio - 1.0) * 100.0);
            format!("{:.0} | {middle:+.1} % | {low:+.1}..{high:+.1} %", value[1])
        };
        println!(
            "| {name} | {} | {} |",
            columns(|measurement| measurement.requests_per_second),
            columns(|measurement| measurement.p99_micros)
        );
    }
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() * quarter / 4).min(values.len() - 1)])
}
