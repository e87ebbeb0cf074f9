//! A client of an HTTP API in tower's `ServiceBuilder`, as one would have it: it retries when that helps, gives up in time, and
//! never has more than a few calls at the server, which is slow.
//!
//! ```text
//! cargo run --example client_stack
//! ```

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    BoxError, Router,
    extract::State,
    http::{Request, Response, StatusCode},
    routing::get,
};
use bulklink::{Bulkhead, BulkheadLayer, Rejection};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tower::{
    ServiceBuilder, ServiceExt, retry::Policy, timeout::error::Elapsed, util::BoxCloneSyncService,
};

type Call = Request<Empty<Bytes>>;
type Answer = Response<Incoming>;
type ApiClient = BoxCloneSyncService<Call, Answer, BoxError>;

/// How long a caller waits for an answer, retries included.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = SlowServer::start().await?;
    // Two calls at the server at once, and two more that wait for up to a second.
    let search = Bulkhead::builder("search").parallelism(2).waiting_room(2);
    let search = search.wait_limit(Duration::from_secs(1)).build()?;
    let client = client(&search);

    let mut calls = JoinSet::new();
    for number in 1..=10 {
        let call = Request::get(&server.url).body(Empty::new())?;
        let (answer, started) = (client.clone().oneshot(call), Instant::now());
        calls.spawn(async move { (number, answer.await, started.elapsed()) });
    }
    let (mut served, mut given_up) = (0, 0);
    while let Some(call) = calls.join_next().await {
        let (number, result, elapsed) = call?;
        let outcome = match result {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::OK);
                served += 1;
                "served".to_owned()
            }
            // Whatever wraps it, a rejection says who rejected, why, and when to come again.
            Err(error) if Rejection::find_in(&*error).is_some() => {
                given_up += 1;
                error.to_string()
            }
            Err(error) if error.is::<Elapsed>() => {
                given_up += 1;
                "no answer in time".to_owned()
            }
            Err(error) => return Err(error),
        };
        println!("call {number:2} after {:4} ms: {outcome}", elapsed.as_millis());
    }
    let status = search.status();
    println!(
        "{served} served, {given_up} given up, {} rejections on the way",
        status.totals.rejected()
    );
    assert_eq!((served + given_up, status.in_flight), (10, 0));
    assert!(served > 4, "retries served nobody");
    assert!(status.totals.rejected() > given_up, "nobody tried again");
    assert!(
        server.most.load(Ordering::Relaxed) <= 2,
        "more calls at the server than the bulkhead lets through"
    );
    Ok(())
}

/// From the outside in: the caller's patience, the retries, the bulkhead, and the time that one call may take at the server.
///
/// A retry waits outside of the bulkhead, so it holds no slot meanwhile. The timeout of a single call is inside, so it does not
/// contain the wait for a slot. All errors are boxed, as tower's own layers have them.
fn client(search: &Bulkhead) -> ApiClient {
    let client = ServiceBuilder::new()
        .timeout(PATIENCE)
        .retry(RetryWhenTold { left: 5 })
        .layer(BulkheadLayer::new(search).per_request().into_box_error())
        .timeout(Duration::from_secs(1))
        .service(Client::builder(TokioExecutor::new()).build_http());
    BoxCloneSyncService::new(client)
}

/// Retries rejected calls after the time that the rejection names, if it does.
#[derive(Clone)]
struct RetryWhenTold {
    left: u32,
}

impl Policy<Call, Answer, BoxError> for RetryWhenTold {
    type Future = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

    fn retry(
        &mut self,
        _: &mut Call,
        result: &mut Result<Answer, BoxError>,
    ) -> Option<Self::Future> {
        let rejection = Rejection::find_in(&**result.as_ref().err()?)?;
        let hint = rejection.retry_after()?;
        self.left = self.left.checked_sub(1)?;
        // With many clients, add some jitter: all who are rejected now hear the same hint.
        Some(Box::pin(tokio::time::sleep(hint)))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

/// A server that takes its time, and counts how many calls it has at once.
struct SlowServer {
    url: String,
    most: Arc<AtomicUsize>,
}

impl SlowServer {
    async fn start() -> Result<Self, BoxError> {
        let most = Arc::new(AtomicUsize::new(0));
        let counts = (Arc::new(AtomicUsize::new(0)), most.clone());
        let app = Router::new().route("/", get(Self::answer)).with_state(counts);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(Self { url, most })
    }

    async fn answer(State((now, most)): State<(Arc<AtomicUsize>, Arc<AtomicUsize>)>) {
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
        now.fetch_sub(1, Ordering::Relaxed);
    }
}
