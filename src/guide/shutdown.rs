//! How do I stop a server without losing requests?
//!
//! Drain the registry first, and stop the server after that. While it drains, those who wait are served, what runs goes
//! on, and newcomers get 503, so that a load balancer sends them elsewhere:
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::Router;
//! use bulklink::BulkheadRegistry;
//! use tokio::{net::TcpListener, signal, time::timeout};
//!
//! async fn serve(app: Router, bulkheads: BulkheadRegistry) -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app).with_graceful_shutdown(stop(bulkheads)).await
//! }
//!
//! /// Completes when the server may stop.
//! async fn stop(bulkheads: BulkheadRegistry) {
//!     let _ = signal::ctrl_c().await;
//!     bulkheads.drain_all();
//!     // Some requests may never end: give up on them after a while.
//!     if timeout(Duration::from_secs(20), bulkheads.wait_closed()).await.is_err() {
//!         bulkheads.close_all();
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! In a container the signal is SIGTERM: `tokio::signal::unix`. Let the time to give up be shorter than the grace
//! period of the platform.
//!
//! # Drain or close
//!
//! | | those who run | those who wait | newcomers |
//! |---|---|---|---|
//! | [`Bulkhead::drain`] | go on | are served | rejected |
//! | [`Bulkhead::close`] | go on | are rejected | rejected |
//!
//! Both are final, and both reject as `Closed`: 503 without `Retry-After`, because this process will not come back. The
//! bulkhead never ends work that runs.
//!
//! ```
//! use bulklink::Bulkhead;
//!
//! # tokio_test::block_on(async {
//! let reports = Bulkhead::builder("reports").parallelism(1).waiting_room(2).build()?;
//! let running = reports.slot_now()?;
//! let mut waiting = tokio_test::task::spawn(reports.slot());
//! assert!(waiting.poll().is_pending());
//!
//! reports.drain();
//! assert!(reports.slot_now().is_err(), "no newcomers");
//! drop(running);
//! let std::task::Poll::Ready(slot) = waiting.poll() else { panic!("those who wait are served") };
//! assert!(reports.status().is_closed && !reports.status().is_drained());
//!
//! drop(slot);
//! reports.wait_closed().await;
//! assert!(reports.status().is_drained());
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! `drain_and_wait` and `close_and_wait` do both. On a [`BulkheadRegistry`] they are for all of its bulkheads.
//!
//! # Streams have to end themselves
//!
//! A stream that holds its slot keeps the drain waiting. [`Bulkhead::closing`] completes when a drain or a close
//! begins, so select on it:
//!
//! ```
//! use bulklink::Bulkhead;
//! use tokio::{sync::mpsc, time::{Duration, interval}};
//!
//! async fn ticks(streams: Bulkhead, client: mpsc::Sender<&'static str>) {
//!     let mut ticks = interval(Duration::from_millis(100));
//!     let mut closing = std::pin::pin!(streams.closing());
//!     loop {
//!         tokio::select! {
//!             () = &mut closing => break,
//!             _ = ticks.tick() => {
//!                 if client.send("tick").await.is_err() {
//!                     return;
//!                 }
//!             }
//!         }
//!     }
//!     let _ = client.send("goodbye").await;
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let streams = Bulkhead::builder("streams").parallelism(1).build()?;
//! # let (sender, mut client) = mpsc::channel(1);
//! # let task = tokio::spawn(ticks(streams.clone(), sender));
//! # assert_eq!(client.recv().await, Some("tick"));
//! # streams.drain();
//! # while client.recv().await.is_some_and(|event| event != "goodbye") {}
//! # task.await?;
//! # Ok(())
//! # }
//! ```
//!
//! The example `graceful_shutdown` is a whole server with such a stream.
//!
//! # Readiness probes
//!
//! Let the probe fail once [`BulkheadRegistry::is_draining`] or [`BulkheadRegistry::is_closed`] is true, so that no new
//! connections come. The path `/health` of the dashboard does that. Load balancers take a while to notice: newcomers
//! until then get the 503.
//!
//! Requests that hold no slot, such as those of routes without a layer, are not waited for by a drain.
//! `with_graceful_shutdown` waits for them.
//!
//! [`Bulkhead::close`]: crate::Bulkhead::close
//! [`Bulkhead::closing`]: crate::Bulkhead::closing
//! [`Bulkhead::drain`]: crate::Bulkhead::drain
//! [`BulkheadRegistry::is_closed`]: crate::BulkheadRegistry::is_closed
//! [`BulkheadRegistry::is_draining`]: crate::BulkheadRegistry::is_draining
//! [`BulkheadRegistry`]: crate::BulkheadRegistry
