//! A bulkhead that protects callers from a slow remote server: an HTTP client in tower's `ServiceBuilder`.
//! When the server is busy, callers are rejected immediately, and the error tells them why.
//!
//! ```text
//! cargo run --example client_stack
//! ```

use std::{error::Error, time::Duration};

use axum::{
    BoxError, Router,
    http::{Request, Response},
    routing::get,
};
use bulklink::{Bulkhead, BulkheadLayer, Rejection};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tower::{ServiceBuilder, ServiceExt, load_shed::error::Overloaded, util::BoxCloneService};

type Stack = BoxCloneService<Request<Empty<Bytes>>, Response<Incoming>, BoxError>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = slow_server().await?;

    println!("two calls may run, and none may wait:");
    let without_waiting = Bulkhead::builder("search").parallelism(2).build()?;
    let outcomes = ten_calls(stack(&without_waiting), &server).await?;
    assert_eq!(outcomes, Outcomes { served: 2, rejected: 8, overloaded: 0 });

    println!("two calls may run, and one more may wait for up to 100 ms:");
    let with_waiting = Bulkhead::builder("search").parallelism(2).waiting_room(1);
    let with_waiting = with_waiting.wait_limit(Duration::from_millis(100)).build()?;
    let outcomes = ten_calls(stack(&with_waiting), &server).await?;
    assert!(outcomes.served >= 2 && outcomes.rejected >= 1 && outcomes.overloaded >= 1);
    assert_eq!(outcomes.served + outcomes.rejected + outcomes.overloaded, 10);
    assert_eq!(with_waiting.status().peaks.in_flight, 2);
    Ok(())
}

/// The bulkhead is the innermost layer, next to the client. It is not ready while a call waits, so further
/// calls collect in the buffer. Once the buffer is full, `load_shed` rejects them. A call joins the waiting
/// line when it leaves the buffer, which is when its wait limit starts.
fn stack(bulkhead: &Bulkhead) -> Stack {
    ServiceBuilder::new()
        .boxed_clone()
        .load_shed()
        .buffer(2)
        .layer(BulkheadLayer::new(bulkhead).into_error())
        .service(Client::builder(TokioExecutor::new()).build_http())
}

#[derive(Debug, Default, PartialEq)]
struct Outcomes {
    served: u32,
    rejected: u32,
    overloaded: u32,
}

async fn ten_calls(stack: Stack, server: &str) -> Result<Outcomes, BoxError> {
    let mut calls = JoinSet::new();
    for number in 1..=10 {
        let call = stack.clone().oneshot(Request::get(server).body(Empty::new())?);
        let started = Instant::now();
        calls.spawn(async move { (number, call.await, started.elapsed()) });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let mut outcomes = Outcomes::default();
    while let Some(call) = calls.join_next().await {
        let (number, result, elapsed) = call?;
        let outcome = match result {
            Ok(_) => {
                outcomes.served += 1;
                "served".to_owned()
            }
            Err(error) => match find::<Rejection>(&*error) {
                Some(rejection) => {
                    outcomes.rejected += 1;
                    rejection.to_string()
                }
                None if error.is::<Overloaded>() => {
                    outcomes.overloaded += 1;
                    error.to_string()
                }
                None => return Err(error),
            },
        };
        println!("  call {number:2} after {:3} ms: {outcome}", elapsed.as_millis());
    }
    Ok(outcomes)
}

/// Returns the first error of type `T` in the chain of sources.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

async fn slow_server() -> Result<String, BoxError> {
    let respond = || async { tokio::time::sleep(Duration::from_millis(700)).await };
    let app = Router::new().route("/", get(respond));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(url)
}
