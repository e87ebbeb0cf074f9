//! The ways in which an operation can arrive at a bulkhead: by its calls, and through its layers.

use std::{pin::Pin, task::Poll, time::Duration};

use bulklink::{
    Bulkhead, BulkheadLayer, Deadline, HeaderKey, PartitionedBulkhead, PartitionedBulkheadLayer,
    Rejection, Slot, Totals, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::Request;
use tower::Service;

use crate::support::http_service::{WebLayer, shop};

pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(5);

pub(super) type Attempt = Pin<Box<dyn Future<Output = Result<(), Rejection>>>>;

/// A bulkhead with room for one operation to run, and the call by which operations arrive at it.
pub(super) struct Arrivals {
    pub(super) name: &'static str,
    pub(super) units: u64,
    pub(super) hold: Box<dyn Fn() -> Slot>,
    pub(super) attempt: Box<dyn Fn(Option<Deadline>) -> Attempt>,
    pub(super) pause: Box<dyn Fn()>,
    pub(super) close: Box<dyn Fn()>,
    pub(super) totals: Box<dyn Fn() -> Totals>,
    /// Whether a deadline limits the wait.
    pub(super) takes_deadline: bool,
}

/// Arrivals through a layer: the rejection in the response, if there is one.
pub(super) fn through(layer: impl WebLayer + 'static) -> Box<dyn Fn(Option<Deadline>) -> Attempt> {
    let service = layer.layer(shop());
    let service = std::rc::Rc::new(std::cell::RefCell::new(service));
    Box::new(move |deadline| {
        let mut request = Request::post("/order").header("x-customer", "7").body(()).unwrap();
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let service = service.clone();
        let mut request = Some(request);
        let mut response = None;
        Box::pin(std::future::poll_fn(move |cx| {
            // Waits in readiness and in the response, whichever it is.
            if response.is_none() {
                if service.borrow_mut().poll_ready(cx).is_pending() {
                    return Poll::Pending;
                }
                response = Some(Box::pin(service.borrow_mut().call(request.take().unwrap())));
            }
            let Some(future) = &mut response else { unreachable!("called above") };
            future.as_mut().poll(cx).map(|response| {
                let Ok(response) = response;
                response.extensions().get::<Rejection>().cloned().map_or(Ok(()), Err)
            })
        }))
    })
}

pub(super) fn plain(room: usize) -> Bulkhead {
    let builder = Bulkhead::builder("one").parallelism(1).waiting_room(room);
    builder.wait_limit(WAIT_LIMIT).build().unwrap()
}

pub(super) fn reports(room: usize) -> WeightedBulkhead {
    let builder = WeightedBulkhead::builder("one").capacity(3).waiting_room(room);
    builder.wait_limit(WAIT_LIMIT).build().unwrap()
}

pub(super) fn partitioned(room: usize) -> PartitionedBulkhead<u64> {
    let builder = PartitionedBulkhead::builder("one").parallelism(1).waiting_room(room);
    builder.wait_limit(WAIT_LIMIT).max_partitions(2).build().unwrap()
}

/// Returns all ways to arrive, each at a new bulkhead with this waiting room.
pub(super) fn all(room: usize) -> Vec<Arrivals> {
    type PlainAttempt = fn(&Bulkhead) -> Box<dyn Fn(Option<Deadline>) -> Attempt>;
    type WeightedAttempt = fn(&WeightedBulkhead) -> Box<dyn Fn(Option<Deadline>) -> Attempt>;
    type KeyedAttempt = fn(&PartitionedBulkhead<u64>) -> Box<dyn Fn(Option<Deadline>) -> Attempt>;
    let plains: [(&str, PlainAttempt, bool); 3] = [
        (
            "plain",
            |bulkhead| {
                let bulkhead = bulkhead.clone();
                Box::new(move |deadline| {
                    let admission = match deadline {
                        Some(deadline) => bulkhead.slot_before(deadline),
                        None => bulkhead.slot(),
                    };
                    Box::pin(async { admission.await.map(drop) })
                })
            },
            true,
        ),
        ("plain layer", |bulkhead| through(BulkheadLayer::new(bulkhead)), false),
        (
            "plain layer, per request",
            |bulkhead| through(BulkheadLayer::new(bulkhead).per_request()),
            true,
        ),
    ];
    let weighteds: [(&str, WeightedAttempt, bool); 4] = [
        (
            "weighted",
            |bulkhead| {
                let bulkhead = bulkhead.clone();
                Box::new(move |deadline| {
                    let bulkhead = bulkhead.clone();
                    Box::pin(async move {
                        match deadline {
                            Some(deadline) => bulkhead.execute_before(deadline, 3, async {}).await,
                            None => bulkhead.execute(3, async {}).await,
                        }
                    })
                })
            },
            true,
        ),
        (
            "weighted layer, fixed",
            |bulkhead| through(WeightedBulkheadLayer::fixed(bulkhead, 3)),
            false,
        ),
        (
            "weighted layer, fixed, per request",
            |bulkhead| through(WeightedBulkheadLayer::fixed(bulkhead, 3).per_request()),
            true,
        ),
        (
            "weighted layer",
            |bulkhead| through(WeightedBulkheadLayer::new(bulkhead, |_: &Request<()>| 3)),
            true,
        ),
    ];
    let keyed: [(&str, KeyedAttempt, bool); 4] = [
        (
            "partitioned",
            |bulkhead| {
                let bulkhead = bulkhead.clone();
                Box::new(move |deadline| {
                    let bulkhead = bulkhead.clone();
                    Box::pin(async move {
                        match deadline {
                            Some(deadline) => bulkhead.slot_before(deadline, &7).await.map(drop),
                            None => bulkhead.slot(&7).await.map(drop),
                        }
                    })
                })
            },
            true,
        ),
        (
            "partitioned layer, fixed",
            |bulkhead| through(PartitionedBulkheadLayer::fixed(bulkhead, 7)),
            false,
        ),
        (
            "partitioned layer, fixed, per request",
            |bulkhead| through(PartitionedBulkheadLayer::fixed(bulkhead, 7).per_request()),
            true,
        ),
        (
            "partitioned layer",
            |bulkhead| {
                through(PartitionedBulkheadLayer::new(bulkhead, HeaderKey::new("x-customer")))
            },
            true,
        ),
    ];
    let plains = plains.map(|(name, attempt, takes_deadline)| {
        let bulkhead = plain(room);
        let [held, paused, closed, read] = [(); 4].map(|()| bulkhead.clone());
        Arrivals {
            name,
            units: 1,
            attempt: attempt(&bulkhead),
            hold: Box::new(move || held.slot_now().unwrap()),
            pause: Box::new(move || paused.pause()),
            close: Box::new(move || closed.close()),
            totals: Box::new(move || read.status().totals),
            takes_deadline,
        }
    });
    let weighteds = weighteds.map(|(name, attempt, takes_deadline)| {
        let bulkhead = reports(room);
        let [held, paused, closed, read] = [(); 4].map(|()| bulkhead.clone());
        Arrivals {
            name,
            units: 3,
            attempt: attempt(&bulkhead),
            hold: Box::new(move || held.slot_now(2).unwrap()),
            pause: Box::new(move || paused.pause()),
            close: Box::new(move || closed.close()),
            totals: Box::new(move || read.status().totals),
            takes_deadline,
        }
    });
    let keyed = keyed.map(|(name, attempt, takes_deadline)| {
        let bulkhead = partitioned(room);
        let [held, paused, closed, read] = [(); 4].map(|()| bulkhead.clone());
        Arrivals {
            name,
            units: 1,
            attempt: attempt(&bulkhead),
            hold: Box::new(move || held.slot_now(&7).unwrap()),
            pause: Box::new(move || paused.pause()),
            close: Box::new(move || closed.close()),
            totals: Box::new(move || read.status().totals),
            takes_deadline,
        }
    });
    plains.into_iter().chain(weighteds).chain(keyed).collect()
}
