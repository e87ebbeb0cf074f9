//! Admission control for tower.
#![forbid(unsafe_code)]

mod bulkhead;
mod core;
mod middleware;
mod observe;
mod registry;
mod sync;

pub use crate::core::{
    effects::EventKind,
    reason::RejectionReason,
    tally::{Peaks, Totals},
};
pub use bulkhead::{
    builder::{BulkheadBuilder, WeightedBulkheadBuilder},
    deadline::Deadline,
    error::{ConfigError, Rejection, ResizeError},
    execute::{Execute, Guarded},
    partitioned::{PartitionLimits, PartitionedBulkhead, PartitionedBulkheadBuilder},
    plain::Bulkhead,
    slot::{Admission, Slot},
    weighted::WeightedBulkhead,
};
pub use middleware::{
    admit::{FixedCost, FixedKey, KeyFrom, Partitioned, Plain, Weighted},
    deadline::{DeadlineExtension, DeadlineSource, GrpcTimeout, HeaderTimeout, NoDeadline},
    error::BulkheadError,
    extract::{
        ContentLengthCost, CostExtractor, ExtensionKey, HeaderKey, KeyExtractor, MissingKey,
    },
    future::ResponseFuture,
    hold::{HeldBody, UntilBodyEnd, UntilResponse},
    layer::{AdmissionLayer, BulkheadLayer, PartitionedBulkheadLayer, WeightedBulkheadLayer},
    place::{InReadiness, NoBypass, PerRequest},
    reject::{IntoError, IntoResponse, OnReject},
    service::AdmissionService,
    shared::Shared,
};
pub use observe::{
    event::{BulkheadEvent, Subscription},
    interval::{BulkheadInterval, IntervalError},
    partitions::{PartitionedInterval, PartitionedStatus},
    report::{CapacityFinding, CapacityReport, FindingCode, Severity},
    status::BulkheadStatus,
};
pub use registry::{BuildBulkhead, BulkheadRegistry, Registrable, RegistryError, RegistryStatus};
