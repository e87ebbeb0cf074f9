//! The load of a service: what balancers decide by.

use std::{convert::Infallible, future::ready};

use bulklink::{
    BulkheadLayer, BulkheadService, PartitionedBulkhead, PartitionedBulkheadLayer,
    PartitionedBulkheadService, WeightedBulkheadLayer, WeightedBulkheadService,
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, Service};

use crate::support::{bulkhead, customers, weighted};

/// A service without behaviour of its own.
#[derive(Clone, Debug)]
struct Idle;

impl Service<http::Request<()>> for Idle {
    type Response = http::Response<()>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<http::Response<()>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<()>) -> Self::Future {
        ready(Ok(http::Response::new(())))
    }
}

/// Polls the readiness of a service once.
fn poll_ready<S: Service<http::Request<()>>>(
    service: &mut S,
) -> std::task::Poll<Result<(), S::Error>> {
    let mut ready = task::spawn(std::future::poll_fn(|cx| service.poll_ready(cx)));
    ready.poll()
}

#[test]
fn the_load_is_what_others_use_and_wait_for() {
    let payments = bulkhead(4, 2);
    let mut service: BulkheadService<Idle> = BulkheadLayer::new(&payments).layer(Idle);
    assert_eq!(service.load(), 0.0);
    let slots: Vec<_> = (0..3).map(|_| payments.slot_now().unwrap()).collect();
    assert_eq!(service.load(), 0.75);
    // What the handle holds itself is no load to it, but to a clone.
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!((service.load(), service.clone().load()), (0.75, 1.0));
    let mut waiting = [task::spawn(payments.slot()), task::spawn(payments.slot())];
    waiting.iter_mut().for_each(|waiting| assert_pending!(waiting.poll()));
    assert_eq!((service.load(), service.clone().load()), (1.25, f64::INFINITY));
    drop((slots, waiting));
    assert_eq!(service.load(), 0.0);
    payments.close();
    assert_eq!((service.load(), service.clone().load()), (f64::INFINITY, f64::INFINITY));
}

#[test]
fn a_handle_in_line_does_not_count_itself() {
    let payments = bulkhead(1, 1);
    let held = payments.slot_now().unwrap();
    let mut service = BulkheadLayer::new(&payments).layer(Idle);
    assert_pending!(poll_ready(&mut service));
    assert_eq!((service.load(), service.clone().load()), (1.0, f64::INFINITY));
    drop(held);
    assert_eq!(service.load(), 0.0);
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!((service.load(), service.clone().load()), (0.0, 1.0));
}

#[test]
fn a_rejection_of_the_past_is_no_load() {
    let payments = bulkhead(1, 0);
    let held = payments.slot_now().unwrap();
    let mut service = BulkheadLayer::new(&payments).layer(Idle);
    assert_ready_ok!(poll_ready(&mut service));
    assert_eq!(service.load(), f64::INFINITY);
    drop(held);
    assert_eq!(service.load(), 0.0);
}

