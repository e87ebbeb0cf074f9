//! How does a client of a slow HTTP API retry when that helps, give up in time, and never have more than a few calls
//! at the server?
//!
//! ```text
//! cargo run --example client_stack
//! ```
//!
//! Output, for ten calls at once. Two run and two wait. The other six are rejected, and come again when they are told to:
//!
//! ```text
//! call  1 after  304 ms: served
//! ...
//! call 10 after 2305 ms: served
//! 10 served, 0 given up, 8 rejections on the way
//! the bulkhead is closed, and a call hears it at once: bulkhead "search" rejected the operation: closed
//! ```

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

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
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};
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
    let url = slow_server().await?;
    // Two calls at the server at once, and two more that wait for up to a second.
    let search = Bulkhead::builder("search").parallelism(2).waiting_room(2);
    let search = search.wait_limit(Duration::from_secs(1)).build()?;
    let client = client(&search);

    let mut calls = JoinSet::new();
    for number in 1..=10 {
        let call = Request::get(&url).body(Empty::new())?;
        let (answer, started) = (client.clone().oneshot(call), Instant::now());
        calls.spawn(async move { (number, answer.await, started.elapsed()) });
    }
    let (mut served, mut given_up) = (0, 0);
    while let Some(call) = calls.join_next().await {
        let (number, result, elapsed) = call?;
        let outcome = match result {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::OK, "500 is more than two at once");
                served += 1;
                "served".to_owned()
            }
            // Whatever wraps it, a rejection says who rejected, why, and when to come again.
            Err(error) if Rejection::find_in(&*error).is_some() || error.is::<Elapsed>() => {
                given_up += 1;
                format!("given up: {error}")
            }
            Err(error) => return Err(error),
        };
        println!("call {number:2} after {:4} ms: {outcome}", elapsed.as_millis());
    }
    let status = search.status();
    let rejected = status.totals.rejected();
    println!("{served} served, {given_up} given up, {rejected} rejections on the way");
    assert_eq!((served + given_up, status.in_flight), (10, 0));
    assert!(served > 4, "retries served nobody");
    assert!(rejected > given_up, "nobody tried again");

    // Nobody retries what can never succeed.
    search.close();
    let (start, call) = (Instant::now(), Request::get(&url).body(Empty::new())?);
    let error = client.oneshot(call).await.expect_err("the bulkhead is closed");
    println!("the bulkhead is closed, and a call hears it at once: {error}");
    let rejection = Rejection::find_in(&*error).ok_or("it is no rejection")?;
    assert_eq!(rejection.retry_after(), None);
    assert!(start.elapsed() < Duration::from_secs(1), "it was tried again");
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
        Some(Box::pin(sleep(hint)))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

/// Starts a server that takes its time, and can do two things at once: a third call is answered 500.
async fn slow_server() -> Result<String, BoxError> {
    async fn answer(State(capacity): State<Arc<Semaphore>>) -> Result<(), StatusCode> {
        let _permit = capacity.try_acquire().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        sleep(Duration::from_millis(300)).await;
        Ok(())
    }
    let app = Router::new().route("/", get(answer)).with_state(Arc::new(Semaphore::new(2)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
