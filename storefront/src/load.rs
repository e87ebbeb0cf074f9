//! The load: an open-loop stream that keeps its schedule, and a closed-loop crowd that floods.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Client, Outcome, Route};

/// What a client that was turned away waits before it asks again: a tenth of what `Retry-After`
/// asks for, so this crowd is an impatient one.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// One request, measured from outside the server.
#[derive(Debug)]
pub(crate) struct Sample {
    /// When it was scheduled, counted from the start of its phase.
    pub(crate) due: Duration,
    /// How much later than scheduled it was sent.
    pub(crate) late: Duration,
    /// From the scheduled moment, not the actual one, to the end of the answer: a request that
    /// should have been sent during a stall has been waiting, whoever kept it.
    pub(crate) latency: Duration,
    pub(crate) outcome: Outcome,
}

/// Sends `per_second` requests a second, whether or not earlier ones were answered, and returns
/// when all of them were.
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

/// Keeps `clients` clients asking for reports, each again as soon as it was answered.
pub(crate) async fn flood(
    client: &Client,
    clients: usize,
    start: Instant,
    length: Duration,
) -> Vec<Sample> {
    let crowd: JoinSet<_> =
        (0..clients).map(|_| keep_asking(client.clone(), start, length)).collect();
    crowd.join_all().await.into_iter().flatten().collect()
}

async fn keep_asking(client: Client, start: Instant, length: Duration) -> Vec<Sample> {
    let mut samples = Vec::new();
    while start.elapsed() < length {
        let asked = measure(client.clone(), Route::Reports, 0, start, Instant::now()).await;
        let answered = matches!(asked.outcome, Outcome::Answered);
        samples.push(asked);
        if !answered {
            sleep(PAUSE_AFTER_REFUSAL).await;
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
    Sample { due: due - start, late, latency: due.elapsed(), outcome }
}