#[test]
fn weighted_bulkheads_count_units_and_partitions_their_own() {
    let reports = weighted(8, 4);
    let service: WeightedBulkheadService<Idle> =
        WeightedBulkheadLayer::fixed(&reports, 2).layer(Idle);
    let _slot = reports.slot_now(6).unwrap();
    assert_eq!(service.load(), 0.75);
    // A request of 2 units would be rejected before one of 1 would.
    let full = weighted(8, 0);
    let _other = full.slot_now(7).unwrap();
    assert_eq!(WeightedBulkheadLayer::fixed(&full, 1).layer(Idle).load(), 0.875);
    assert_eq!(WeightedBulkheadLayer::fixed(&full, 2).layer(Idle).load(), f64::INFINITY);
    assert_eq!(WeightedBulkheadLayer::fixed(&reports, 9).layer(Idle).load(), f64::INFINITY);
    let by_request = WeightedBulkheadLayer::new(&full, |_: &http::Request<()>| 2);
    assert_eq!(by_request.layer(Idle).load(), 0.875);

    let customers: PartitionedBulkhead<u64> = customers(2, 0, 10);
    let of = |key: u64| -> PartitionedBulkheadService<Idle, u64> {
        PartitionedBulkheadLayer::fixed(&customers, key).layer(Idle)
    };
    let _slot = customers.slot_now(&1).unwrap();
    assert_eq!((of(1).load(), of(2).load()), (0.5, 0.0));
    assert!(customers.partition_status(&2).is_none(), "asking creates no partition");
    customers.close();
    assert_eq!((of(1).load(), of(2).load()), (f64::INFINITY, f64::INFINITY));
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_balancer_serves_every_request_beside_an_endpoint_that_is_full_or_closed() {
    use tower::{ServiceExt, balance::p2c::Balance, discover::ServiceList};

    for parallelism in [1, 3] {
        for room in [0, 2] {
            for is_closed in [false, true] {
                let (full, idle) = (bulkhead(parallelism, room), bulkhead(parallelism, room));
                let held: Vec<_> = (0..parallelism).map(|_| full.slot_now().unwrap()).collect();
                let mut waiting: Vec<_> = (0..room).map(|_| task::spawn(full.slot())).collect();
                waiting.iter_mut().for_each(|waiting| assert_pending!(waiting.poll()));
                if is_closed {
                    full.close();
                }
                let endpoints = [&full, &idle].map(|end| BulkheadLayer::new(end).layer(Idle));
                let mut balance = Balance::new(ServiceList::new(endpoints));
                let mut served = 0;
                for _ in 0..40 {
                    let request = http::Request::new(());
                    let response = balance.ready().await.unwrap().call(request).await.unwrap();
                    served += u32::from(response.status() == 200);
                }
                assert_eq!(served, 40, "parallelism {parallelism}, room {room}, {is_closed}");
                drop(held);
            }
        }
    }
}

/// All endpoints seem equally loaded, so readiness alone decides.
#[cfg(feature = "tower")]
#[tokio::test]
async fn a_balancer_that_goes_by_readiness_serves_every_request_with_backpressure() {
    use tower::{ServiceExt, balance::p2c::Balance, discover::ServiceList, load::Constant};

    for parallelism in [1, 3] {
        for room in [0, 2] {
            let (full, idle) = (bulkhead(parallelism, room), bulkhead(parallelism, room));
            let held: Vec<_> = (0..parallelism).map(|_| full.slot_now().unwrap()).collect();
            let mut waiting: Vec<_> = (0..room).map(|_| task::spawn(full.slot())).collect();
            waiting.iter_mut().for_each(|waiting| assert_pending!(waiting.poll()));
            let layer = |bulkhead| BulkheadLayer::new(bulkhead).backpressure();
            let endpoints = [&full, &idle].map(|end| Constant::new(layer(end).layer(Idle), 1));
            let mut balance = Balance::new(ServiceList::new(endpoints));
            for _ in 0..40 {
                let request = http::Request::new(());
                let response = balance.ready().await.unwrap().call(request).await.unwrap();
                assert_eq!(response.status(), 200, "parallelism {parallelism}, room {room}");
            }
            assert_eq!((full.status().totals.saturated, idle.status().totals.finished), (0, 40));
            drop(held);
        }
    }
}

#[test]
fn options_behind_a_flag_have_one_type() {
    let payments = bulkhead(1, 0);
    for is_limited in [true, false] {
        let layer = is_limited.then(|| BulkheadLayer::new(&payments));
        let mut service = tower::util::option_layer(layer).layer(Idle);
        assert_ready!(poll_ready(&mut service)).unwrap();
        assert_eq!(payments.status().in_flight, usize::from(is_limited));
    }
    let (jobs, keys) = (weighted(5, 0), customers(1, 0, 9));
    for is_limited in [true, false] {
        let layer = is_limited.then(|| WeightedBulkheadLayer::fixed(&jobs, 5));
        let mut service = tower::util::option_layer(layer).layer(Idle);
        assert_ready!(poll_ready(&mut service)).unwrap();
        assert_eq!(jobs.status().used, if is_limited { 5 } else { 0 });
        let layer = is_limited.then(|| PartitionedBulkheadLayer::fixed(&keys, 1));
        let mut service = tower::util::option_layer(layer).layer(Idle);
        assert_ready!(poll_ready(&mut service)).unwrap();
        assert_eq!(keys.status().in_flight, usize::from(is_limited));
        // Whoever reads the request has the same errors, too.
        let layer = is_limited.then(|| BulkheadLayer::new(&payments).per_request());
        let mut service = tower::util::option_layer(layer).layer(Idle);
        assert_ready!(poll_ready(&mut service)).unwrap();
    }
}

#[cfg(feature = "tonic")]
#[test]
fn a_layered_service_keeps_its_name() {
    use tonic::server::NamedService;

    struct Echo;
    impl NamedService for Echo {
        const NAME: &'static str = "shop.Echo";
    }

    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let payments = bulkhead(1, 0);
    assert_eq!(name(&BulkheadLayer::new(&payments).layer(Echo)), "shop.Echo");
}
