//! axum on a real socket: which requests are served, which are rejected, and which hold a slot.

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use bulklink::{
    Bulkhead, BulkheadLayer, ContentLengthCost, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{Method, Request, StatusCode, header::RETRY_AFTER};
use tokio::task::JoinSet;

use crate::support::{
    must_come,
    socket_server::{Protocol, Server, Work, on_both_protocols, until},
};

on_both_protocols! {
    of_ten_requests_at_once_five_are_served_and_five_rejected
    of_ten_requests_at_once_five_are_served_and_five_rejected_per_request
    methods_and_routers_share_one_bulkhead
    idle_connections_hold_no_slot
    a_client_that_disconnects_in_line_leaves_the_line_at_once
    a_client_that_disconnects_while_its_handler_runs_gives_the_slot_back
    closing_rejects_queued_requests_and_lets_running_ones_finish
    an_upload_that_does_not_say_its_length_costs_what_was_set_for_it
}

fn bulkhead(parallelism: usize, room: usize) -> Bulkhead {
    Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room).build().unwrap()
}

fn pay(work: &Work) -> Router {
    let work = work.clone();
    Router::new().route("/pay", get(move || work.run()))
}

async fn of_ten_requests_at_once_five_are_served_and_five_rejected(protocol: Protocol) {
    let (payments, work) = (bulkhead(2, 3), Work::new());
    let app = pay(&work).layer(BulkheadLayer::new(&payments));
    assert_five_of_ten_are_served(protocol, &payments, &work, app).await;
}

async fn of_ten_requests_at_once_five_are_served_and_five_rejected_per_request(protocol: Protocol) {
    let (payments, work) = (bulkhead(2, 3), Work::new());
    let app = pay(&work).layer(BulkheadLayer::new(&payments).per_request());
    assert_five_of_ten_are_served(protocol, &payments, &work, app).await;
}

async fn assert_five_of_ten_are_served(
    protocol: Protocol,
    payments: &Bulkhead,
    work: &Work,
    app: Router,
) {
    let server = Server::start(app).await;
    let mut responses = JoinSet::new();
    for _ in 0..10 {
        let mut client = server.connect(protocol).await;
        responses.spawn(async move { client.get("/pay").await });
    }

    // No admitted request has finished, yet five are answered.
    for _ in 0..5 {
        let response = must_come(responses.join_next()).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }
    let status = payments.status();
    assert_eq!((status.used, status.waiting, status.totals.saturated), (2, 3, 5));

    work.end(5);
    for _ in 0..5 {
        let response = must_come(responses.join_next()).await.unwrap().unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key(RETRY_AFTER));
    }
    let status = payments.status();
    assert_eq!((status.used, status.waiting, status.totals.finished), (0, 0, 5));
    assert_eq!((status.peaks.used, status.peaks.waiting, work.peak()), (2, 3, 2));
}

async fn methods_and_routers_share_one_bulkhead(protocol: Protocol) {
    let (payments, work) = (bulkhead(2, 20), Work::new());
    let layer = BulkheadLayer::new(&payments);
    let handler = || {
        let work = work.clone();
        || work.run()
    };
    let methods = get(handler()).post(handler()).layer(layer.clone());
    let orders = Router::new().route("/order", post(handler())).layer(layer.clone());
    let refunds = Router::new().route("/refund", post(handler())).layer(layer);
    let app = Router::new().route("/pay", methods).merge(orders).nest("/back", refunds);

    let server = Server::start(app).await;
    let mut responses = JoinSet::new();
    let requests = [
        (Method::GET, "/pay"),
        (Method::POST, "/pay"),
        (Method::POST, "/order"),
        (Method::POST, "/back/refund"),
    ];
    for (method, path) in requests.into_iter().cycle().take(12) {
        let mut client = server.connect(protocol).await;
        responses.spawn(async move { client.send(method, path).await.status() });
    }
    until(&payments, |status| status.totals.queued == 10).await;
    for _ in 0..12 {
        work.end(1);
        assert_eq!(must_come(responses.join_next()).await.unwrap().unwrap(), StatusCode::OK);
    }
    let status = payments.status();
    assert_eq!((status.totals.finished, status.used, status.peaks.used), (12, 0, 2));
    assert_eq!(work.peak(), 2);
}

