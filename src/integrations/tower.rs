//! Feature `tower`: the load of a service, for the balancers of the crate `tower`.

use tower::load::Load;

use crate::middleware::{admit::MeasureLoad, service::AdmissionService};

impl<S, A: MeasureLoad, M, R, H> Load for AdmissionService<S, A, M, R, H> {
    type Metric = f64;

    /// Returns [`AdmissionService::load`].
    fn load(&self) -> f64 {
        self.load()
    }
}
