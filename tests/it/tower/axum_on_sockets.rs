//! axum on a real socket: who is let in, who is told to come back, and who holds a slot.

use axum::{
    Router,
    routing::{get, post},
};
use bulklink::{Bulkhead, BulkheadLayer};
use http::{Method, StatusCode, header::RETRY_AFTER};
use tokio::task::JoinSet;

use crate::support::{
    must_come,
    socket_server::{Protocol, Server, Work, on_both_protocols, until},
};

on_both_protocols! {
    ten_at_once_are_five_answers_and_five_rejections
    ten_at_once_per_request_are_five_answers_and_five_rejections
    methods_and_routers_share_one_bulkhead
    idle_connections_hold_no_slot
    a_client_that_disconnects_in_line_leaves_it_at_once
    a_client_that_disconnects_while_its_handler_runs_gives_the_slot_back
    closing_answers_those_in_line_and_lets_those_running_finish
}

fn bulkhead(parallelism: usize, room: usize) -> Bulkhead {
    Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room).build().unwrap()
}

fn pay(work: &Work) -> Router {
    let work = work.clone();
    Router::new().route("/pay", get(move || work.run()))
}

async fn ten_at_once_are_five_answers_and_five_rejections(protocol: Protocol) {
    let (payments, work) = (bulkhead(2, 3), Work::new());
    let app = pay(&work).layer(BulkheadLayer::new(&payments));
    ten_at_once(protocol, &payments, &work, app).await;
}

async fn ten_at_once_per_request_are_five_answers_and_five_rejections(protocol: Protocol) {
    let (payments, work) = (bulkhead(2, 3), Work::new());
    let app = pay(&work).layer(BulkheadLayer::new(&payments).per_request());
    ten_at_once(protocol, &payments, &work, app).await;
}

async fn ten_at_once(protocol: Protocol, payments: &Bulkhead, work: &Work, app: Router) {
    let server = Server::start(app).await;
    let mut answers = JoinSet::new();
    for _ in 0..10 {
        let mut client = server.connect(protocol).await;
        answers.spawn(async move { client.get("/pay").await });
    }

    // Nothing that was admitted has ended, and yet five are answered.
    for _ in 0..5 {
        let answer = must_come(answers.join_next()).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "1");
    }
    let status = payments.status();
    assert_eq!((status.used, status.waiting, status.totals.saturated), (2, 3, 5));

    work.end(5);
    for _ in 0..5 {
        let answer = must_come(answers.join_next()).await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(!answer.headers().contains_key(RETRY_AFTER));
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
    let mut answers = JoinSet::new();
    let requests = [
        (Method::GET, "/pay"),
        (Method::POST, "/pay"),
        (Method::POST, "/order"),
        (Method::POST, "/back/refund"),
    ];
    for (method, path) in requests.into_iter().cycle().take(12) {
        let mut client = server.connect(protocol).await;
        answers.spawn(async move { client.send(method, path).await.status() });
    }
    until(&payments, |now| now.totals.queued == 10).await;
    for _ in 0..12 {
        work.end(1);
        assert_eq!(must_come(answers.join_next()).await.unwrap().unwrap(), StatusCode::OK);
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

async fn a_client_that_disconnects_in_line_leaves_it_at_once(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 1), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    let mut running = server.connect(protocol).await;
    let running = tokio::spawn(async move { running.get("/pay").await.status() });
    until(&payments, |now| now.used == 1).await;

    let mut gone = server.connect(protocol).await;
    let gone = tokio::spawn(async move { gone.get("/pay").await });
    until(&payments, |now| now.waiting == 1).await;
    gone.abort();
    until(&payments, |now| now.waiting == 0).await;
    let status = payments.status();
    assert_eq!((status.used, status.totals.cancelled), (1, 1));

    let mut next = server.connect(protocol).await;
    let next = tokio::spawn(async move { next.get("/pay").await.status() });
    until(&payments, |now| now.waiting == 1).await;
    work.end(2);
    assert_eq!(must_come(running).await.unwrap(), StatusCode::OK);
    assert_eq!(must_come(next).await.unwrap(), StatusCode::OK);
    assert_eq!(payments.status().totals.finished, 2, "the one that left has not run");
}

async fn a_client_that_disconnects_while_its_handler_runs_gives_the_slot_back(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 1), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    let mut gone = server.connect(protocol).await;
    let gone = tokio::spawn(async move { gone.get("/pay").await });
    work.begun(1).await;
    let mut next = server.connect(protocol).await;
    let next = tokio::spawn(async move { next.get("/pay").await.status() });
    until(&payments, |now| now.waiting == 1).await;

    gone.abort();
    until(&payments, |now| now.totals.admitted_from_queue == 1).await;
    work.end(1);
    assert_eq!(must_come(next).await.unwrap(), StatusCode::OK);
    let status = payments.status();
    assert_eq!((status.used, status.totals.finished, work.peak()), (0, 2, 1));
}

async fn closing_answers_those_in_line_and_lets_those_running_finish(protocol: Protocol) {
    let (payments, work) = (bulkhead(1, 1), Work::new());
    let server = Server::start(pay(&work).layer(BulkheadLayer::new(&payments))).await;
    let mut clients = [server.connect(protocol).await, server.connect(protocol).await];
    let [running, waiting] = clients.each_mut();
    let close = async {
        until(&payments, |now| now.waiting == 1).await;
        let closed = payments.close_and_wait();
        work.end(1);
        must_come(closed).await;
    };
    let (one, other, ()) = tokio::join!(running.get("/pay"), waiting.get("/pay"), close);
    let mut answers = [one.status(), other.status()];
    answers.sort();
    assert_eq!(answers, [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
    let late = clients[0].get("/pay").await;
    assert_eq!(late.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!late.headers().contains_key(RETRY_AFTER), "to come back here does not help");
}
