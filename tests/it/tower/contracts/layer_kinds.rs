//! The kinds of layers in the contract tables: each over any inner service, with the counts of its bulkhead.

use std::{any::Any, convert::Infallible};

use bulklink::{
    Bulkhead, BulkheadError, BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, Totals,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use tower::{Layer, Service, util::BoxCloneService};

/// A request that is not an HTTP request.
pub(super) type Request = &'static str;
pub(super) type Response = &'static str;

/// The cost of an operation in a weighted bulkhead. Not 1, so that units and operations differ.
const COST: usize = 3;

/// An inner service for any kind of layer.
pub(super) trait Inner:
    Service<Request, Response = Response, Future: Send, Error: Send> + Clone + Send + 'static
{
}

impl<S> Inner for S where
    S: Service<Request, Response = Response, Future: Send, Error: Send> + Clone + Send + 'static
{
}

/// An inner service with a layer of any kind around it.
pub(super) type Guarded<E> = BoxCloneService<Request, Response, BulkheadError<E>>;

/// One kind of layer and its bulkhead.
pub(super) trait LayerKind {
    /// A bulkhead for `running` operations at once and `waiting` in line.
    fn new(running: usize, waiting: usize) -> Self;

    /// The layer over `inner`.
    fn over<S: Inner>(&self, inner: S) -> Guarded<S::Error>;

    /// Takes the slot of one operation.
    fn occupy(&self) -> Box<dyn Any + Send>;

    fn close(&self);

    /// A single instant: operations running, units in use, operations waiting, totals.
    fn read(&self) -> (usize, Option<usize>, usize, Totals);

    /// The counts at a single instant, after asserting every identity.
    fn counts(&self) -> Counts {
        let (running, used, waiting, totals) = self.read();
        let ended = totals.finished + totals.abandoned;
        assert_eq!(totals.admitted, running as u64 + ended, "{totals:?}");
        assert_eq!(totals.queued, waiting as u64 + totals.settled_waiting(), "{totals:?}");
        let cost = used.map_or(1, |used| {
            let units = totals.finished_units + totals.abandoned_units;
            assert_eq!(totals.admitted_units, used as u64 + units, "{totals:?}");
            used.checked_div(running).unwrap_or(0)
        });
        assert!(cost <= COST, "{cost} units in use by one operation");
        Counts { running, waiting, totals }
    }
}

#[derive(Debug)]
pub(super) struct Counts {
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) totals: Totals,
}

impl Counts {
    /// The numbers of operations running and waiting.
    pub(super) fn now(&self) -> (usize, usize) {
        (self.running, self.waiting)
    }
}

pub(super) struct Plain(Bulkhead);

impl LayerKind for Plain {
    fn new(running: usize, waiting: usize) -> Self {
        let builder = Bulkhead::builder("contract").parallelism(running).waiting_room(waiting);
        Self(builder.build().unwrap())
    }

    fn over<S: Inner>(&self, inner: S) -> Guarded<S::Error> {
        BoxCloneService::new(BulkheadLayer::new(&self.0).into_error().layer(inner))
    }

    fn occupy(&self) -> Box<dyn Any + Send> {
        Box::new(self.0.slot_now().unwrap())
    }

    fn close(&self) {
        self.0.close();
    }

    fn read(&self) -> (usize, Option<usize>, usize, Totals) {
        let status = self.0.status();
        (status.in_flight, Some(status.used), status.waiting, status.totals)
    }
}

fn weighted(running: usize, waiting: usize) -> WeightedBulkhead {
    let builder = WeightedBulkhead::builder("contract").capacity(running * COST);
    builder.waiting_room(waiting).build().unwrap()
}

macro_rules! weighted_kind {
    ($kind:ident, $layer:expr) => {
        pub(super) struct $kind(WeightedBulkhead);

        impl LayerKind for $kind {
            fn new(running: usize, waiting: usize) -> Self {
                Self(weighted(running, waiting))
            }

            fn over<S: Inner>(&self, inner: S) -> Guarded<S::Error> {
                BoxCloneService::new($layer(&self.0).into_error().layer(inner))
            }

            fn occupy(&self) -> Box<dyn Any + Send> {
                Box::new(self.0.slot_now(COST).unwrap())
            }

            fn close(&self) {
                self.0.close();
            }

            fn read(&self) -> (usize, Option<usize>, usize, Totals) {
                let status = self.0.status();
                (status.in_flight, Some(status.used), status.waiting, status.totals)
            }
        }
    };
}

weighted_kind!(WeightedFixed, |bulkhead| WeightedBulkheadLayer::fixed(bulkhead, COST));
weighted_kind!(WeightedByRequest, |bulkhead| WeightedBulkheadLayer::new(bulkhead, cost));

/// A plain bulkhead whose layer waits per request.
pub(super) struct PlainPerRequest(Plain);

impl LayerKind for PlainPerRequest {
    fn new(running: usize, waiting: usize) -> Self {
        Self(Plain::new(running, waiting))
    }

    fn over<S: Inner>(&self, inner: S) -> Guarded<S::Error> {
        BoxCloneService::new(BulkheadLayer::new(&self.0.0).per_request().into_error().layer(inner))
    }

    fn occupy(&self) -> Box<dyn Any + Send> {
        self.0.occupy()
    }

    fn close(&self) {
        self.0.close();
    }

    fn read(&self) -> (usize, Option<usize>, usize, Totals) {
        self.0.read()
    }
}

fn cost(_: &Request) -> usize {
    COST
}

/// The key of every operation in a partitioned bulkhead.
const CUSTOMER: &str = "a customer";

macro_rules! partitioned_kind {
    ($kind:ident, $layer:expr) => {
        pub(super) struct $kind(PartitionedBulkhead<&'static str>);

        impl LayerKind for $kind {
            fn new(running: usize, waiting: usize) -> Self {
                let builder = PartitionedBulkhead::builder("contract").parallelism(running);
                Self(builder.waiting_room(waiting).max_partitions(2).build().unwrap())
            }

            fn over<S: Inner>(&self, inner: S) -> Guarded<S::Error> {
                BoxCloneService::new($layer(&self.0).into_error().layer(inner))
            }

            fn occupy(&self) -> Box<dyn Any + Send> {
                Box::new(self.0.slot_now(&CUSTOMER).unwrap())
            }

            fn close(&self) {
                self.0.close();
            }

            fn read(&self) -> (usize, Option<usize>, usize, Totals) {
                let status = self.0.status();
                (status.in_flight, None, status.waiting, status.totals)
            }
        }
    };
}

partitioned_kind!(PartitionedFixed, |bulkhead| PartitionedBulkheadLayer::fixed(bulkhead, CUSTOMER));
partitioned_kind!(PartitionedByRequest, |bulkhead| PartitionedBulkheadLayer::new(bulkhead, key));

fn key(_: &Request) -> Option<&'static str> {
    Some(CUSTOMER)
}

/// An inner service that answers at once.
pub(super) fn echo() -> impl Inner<Error = Infallible> {
    tower::service_fn(async |request: Request| Ok::<_, Infallible>(request))
}
