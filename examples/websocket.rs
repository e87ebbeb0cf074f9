//! How is the number of open WebSockets limited? Each holds a slot for as long as it is open.
//!
//! An upgraded connection is no part of the response, so neither the response nor its body holds the slot: the handler takes
//! it along.
//!
//! ```text
//! cargo run --example websocket
//! ```
//!
//! Output:
//!
//! ```text
//! the first receives "tick 0", the second "tick 0"
//! the third is rejected with 503 Service Unavailable
//! the first has closed, and its slot is free
//! the fourth receives "tick 0"
//! ```

use axum::{
    BoxError, Extension, Router,
    extract::ws::{self, WebSocket, WebSocketUpgrade},
    response::Response,
    routing::any,
};
use bulklink::{Bulkhead, BulkheadLayer, EventKind, LentSlot};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_stream::StreamExt;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, http::StatusCode},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let sockets = Bulkhead::builder("sockets").parallelism(2).build()?;
    let layer = BulkheadLayer::new(&sockets).per_request().lend_slot();
    let app = Router::new().route("/clock", any(clock).layer(layer));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/clock", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let mut first = open(&url).await?;
    let mut second = open(&url).await?;
    println!(
        "the first receives {:?}, the second {:?}",
        tick(&mut first).await?,
        tick(&mut second).await?
    );
    assert_eq!(sockets.status().in_flight, 2, "without the lent slot, none would be held any more");

    match open(&url).await {
        Err(tungstenite::Error::Http(response)) => {
            println!("the third is rejected with {}", response.status());
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        other => panic!("the third was not rejected: {other:?}"),
    }

    let (sender, mut released) = mpsc::unbounded_channel();
    let _subscription = sockets.subscribe(move |event| {
        if event.kind == EventKind::Released {
            let _ = sender.send(());
        }
    });
    first.close(None).await?;
    released.recv().await;
    println!("the first has closed, and its slot is free");

    let mut fourth = open(&url).await?;
    println!("the fourth receives {:?}", tick(&mut fourth).await?);
    let status = sockets.status();
    assert_eq!((status.in_flight, status.totals.saturated), (2, 1));
    Ok(())
}

/// Accepts the socket, and takes the slot along into the task that serves it.
async fn clock(Extension(slot): Extension<LentSlot>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        serve(socket).await;
        drop(slot);
    })
}

async fn serve(mut socket: WebSocket) {
    for tick in 0.. {
        if socket.send(format!("tick {tick}").into()).await.is_err() {
            return;
        }
        // The next tick comes when the client says something.
        match socket.recv().await {
            Some(Ok(ws::Message::Close(_)) | Err(_)) | None => return,
            Some(Ok(_)) => {}
        }
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(url: &str) -> Result<Socket, tungstenite::Error> {
    Ok(connect_async(url).await?.0)
}

async fn tick(socket: &mut Socket) -> Result<String, BoxError> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(text.to_string()),
        other => Err(format!("no tick, but {other:?}").into()),
    }
}
