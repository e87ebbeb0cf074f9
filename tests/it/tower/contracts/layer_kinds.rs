//! The rows of the table of contracts: every kind of layer over any inner service, and a probe for
//! what its bulkhead counts.

use std::{any::Any, convert::Infallible};

use bulklink::{
    Bulkhead, BulkheadError, BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, Totals,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use tower::{Layer, Service, util::BoxCloneService};

/// A request, which is no HTTP request.
pub(super) type Request = &'static str;
pub(super) type Response = &'static str;

/// Units of one operation where operations have a cost: not 1, so that units and operations differ.
const COST: usize = 3;

/// An inner service of any row.
pub(super) trait Inner:
    Service<Request, Response = Response, Future: Send, Error: Send> + Clone + Send + 'static
{
}

impl<S> Inner for S where
    S: Service<Request, Response = Response, Future: Send, Error: Send> + Clone + Send + 'static
{
}

/// What a row makes of it.
pub(super) type Guarded<E> = BoxCloneService<Request, Response, BulkheadError<E>>;

/// One kind of layer and its bulkhead.
pub(super) trait LayerKind {
    /// A bulkhead for so many operations at once and so many in line.
    fn new(running: usize, waiting: usize) -> Self;

    /// The layer over this service.
    fn over<S: Inner>(&self, inner: S) -> Guarded<S::Error>;

    /// Takes the slot of one operation.
    fn occupy(&self) -> Box<dyn Any + Send>;

    fn close(&self);

    /// One instant: operations running, units, operations waiting, totals.
    fn look(&self) -> (usize, Option<usize>, usize, Totals);

    /// One instant, in which every identity holds.
    fn seen(&self) -> Seen {
        let (running, used, waiting, totals) = self.look();
        let ended = totals.finished + totals.abandoned;
        assert_eq!(totals.admitted, running as u64 + ended, "{totals:?}");
        assert_eq!(totals.queued, waiting as u64 + totals.settled_waiting(), "{totals:?}");
        let cost = used.map_or(1, |used| {
            let units = totals.finished_units + totals.abandoned_units;
            assert_eq!(totals.admitted_units, used as u64 + units, "{totals:?}");
            used.checked_div(running).unwrap_or(0)
        });
        assert!(cost <= COST, "{cost} units in use by one operation");
        Seen { running, waiting, totals }
    }
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) running: usize,
    pub(super) waiting: usize,
    pub(super) totals: Totals,
}

impl Seen {
    /// Operations running and waiting.
    pub(super) fn now(&self) -> (usize, usize) {
        (self.running, self.waiting)
    }
}

pub(super) struct Plain(Bulkhead);

impl LayerKind for Plain {
    fn new(running: usize, waiting: usize) -> Self {
        let builder = Bulkhead::builder("row").parallelism(running).waiting_room(waiting);
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

    fn look(&self) -> (usize, Option<usize>, usize, Totals) {
        let status = self.0.status();
        (status.in_flight, Some(status.used), status.waiting, status.totals)
    }
}

fn weighted(running: usize, waiting: usize) -> WeightedBulkhead {
    let builder = WeightedBulkhead::builder("row").capacity(running * COST);
    builder.waiting_room(waiting).build().unwrap()
}

macro_rules! weighted_row {
    ($row:ident, $layer:expr) => {
        pub(super) struct $row(WeightedBulkhead);

        impl LayerKind for $row {
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

            fn look(&self) -> (usize, Option<usize>, usize, Totals) {
                let status = self.0.status();
                (status.in_flight, Some(status.used), status.waiting, status.totals)
            }
        }
    };
}

weighted_row!(WeightedFixed, |bulkhead| WeightedBulkheadLayer::fixed(bulkhead, COST));
weighted_row!(WeightedByRequest, |bulkhead| WeightedBulkheadLayer::new(bulkhead, cost));

/// The same bulkhead with the request in hand.
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

    fn look(&self) -> (usize, Option<usize>, usize, Totals) {
        self.0.look()
    }
}

fn cost(_: &Request) -> usize {
    COST
}

/// Whose the operations are where they are somebody's.
const CUSTOMER: &str = "a customer";

macro_rules! partitioned_row {
    ($row:ident, $layer:expr) => {
        pub(super) struct $row(PartitionedBulkhead<&'static str>);

        impl LayerKind for $row {
            fn new(running: usize, waiting: usize) -> Self {
                let builder = PartitionedBulkhead::builder("row").parallelism(running);
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

            fn look(&self) -> (usize, Option<usize>, usize, Totals) {
                let status = self.0.status();
                (status.in_flight, None, status.waiting, status.totals)
            }
        }
    };
}

partitioned_row!(PartitionedFixed, |bulkhead| PartitionedBulkheadLayer::fixed(bulkhead, CUSTOMER));
partitioned_row!(PartitionedByRequest, |bulkhead| PartitionedBulkheadLayer::new(bulkhead, key));

fn key(_: &Request) -> Option<&'static str> {
    Some(CUSTOMER)
}

/// An inner service that answers at once.
pub(super) fn echo() -> impl Inner<Error = Infallible> {
    tower::service_fn(async |request: Request| Ok::<_, Infallible>(request))
}
