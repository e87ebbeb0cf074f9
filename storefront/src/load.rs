//! The load: an open-loop stream on a fixed schedule, and a closed-loop flood.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Client, Outcome, Route};
use crate::run::{FLOODING_CLIENTS, PAYMENTS_PER_SECOND};

/// How long a flooding client pauses after a rejection: a tenth of what `Retry-After` asks for, so
/// these clients are impatient.
const PAUSE_AFTER_REJECTION: Duration = Duration::from_millis(100);

/// How long a wave lasts.
const WAVE: Duration = Duration::from_secs(20);

/// One request, measured from outside the server.
#[derive(Debug)]
pub(crate) struct Sample {
    /// When the request was scheduled, counted from the start of its phase.
    pub(crate) due: Duration,
    /// How much later than scheduled it was sent.
    pub(crate) late: Duration,
    /// From the scheduled moment, not the actual one, to the end of the answer: a request that a
    /// stall keeps from being sent counts as waiting.
    pub(crate) latency: Duration,
    pub(crate) outcome: Outcome,
}

/// Sends `per_second` requests a second, whether or not earlier ones were answered. Returns when
/// all of them have ended.
pub(crate) async fn stream(
    client: &Client,
    route: Route,
    per_second: u32,
    start: Instant,
    length: Duration,
) -> Vec<Sample> {
    let gap = Duration::from_secs(1) / per_second;
    let mut requests = JoinSet::new();
    let mut due = start;
    for number in 0.. {
        if due >= start + length {
            break;
        }
        sleep_until(due).await;
        requests.spawn(measure(client.clone(), route, number, start, due));
        due += gap;
    }
    let mut samples = requests.join_all().await;
    samples.sort_by_key(|sample| sample.due);
    samples
}

/// Runs `clients` clients that request reports, each sending its next request once the last one
/// has ended.
pub(crate) async fn flood(
    client: &Client,
    clients: usize,
    start: Instant,
    length: Duration,
) -> Vec<Sample> {
    let clients: JoinSet<_> =
        (0..clients).map(|_| request_reports(client.clone(), start, length)).collect();
    clients.join_all().await.into_iter().flatten().collect()
}

/// Is the customers of a shop until it is dropped: a steady stream of payments, and a flood of reports in every other phase.
pub(crate) async fn in_waves(client: Client) {
    loop {
        for flooding in [0, FLOODING_CLIENTS] {
            let start = Instant::now();
            tokio::join!(
                stream(&client, Route::Payments, PAYMENTS_PER_SECOND, start, WAVE),
                flood(&client, flooding, start, WAVE),
            );
        }
    }
}

async fn request_reports(client: Client, start: Instant, length: Duration) -> Vec<Sample> {
    let mut samples = Vec::new();
    while start.elapsed() < length {
        let sample = measure(client.clone(), Route::Reports, 0, start, Instant::now()).await;
        let answered = matches!(sample.outcome, Outcome::Answered);
        samples.push(sample);
        if !answered {
            sleep(PAUSE_AFTER_REJECTION).await;
        }
    }
    samples
}

async fn measure(
    client: Client,
    route: Route,
    number: u64,
    start: Instant,
    due: Instant,
) -> Sample {
    let late = due.elapsed();
    let outcome = client.send(route, number).await;
    let latency = due.elapsed();
    if let (Route::Payments, Outcome::Answered) = (route, &outcome) {
        client.record_paid(latency);
    }
    Sample { due: due - start, late, latency, outcome }
}