async fn idle_connections_hold_no_slot(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 0), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    work.end(8);
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect(protocol).await;
        assert_eq!(client.get("/pay").await.status(), StatusCode::OK);
        assert_eq!(payments.status().used, 0);
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.get("/pay").await.status(), StatusCode::OK, "on the same connection");
    }
    let status = payments.status();
    assert_eq!((status.totals.admitted, status.totals.finished), (8, 8));
    assert_eq!((status.totals.abandoned, status.totals.saturated), (0, 0));
}

async fn a_client_that_disconnects_in_line_leaves_the_line_at_once(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 1), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    let mut running = server.connect(protocol).await;
    let running = tokio::spawn(async move { running.get("/pay").await.status() });
    until(&payments, |status| status.used == 1).await;

    let mut gone = server.connect(protocol).await;
    let gone = tokio::spawn(async move { gone.get("/pay").await });
    until(&payments, |status| status.waiting == 1).await;
    gone.abort();
    until(&payments, |status| status.waiting == 0).await;
    let status = payments.status();
    assert_eq!((status.used, status.totals.cancelled), (1, 1));

    let mut next = server.connect(protocol).await;
    let next = tokio::spawn(async move { next.get("/pay").await.status() });
    until(&payments, |status| status.waiting == 1).await;
    work.end(2);
    assert_eq!(must_come(running).await.unwrap(), StatusCode::OK);
    assert_eq!(must_come(next).await.unwrap(), StatusCode::OK);
    assert_eq!(payments.status().totals.finished, 2, "the cancelled request has not run");
}

async fn a_client_that_disconnects_while_its_handler_runs_gives_the_slot_back(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 1), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    let mut gone = server.connect(protocol).await;
    let gone = tokio::spawn(async move { gone.get("/pay").await });
    work.begun(1).await;
    let mut next = server.connect(protocol).await;
    let next = tokio::spawn(async move { next.get("/pay").await.status() });
    until(&payments, |status| status.waiting == 1).await;

    gone.abort();
    until(&payments, |status| status.totals.admitted_from_queue == 1).await;
    work.end(1);
    assert_eq!(must_come(next).await.unwrap(), StatusCode::OK);
    let status = payments.status();
    assert_eq!((status.used, status.totals.finished, work.peak()), (0, 2, 1));
}

async fn closing_rejects_queued_requests_and_lets_running_ones_finish(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 1), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    let mut clients = [server.connect(protocol).await, server.connect(protocol).await];
    let [running, waiting] = clients.each_mut();
    let close = async {
        until(&payments, |status| status.waiting == 1).await;
        let closed = payments.close_and_wait();
        work.end(1);
        must_come(closed).await;
    };
    let (first, second, ()) = tokio::join!(running.get("/pay"), waiting.get("/pay"), close);
    let mut responses = [first.status(), second.status()];
    responses.sort();
    assert_eq!(responses, [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
    let late = clients[0].get("/pay").await;
    assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!late.headers().contains_key(RETRY_AFTER), "a retry would not help");
}

/// A body of many pieces, which HTTP/1.1 sends in chunks, takes the whole capacity. One with a length takes what it needs.
async fn an_upload_that_does_not_say_its_length_costs_what_was_set_for_it(protocol: Protocol) {
    let (uploads, work) = (WeightedBulkhead::builder("uploads").capacity(16), Work::new());
    let uploads = uploads.build().unwrap();
    let cost = ContentLengthCost::per(1_000).without_length(16);
    let running = work.clone();
    let app = Router::new().route("/", post(move || running.run()));
    let server = Server::start(app.layer(WeightedBulkheadLayer::new(&uploads, cost))).await;
    let pieces = || (0..20).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1_000])));
    let bodies =
        [(Body::from_stream(tokio_stream::iter(pieces())), 16), (Body::from(vec![0; 2_500]), 3)];
    for (body, units) in bodies {
        let mut client = server.connect(protocol).await;
        let request = Request::post("/").header("host", "localhost").body(body).unwrap();
        let answer = tokio::spawn(async move { client.request(request).await.status() });
        work.begun(1).await;
        assert_eq!(uploads.status().used, units);
        work.end(1);
        assert_eq!(must_come(answer).await.unwrap(), StatusCode::OK);
        assert_eq!(uploads.status().used, 0);
    }
}
