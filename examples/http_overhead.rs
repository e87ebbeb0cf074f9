//! What a layer costs an HTTP server at saturation: hello-world behind no layer, behind tower's
//! `ConcurrencyLimit` and behind a bulkhead, over loopback, in alternation.
//!
//! ```text
//! cargo run --release --example http_overhead -- [--seconds 30]
//! ```
//!
//! One thread serves and one drives, each with its own runtime. Every turn drives the three servers one
//! after another for a fifth of a second; the table gives the medians over the turns, and how each
//! compares with no layer in the same turn.

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

/// Connections that always have a request under way.
const CONNECTIONS: usize = 64;
/// More than ever run at once: what is measured is admission, not waiting.
const PARALLELISM: usize = 1_000;
const TURN: Duration = Duration::from_millis(200);

const NAMES: [&str; 3] = ["no layer", "ConcurrencyLimit", "BulkheadLayer"];

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = seconds()?;
    let (told, addresses) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut servers = JoinSet::new();
            for router in routers() {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                told.send(listener.local_addr().expect("a bound port"))
                    .expect("the driver listens");
                servers.spawn(axum::serve(listener, router).into_future());
            }
            servers.join_all().await
        })
    });
    let addresses: Vec<SocketAddr> = addresses.iter().take(NAMES.len()).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let turns = runtime.block_on(drive_in_turns(&addresses, Duration::from_secs(seconds)))?;
    print_table(&turns);
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

/// What one server did in one turn.
#[derive(Clone, Copy)]
struct Turn {
    requests_per_second: f64,
    p99_micros: f64,
}

async fn drive_in_turns(
    addresses: &[SocketAddr],
    duration: Duration,
) -> Result<Vec<[Turn; 3]>, Box<dyn Error>> {
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
    let mut turns = Vec::new();
    while Instant::now() < end || turns.len() < 3 {
        let mut turn = [Turn { requests_per_second: 0.0, p99_micros: 0.0 }; 3];
        // Whoever began the last turn ends this one.
        for step in 0..3 {
            let server = (step + turns.len()) % 3;
            turn[server] = drive(&mut connections[server]).await?;
        }
        turns.push(turn);
    }
    // The first turn warms up.
    turns.remove(0);
    Ok(turns)
}

type Sender = http1::SendRequest<Empty<Bytes>>;

async fn drive(senders: &mut Vec<Sender>) -> Result<Turn, Box<dyn Error>> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut sender in senders.drain(..) {
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < TURN {
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
    Ok(Turn {
        requests_per_second: all.len() as f64 / elapsed,
        p99_micros: all[all.len() * 99 / 100].as_secs_f64() * 1e6,
    })
}

fn print_table(turns: &[[Turn; 3]]) {
    println!("{} turns of {} ms each, {CONNECTIONS} connections", turns.len(), TURN.as_millis());
    println!(
        "\n| server | requests/s | against no layer | middle half | p99 us | against no layer | middle half |"
    );
    println!(
        "|--------|-----------:|-----------------:|:-----------:|-------:|-----------------:|:-----------:|"
    );
    for (server, name) in NAMES.iter().enumerate() {
        let part = |of: fn(&Turn) -> f64| {
            let value = quartiles(turns.iter().map(|turn| of(&turn[server])));
            let ratio = quartiles(turns.iter().map(|turn| of(&turn[server]) / of(&turn[0])));
            let [low, middle, high] = ratio.map(|ratio| (ratio - 1.0) * 100.0);
            format!("{:.0} | {middle:+.1} % | {low:+.1}..{high:+.1} %", value[1])
        };
        println!(
            "| {name} | {} | {} |",
            part(|turn| turn.requests_per_second),
            part(|turn| turn.p99_micros)
        );
    }
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() * quarter / 4).min(values.len() - 1)])
}
