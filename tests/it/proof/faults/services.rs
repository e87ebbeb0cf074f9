//! Panics in services, extractors and closures, for requests that wait in readiness and per request.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bulklink::{
    Bulkhead, BulkheadLayer, Deadline, MissingKey, PartitionedBulkhead, PartitionedBulkheadLayer,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{Request, Response};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service};

use super::{
    Switch,
    keys::{self, Key, assert_all_idle},
};
use crate::support::{assert_nothing_left, bulkhead, checked_status, panics};

/// A service that panics in the places whose switch is on.
#[derive(Default)]
struct Inner {
    clone: Switch,
    ready: Switch,
    call: Switch,
    poll: Switch,
    drop: Switch,
}

impl Inner {
    fn switch(&self, place: usize) -> Switch {
        [&self.ready, &self.call, &self.poll, &self.drop, &self.clone][place].clone()
    }

    fn clone_unchecked(&self) -> Self {
        let Self { clone, ready, call, poll, drop } = self;
        let (clone, ready, call) = (clone.clone(), ready.clone(), call.clone());
        Self { clone, ready, call, poll: poll.clone(), drop: drop.clone() }
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        self.clone.pass();
        self.clone_unchecked()
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = ();
    type Future = Running;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.ready.pass();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Running {
        self.call.pass();
        Running { poll: self.poll.clone(), drop: self.drop.clone() }
    }
}

struct Running {
    poll: Switch,
    drop: Switch,
}

impl Future for Running {
    type Output = Result<Response<String>, ()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll.pass();
        Poll::Ready(Ok(Response::new(String::new())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drop.pass_once();
    }
}

/// Runs one request from readiness to response, and returns whether anything panicked.
fn serve<S: Service<Request<()>>>(service: &mut S) -> bool {
    let ready = panics(|| task::spawn(()).enter(|cx, _| service.poll_ready(cx).is_ready()));
    // A service that failed to become ready is called all the same.
    let called = panics(|| {
        let mut response = task::spawn(Box::pin(service.call(Request::new(()))));
        let polled = panics(|| response.poll().is_ready());
        let dropped = panics(move || drop(response));
        assert!(!(polled || dropped), "the response panicked");
    });
    ready || called
}

/// Makes a service fail in each place, and checks that a waiter is admitted all the same.
fn fails_everywhere<S, L>(payments: &Bulkhead, layer: L, places: usize)
where
    L: Layer<Inner, Service = S>,
    S: Service<Request<()>> + Clone,
{
    for place in 0..places {
        let inner = Inner::default();
        let switch = inner.switch(place);
        let mut service = layer.layer(inner);
        switch.set(true);
        assert!(serve(&mut service), "nothing failed in place {place}");
        switch.set(false);
        assert_eq!(checked_status(payments).used, 0, "place {place}");
        assert!(!serve(&mut service), "the service still fails");
        // Now with a waiter.
        let slot = payments.slot_now().unwrap();
        let mut waiter = task::spawn(payments.slot());
        assert_pending!(waiter.poll());
        switch.set(true);
        let mut third = service.clone_safely(&switch);
        panics(|| task::spawn(()).enter(|cx, _| third.poll_ready(cx).is_ready()));
        drop(slot);
        assert!(waiter.is_woken());
        drop(waiter);
        panics(|| task::spawn(()).enter(|cx, _| third.poll_ready(cx).is_ready()));
        switch.set(false);
        drop((third, service));
        assert_nothing_left(payments);
    }
}

/// Clones while nothing fails.
trait CloneSafely: Clone {
    fn clone_safely(&self, switch: &Switch) -> Self {
        switch.set(false);
        let clone = self.clone();
        switch.set(true);
        clone
    }
}

impl<S: Clone> CloneSafely for S {}

#[test]
fn a_service_that_panics_anywhere_loses_no_unit_in_readiness() {
    let payments = bulkhead(1, 2);
    fails_everywhere(&payments, BulkheadLayer::new(&payments), 4);
    fails_everywhere(&payments, BulkheadLayer::new(&payments).hold_body(), 4);
    fails_everywhere(&payments, BulkheadLayer::new(&payments).into_error(), 4);
}

#[test]
fn a_service_that_panics_anywhere_loses_no_unit_per_request() {
    let payments = bulkhead(1, 2);
    fails_everywhere(&payments, BulkheadLayer::new(&payments).per_request(), 5);
    fails_everywhere(&payments, BulkheadLayer::new(&payments).per_request().hold_body(), 5);
    fails_everywhere(&payments, BulkheadLayer::new(&payments).per_request().into_error(), 5);
}

#[test]
fn deadline_sources_and_bypasses_that_panic_lose_no_unit() {
    let payments = bulkhead(1, 2);
    let switch = Switch::default();
    let (source, bypass) = (switch.clone(), switch.clone());
    let with_deadline =
        BulkheadLayer::new(&payments).deadline(move |_: &Request<()>| -> Option<Deadline> {
            source.pass();
            None
        });
    let bypassing = BulkheadLayer::new(&payments).bypass(move |_: &Request<()>| {
        bypass.pass();
        false
    });
    let (mut with_deadline, mut bypassing) =
        (with_deadline.layer(Inner::default()), bypassing.layer(Inner::default()));
    for _ in 0..3 {
        switch.set(true);
        assert!(serve(&mut with_deadline) && serve(&mut bypassing));
        assert_nothing_left(&payments);
        switch.set(false);
        assert!(!serve(&mut with_deadline) && !serve(&mut bypassing));
        assert_nothing_left(&payments);
    }
}

#[test]
fn an_on_reject_that_panics_loses_nothing() {
    for per_request in [false, true] {
        let payments = bulkhead(1, 1);
        let slot = payments.slot_now().unwrap();
        let mut first = task::spawn(payments.slot());
        assert_pending!(first.poll());
        let layer = BulkheadLayer::new(&payments).on_reject(|_, _| super::fault());
        if per_request {
            assert!(serve(&mut layer.per_request().layer(Inner::default())));
        } else {
            assert!(serve(&mut layer.layer(Inner::default())));
        }
        assert_eq!(checked_status(&payments).totals.saturated, 1);
        drop(slot);
        drop(first);
        assert_nothing_left(&payments);
    }
}

#[test]
fn extractors_that_panic_lose_no_unit_and_pin_no_partition() {
    let reports = WeightedBulkhead::builder("reports").capacity(2).build().unwrap();
    let customers =
        PartitionedBulkhead::<u8>::builder("customers").parallelism(1).max_partitions(1);
    let customers = customers.build().unwrap();
    let switch = Switch::default();
    let (cost, key, source) = (switch.clone(), switch.clone(), switch.clone());
    let costly = WeightedBulkheadLayer::new(&reports, move |_: &Request<()>| {
        cost.pass();
        2
    });
    let keyed = PartitionedBulkheadLayer::new(&customers, move |_: &Request<()>| -> Option<u8> {
        key.pass();
        None
    });
    let keyed = keyed.missing_key(MissingKey::Use(7));
    // A deadline source runs while the request holds its partition.
    let fixed = PartitionedBulkheadLayer::fixed(&customers, 8);
    let fixed = fixed.deadline(move |_: &Request<()>| -> Option<Deadline> {
        source.pass();
        None
    });
    let mut costly = costly.layer(Inner::default());
    let mut keyed = keyed.layer(Inner::default());
    let mut fixed = fixed.layer(Inner::default());
    for on in [true, false, true, false] {
        switch.set(on);
        assert_eq!([serve(&mut costly), serve(&mut keyed), serve(&mut fixed)], [on; 3]);
        assert_eq!((reports.status().used, customers.status().active_partitions), (0, 0));
    }
    assert_eq!(reports.status().totals.finished, 2);
    assert_eq!(customers.status().totals.finished, 4);
}

#[test]
fn a_key_that_panics_behind_a_layer_holds_no_partition() {
    for place in 0..4 {
        let customers = keys::customers(2);
        let (own, shared) = (Key::new(1), Key::new(1));
        let switches = [own.switches()[place].clone(), shared.switches()[place].clone()];
        let fixed = PartitionedBulkheadLayer::fixed(&customers, own);
        let keyed = PartitionedBulkheadLayer::new(&customers, |_: &Request<()>| None::<Key>);
        let keyed = keyed.missing_key(MissingKey::Use(shared));
        let (mut fixed, mut keyed) = (fixed.layer(Inner::default()), keyed.layer(Inner::default()));
        for on in [true, false, true, false] {
            switches.iter().for_each(|switch| switch.set(on));
            let failed = [serve(&mut fixed), serve(&mut keyed)];
            assert!(on || failed == [false; 2], "place {place}: the services still fail");
            switches.iter().for_each(|switch| switch.set(false));
            assert_all_idle(&customers);
        }
    }
}
