//! The dashboard, mounted in an axum app on loopback.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bulklink::{Bulkhead, BulkheadRegistry, PartitionedBulkhead, WeightedBulkhead};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_test::task;
use tower::ServiceExt;

use super::{json::assert_adds_up, schema::Schema};
use crate::support::{
    in_paused_time,
    socket_server::{Client, Protocol, Server},
    waiting,
};

/// A registry with one bulkhead of each kind.
fn registry() -> BulkheadRegistry {
    let registry = BulkheadRegistry::new();
    registry.create(Bulkhead::builder("payments").parallelism(2).waiting_room(1)).unwrap();
    registry.create(WeightedBulkhead::builder("reports").capacity(8)).unwrap();
    let customers = PartitionedBulkhead::<String>::builder("customers").parallelism(1);
    registry.create(customers.max_partitions(100)).unwrap();
    registry
}

async fn serve(app: Router) -> (Server, Client) {
    let server = Server::start(app).await;
    let client = server.connect(Protocol::Http1).await;
    (server, client)
}

async fn text(response: Response<Incoming>) -> String {
    let body = to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn status_json(client: &mut Client, path: &str) -> Value {
    let response = client.get(path).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn every_path_is_answered_where_it_is_mounted() {
    let app = Router::new().nest_service("/ops/bulkheads", registry().dashboard());
    let server = Server::start(app).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = server.connect(protocol).await;
        for path in ["/ops/bulkheads", "/ops/bulkheads/"] {
            let response = client.get(path).await;
            assert_eq!(response.status(), StatusCode::OK);
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; "), "{policy}");
            assert!(text(response).await.contains("<title>Bulkheads</title>"));
        }
        let json = status_json(&mut client, "/ops/bulkheads/status.json").await;
        assert_eq!(json["bulkheads"].as_array().unwrap().len(), 3);
        assert_eq!(text(client.get("/ops/bulkheads/health").await).await, "ok\n");
        let head = client.send(Method::HEAD, "/ops/bulkheads/").await;
        assert_eq!((head.status(), text(head).await.as_str()), (StatusCode::OK, ""));
    }
}

#[tokio::test]
async fn unknown_paths_are_404_and_other_methods_405() {
    let app = Router::new().fallback_service(registry().dashboard());
    let (_server, mut client) = serve(app).await;
    for path in ["/status", "/status.json/x", "/../x", "/change", "/%00", "/Health"] {
        for method in [Method::GET, Method::POST] {
            let status = client.send(method, path).await.status();
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }
    for path in ["/", "/status.json", "/metrics", "/health"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let response = client.send(method, path).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
        }
    }
}

#[tokio::test]
async fn metrics_are_those_of_the_registry_in_the_text_format() {
    let app = Router::new().fallback_service(registry().dashboard());
    let (_server, mut client) = serve(app).await;
    let response = client.get("/metrics").await;
    let expected = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(response.headers()[header::CONTENT_TYPE], expected);
    let text = text(response).await;
    assert!(text.contains("\nbulkhead_limit{bulkhead=\"reports\"} 8\n"), "{text}");
}

/// A hash as content security policies have it.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[tokio::test]
async fn the_policy_allows_the_pages_own_script_and_style_and_the_page_asks_for_nothing_else() {
    let app = Router::new().fallback_service(registry().dashboard());
    let (_server, mut client) = serve(app).await;
    let response = client.get("/").await;
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    let page = text(response).await;
    for (element, directive) in [("script", "script-src"), ("style", "style-src")] {
        let (_, rest) = page.split_once(&format!("<{element}>")).unwrap();
        let (content, _) = rest.split_once(&format!("</{element}>")).unwrap();
        let expected = format!("{directive} {}", hash(content));
        assert!(policy.contains(&expected), "{expected} is not in {policy}");
    }
    assert!(!page.contains("https:") && !page.contains("innerHTML"));
    // The only address is the name of SVG's elements.
    let addresses: Vec<_> = page.match_indices("http:").collect();
    assert!(addresses.iter().all(|&(at, _)| page[at..].starts_with("http://www.w3.org/2000/svg")));
}

#[tokio::test]
async fn the_overview_conforms_to_the_schema_and_covers_the_window_once_there_is_one() {
    let schema = Schema::new();
    let registry = registry();
    let payments = registry.get::<Bulkhead>("payments").unwrap();
    let customers = registry.get::<PartitionedBulkhead<String>>("customers").unwrap();
    let app = Router::new().fallback_service(registry.dashboard());
    let (_server, mut client) = serve(app).await;
    let held = [payments.slot_now().unwrap(), payments.slot_now().unwrap()];
    let mut waiting = task::spawn(payments.slot());
    assert!(waiting.poll().is_pending());
    for _ in 0..30 {
        assert!(payments.slot_now().is_err());
    }
    let _slot = customers.slot_now(&"the secret key".into()).unwrap();
    let json = status_json(&mut client, "/status.json").await;
    assert_eq!(schema.complaints("overview", &json), [""; 0]);
    assert_eq!(json["window_seconds"], Value::Null);
    assert_eq!(json["severity"], "critical");
    let [first, _, third] = &json["bulkheads"].as_array().unwrap()[..] else { panic!("{json:#}") };
    assert_eq!(first["window"]["totals"]["saturated"], 30);
    assert!(first["findings"][0]["recommendation"].as_str().unwrap().len() > 10);
    assert_eq!(third["busiest"][0]["in_flight"], 1);
    assert!(!json.to_string().contains("secret"));
    assert_adds_up(&first["status"]);
    drop((held, waiting));
}

#[test]
fn the_window_can_be_chosen() {
    // The time is paused, so the service is called without sockets.
    in_paused_time(async {
        let registry = registry();
        let payments = registry.get::<Bulkhead>("payments").unwrap();
        let dashboard = registry.dashboard();
        let ask = async |query: &str| {
            let request = Request::get(format!("/status.json?{query}")).body(Body::empty());
            let response = dashboard.clone().oneshot(request.unwrap()).await.unwrap();
            let status = response.status();
            let body = to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        for _ in 0..30 {
            drop(payments.slot_now().unwrap());
            ask("").await;
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        for (query, covered, admitted) in
            [("", 60.0, 11), ("window=10", 10.0, 1), ("x=1&window=600", 150.0, 29)]
        {
            let json: Value = serde_json::from_str(&ask(query).await.1).unwrap();
            assert_eq!(json["window_seconds"], covered, "{query}");
            let window = &json["bulkheads"][0]["window"];
            assert_eq!(window["totals"]["admitted"], admitted, "{query}");
            assert_eq!(window["arrivals_per_second"], f64::from(admitted) / covered, "{query}");
        }
        for value in ["0", "601", "-1", "1.5", "60s", "", "%36"] {
            let (status, message) = ask(&format!("window={value}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST);
            let expected = format!("window {value:?}: must be whole seconds from 1 to 600\n");
            assert_eq!(message, expected);
        }
    });
}

#[tokio::test]
async fn health_follows_the_registry() {
    let registry = registry();
    let app = Router::new().fallback_service(registry.dashboard());
    let (_server, mut client) = serve(app).await;
    // A bulkhead that is closed is a decision about that bulkhead.
    registry.get::<Bulkhead>("payments").unwrap().close();
    assert_eq!(client.get("/health").await.status(), StatusCode::OK);
    let orders = Bulkhead::builder("orders").parallelism(1).waiting_room(1);
    let orders = registry.create(orders).unwrap();
    let slot = orders.slot_now().unwrap();
    let waiter = waiting(orders.slot());
    registry.drain_all();
    let response = client.get("/health").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(response).await, "draining\n");
    drop((slot, waiter));
    registry.close_all();
    let response = client.get("/health").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(response).await, "closed\n");
}

#[tokio::test]
async fn ten_thousand_labels_of_any_text_are_answered_as_valid_json() {
    let registry = BulkheadRegistry::new();
    let odd = ["\"quoted\"", "two\nlines", "日本 🚢", "<script>alert(1)</script>", "\u{7f}\\"];
    for number in 0..10_000 {
        let label = format!("{} {number}", odd[number % odd.len()]);
        registry.create(Bulkhead::builder(label).parallelism(1)).unwrap();
    }
    let labels = registry.labels();
    let app = Router::new().fallback_service(registry.dashboard());
    let (_server, mut client) = serve(app).await;
    let json = status_json(&mut client, "/status.json").await;
    let bulkheads = json["bulkheads"].as_array().unwrap();
    let answered: Vec<_> =
        bulkheads.iter().map(|bulkhead| bulkhead["status"]["label"].as_str().unwrap()).collect();
    assert_eq!(answered, labels);
}

/// A request for a change, as the page sends it.
fn change(body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("http://localhost/change");
    let request = request.header(header::CONTENT_TYPE, "application/json");
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_change_is_made_where_it_was_turned_on() {
    let registry = registry();
    let app = Router::new().fallback_service(registry.dashboard().allow_changes());
    let (_server, mut client) = serve(app).await;
    for (label, capacity) in [("payments", 5), ("reports", 16)] {
        let body = json!({"label": label, "capacity": capacity});
        let mut request = change(body.to_string());
        // What a browser adds.
        let headers = request.headers_mut();
        headers.insert(header::HOST, "localhost".parse().unwrap());
        headers.insert(header::ORIGIN, "http://localhost".parse().unwrap());
        headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        let response = client.request(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let status: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!((&status["label"], &status["capacity"]), (&json!(label), &json!(capacity)));
    }
    assert_eq!(registry.get::<Bulkhead>("payments").unwrap().parallelism(), 5);
    assert_eq!(registry.get::<WeightedBulkhead>("reports").unwrap().capacity(), 16);
    let json = status_json(&mut client, "/status.json").await;
    assert_eq!(json["allows_changes"], true);
    assert_eq!(client.get("/change").await.headers()[header::ALLOW], "POST");
}

#[tokio::test]
async fn a_bulkhead_of_any_kind_is_paused_and_resumed() {
    let registry = registry();
    let app = Router::new().fallback_service(registry.dashboard().allow_changes());
    let (_server, mut client) = serve(app).await;
    for label in ["payments", "reports", "customers"] {
        for paused in [true, false] {
            let body = json!({"label": label, "paused": paused});
            let response = client.request(change(body.to_string())).await;
            assert_eq!(response.status(), StatusCode::OK);
            let status: Value = serde_json::from_str(&text(response).await).unwrap();
            assert_eq!((&status["label"], &status["is_paused"]), (&json!(label), &json!(paused)));
            assert_eq!(registry.status(label).unwrap().is_paused(), paused);
        }
    }
}

#[tokio::test]
async fn a_malformed_change_is_refused_and_nothing_is_changed() {
    let registry = registry();
    registry.create(Bulkhead::builder("old").parallelism(1)).unwrap();
    registry.get::<Bulkhead>("old").unwrap().close();
    let app = Router::new().fallback_service(registry.dashboard().allow_changes());
    let (server, mut client) = serve(app).await;
    let large = format!("{}{}", " ".repeat(5_000), r#"{"label":"payments","capacity":1}"#);
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        (r#"{"label":"payments"}"#, 400),
        (r#"{"label":"payments","capacity":5,"paused":true}"#, 400),
        (r#"{"label":"payments","paused":1}"#, 400),
        (r#"{"label":"nobody","paused":true}"#, 404),
        (r#"{"label":"payments","capacity":"5"}"#, 400),
        (r#"{"label":"payments","capacity":-1}"#, 400),
        (r#"{"label":"payments","capacity":5,"wait_limit":1}"#, 400),
        (r#"{"label":"nobody","capacity":5}"#, 404),
        (r#"{"label":"old","capacity":5}"#, 409),
        (large.as_str(), 413),
        (r#"{"label":"payments","capacity":0}"#, 422),
        (r#"{"label":"payments","capacity":18446744073709551615}"#, 422),
        (r#"{"label":"customers","capacity":5}"#, 422),
    ] {
        let response = client.request(change(body.to_owned())).await;
        assert_eq!(response.status(), status, "{body}");
        let message = text(response).await;
        assert!(message.ends_with('\n') && !message.contains("panic"), "{message}");
        if status == 413 {
            client = server.connect(Protocol::Http1).await;
        }
    }
    assert_eq!(registry.get::<Bulkhead>("payments").unwrap().parallelism(), 2);
}

#[tokio::test]
async fn a_change_from_a_page_of_another_origin_is_refused() {
    let registry = registry();
    let app = Router::new().fallback_service(registry.dashboard().allow_changes());
    let server = Server::start(app).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = server.connect(protocol).await;
        let body = r#"{"label":"payments","capacity":5}"#;
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:1"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            let mut request = change(body);
            request.headers_mut().insert(name, value.parse().unwrap());
            if protocol == Protocol::Http1 {
                request.headers_mut().insert(header::HOST, "localhost".parse().unwrap());
            }
            let status = client.request(request).await.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{name}: {value}");
        }
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
        {
            let mut request = change(body);
            let content_type = content_type.parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, content_type);
            let status = client.request(request).await.status();
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }
    assert_eq!(registry.get::<Bulkhead>("payments").unwrap().parallelism(), 2);
}
